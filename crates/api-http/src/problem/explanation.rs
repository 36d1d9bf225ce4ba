//! The page that a failure's `type` points to: a row of the [`table`](super::table), as JSON or for a browser.

use super::table::Row;
use super::{Problem, Reply};
use crate::auth::Public;
use crate::body::JSON;
use crate::documented::{Described, Documented, text_schema};
use crate::middleware::negotiation::preferred;
use crate::path::Name;
use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_SECURITY_POLICY, ContentType, VARY};
use actix_web::{HttpRequest, HttpResponse, Responder};
use domain::error::Error;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::Content;

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
