//! Query strings of lists: filters, search, ordering, page. What is not known is refused by name, never ignored.
//!
//! [`Params`] notes each parameter that a reader asks for, with its schema. Run over a request it yields values and
//! flaws; run over nothing it yields the document. It is to query strings what [`crate::body::fields`] is to bodies.

use crate::body::form;
use crate::documented::{Described, Documented, text_schema};
use crate::page::{Cursor, Mark};
use crate::problem::Problem;
use crate::problem::table::Misuse;
use crate::values::{Param, id_schema, nearest};
use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::{FromRequest, HttpRequest};
use domain::error::{Error, Flaw, Reason};
use domain::page::{Direction, Order, PageRequest, Seek};
use domain::time::{Days, Span};
use std::future::{Ready, ready};
use utoipa::Number;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn, ParameterStyle};
use utoipa::openapi::schema::{Array, ArrayBuilder, Object};
use utoipa::openapi::{RefOr, Required, Schema};

/// The largest number that every client can write down exactly, JavaScript's among them. No list is that long.
const LAST_PAGE: u64 = (1 << 53) - 1;

/// Something that a query string asks.
pub trait FromQuery: Sized + 'static {
    /// Reads the parameters. Asks for every one of them; what is missing gets its default.
    fn read(params: &mut Params) -> Self;
}

/// A query string, read and judged.
pub struct Query<T> {
    /// What it asks.
    pub asked: T,
    /// Where it was asked, for links to other pages.
    pub here: Here,
}

/// The address of a list: its path and the parameters as they came.
#[derive(Clone, Debug)]
pub struct Here {
    path: String,
    query: String,
}

impl Here {
    /// This address with one parameter replaced.
    pub fn with(&self, name: &str, value: &str) -> String {
        let others = form::pairs(&self.query)
            .filter(|pair| form::decode_pair(pair).is_ok_and(|(given, _)| given != name));
        let mut pairs: Vec<&str> = others.collect();
        let replaced = format!("{name}={value}");
        pairs.push(&replaced);
        format!("{}?{}", self.path, pairs.join("&"))
    }
}

impl<T: FromQuery> FromRequest for Query<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(read(request.query_string()).map(|asked| {
            let here = Here { path: request.path().to_owned(), query: request.query_string().to_owned() };
            Query { asked, here }
        }))
    }
}

impl<T: FromQuery> Documented for Query<T> {
    fn describe(operation: &mut Described) {
        let mut params = Params::default();
        T::read(&mut params);
        for known in params.known {
            operation.parameter(known.document());
        }
        operation.may_fail(&[StatusCode::BAD_REQUEST, StatusCode::UNPROCESSABLE_ENTITY]);
    }
}

/// Reads a query string.
fn read<T: FromQuery>(query: &str) -> Result<T, Problem> {
    let given: Result<Vec<_>, String> = form::pairs(query).map(form::decode_pair).collect();
    let mut params = Params { given: given.map_err(Problem::malformed)?, ..Params::default() };
    let asked = T::read(&mut params);
    params.finish()?;
    Ok(asked)
}

/// The parameters of one query string.
#[derive(Default)]
pub struct Params {
    given: Vec<(String, String)>,
    known: Vec<Known>,
    flaws: Vec<Flaw>,
    malformed_cursor: bool,
}

/// A parameter that the reader asked for.
struct Known {
    name: String,
    about: &'static str,
    schema: RefOr<Schema>,
    /// Whether several values stand in one parameter, with commas between them.
    joined: bool,
    required: bool,
}

impl Known {
    fn document(self) -> Parameter {
        let is_list = matches!(self.schema, RefOr::T(Schema::Array(_)));
        ParameterBuilder::new()
            .name(self.name)
            .parameter_in(ParameterIn::Query)
            .required(if self.required { Required::True } else { Required::False })
            .description(Some(self.about))
            .schema(Some(self.schema))
            .style(is_list.then_some(ParameterStyle::Form))
            .explode(is_list.then_some(!self.joined))
            .build()
    }
}

impl Params {
    /// A filter: given several times, any of the values will do.
    pub fn any_of<T: Param>(&mut self, name: &'static str, about: &'static str) -> Vec<T> {
        self.know(name, about, Schema::Array(Array::new(T::schema())).into());
        let values = self.take(name);
        values.iter().filter_map(|value| self.parse(name, value)).collect()
    }

