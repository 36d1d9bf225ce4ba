//! Interactive documentation at `/swagger/`: Swagger UI from files in this binary. Nothing is loaded from elsewhere.

use crate::auth::Public;
use crate::documented::{Described, Documented, text_schema};
use crate::path::Name;
use crate::problem::Reply;
use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use actix_web::{HttpRequest, HttpResponse, Responder};
use domain::error::Error;
use std::borrow::Cow;
use std::sync::{Arc, LazyLock};
use utoipa::openapi::Content;
use utoipa_swagger_ui::Config;

/// Scripts, pictures and calls from here alone. Swagger UI sets styles on its elements, hence `unsafe-inline` for those.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'";

static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
    let config = Config::from("/api/openapi.json")
        .validator_url("none")
        .persist_authorization(false)
        .display_request_duration(true)
        .try_it_out_enabled(true);
    Arc::new(config)
});

/// A file of Swagger UI.
pub struct File {
    content_type: String,
    bytes: Cow<'static, [u8]>,
}

impl Responder for File {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        let mut response = HttpResponse::Ok();
        response
            .content_type(self.content_type)
            .insert_header((CONTENT_SECURITY_POLICY, POLICY))
            .insert_header((CACHE_CONTROL, "public, max-age=3600"));
        match self.bytes {
            Cow::Borrowed(bytes) => response.body(bytes),
            Cow::Owned(bytes) => response.body(bytes),
        }
    }
}

impl Documented for File {
    fn describe(operation: &mut Described) {
        let content = Content::new(Some(text_schema(None)));
        operation.answers(StatusCode::OK, "A file for the browser.", "*/*", content);
        operation.fails(StatusCode::NOT_FOUND);
    }
}

/// Interactive documentation
#[utoipa::path(get, path = "/swagger/")]
pub async fn swagger_page(_: Public) -> Reply<File> {
    let mut page = file("index.html")?;
    // The page must find its files from `/swagger` as well as from `/swagger/`.
    let html = String::from_utf8_lossy(&page.bytes)
        .replace("\"./", "\"/swagger/")
        .replace("\"index.css\"", "\"/swagger/index.css\"");
    page.bytes = Cow::Owned(html.into_bytes());
    Ok(page)
}

/// A file of the interactive documentation
#[utoipa::path(get, path = "/swagger/{name}")]
pub async fn swagger_file(_: Public, Name(name): Name<String>) -> Reply<File> {
    file(&name)
}

fn file(name: &str) -> Reply<File> {
    let found = utoipa_swagger_ui::serve(name, Arc::clone(&CONFIG))
        .map_err(|error| Error::Fault(error.to_string().into()))?
        .ok_or(Error::NotFound("page"))?;
    Ok(File { content_type: found.content_type, bytes: found.bytes })
}
