//! Lists and streams as answers: items with links to what comes before and after.

use crate::body::JSON;
use crate::documented::{Described, Documented, text_schema};
use crate::problem::Reply;
use crate::query::Here;
use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, Responder};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use domain::error::Error;
use domain::id::{EquipmentId, EventId};
use domain::page::{Page, PageRequest, Seek, Stretch};
use domain::telemetry::ReadingId;
use domain::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::{Array, Object, SchemaType, Type};
use utoipa::openapi::{Content, Ref, Schema};

/// A page of a list.
#[derive(Debug, Serialize)]
pub struct Listed<T> {
    count: u64,
    next: Option<String>,
    previous: Option<String>,
    results: Vec<T>,
}

impl<T> Listed<T> {
    /// The page as an answer; a page past the end is not there, but the first one always is.
    pub fn new<I>(here: &Here, asked: PageRequest, page: Page<I>, show: impl Fn(I) -> T) -> Reply<Self> {
        let (number, size) = (asked.number(), u64::from(asked.size()));
        if number > 1 && page.items.is_empty() {
            return Err(Error::NotFound("page").into());
        }
        let link = |number: u64| here.with("page", &number.to_string());
        Ok(Self {
            count: page.total,
            next: (number.saturating_mul(size) < page.total).then(|| link(number + 1)),
            previous: (number > 1).then(|| link(number - 1)),
            results: page.items.into_iter().map(show).collect(),
        })
    }

    /// A list that is short by nature and always whole.
    pub fn whole(items: impl IntoIterator<Item = T>) -> Self {
        let results: Vec<T> = items.into_iter().collect();
        Self { count: u64::try_from(results.len()).unwrap_or(u64::MAX), next: None, previous: None, results }
    }
}

impl<T: Serialize> Responder for Listed<T> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::Ok().json(self)
    }
}

impl<T: ToSchema> Documented for Listed<T> {
    fn describe(operation: &mut Described) {
        let items = operation.schema_of::<T>();
        let mut count = Object::with_type(SchemaType::Type(Type::Integer));
        count.description = Some("How many items match, on all pages.".to_owned());
        let mut page = page_schema(items);
        page.required.insert(0, "count".to_owned());
        page.properties.insert("count".to_owned(), count.into());
        let schema = operation.schema(&format!("{}List", T::name()), Schema::Object(page).into());
        let content = Content::new(Some(schema));
        operation.answers(StatusCode::OK, "A page of the list.", JSON, content);
        operation.fails(StatusCode::NOT_FOUND);
    }
}

/// A stretch of a stream.
#[derive(Debug, Serialize)]
pub struct Streamed<T> {
    next: Option<String>,
    previous: Option<String>,
    results: Vec<T>,
}

impl<T> Streamed<T> {
    /// The stretch as an answer. `mark` tells where an item stands in the stream.
    pub fn new<I, M: Mark>(
        here: &Here,
        stretch: Stretch<I>,
        mark: impl Fn(&I) -> M,
        show: impl Fn(I) -> T,
    ) -> Self {
        let link = |cursor: Cursor<M>| here.with("cursor", &cursor.to_string());
        let last = stretch.items.last().filter(|_| stretch.has_next);
        let first = stretch.items.first().filter(|_| stretch.has_previous);
        Self {
            next: last.map(|item| link(Cursor(Seek::After(mark(item))))),
            previous: first.map(|item| link(Cursor(Seek::Before(mark(item))))),
            results: stretch.items.into_iter().map(show).collect(),
        }
    }
}

impl<T: Serialize> Responder for Streamed<T> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::Ok().json(self)
    }
}

impl<T: ToSchema> Documented for Streamed<T> {
    fn describe(operation: &mut Described) {
        let items = operation.schema_of::<T>();
        let page = Schema::Object(page_schema(items));
        let schema = operation.schema(&format!("{}Stream", T::name()), page.into());
        let content = Content::new(Some(schema));
        operation.answers(StatusCode::OK, "A stretch of the stream.", JSON, content);
    }
}

fn page_schema(items: Ref) -> Object {
    let link = |about: &str| {
        let mut link = text_schema(Some("uri-reference"));
        link.schema_type = SchemaType::Array(vec![Type::String, Type::Null]);
        link.description = Some(about.to_owned());
        link
    };
    let mut page = Object::with_type(SchemaType::Type(Type::Object));
    page.required = ["next", "previous", "results"].map(str::to_owned).to_vec();
    let properties = &mut page.properties;
    properties.insert("next".to_owned(), link("What follows; null at the end.").into());
    properties.insert("previous".to_owned(), link("What precedes; null at the beginning.").into());
    let results = Schema::Array(Array::new(items));
    properties.insert("results".to_owned(), results.into());
    page
}

/// Where an item stands in its stream.
pub trait Mark: Sized {
    /// Its bytes.
    fn bytes(&self) -> Vec<u8>;

