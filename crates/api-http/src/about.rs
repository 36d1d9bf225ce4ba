//! What the server says about itself: its resources, its document, its public keys. Its error codes are explained by
//! [`crate::problem::explanation`].

use crate::auth::Public;
use crate::body::JSON;
use crate::conditional::is_fresh;
use crate::documented::{Described, Documented};
use crate::openapi::Page;
use crate::problem::Reply;
use crate::reply::Shown;
use crate::state::State;
use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, ContentType, ETAG};
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
