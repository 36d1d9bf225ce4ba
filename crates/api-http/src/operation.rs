//! Operations: what the router serves and the document lists, made from the same handlers.
//!
//! [`Operation::of`] takes a handler and the path that `#[utoipa::path]` wrote beside it. From the list of operations
//! [`resources`] makes what actix serves, and [`crate::openapi`] the document, so both have their paths from the one
//! attribute. Only answers that point elsewhere (`Location`, links) spell a path again.
//!
//! A handler that does not say who may call it does not compile:
//! ```compile_fail
//! use api_http::operation::{Arguments, Operation};
//! use api_http::documented::Documented;
//! use actix_web::{FromRequest, Handler, Responder};
//!
//! fn is_operation<H, A>(_: H)
//! where H: Handler<A>, H::Output: Responder + Documented, A: FromRequest + Arguments {}
//!
//! async fn unguarded(_: api_http::conditional::IfMatch) -> api_http::reply::Done { api_http::reply::Done }
//! is_operation(unguarded);
//! ```
//! The same one does as soon as it says so:
//! ```
//! use api_http::auth::Public;
//! use api_http::operation::{Arguments, Operation};
//! use api_http::documented::Documented;
//! use actix_web::{FromRequest, Handler, Responder};
//!
//! fn is_operation<H, A>(_: H)
//! where H: Handler<A>, H::Output: Responder + Documented, A: FromRequest + Arguments {}
//!
//! async fn guarded(_: Public, _: api_http::conditional::IfMatch) -> api_http::reply::Done { api_http::reply::Done }
//! is_operation(guarded);
//! ```

use crate::auth::Gate;
use crate::documented::{Described, Documented};
use crate::middleware::admission::{self, Entry};
use crate::problem::Problem;
use crate::problem::table::Misuse;
use crate::state::State;
use crate::turns::Class;
use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::guard::{self, Guard};
use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::Data;
use actix_web::{FromRequest, Handler, HttpRequest, HttpResponse, Resource, Responder, Route, web};
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::openapi::path::HttpMethod;

/// The arguments of a handler: first who may call, then what is read.
#[diagnostic::on_unimplemented(
    message = "a handler's first argument must say who may call it: `Granted<Right>` or `Public`",
    note = "every further argument must be `Documented`"
)]
pub trait Arguments {
    /// Who may call.
    type Gate: Gate;

    /// Adds all arguments to the document.
    fn describe(operation: &mut Described);
}

macro_rules! arguments {
    ($($rest:ident),*) => {
        impl<G: Gate, $($rest: Documented),*> Arguments for (G, $($rest,)*) {
            type Gate = G;

            fn describe(operation: &mut Described) {
                G::describe(operation);
                $($rest::describe(operation);)*
            }
        }
    };
}

arguments!();
arguments!(A);
arguments!(A, B);
arguments!(A, B, C);
arguments!(A, B, C, D);

/// One method on one path.
pub struct Operation {
    /// The method.
    pub method: Method,
    /// The path, as documented.
    pub path: String,
    /// Its document.
    pub described: Described,
    entry: Arc<Entry>,
    route: Box<dyn Fn() -> Route + Send + Sync>,
}

impl Operation {
    /// The operation that `handler` carries out, under the path and name that `P` knows; the document groups it by `tag`.
    pub fn of<P, H, A>(tag: &str, handler: H) -> Self
    where
        P: utoipa::Path,
        H: Handler<A> + Send + Sync,
        H::Output: Responder + Documented + 'static,
        A: FromRequest + Arguments + 'static,
    {
        let (path, method) = (P::path(), method_of(&P::methods()));
        let mut described = Described::new(method.clone(), tag, P::operation());
        H::Output::describe(&mut described);
        A::describe(&mut described);
        let entry = Entry {
            class: Class::of_method(&method),
            public: A::Gate::PUBLIC,
            manners: A::Gate::MANNERS,
            metered: path.starts_with("/api/") || !A::Gate::PUBLIC,
            takes_query: described.takes_query(),
            media_types: described.media_types(),
            // What hangs on what is removed may be much.
            lasts: described.lasts || method == Method::DELETE,
        };
        describe_common_failures(&mut described, &entry);
        entry.manners.describe_failures(&mut described);
        Self {
            method,
            path,
            described,
            entry: Arc::new(entry),
            route: Box::new(move || web::route().to(handler.clone())),
        }
    }

    /// The same operation, whose callers wait in this line.
    #[must_use]
    pub fn waiting_as(mut self, class: Class) -> Self {
        Arc::make_mut(&mut self.entry).class = class;
        self
    }