    /// What must be given once at least; given several times, it means all of the values.
    pub fn some_of<T: Param>(&mut self, name: &'static str, about: &'static str) -> Vec<T> {
        let is_there = self.given.iter().any(|(given, _)| given == name);
        let values = self.any_of(name, about);
        if let Some(known) = self.known.last_mut() {
            known.required = true;
        }
        if !is_there {
            self.blame(name, Reason::new("required", "is required"));
        }
        values
    }

    /// Parameters that clients of others send, and that mean nothing here.
    pub fn ignored(&mut self, names: &[&'static str], about: &'static str) {
        for name in names {
            self.know(name, about, text_schema(None).into());
            self.take(name);
        }
    }

    /// Names joined by commas, given once or several times.
    pub fn names<T: Param>(&mut self, name: &'static str, about: &'static str) -> Vec<T> {
        self.know(name, about, Schema::Array(Array::new(T::schema())).into());
        if let Some(known) = self.known.last_mut() {
            known.joined = true;
        }
        let values = self.take(name);
        values.iter().flat_map(|value| value.split(',')).filter_map(|value| self.parse(name, value)).collect()
    }

    /// A yes-or-no filter. Both yes and no means everything.
    pub fn flag(&mut self, name: &'static str, about: &'static str) -> Option<bool> {
        let values: Vec<bool> = self.any_of(name, about);
        let first = values.first().copied();
        if values.iter().all(|value| Some(*value) == first) { first } else { None }
    }

    /// A half-open span of instants, `<name>__gte` to `<name>__lt`.
    pub fn span(&mut self, from: &'static str, until: &'static str) -> Span {
        Span {
            from: self.single(from, "At this instant or later."),
            until: self.single(until, "Before this instant."),
        }
    }

    /// A half-open span of days, `<name>__gte` to `<name>__lt`.
    pub fn days(&mut self, from: &'static str, until: &'static str) -> Days {
        Days {
            from: self.single(from, "On this day or later."),
            until: self.single(until, "Before this day."),
        }
    }

    /// Text to look for.
    pub fn search(&mut self, about: &'static str) -> Option<String> {
        let Search(text) = self.single("search", about)?;
        Some(text).filter(|text| !text.is_empty())
    }

    /// The order: names joined by commas, a `-` before those that count down.
    ///
    /// A key that comes again decides nothing any more, so it is left out: some databases take exponentially long over it.
    pub fn order<K: Copy + PartialEq>(&mut self, keys: &[(&'static str, K)]) -> Vec<Order<K>> {
        self.known.push(Known {
            name: "ordering".to_owned(),
            about: "What to order by, most important first; `-` turns a key around.",
            schema: order_schema(keys),
            joined: true,
            required: false,
        });
        let values = self.take("ordering");
        let names = values.iter().flat_map(|value| value.split(','));
        let mut order: Vec<Order<K>> = Vec::new();
        for name in names {
            match read_order(name, keys) {
                Ok(next) if order.iter().any(|earlier| earlier.key == next.key) => {}
                Ok(next) => order.push(next),
                Err(reason) => self.blame("ordering", reason),
            }
        }
        order
    }

    /// The page of a list.
    pub fn page(&mut self) -> PageRequest {
        let mut number = id_schema();
        number.default = Some(1.into());
        number.maximum = usize::try_from(LAST_PAGE).ok().map(Number::UInt);
        let number = self.whole("page", "Which page, from 1.", number, LAST_PAGE);
        let size = self.page_size();
        PageRequest::new(number.unwrap_or(1), size).unwrap_or_default()
    }

    /// How many items a page has.
    pub fn page_size(&mut self) -> u32 {
        self.count("page_size", "How many items at most.", PageRequest::DEFAULT_SIZE, PageRequest::MAX_SIZE)
    }

    /// How many of something, from 1 to `most`.
    pub fn count(&mut self, name: &'static str, about: &'static str, default: u32, most: u32) -> u32 {
        let mut count = id_schema();
        count.maximum = Some(Number::UInt(most as usize));
        count.default = Some(default.into());
        self.whole(name, about, count, most.into())
            .and_then(|count| u32::try_from(count).ok())
            .unwrap_or(default)
    }

    /// From where a stream is read.
    pub fn cursor<M: Mark>(&mut self) -> Seek<M> {
        let schema = text_schema(None).into();
        self.know("cursor", "Where to go on: the `cursor` of `next` or `previous`.", schema);
        let Some(text) = self.only("cursor") else {
            return Seek::Start;
        };
        Cursor::parse(&text).map_or_else(
            || {
                self.malformed_cursor = true;
                Seek::Start
            },
            Cursor::seek,
        )
    }

    /// A parameter that is given once at most.
    pub fn single<T: Param>(&mut self, name: &'static str, about: &'static str) -> Option<T> {
        self.know(name, about, T::schema());
        let value = self.only(name)?;
        self.parse(name, &value)
    }

    fn whole(&mut self, name: &'static str, about: &'static str, schema: Object, most: u64) -> Option<u64> {
        self.know(name, about, schema.into());
        let text = self.only(name)?;
        let number = text.parse().ok().filter(|number| (1..=most).contains(number));
        if number.is_none() {
            let message = format!("must be a whole number from 1 to {most}");
            self.blame(name, Reason::new("out_of_range", message));
        }
        number
    }

    fn only(&mut self, name: &'static str) -> Option<String> {
        let mut values = self.take(name);
        if values.len() > 1 {
            self.blame(name, Reason::new("repeated", "must be given once"));
        }
        values.pop()
    }

    fn know(&mut self, name: &str, about: &'static str, schema: RefOr<Schema>) {
        let name = name.to_owned();
        self.known.push(Known { name, about, schema, joined: false, required: false });
    }

    fn take(&mut self, name: &str) -> Vec<String> {
        let (taken, rest) = std::mem::take(&mut self.given).into_iter().partition(|(given, _)| given == name);
        self.given = rest;
        let taken: Vec<(String, String)> = taken;
        taken.into_iter().map(|(_, value)| value).collect()
    }

    fn parse<T: Param>(&mut self, name: &'static str, value: &str) -> Option<T> {
        T::parse(value).map_err(|reason| self.blame(name, reason)).ok()
    }

    fn blame(&mut self, name: &str, reason: Reason) {
        self.flaws.push(reason.at(name));
    }

    fn finish(self) -> Result<(), Problem> {
        if let Some((name, _)) = self.given.first() {
            let known: Vec<&str> = self.known.iter().map(|known| known.name.as_str()).collect();
            return Err(unknown(name, &known));
        }
        if self.malformed_cursor {
            let detail = "the cursor is not one of ours".to_owned();
            return Err(Problem::Http(Misuse::MalformedCursor, detail));
        }
        if self.flaws.is_empty() { Ok(()) } else { Err(Error::Invalid(self.flaws).into()) }
    }
}

/// Text to look for.
struct Search(String);

impl Search {
    const LONGEST: usize = 200;
}

impl Param for Search {
    fn schema() -> RefOr<Schema> {
        let mut text = text_schema(None);
        text.max_length = Some(Self::LONGEST);
        text.into()
    }

    fn parse(text: &str) -> Result<Self, Reason> {
        if text.chars().count() <= Self::LONGEST {
            return Ok(Self(text.to_owned()));
        }
        let message = format!("must have at most {} characters", Self::LONGEST);
        Err(Reason::new("too_long", message))
    }
}

fn unknown(name: &str, known: &[&str]) -> Problem {
    let detail = match nearest(name, known) {
        Some(meant) => format!("{name} is not a parameter here; did you mean {meant}?"),
        None => format!("{name} is not a parameter here"),
    };
    Problem::Http(Misuse::UnknownParameter, detail)
}

fn read_order<K: Copy>(name: &str, keys: &[(&'static str, K)]) -> Result<Order<K>, Reason> {
    let (bare, direction) = match name.strip_prefix('-') {
        Some(bare) => (bare, Direction::Descending),
        None => (name, Direction::Ascending),
    };
    match keys.iter().find(|(known, _)| *known == bare) {
        Some((_, key)) => Ok(Order { key: *key, direction }),
        None => {
            let names: Vec<&str> = keys.iter().map(|(known, _)| *known).collect();
            let known = names.join(", ");
            Err(Reason::new("unknown", format!("must be made of {known}")))
        }
    }
}

fn order_schema<K>(keys: &[(&'static str, K)]) -> RefOr<Schema> {
    let names = keys.iter().flat_map(|(name, _)| [(*name).to_owned(), format!("-{name}")]);
    let mut key = text_schema(None);
    key.enum_values = Some(names.map(Into::into).collect());
    ArrayBuilder::new().items(key).build().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::text::Username;

    #[derive(Debug)]
    struct Asked {
        usernames: Vec<Username>,
        is_mentor: Option<bool>,
        created: Span,
        order: Vec<Order<char>>,
        search: Option<String>,
        page: PageRequest,
    }

    impl FromQuery for Asked {
        fn read(params: &mut Params) -> Self {
            Self {
                usernames: params.any_of("username", ""),
                is_mentor: params.flag("is_mentor", ""),
                created: params.span("created_at__gte", "created_at__lt"),
                order: params.order(&[("id", 'i'), ("name", 'n')]),
                search: params.search(""),
                page: params.page(),
            }
        }
    }

    fn refused(query: &str) -> (&'static str, Vec<String>, String) {
        let problem = read::<Asked>(query).unwrap_err();
        let flaws = problem.error().map(Error::flaws).unwrap_or_default();
        let fields = flaws.into_iter().map(|flaw| flaw.field).collect();
        (problem.row().code, fields, problem.to_string())
    }

    #[test]
    fn a_query_is_read_with_repeats_as_alternatives() {
        let asked: Asked = read(
            "username=anna&username=b%65n&is_mentor=true&created_at__gte=2026-01-01T00:00:00Z\
             &ordering=-name,id&search=a+b&page=3&page_size=1000",
        )
        .unwrap();
        assert_eq!(asked.usernames.iter().map(Username::as_str).collect::<Vec<_>>(), ["anna", "ben"]);
        assert_eq!(asked.is_mentor, Some(true));
        assert!(asked.created.from.is_some() && asked.created.until.is_none());
        assert_eq!(asked.search.as_deref(), Some("a b"));
        assert_eq!((asked.page.number(), asked.page.size()), (3, 1000));
        let keys: Vec<_> = asked.order.iter().map(|order| (order.key, order.direction)).collect();
        assert_eq!(keys, [('n', Direction::Descending), ('i', Direction::Ascending)]);
    }

    #[test]
    fn a_key_that_comes_again_decides_nothing() {
        let asked: Asked = read("ordering=name,-id,-name,id&ordering=name").unwrap();
        let keys: Vec<_> = asked.order.iter().map(|order| (order.key, order.direction)).collect();
        assert_eq!(keys, [('n', Direction::Ascending), ('i', Direction::Descending)]);
        assert_eq!(refused("ordering=").1, ["ordering"]);
    }

    #[test]
    fn yes_or_no_is_everything() {
        let asked: Asked = read("is_mentor=true&is_mentor=false").unwrap();
        assert_eq!(asked.is_mentor, None);
    }

    #[test]
    fn an_unknown_parameter_is_named_with_the_nearest_known_one() {
        let (code, _, detail) = refused("usernme=anna&page=0");
        assert_eq!(code, "unknown_parameter");
        assert!(detail.contains("usernme") && detail.contains("did you mean username?"), "{detail}");
        assert_eq!(refused("%00=1").0, "malformed_request");
        assert_eq!(refused("a[b]=1").0, "unknown_parameter");
    }

    #[test]
    fn all_bad_values_are_named_at_once() {
        let query =
            "username=a%20b&is_mentor=perhaps&created_at__lt=yesterday&ordering=nme&page=0&page_size=1001";
        let (code, fields, _) = refused(query);
        assert_eq!(code, "invalid_fields");
        let expected = ["username", "is_mentor", "created_at__lt", "ordering", "page", "page_size"];
        assert_eq!(fields, expected);
    }

    #[test]
    fn what_cannot_be_decoded_is_malformed() {
        for query in ["username=%", "username=%zz", "username=%ff", "%ff=1", "username=a%00b"] {
            assert_eq!(refused(query).0, "malformed_request", "{query}");
        }
    }

    #[test]
    fn numbers_beyond_all_bounds_are_refused_and_not_rounded() {
        for query in ["page=99999999999999999999", "page=-1", "page=1.0", "page=", "page=1&page=2"] {
            assert_eq!(refused(query).1, ["page"], "{query}");
        }
        let long = format!("search={}", "x".repeat(201));
        assert_eq!(refused(&long).1, ["search"]);
    }

    #[test]
    fn a_link_keeps_every_other_parameter_as_it_was() {
        let here = Here {
            path: "/api/users/".into(),
            query: "username=b%65n&page=1&username=anna&page_size=5".into(),
        };
        assert_eq!(here.with("page", "2"), "/api/users/?username=b%65n&username=anna&page_size=5&page=2");
    }
}
