//! Refusals that actix writes by itself, before there is a request: they have a status and no more. On their way out they get
//! the words that every other refusal has.

use crate::middleware::context::{self, REQUEST_ID};
use crate::problem::table::Misuse;
use crate::problem::{MEDIA_TYPE, Problem, ProblemBody};
use crate::state::RequestIds;
use actix_web::ResponseError;
use actix_web::http::StatusCode;
use memchr::memmem;

/// No refusal without a body is longer.
const LONGEST: usize = 512;

/// Where in these bytes a refusal without words begins, which is the last thing in them if it is there at all: answers to what came
/// before it on the connection may go out with it.
pub(crate) fn find_bare(bytes: &[u8]) -> Option<usize> {
    if !bytes.ends_with(b"\r\n\r\n") {
        return None;
    }
    let tail = bytes.len().saturating_sub(LONGEST);
    let start = tail + memmem::rfind(bytes.get(tail..)?, b"HTTP/1.1 4")?;
    bare_status(bytes.get(start..)?).map(|_| start)
}

/// The same refusal in words, if these bytes are one without.
pub(crate) fn in_words(bytes: &[u8], ids: &RequestIds) -> Option<Vec<u8>> {
    let status = bare_status(bytes)?;
    let misuse = Misuse::of_status(status).unwrap_or(Misuse::MalformedRequest);
    write(status, misuse, misuse.row().title.to_owned(), ids)
}

/// A refusal of what is no request.
pub(crate) fn refusal(misuse: Misuse, detail: String, ids: &RequestIds) -> Option<Vec<u8>> {
    write(misuse.row().status, misuse, detail, ids)
}

fn write(status: StatusCode, misuse: Misuse, detail: String, ids: &RequestIds) -> Option<Vec<u8>> {
    let id = ids.next();
    tracing::debug!(request_id = id, status = status.as_u16(), "refused what is no request");
    written(&Problem::Http(misuse, detail), &id)
}

/// A problem as bytes, for who gets no other answer on this connection. It says all that every answer says.
pub(crate) fn written(problem: &Problem, id: &str) -> Option<Vec<u8>> {
    let (status, refused) = (problem.status_code(), problem.error_response());
    let body = serde_json::to_string(&ProblemBody::new(problem, id)).ok()?;
    let (reason, length) = (status.canonical_reason().unwrap_or_default(), body.len());
    let mut head = format!(
        "HTTP/1.1 {} {reason}\r\ncontent-type: {MEDIA_TYPE}\r\ncontent-length: {length}\r\nconnection: close\r\n\
         {REQUEST_ID}: {id}\r\n",
        status.as_u16()
    );
    for (name, value) in context::ON_EVERY_ANSWER {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    for (name, value) in refused.headers() {
        head.push_str(&format!("{name}: {}\r\n", value.to_str().ok()?));
    }
    Some((head + "\r\n" + &body).into_bytes())
}

/// The status, if this is a refusal that nobody here has seen: all of ours are named.
fn bare_status(bytes: &[u8]) -> Option<StatusCode> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= LONGEST)?;
    let mut lines = text.strip_prefix("HTTP/1.1 ")?.strip_suffix("\r\n\r\n")?.split("\r\n");
    let status = lines.next().filter(|status| status.starts_with('4'))?;
    let mut is_empty = false;
    for line in lines {
        match line.split_once(": ")? {
            ("content-length", "0") => is_empty = true,
            ("connection" | "date", _) => {}
            _ => return None,
        }
    }
    is_empty.then(|| StatusCode::from_bytes(status.get(..3)?.as_bytes()).ok()).flatten()
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
    fn a_bare_refusal_is_found_behind_the_answers_that_go_out_with_it() {
        let bare = "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\ndate: now\r\n\r\n";
        let before = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-request-id: 7\r\n\r\n{}";
        assert_eq!(find_bare(bare.as_bytes()), Some(0));
        assert_eq!(find_bare(format!("{before}{bare}").as_bytes()), Some(before.len()));
        assert_eq!(find_bare(format!("{}{bare}", before.repeat(100)).as_bytes()), Some(before.len() * 100));
        let quoted =
            format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n50\r\n{bare}\r\n0\r\n\r\n");
        for other in [before, "", "\r\n\r\n", &format!("{bare}{before}"), &quoted] {
            assert_eq!(find_bare(other.as_bytes()), None, "{other}");
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
