//! Failures get their body here, whoever raised them: a handler, an extractor, a layer, or actix itself.

use crate::problem::table::Misuse;
use crate::problem::{self, Problem};
use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::middleware::Next;
use actix_web::{HttpResponse, ResponseError};

/// How many bytes path and query may have together.
const LONGEST_ADDRESS: usize = 8 * 1024;

/// Writes the body of every failure.
pub async fn explain<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    if let Some(problem) = refuse_address(&request) {
        let (request, _) = request.into_parts();
        let written = problem::present(&problem, &request, problem.error_response());
        return Ok(ServiceResponse::new(request, written).map_into_right_body());
    }
    let response = next.call(request).await?;
    if !is_failure(response.status()) {
        return Ok(response.map_into_left_body());
    }
    let (request, response) = response.into_parts();
    let written = match response.error().and_then(|error| error.as_error::<Problem>()) {
        Some(problem) => problem::present(problem, &request, bare(&response)),
        None => problem::present(&stranger(&response), &request, bare(&response)),
    };
    Ok(ServiceResponse::new(request, written).map_into_right_body())
}

fn refuse_address(request: &ServiceRequest) -> Option<Problem> {
    let length = request.uri().path_and_query().map_or(0, |address| address.as_str().len());
    let detail = || format!("path and query have {length} bytes; they may have {LONGEST_ADDRESS}");
    (length > LONGEST_ADDRESS).then(|| Problem::Http(Misuse::UriTooLong, detail()))
}

fn is_failure(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

/// A failure that something below us raised in its own words.
fn stranger<B>(response: &HttpResponse<B>) -> Problem {
    let status = response.status();
    let plain = || status.canonical_reason().unwrap_or("refused").to_lowercase();
    Problem::from_status(status, response.error().map_or_else(plain, ToString::to_string))
}

/// Status and headers without the body.
fn bare<B>(response: &HttpResponse<B>) -> HttpResponse<BoxBody> {
    let mut bare = HttpResponse::new(response.status());
    for (name, value) in response.headers() {
        bare.headers_mut().append(name.clone(), value.clone());
    }
    bare
}
