//! What the service says about itself: its resources, its document, its public keys, its error codes.

use crate::auth::Public;
use crate::body::JSON;
use crate::conditional::is_fresh;
use crate::documented::{Described, Documented, text_schema};
use crate::middleware::negotiation::preferred;
use crate::openapi::Page;
use crate::path::Name;
use crate::problem::table::Row;
use crate::problem::{Problem, Reply};
use crate::reply::Shown;
use crate::state::State;
use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, ContentType, ETAG, VARY};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, Responder};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use domain::app::App;
use domain::error::Error;
use domain::ports::PublicKey;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa::openapi::Content;
use utoipa::openapi::schema::Object;

/// The resources of the API, by name.
#[derive(Debug, Serialize, ToSchema)]
pub struct Resources {
    #[serde(flatten)]
    paths: BTreeMap<String, String>,
}

/// Lists the resources
#[utoipa::path(get, path = "/api/")]
pub async fn list_resources(_: Public) -> Shown<Resources> {
    let collections = crate::routes::operations().iter().filter_map(|operation| {
        let name = operation.path.strip_prefix("/api/")?.trim_end_matches('/');
        let is_collection = !name.is_empty() && !name.contains(['{', '/', '.']);
        is_collection.then(|| (name.replace('-', "_"), operation.path.clone()))
    });
    Shown(Resources { paths: collections.collect() })
}

/// The OpenAPI document, cached by its tag.
pub struct Document(Arc<State>);

impl Document {
    fn page(&self) -> Reply<&Page> {
        if let Some(page) = self.0.document.get() {
            return Ok(page);
        }
        let public_url = self.0.settings.public_url.as_deref();
        let page = Page::new(public_url, &*self.0.app.vault).map_err(Error::Fault)?;
        Ok(self.0.document.get_or_init(|| page))
    }

    fn answer(&self, request: &HttpRequest) -> Reply<HttpResponse> {
        let page = self.page()?;
        let spared = is_fresh(request.headers(), &page.tag)?;
        let status = if spared { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
        let mut response = HttpResponseBuilder::new(status);
        response
            .insert_header((ETAG, format!("\"{}\"", page.tag)))
            .insert_header((CACHE_CONTROL, "no-cache"));
        Ok(if spared {
            response.finish()
        } else {
            response.insert_header(ContentType::json()).body(page.bytes.clone())
        })
    }
}

impl Responder for Document {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        self.answer(request).unwrap_or_else(HttpResponse::from_error)
    }
}

impl Documented for Document {
    fn describe(operation: &mut Described) {
        let content = Content::new(Some(Object::new()));
        operation.answers(StatusCode::OK, "This document.", JSON, content);
        operation.may_be_spared();
    }
}

/// This document, as OpenAPI 3.1
#[utoipa::path(get, path = "/api/openapi.json")]
pub async fn openapi_document(_: Public, state: Data<State>) -> Document {
    Document(state.into_inner())
}

/// A set of public keys (RFC 7517).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KeySet)]
pub struct KeySet {
    keys: Vec<Key>,
}

/// An Ed25519 public key (RFC 8037).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Key, examples(json!({
    "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA",
    "kid": "2026-05-04-a1b2", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
})))]
pub struct Key {
    kty: &'static str,
    crv: &'static str,
    #[serde(rename = "use")]
    purpose: &'static str,
    alg: &'static str,
    kid: String,
    x: String,
}

impl From<PublicKey> for Key {
    fn from(key: PublicKey) -> Self {
        Self {
            kty: "OKP",
            crv: "Ed25519",
            purpose: "sig",
            alg: "EdDSA",
            kid: key.id,
            x: BASE64_URL_SAFE_NO_PAD.encode(key.bytes),
        }
    }
}

/// The public keys of our access tokens
///
/// With them other services verify a token without asking us and without a shared secret.
#[utoipa::path(get, path = "/.well-known/jwks.json")]
pub async fn public_keys(_: Public, app: Data<App>) -> Shown<KeySet> {
    let keys = app.tokens.public_keys().into_iter().map(Key::from).collect();
    Shown(KeySet { keys })
}

/// What is to know about a code, in the form that the client likes best.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProblemExplanation)]
pub struct Explanation {
    code: String,
    status: u16,
    title: String,
    about: String,
}

const HTML: &str = "text/html";

impl Explanation {
    /// Our own words, without a character that HTML would take for markup except the code marks.
    fn page(&self) -> String {
        let Self { code, status, title, about } = self;
        let about = about.replace('&', "&amp;").replace('<', "&lt;");
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{code}</title></head>\n\
             <body><h1>{title}</h1><p><code>{code}</code>, HTTP status {status}</p><p>{about}</p></body></html>\n"
        )
    }
}

impl From<Row> for Explanation {
    fn from(row: Row) -> Self {
        Self {
            code: row.code.to_owned(),
            status: row.status.as_u16(),
            title: row.title.to_owned(),
            about: row.about.to_owned(),
        }
    }
}

impl Responder for Explanation {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        let mut response = HttpResponse::Ok();
        response.insert_header((VARY, "accept"));
        if preferred(request.headers(), &[JSON, HTML]) == Some(HTML) {
            let policy = "default-src 'none'; frame-ancestors 'none'";
            response
                .insert_header((CONTENT_SECURITY_POLICY, policy))
                .insert_header(ContentType::html())
                .body(self.page())
        } else {
            response.json(self)
        }
    }
}

impl Documented for Explanation {
    fn describe(operation: &mut Described) {
        let schema = operation.schema_of::<Self>();
        operation.answers(StatusCode::OK, "The code in words.", JSON, Content::new(Some(schema)));
        let page = Content::new(Some(text_schema(None)));
        operation.answers(StatusCode::OK, "The code in words.", HTML, page);
    }
}

/// Explains an error code in words
#[utoipa::path(get, path = "/problems/{name}")]
pub async fn explain_problem(_: Public, Name(code): Name<String>) -> Reply<Explanation> {
    let row = Row::all().into_iter().find(|row| row.code == code);
    row.map(Explanation::from).ok_or_else(|| Problem::from(Error::NotFound("error code")))
}
