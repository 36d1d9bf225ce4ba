//! The versions of readings. Nobody counts how often a reading was written, of which there are too many; so its version is
//! made of what it says.

use super::{Reading, Tag};
use crate::id::Version;
use sha2::{Digest, Sha256};

impl Reading {
    /// A number that is another one as soon as the reading says anything else, and the same one for as long as it does not.
    pub fn version(&self) -> Version {
        let mut content = Content(Sha256::new());
        content.number(self.id.equipment.get());
        content.number(self.id.at.micros());
        for (metric, value) in self.values.iter() {
            content.text(metric.as_str());
            content.0.update(value.to_be_bytes());
        }
        // What follows is no name of a metric.
        content.text("");
        for (name, tag) in &self.tags {
            content.text(name);
            content.tag(tag);
        }
        content.version()
    }
}

/// What a reading says, each part told apart from the next by its length.
struct Content(Sha256);

impl Content {
    fn number(&mut self, number: i64) {
        self.0.update(number.to_be_bytes());
    }

    fn text(&mut self, text: &str) {
        self.0.update((text.len() as u64).to_be_bytes());
        self.0.update(text);
    }

    fn tag(&mut self, tag: &Tag) {
        match tag {
            Tag::Flag(flag) => self.0.update([u8::from(*flag)]),
            Tag::Text(text) => {
                self.0.update([2]);
                self.text(text);
            }
        }
    }

    fn version(self) -> Version {
        let digest: [u8; 32] = self.0.finalize().into();
        let [first, second, third, fourth, fifth, sixth, seventh, eighth, ..] = digest;
        let number = i64::from_be_bytes([first, second, third, fourth, fifth, sixth, seventh, eighth]);
        Version::new(number & i64::MAX).unwrap_or(Version::FIRST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::EquipmentId;
    use crate::telemetry::{MetricName, ReadingId, Tags, Values};
    use crate::time::Timestamp;

    fn reading(values: &[(&str, f64)], tags: &[(&str, Tag)]) -> Reading {
        let named = values.iter().map(|(name, value)| (MetricName::restore(name), *value)).collect();
        Reading {
            id: ReadingId {
                equipment: EquipmentId::new(7).unwrap(),
                at: Timestamp::from_micros(1_000_000).unwrap(),
            },
            values: Values::of(named).unwrap(),
            tags: tags.iter().map(|(name, tag)| ((*name).to_owned(), tag.clone())).collect::<Tags>(),
            received_at: Timestamp::MIN,
        }
    }

    #[test]
    fn a_reading_has_another_version_as_soon_as_it_says_anything_else() {
        let text = |text: &str| Tag::Text(text.to_owned());
        let one = reading(&[("a", 1.0), ("b", 2.0)], &[("x", text("y")), ("z", Tag::Flag(true))]);
        let later = ReadingId { at: Timestamp::from_micros(1_000_001).unwrap(), ..one.id };
        let elsewhere = ReadingId { equipment: EquipmentId::new(8).unwrap(), ..one.id };
        let all = [
            Reading { id: later, ..one.clone() },
            Reading { id: elsewhere, ..one.clone() },
            reading(&[("a", 1.5), ("b", 2.0)], &[("x", text("y")), ("z", Tag::Flag(true))]),
            reading(&[("a", 1.0), ("c", 2.0)], &[("x", text("y")), ("z", Tag::Flag(true))]),
            reading(&[("a", 1.0)], &[("x", text("y")), ("z", Tag::Flag(true))]),
            reading(&[("a", 1.0), ("b", 2.0)], &[("x", text("y")), ("z", Tag::Flag(false))]),
            reading(&[("a", 1.0), ("b", 2.0)], &[("x", text("yz")), ("z", Tag::Flag(true))]),
            reading(&[("a", 1.0), ("b", 2.0)], &[]),
            one,
        ];
        let mut versions: Vec<Version> = all.iter().map(Reading::version).collect();
        versions.sort_unstable();
        versions.dedup();
        assert_eq!(versions.len(), all.len());
    }

    #[test]
    fn when_a_reading_came_makes_no_version() {
        let one = reading(&[("a", 1.0)], &[]);
        assert_eq!(Reading { received_at: Timestamp::MAX, ..one.clone() }.version(), one.version());
        assert_eq!(one.version().get(), one.version().get() & i64::MAX);
    }
}
