//! What points of a time-series database mean here. Such a point has a measurement, tags and fields, and its tags say which
//! series it belongs to; here a series is a metric of a piece of equipment. So some tags name the equipment, some become
//! part of the metrics' names, some are kept as attributes of the reading, and the rest says nothing.
//!
//! Nothing here knows how points are written down, nor where readings go.

use std::fmt::Write;

/// The tag whose value is an id, whatever equipment is called.
pub const ID_TAG: &str = "equipment_id";

/// What fields are called as metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Naming {
    /// `measurement.field`.
    #[default]
    MeasurementAndField,
    /// `field` alone.
    Field,
}

/// What the operator decided about points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// What fields are called as metrics.
    pub naming: Naming,
    /// Tags that name the equipment; of those that a point carries the first one counts.
    pub equipment_tags: Vec<String>,
    /// Tags whose values become part of metrics' names, in this order.
    pub metric_tags: Vec<String>,
    /// Tags that become attributes of the reading.
    pub attribute_tags: Vec<String>,
}

impl Default for Mapping {
    fn default() -> Self {
        let tags = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            naming: Naming::default(),
            equipment_tags: tags(&[ID_TAG, "serial_number", "equipment", "host"]),
            metric_tags: tags(&["cpu", "feature", "interface", "path", "sensor"]),
            attribute_tags: Vec::new(),
        }
    }
}

/// What a tag is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It names the equipment; the lower the number, the sooner it counts.
    Equipment(usize),
    /// Its value is part of metrics' names, at this place among such values.
    Metric(usize),
    /// It is an attribute of the reading.
    Attribute,
    /// It says nothing, but that points which differ in it belong to different series.
    Other,
}

impl Mapping {
    /// What a tag of this name is good for. Whatever names the equipment does nothing else.
    pub fn role(&self, tag: &str) -> Role {
        let place = |names: &[String]| names.iter().position(|name| name == tag);
        if let Some(place) = place(&self.equipment_tags) {
            return Role::Equipment(place);
        }
        match place(&self.metric_tags) {
            Some(place) => Role::Metric(place),
            None if place(&self.attribute_tags).is_some() => Role::Attribute,
            None => Role::Other,
        }
    }

    /// What all names of metrics of a point begin with, given its measurement and the values of its metric tags in order.
    pub fn begin_names<'t>(
        &self,
        name: &mut String,
        measurement: &'t str,
        tags: impl IntoIterator<Item = &'t str>,
    ) {
        name.clear();
        let measurement = match self.naming {
            Naming::MeasurementAndField => Some(measurement),
            Naming::Field => None,
        };
        for part in measurement.into_iter().chain(tags) {
            fold_into(name, part);
            name.push('.');
        }
        if !name.is_empty() {
            begin_with_letter(name);
        }
    }
}

/// Adds a field to what its metric's name begins with, and makes a metric's name of the whole: a letter comes first.
pub fn end_name(name: &mut String, field: &str) {
    fold_into(name, field);
    begin_with_letter(name);
}

fn begin_with_letter(name: &mut String) {
    if !name.starts_with(|first: char| first.is_ascii_lowercase()) {
        name.insert_str(0, "m_");
    }
}

/// Adds text as metrics' names are written: small letters, digits, `_` and `.`; anything else becomes `_`.
fn fold_into(name: &mut String, text: &str) {
    for character in text.chars() {
        // Writing into a String cannot fail.
        let _ = name.write_char(match character {
            'a'..='z' | '0'..='9' | '_' | '.' => character,
            'A'..='Z' => character.to_ascii_lowercase(),
            _ => '_',
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::MetricName;
    use proptest::prelude::*;

    fn name(mapping: &Mapping, measurement: &str, tags: &[&str], field: &str) -> String {
        let mut name = String::from("left over");
        mapping.begin_names(&mut name, measurement, tags.iter().copied());
        end_name(&mut name, field);
        name
    }

    #[test]
    fn metrics_are_called_after_measurement_tags_and_field() {
        let mapping = Mapping::default();
        assert_eq!(name(&mapping, "cpu", &["cpu0"], "usage_idle"), "cpu.cpu0.usage_idle");
        assert_eq!(name(&mapping, "Hydraulics", &[], "Oil Temp"), "hydraulics.oil_temp");
        let short = Mapping { naming: Naming::Field, ..Mapping::default() };
        assert_eq!(name(&short, "cpu", &[], "usage.idle"), "usage.idle");
        assert_eq!(name(&short, "load", &[], "1min"), "m_1min");
        assert_eq!(name(&short, "load", &["Ä/b"], "µ"), "m___b._");
    }

    #[test]
    fn a_tag_has_one_role_and_naming_the_equipment_comes_first() {
        let mapping = Mapping {
            equipment_tags: vec!["serial".into(), "host".into()],
            metric_tags: vec!["host".into(), "cpu".into()],
            attribute_tags: vec!["cpu".into(), "shift".into()],
            ..Mapping::default()
        };
        let roles = ["serial", "host", "cpu", "shift", "site", "Host"].map(|tag| mapping.role(tag));
        let expected = [
            Role::Equipment(0),
            Role::Equipment(1),
            Role::Metric(1),
            Role::Attribute,
            Role::Other,
            Role::Other,
        ];
        assert_eq!(roles, expected);
    }

    proptest! {
        #[test]
        fn whatever_the_parts_are_the_name_is_a_metrics_unless_it_is_too_long(
            measurement in ".{0,10}", tag in ".{0,10}", field in ".{0,10}", alone in any::<bool>(),
        ) {
            let naming = if alone { Naming::Field } else { Naming::MeasurementAndField };
            let mapping = Mapping { naming, ..Mapping::default() };
            let name = name(&mapping, &measurement, &[&tag], &field);
            prop_assert!(MetricName::parse(&name).is_ok(), "{name:?}");
        }
    }
}
