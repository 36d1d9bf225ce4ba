//! Which status a failure has: the domain's codes by their kind, and HTTP's own codes, which the domain knows nothing of.

use actix_web::http::StatusCode;
use domain::error::{Code, Kind};
use std::fmt::Write;

/// What is to know about one code.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its stable name.
    pub code: &'static str,
    /// The HTTP status.
    pub status: StatusCode,
    /// A short title.
    pub title: &'static str,
    /// What it means and what to do about it.
    pub about: &'static str,
}

impl Row {
    /// Every code, in order of status.
    pub fn all() -> Vec<Row> {
        let domain = Code::ALL.iter().copied().map(Row::of_code);
        let http = Misuse::ALL.iter().copied().map(Misuse::row);
        let mut rows: Vec<Row> = domain.chain(http).collect();
        rows.sort_by_key(|row| row.status);
        rows
    }

    /// The row of a code of the domain.
    pub fn of_code(code: Code) -> Row {
        Row { code: code.name(), status: status(code.kind()), title: code.title(), about: code.about() }
    }
}

/// The one map from kinds to statuses.
const fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::Missing => StatusCode::NOT_FOUND,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::Stale => StatusCode::PRECONDITION_FAILED,
        Kind::Limited => StatusCode::TOO_MANY_REQUESTS,
        Kind::Busy => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Fault => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

macro_rules! misuses {
    ($($name:ident = $code:literal, $status:ident, $title:literal, $about:literal;)*) => {
        /// What a message can do wrong before the domain hears of it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Misuse {
            $(#[doc = $about] $name,)*
        }

        impl Misuse {
            /// Every one.
            pub const ALL: &'static [Misuse] = &[$(Misuse::$name),*];

            /// Its row in the table.
            pub const fn row(self) -> Row {
                match self {
                    $(Misuse::$name => Row { code: $code, status: StatusCode::$status, title: $title, about: $about },)*
                }
            }
        }
    };
}

misuses! {
    MalformedRequest = "malformed_request", BAD_REQUEST, "The request cannot be read",
        "The body, a header or the address breaks its own grammar: bad JSON, a key given twice, an array where an object is due, invalid UTF-8, a NUL, a malformed header. `detail` says where.";
    UnknownParameter = "unknown_parameter", BAD_REQUEST, "There is no such query parameter",
        "A query parameter has no meaning here. `detail` names it and the one that comes nearest. Nothing is ignored silently, because a misspelt filter would otherwise answer everything.";
    MalformedCursor = "malformed_cursor", BAD_REQUEST, "The cursor is not one of ours",
        "Cursors are opaque: take them from `next` and `previous` unchanged, and start again without one if that fails.";
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "This resource does not know that method",
        "The `Allow` header lists the methods that the resource knows.";
    NotAcceptable = "not_acceptable", NOT_ACCEPTABLE, "No acceptable representation",
        "The `Accept` header excludes every form in which the answer could be given. Ask for `application/json`.";
    RequestTimeout = "request_timeout", REQUEST_TIMEOUT, "The request came too slowly",
        "The server stopped waiting for the rest of the request. Nothing was changed, but by an upload that is stored as it comes: there `detail` says how far it got. Send it again.";
    TooLarge = "too_large", PAYLOAD_TOO_LARGE, "The request is too large",
        "The body is larger than this operation takes, as it came or when it is unpacked, or it grows out of all proportion when it is unpacked. `detail` names the limit.";
    UriTooLong = "uri_too_long", URI_TOO_LONG, "The address is too long",
        "Path and query together are longer than any that means something here. Ask for less at once.";
    HeadTooLarge = "head_too_large", REQUEST_HEADER_FIELDS_TOO_LARGE, "The headers are too large",
        "Request line and headers together are larger than the server reads, or there are too many headers. Leave out what is not for this server, such as cookies of others.";
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "The body has another form than we read",
        "Send JSON as `application/json` in UTF-8; token operations also read `application/x-www-form-urlencoded`, and bulk uploads read `application/x-ndjson` alone.";
    UnsupportedCoding = "unsupported_coding", UNSUPPORTED_MEDIA_TYPE, "The body is packed in a way that we do not read",
        "Send the body as it is, or packed once by one of the codings that `Accept-Encoding` of this answer names, and say in `Content-Encoding` which.";
    PreconditionRequired = "precondition_required", PRECONDITION_REQUIRED, "Say which version you mean",
        "This installation wants `If-Match` on every change. Read the resource, and send its `ETag` along.";
}

impl Misuse {
    /// The misuse that a bare status stands for.
    pub fn of_status(status: StatusCode) -> Option<Self> {
        Misuse::ALL.iter().copied().find(|misuse| misuse.row().status == status)
    }
}

/// The codes that answers of this status may carry.
pub fn codes_of(status: StatusCode) -> Vec<Row> {
    Row::all().into_iter().filter(|row| row.status == status).collect()
}

/// Every code as a Markdown document.
pub fn errors_markdown() -> String {
    let mut page = String::from(
        "# Error codes\n\n\
         Every failure is answered as `application/problem+json` (RFC 9457) with one of these codes. A server explains\n\
         each at `/problems/<code>`. This page is generated by `techtrack errors`.\n",
    );
    for row in Row::all() {
        // Writing into a String cannot fail.
        let _ =
            write!(page, "\n## `{}`\n\n**{} {}.** {}\n", row.code, row.status.as_u16(), row.title, row.about);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_codes_share_a_name() {
        let mut names: Vec<_> = Row::all().iter().map(|row| row.code).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn the_page_of_codes_has_every_code() {
        let page = errors_markdown();
        for row in Row::all() {
            assert!(page.contains(&format!("## `{}`", row.code)), "{}", row.code);
        }
    }
}
