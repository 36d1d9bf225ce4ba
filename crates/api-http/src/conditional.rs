//! Conditional requests: `ETag` out, `If-Match` and `If-None-Match` in. A tag is the version in quotes.

use crate::documented::{Described, Documented, text_schema};
use crate::problem::Problem;
use crate::problem::table::Misuse;
use crate::state::State;
use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderMap, HeaderName, IF_MATCH, IF_NONE_MATCH};
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use domain::id::Version;
use domain::patch::Precondition;
use std::future::{Ready, ready};
use utoipa::openapi::Required;
use utoipa::openapi::path::{ParameterBuilder, ParameterIn};

/// The strong tag of a version.
pub fn entity_tag(version: Version) -> String {
    format!("\"{version}\"")
}

/// Whether the client has what this tag (without its quotes) stands for already, so that the body can be spared.
pub fn is_fresh(headers: &HeaderMap, current: &str) -> Result<bool, Problem> {
    // For reading, weak tags will do: who weakened it (a proxy that compresses) did not change what it says.
    Ok(match read(headers, &IF_NONE_MATCH)? {
        None => false,
        Some(Tags::Any) => true,
        Some(Tags::Listed(tags)) => tags.iter().any(|tag| tag.text == current),
    })
}

/// Which versions a change may be applied to.
pub struct IfMatch(pub Precondition);

impl FromRequest for IfMatch {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let required = request.app_data::<Data<State>>().is_some_and(|state| state.settings.require_if_match);
        ready(precondition(request.headers(), required).map(IfMatch))
    }
}

impl Documented for IfMatch {
    fn describe(operation: &mut Described) {
        operation.parameter(
            ParameterBuilder::new()
                .name("If-Match")
                .parameter_in(ParameterIn::Header)
                .required(Required::False)
                .description(Some(
                    "The `ETag` that the change is meant for. Without it the last writer wins.",
                ))
                .schema(Some(text_schema(None))),
        );
        operation.may_fail(&[
            StatusCode::BAD_REQUEST,
            StatusCode::PRECONDITION_FAILED,
            StatusCode::PRECONDITION_REQUIRED,
        ]);
    }
}

fn precondition(headers: &HeaderMap, required: bool) -> Result<Precondition, Problem> {
    match read(headers, &IF_MATCH)? {
        None if required => {
            let detail = "send If-Match with the ETag of what you read".to_owned();
            Err(Problem::Http(Misuse::PreconditionRequired, detail))
        }
        None | Some(Tags::Any) => Ok(Precondition::None),
        // A tag that is weak or not ours names no version of ours, so it matches none.
        Some(Tags::Listed(tags)) => {
            let strong = tags.iter().filter(|tag| !tag.weak);
            Ok(Precondition::OneOf(strong.filter_map(Tag::version).collect()))
        }
    }
}

enum Tags<'a> {
    Any,
    Listed(Vec<Tag<'a>>),
}

struct Tag<'a> {
    weak: bool,
    text: &'a str,
}

impl Tag<'_> {
    fn version(&self) -> Option<Version> {
        let canonical = !self.text.starts_with(['0', '+']);
        self.text.parse().ok().filter(|_| canonical).and_then(Version::new)
    }
}

fn read<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<Tags<'a>>, Problem> {
    let malformed = || Problem::malformed(format!("{name} is not a list of entity tags such as \"17\""));
    let mut tags = Vec::new();
    let mut any = false;
    for value in headers.get_all(name) {
        let text = value.to_str().map_err(|_| malformed())?.trim();
        if text == "*" {
            any = true;
        } else {
            tags.extend(read_list(text).ok_or_else(malformed)?);
        }
    }
    match (any, tags.is_empty()) {
        (true, true) => Ok(Some(Tags::Any)),
        (true, false) => Err(malformed()),
        (false, true) => Ok(None),
        (false, false) => Ok(Some(Tags::Listed(tags))),
    }
}

/// One or more tags with commas between them; commas inside the quotes belong to the tag.
fn read_list(mut text: &str) -> Option<Vec<Tag<'_>>> {
    let mut tags = Vec::new();
    loop {
        let (weak, quoted) = match text.strip_prefix("W/") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (tag, rest) = quoted.strip_prefix('"')?.split_once('"')?;
        if tag.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
            return None;
        }
        tags.push(Tag { weak, text: tag });
        text = match rest.trim_start() {
            "" => return Some(tags),
            more => more.strip_prefix(',')?.trim_start(),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;
    use proptest::prelude::*;

    fn headers(name: HeaderName, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name.clone(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers
    }

    fn if_match(values: &[&str]) -> Result<Precondition, Problem> {
        precondition(&headers(IF_MATCH, values), false)
    }

    fn versions(numbers: &[i64]) -> Precondition {
        Precondition::OneOf(numbers.iter().map(|number| Version::new(*number).unwrap()).collect())
    }

    #[test]
    fn a_precondition_is_one_tag_or_several_or_any() {
        assert_eq!(if_match(&[]).unwrap(), Precondition::None);
        assert_eq!(if_match(&["*"]).unwrap(), Precondition::None);
        assert_eq!(if_match(&["\"17\""]).unwrap(), versions(&[17]));
        assert_eq!(if_match(&["\"17\" , \"18\"", "\"19\""]).unwrap(), versions(&[17, 18, 19]));
    }

    #[test]
    fn a_tag_that_is_weak_or_not_ours_matches_no_version() {
        for value in
            ["W/\"17\"", "\"abc\"", "\"017\"", "\"\"", "\"+17\"", "\"a,b\"", "\"99999999999999999999\""]
        {
            assert_eq!(if_match(&[value]).unwrap(), versions(&[]), "{value}");
        }
    }

    #[test]
    fn what_is_no_list_of_tags_is_malformed() {
        for value in [
            "17",
            "\"17",
            "17\"",
            "\"17\",",
            ",\"17\"",
            "\"17\" \"18\"",
            "w/\"17\"",
            "*,\"17\"",
            "\"1 7\"",
            "ä",
        ] {
            let refused = if_match(&[value]).unwrap_err();
            assert_eq!(refused.row().code, "malformed_request", "{value}");
        }
        assert!(if_match(&["*", "\"17\""]).is_err());
    }

    #[test]
    fn a_required_precondition_must_be_there() {
        let missing = precondition(&HeaderMap::new(), true).unwrap_err();
        assert_eq!(missing.row().status, StatusCode::PRECONDITION_REQUIRED);
        assert!(precondition(&headers(IF_MATCH, &["*"]), true).is_ok());
    }

    #[test]
    fn a_client_that_has_the_version_is_spared_the_body() {
        let fresh = |value| is_fresh(&headers(IF_NONE_MATCH, &[value]), "17").unwrap();
        assert!(fresh("\"17\"") && fresh("W/\"17\"") && fresh("\"3\", \"17\"") && fresh("*"));
        assert!(!fresh("\"16\"") && !fresh("\"x\""));
    }

    proptest! {
        #[test]
        fn versions_are_read_back_and_no_list_of_tags_panics(
            numbers in prop::collection::vec(1_i64.., 1..5),
            text in "(W/)?[\"\\-+*,0-9a-z \\t]{0,30}|[ -~]{0,30}",
        ) {
            let tags: Vec<String> = numbers.iter().map(|number| entity_tag(Version::new(*number).unwrap())).collect();
            prop_assert_eq!(if_match(&[&tags.join(", ")]).unwrap(), versions(&numbers));
            let _ = if_match(&[&text]);
        }
    }
}
