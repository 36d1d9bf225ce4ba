//! Every parser of untrusted text, on text that nobody thought of: none panics, and what one takes is written as something that
//! it reads as the same.
#![cfg(test)]

use domain::id::{AlertId, EquipmentId, UserId};
use domain::live::Mark;
use domain::roles::RoleRef;
use domain::telemetry::series::Interval;
use domain::telemetry::{MetricName, ReadingId};
use domain::text::{Description, Email, Label, Location, Phone, RoleName, SerialNumber, Username};
use domain::time::{Date, Timestamp};
use proptest::prelude::*;
use std::fmt::{Debug, Display};
use std::time::Duration;

/// Text that is nearly something, and text that is nothing at all.
fn hostile(nearly: &'static str) -> impl Strategy<Value = String> {
    let changed = (nearly, any::<prop::sample::Index>(), any::<char>()).prop_map(|(text, at, other)| {
        let mut characters: Vec<char> = text.chars().collect();
        if !characters.is_empty() {
            let at = at.index(characters.len());
            characters[at] = other;
        }
        characters.into_iter().collect()
    });
    prop_oneof![3 => nearly, 2 => changed, 1 => any::<String>(), 1 => "[-+0-9.eETZ:/%]{0,40}"]
}

/// What was taken from this text, if it was, is written as something that is taken as the same.
fn reads_back<T: Display + PartialEq + Debug>(
    text: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<(), TestCaseError> {
    if let Some(value) = parse(text) {
        let written = value.to_string();
        prop_assert_eq!(parse(&written), Some(value), "{:?} is written {:?}", text, written);
    }
    Ok(())
}

/// As [`reads_back`], for text that is taken in one spelling only.
fn is_canonical<T: Display>(text: &str, parse: impl Fn(&str) -> Option<T>) -> Result<(), TestCaseError> {
    if let Some(value) = parse(text) {
        prop_assert_eq!(value.to_string(), text);
    }
    Ok(())
}

proptest! {
    #[test]
    fn instants_read_back(
        text in hostile("[0-9]{4}-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-5][0-9]:[0-6][0-9](\\.[0-9]{1,12})?(Z|z|[+-][0-2][0-9]:[0-5][0-9])")
    ) {
        reads_back(&text, |text| Timestamp::parse(text).ok())?;
    }

    #[test]
    fn every_instant_that_there_is_reads_back(micros: i64) {
        if let Some(instant) = Timestamp::from_micros(micros) {
            prop_assert_eq!(Timestamp::parse(&instant.to_string()).ok(), Some(instant));
        }
    }

    #[test]
    fn days_have_one_spelling(text in hostile("[0-9]{4}-[01][0-9]-[0-3][0-9]")) {
        is_canonical(&text, |text| Date::parse(text).ok())?;
    }

    #[test]
    fn ids_have_one_spelling(text in hostile("-?[0-9]{1,20}(-?-[0-9]{1,20})?")) {
        is_canonical(&text, UserId::parse)?;
        is_canonical(&text, EquipmentId::parse)?;
        is_canonical(&text, AlertId::parse)?;
        is_canonical(&text, ReadingId::parse)?;
        is_canonical(&text, Mark::parse)?;
    }

    #[test]
    fn ids_of_readings_read_back(equipment in 1_i64.., micros: i64) {
        if let (Some(equipment), Some(at)) = (EquipmentId::new(equipment), Timestamp::from_micros(micros)) {
            let id = ReadingId { equipment, at };
            prop_assert_eq!(ReadingId::parse(&id.to_string()), Some(id));
        }
    }

    #[test]
    fn names_of_metrics_have_one_spelling(text in hostile("[a-z][a-z0-9_.]{0,66}")) {
        is_canonical(&text, |text| MetricName::parse(text).ok())?;
    }

    #[test]
    fn places_read_back_and_lie_under_what_they_begin_with(text in hostile("/?([a-zA-Z0-9 _-]{0,9}/){0,5}[a-zA-Zäß0-9-]{0,9}/?")) {
        reads_back(&text, |text| Location::parse(text).ok())?;
        if let Ok(place) = Location::parse(&text) {
            prop_assert!(place.is_under(&place));
            if let Some(above) = place.as_str().rsplit_once('/').and_then(|(above, _)| Location::parse(above).ok()) {
                prop_assert!(place.is_under(&above) && !above.is_under(&place));
            }
        }
    }

    #[test]
    fn what_people_are_called_reads_back(text in hostile("[ \\u{200b}]?[a-zA-Z0-9äßﬁİ@+._-]{0,66}")) {
        reads_back(&text, |text| Username::parse(text).ok())?;
        reads_back(&text, |text| RoleName::parse(text).ok())?;
        // A reference is a name or a number, never both.
        let _ = RoleRef::parse(&text);
    }

    #[test]
    fn addresses_and_numbers_of_people_read_back(text in hostile("\\+?[0-9 ()/-]{3,20}|[a-z.+]{1,66}@[a-z-]{1,20}\\.[a-z]{2,9}")) {
        reads_back(&text, |text| Email::parse(text).ok())?;
        reads_back(&text, |text| Phone::parse(text).ok())?;
    }

    #[test]
    fn what_things_are_called_reads_back(text in hostile("[\\pL\\pN\\pS \\n\\t\\u{202e}\\u{200b}]{0,120}")) {
        reads_back(&text, |text| Label::parse(text).ok())?;
        reads_back(&text, |text| Description::parse(text).ok())?;
        reads_back(&text, |text| SerialNumber::parse(text).ok())?;
    }

    #[test]
    fn a_name_is_the_same_in_capitals(text in "[a-zA-Z0-9][a-zA-Z0-9._-]{0,40}") {
        let (small, large) = (text.to_lowercase(), text.to_uppercase());
        let user = |text: &str| Username::parse(text).map(|name| name.key());
        prop_assert_eq!(user(&small), user(&large));
        let serial = |text: &str| SerialNumber::parse(text).map(|number| number.key());
        prop_assert_eq!(serial(&small), serial(&large));
    }

    #[test]
    fn intervals_are_of_one_second_to_a_year(text in hostile("[0-9]{0,21}[smhd]|auto")) {
        if let Ok(Interval::Fixed(length)) = Interval::parse(&text) {
            prop_assert!(length >= Duration::from_secs(1) && length <= Interval::LONGEST);
            let written = format!("{}s", length.as_secs());
            prop_assert_eq!(Interval::parse(&written), Ok(Interval::Fixed(length)));
        }
    }
}
