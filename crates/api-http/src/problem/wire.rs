//! Refusals that actix writes by itself, before there is a request: they have a status and no more. On their way out they get
//! the words that every other refusal has.

use crate::middleware::context::REQUEST_ID;
use crate::problem::table::Misuse;
use crate::problem::{MEDIA_TYPE, Problem, ProblemBody};
use crate::state::RequestIds;
use actix_web::http::StatusCode;
use memchr::memmem;

/// No refusal without a body is longer.
const LONGEST: usize = 512;

/// The same refusal in words, if these bytes are one without.
pub(crate) fn in_words(bytes: &[u8], ids: &RequestIds) -> Option<Vec<u8>> {
    let status = bare_status(bytes)?;
    let misuse = Misuse::of_status(status).unwrap_or(Misuse::MalformedRequest);
    let id = ids.next();
    tracing::debug!(request_id = id, status = status.as_u16(), "refused what is no request");
    let body = ProblemBody::new(&Problem::Http(misuse, misuse.row().title.to_owned()), &id);
    let body = serde_json::to_string(&body).ok()?;
    let (reason, length) = (status.canonical_reason().unwrap_or_default(), body.len());
    let head = format!(
        "HTTP/1.1 {} {reason}\r\ncontent-type: {MEDIA_TYPE}\r\ncontent-length: {length}\r\n{REQUEST_ID}: {id}\r\n\
         x-content-type-options: nosniff\r\ncache-control: no-store\r\nconnection: close\r\n\r\n",
        status.as_u16()
    );
    Some((head + &body).into_bytes())
}

/// The status, if this is a refusal that nobody here has seen: all of ours are named.
fn bare_status(bytes: &[u8]) -> Option<StatusCode> {
    let rest = bytes.strip_prefix(b"HTTP/1.1 ")?;
    let is_whole = bytes.len() <= LONGEST && bytes.ends_with(b"\r\n\r\n");
    if !rest.starts_with(b"4") || !is_whole {
        return None;
    }
    let has = |text: &[u8]| memmem::find(bytes, text).is_some();
    let is_bare = has(b"\r\ncontent-length: 0\r\n") && !has(REQUEST_ID.as_str().as_bytes());
    is_bare.then(|| StatusCode::from_bytes(rest.get(..3)?).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Option<String> {
        in_words(text.as_bytes(), &RequestIds::new("a secret")).map(|words| String::from_utf8(words).unwrap())
    }

    #[test]
    fn a_bare_refusal_gets_words_of_their_length() {
        for (status, code) in [(400, "malformed_request"), (408, "request_timeout"), (431, "head_too_large")]
        {
            let bare = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\ndate: now\r\n\r\n");
            let words = words(&bare).unwrap();
            let (head, body) = words.split_once("\r\n\r\n").unwrap();
            assert!(
                head.starts_with(&format!("HTTP/1.1 {status} ")) && head.contains("connection: close"),
                "{head}"
            );
            assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{head}");
            let problem: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!((problem["status"].as_u64(), problem["code"].as_str()), (Some(status), Some(code)));
            assert!(head.contains(problem["request_id"].as_str().unwrap()));
        }
    }

    #[test]
    fn all_else_goes_out_as_it_is() {
        for text in [
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nx-request-id: 7\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}",
            "HTTP/1.1 4",
            "HTTP/1.1 4xx Odd\r\ncontent-length: 0\r\n\r\n",
            "{}",
            "",
        ] {
            assert_eq!(words(text), None, "{text}");
        }
    }
}