    /// The mark of these bytes.
    fn restore(bytes: &[u8]) -> Option<Self>;
}

impl Mark for EventId {
    fn bytes(&self) -> Vec<u8> {
        self.get().to_be_bytes().to_vec()
    }

    fn restore(bytes: &[u8]) -> Option<Self> {
        Self::new(i64::from_be_bytes(bytes.try_into().ok()?))
    }
}

impl Mark for ReadingId {
    fn bytes(&self) -> Vec<u8> {
        [self.equipment.get(), self.at.micros()].map(i64::to_be_bytes).concat()
    }

    fn restore(bytes: &[u8]) -> Option<Self> {
        let (equipment, at) = bytes.split_first_chunk()?;
        Some(Self {
            equipment: EquipmentId::new(i64::from_be_bytes(*equipment))?,
            at: Timestamp::from_micros(i64::from_be_bytes(at.try_into().ok()?))?,
        })
    }
}

/// A place in a stream, as clients carry it: a version, a direction and a mark, in base64url. Opaque to them, so that
/// it may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor<M>(Seek<M>);

impl Cursor<()> {
    const VERSION: u8 = 1;
    const AFTER: u8 = b'a';
    const BEFORE: u8 = b'b';
}

impl<M: Mark> Cursor<M> {
    /// Reads a cursor of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        let (&[version, direction], mark) = bytes.split_first_chunk()?;
        let mark = M::restore(mark)?;
        match (version, direction) {
            (Cursor::VERSION, Cursor::AFTER) => Some(Self(Seek::After(mark))),
            (Cursor::VERSION, Cursor::BEFORE) => Some(Self(Seek::Before(mark))),
            _ => None,
        }
    }

    /// The place.
    pub fn seek(self) -> Seek<M> {
        self.0
    }
}

impl<M: Mark> std::fmt::Display for Cursor<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (direction, mark) = match &self.0 {
            Seek::Start => return Ok(()),
            Seek::After(mark) => (Cursor::AFTER, mark),
            Seek::Before(mark) => (Cursor::BEFORE, mark),
        };
        let mut bytes = vec![Cursor::VERSION, direction];
        bytes.extend(mark.bytes());
        f.write_str(&BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_cursor_is_read_back() {
        for seek in [Seek::After(42), Seek::Before(i64::MAX)] {
            let seek = match seek {
                Seek::After(mark) => Seek::After(EventId::new(mark).unwrap()),
                Seek::Before(mark) => Seek::Before(EventId::new(mark).unwrap()),
                Seek::Start => Seek::Start,
            };
            assert_eq!(Cursor::parse(&Cursor(seek).to_string()), Some(Cursor(seek)));
        }
        let seek = Seek::Before(ReadingId::parse("7--62135596800000000").unwrap());
        assert_eq!(Cursor::parse(&Cursor(seek).to_string()), Some(Cursor(seek)));
    }

    fn cursor_of_reading(equipment: i64, micros: i64) -> String {
        let bytes = [&[1, b'a'], &equipment.to_be_bytes()[..], &micros.to_be_bytes()[..]].concat();
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    #[test]
    fn no_other_text_is_a_cursor() {
        let good = Cursor(Seek::After(EventId::new(42).unwrap())).to_string();
        let cut = &good[..good.len() - 1];
        let longer = format!("{good}AA");
        let other_version = BASE64_URL_SAFE_NO_PAD.encode([2, b'a', 0, 0, 0, 0, 0, 0, 0, 1]);
        let no_mark = BASE64_URL_SAFE_NO_PAD.encode([1, b'a', 0, 0, 0, 0, 0, 0, 0, 0]);
        for text in ["", "42", "=", cut, &longer, &other_version, &no_mark, "a b", "\u{e4}"] {
            assert_eq!(Cursor::<EventId>::parse(text), None, "{text:?}");
        }
        for text in [&good, &cursor_of_reading(0, 1), &cursor_of_reading(7, i64::MAX)] {
            assert_eq!(Cursor::<ReadingId>::parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_cursor_is_read_back_and_no_text_panics(number in 1_i64.., micros: i64, text in "[A-Za-z0-9_-]{0,40}|\\PC{0,20}") {
            let seek = Seek::Before(EventId::new(number).unwrap());
            prop_assert_eq!(Cursor::parse(&Cursor(seek).to_string()), Some(Cursor(seek)));
            if let Some(at) = Timestamp::from_micros(micros) {
                let seek = Seek::After(ReadingId { equipment: EquipmentId::new(number).unwrap(), at });
                prop_assert_eq!(Cursor::parse(&Cursor(seek).to_string()), Some(Cursor(seek)));
            }
            // Padding bits that nobody reads would give one place two names.
            if let Some(cursor) = Cursor::<EventId>::parse(&text) {
                prop_assert_eq!(cursor.to_string(), text);
            }
        }
    }
}
