//! How clients of other systems expect to be spoken to: where they put their credential, and what a failure looks like. Most
//! clients are our own and mind neither.

use crate::body::JSON;
use crate::documented::Described;
use crate::problem::{MEDIA_TYPE, Problem, ProblemBody};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::response::Response;
use utoipa::openapi::{Content, Ref, RefOr};

/// What a client is used to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manners {
    /// Ours.
    #[default]
    House,
    /// Those of InfluxDB 1: `Basic` or `u` and `p`, and `{"error": …}`.
    InfluxV1,
    /// Those of InfluxDB 2: `Token …`, and `{"code": …, "message": …}`.
    InfluxV2,
}

/// A failure as clients of InfluxDB 1 read it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InfluxV1Error, examples(json!({"error": "partial write: 1 of 2 points left out; line 2: the line is no point: missing fields"})))]
pub struct V1Failure {
    error: String,
}

/// A failure as clients of InfluxDB 2 read it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InfluxV2Error, examples(json!({"code": "invalid", "message": "partial write: 1 of 2 points left out; line 2: the line is no point: missing fields", "line": 2})))]
pub struct V2Failure {
    /// What kind of failure it is.
    code: &'static str,
    message: String,
    /// The first line that is to blame, if one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    line: Option<u64>,
}

impl Manners {
    /// The bytes of a failure, and their media type.
    pub(crate) fn failure(self, problem: &Problem, body: &ProblemBody) -> (Vec<u8>, &'static str) {
        let written = match self {
            Manners::House => return (serde_json::to_vec(body).unwrap_or_default(), MEDIA_TYPE),
            Manners::InfluxV1 => serde_json::to_vec(&V1Failure { error: body.detail.clone() }),
            Manners::InfluxV2 => serde_json::to_vec(&V2Failure {
                code: v2_code(body.status),
                message: body.detail.clone(),
                line: problem.line(),
            }),
        };
        (written.unwrap_or_default(), JSON)
    }

    /// Has the document say what failures look like. What is wrong before anybody knows whom they speak with is a problem of ours.
    pub(crate) fn describe_failures(self, described: &mut Described) {
        let schema = match self {
            Manners::House => return,
            Manners::InfluxV1 => described.schema_of::<V1Failure>(),
            Manners::InfluxV2 => described.schema_of::<V2Failure>(),
        };
        let problem = Content::new(Some(Ref::from_schema_name("Problem")));
        for response in described.operation.responses.responses.values_mut() {
            if matches!(response, RefOr::Ref(_)) {
                let mut failure = Response::new("Refused.");
                failure.content.insert(JSON.to_owned(), RefOr::T(Content::new(Some(schema.clone()))));
                failure.content.insert(MEDIA_TYPE.to_owned(), RefOr::T(problem.clone()));
                *response = RefOr::T(failure);
            }
        }
    }
}

/// What version 2 calls a status.
const fn v2_code(status: u16) -> &'static str {
    match status {
        401 => "unauthorized",
        403 => "forbidden",
        404 => "not found",
        405 => "method not allowed",
        409 => "conflict",
        413 => "request too large",
        429 => "too many requests",
        503 => "unavailable",
        500..=599 => "internal error",
        _ => "invalid",
    }
}