    fn route(&self) -> Route {
        let entry = Arc::clone(&self.entry);
        let route = (self.route)().wrap(from_fn(
            move |state: Data<State>, request: ServiceRequest, next: Next<BoxBody>| {
                admission::admit(Arc::clone(&entry), state, request, next)
            },
        ));
        route.guard(answers_to(self.method.clone()))
    }
}

fn describe_common_failures(described: &mut Described, entry: &Entry) {
    if !entry.media_types.is_empty() {
        described.fails(StatusCode::NOT_ACCEPTABLE);
    }
    if entry.takes_query {
        described.fails(StatusCode::URI_TOO_LONG);
    }
    if entry.metered {
        described.may_fail(&[StatusCode::BAD_REQUEST, StatusCode::TOO_MANY_REQUESTS]);
    }
    described.may_fail(&[StatusCode::INTERNAL_SERVER_ERROR, StatusCode::SERVICE_UNAVAILABLE]);
}

/// Where GET works HEAD works too; the server leaves out the body.
fn answers_to(method: Method) -> impl Guard {
    guard::fn_guard(move |context| {
        let asked = &context.head().method;
        *asked == method || (*asked == Method::HEAD && method == Method::GET)
    })
}

fn method_of(methods: &[HttpMethod]) -> Method {
    match methods {
        [HttpMethod::Put] => Method::PUT,
        [HttpMethod::Post] => Method::POST,
        [HttpMethod::Delete] => Method::DELETE,
        [HttpMethod::Patch] => Method::PATCH,
        _ => Method::GET,
    }
}

/// The resources that serve these operations: two for each path, with and without the final slash. One for both would be
/// looked for by regular expressions, also where there is no parameter.
///
/// Paths come in order of their text, in which a literal segment precedes a parameter, so the more exact one wins.
pub fn resources<'a>(operations: impl IntoIterator<Item = &'a Operation>) -> Vec<Resource> {
    let mut by_path: BTreeMap<&str, Vec<&Operation>> = BTreeMap::new();
    for operation in operations {
        by_path.entry(&operation.path).or_default().push(operation);
    }
    let both_forms = |(path, operations): (&str, Vec<&Operation>)| {
        let bare = path.trim_end_matches('/');
        [format!("{bare}/"), bare.to_owned()].map(|form| resource(&form, &operations))
    };
    by_path.into_iter().flat_map(both_forms).collect()
}

fn resource(path: &str, operations: &[&Operation]) -> Resource {
    let allow = allowed(operations);
    let mut resource = web::resource(path);
    for operation in operations {
        resource = resource.route(operation.route());
    }
    resource.default_service(web::to(move |request: HttpRequest| {
        let answer = other_method(&request, &allow);
        async move { answer }
    }))
}

fn allowed(operations: &[&Operation]) -> String {
    let mut methods: Vec<&str> = operations.iter().map(|operation| operation.method.as_str()).collect();
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    methods.push("OPTIONS");
    methods.sort_unstable();
    methods.join(", ")
}

fn other_method(request: &HttpRequest, allow: &str) -> HttpResponse {
    let mut answer = if request.method() == Method::OPTIONS {
        HttpResponse::NoContent().finish()
    } else {
        let detail = format!("this resource does not know {}", request.method());
        HttpResponse::from_error(Problem::Http(Misuse::MethodNotAllowed, detail))
    };
    if let Ok(allow) = HeaderValue::from_str(allow) {
        answer.headers_mut().insert(ALLOW, allow);
    }
    answer
}

/// The answer where no resource is.
pub async fn nowhere(request: ServiceRequest) -> Result<ServiceResponse, actix_web::Error> {
    let problem = Problem::from(domain::error::Error::NotFound("resource"));
    Ok(request.into_response(HttpResponse::from_error(problem)))
}

/// A list of operations from the names of their handlers, by tag and module; callers wait in the line of the method, or in
/// the one that is named:
/// `operations! { "users": users [list_users, get_user], tokens [log_in] as SignIn; … }`.
macro_rules! operations {
    ($($tag:literal: $($module:ident [$($handler:ident),+ $(,)?] $(as $class:ident)?),+ $(,)?);+ $(;)?) => {
        pastey::paste! {{
            let mut all = Vec::new();
            $($(
                let some = [$(
                    $crate::operation::Operation::of::<$module::[<__path_ $handler>], _, _>($tag, $module::$handler),
                )+];
                $(let some = some.map(|operation| operation.waiting_as($crate::turns::Class::$class));)?
                all.extend(some);
            )+)+
            all
        }}
    };
}

pub(crate) use operations;
