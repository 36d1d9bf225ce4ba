//! The types that settings have: how each is read from text, what may be written, and whether it may be shown.
//!
//! Every layer of configuration speaks text, so a value is judged by the same rule wherever it comes from.

use domain::telemetry::kept::{Class, MetricPattern};
use domain::text::{Label, Secret, Username};
use std::path::PathBuf;
use std::time::Duration;
use tracing_subscriber::EnvFilter;

/// How a value is written in a TOML file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    Number,
    Switch,
    List,
}

/// How much of a value may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// All of it.
    Open,
    /// All but the password inside.
    Url,
    /// Nothing.
    Hidden,
}

/// A type that a setting can have.
pub(crate) trait Value: Sized {
    const FORM: Form = Form::Text;
    const SIGHT: Sight = Sight::Open;

    /// What may be written, as it follows "must be".
    fn allowed() -> String;

    /// Reads the value; a refusal follows the setting's name, such as "must be …".
    fn read(text: &str) -> Result<Self, String>;
}

pub(super) fn must_be<T: Value>() -> String {
    format!("must be {}", T::allowed())
}

/// A whole number from `LEAST` to `MOST`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Whole<const LEAST: u32, const MOST: u32>(u32);

impl<const LEAST: u32, const MOST: u32> Whole<LEAST, MOST> {
    pub(crate) fn get(self) -> u32 {
        self.0
    }
}

impl<const LEAST: u32, const MOST: u32> Value for Whole<LEAST, MOST> {
    const FORM: Form = Form::Number;

    fn allowed() -> String {
        format!("a whole number from {LEAST} to {MOST}")
    }

    fn read(text: &str) -> Result<Self, String> {
        let number: u32 = text.parse().map_err(|_| must_be::<Self>())?;
        if (LEAST..=MOST).contains(&number) { Ok(Self(number)) } else { Err(must_be::<Self>()) }
    }
}

/// A day.
pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The most days that anything is kept.
pub(crate) const MOST_DAYS: u32 = 36_500;

impl Value for Class {
    fn allowed() -> String {
        "a metric, or the beginning of several and a *, with a number of days, such as vibration.*=30"
            .to_owned()
    }

    fn read(text: &str) -> Result<Self, String> {
        let class = text.split_once('=').and_then(|(metrics, days)| {
            let days = Whole::<1, MOST_DAYS>::read(days.trim()).ok()?;
            Some(Class { metrics: MetricPattern::parse(metrics.trim())?, kept: DAY * days.get() })
        });
        class.ok_or_else(must_be::<Self>)
    }
}

impl Value for bool {
    const FORM: Form = Form::Switch;

    fn allowed() -> String {
        "on or off".to_owned()
    }

    fn read(text: &str) -> Result<Self, String> {
        match text {
            "on" | "true" => Ok(true),
            "off" | "false" => Ok(false),
            _ => Err(must_be::<Self>()),
        }
    }
}

impl<T: Value> Value for Option<T> {
    const FORM: Form = T::FORM;
    const SIGHT: Sight = T::SIGHT;

    fn allowed() -> String {
        format!("{}, or empty", T::allowed())
    }

    fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(None);
        }
        T::read(text).map(Some)
    }
}

impl<T: Value> Value for Vec<T> {
    const FORM: Form = Form::List;

    fn allowed() -> String {
        format!("a comma-separated list, each {}", T::allowed())
    }

    fn read(text: &str) -> Result<Self, String> {
        items(text)
            .map(|item| T::read(item).map_err(|refusal| format!("has {item:?}, which {refusal}")))
            .collect()
    }
}

/// The items of a comma-separated list.
pub(crate) fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

impl Value for PathBuf {
    fn allowed() -> String {
        "a path".to_owned()
    }

    fn read(text: &str) -> Result<Self, String> {
        Ok(PathBuf::from(text))
    }
}

impl Value for Secret {
    const SIGHT: Sight = Sight::Hidden;

    fn allowed() -> String {
        "text".to_owned()
    }

    fn read(text: &str) -> Result<Self, String> {
        Ok(Secret::new(text))
    }
}

impl Value for Username {
    fn allowed() -> String {
        "a login".to_owned()
    }

    fn read(text: &str) -> Result<Self, String> {
        Username::parse(text).map_err(|reason| reason.message)
    }
}

/// A name that tokens carry, such as their issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TokenName(String);

impl TokenName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Value for TokenName {
    fn allowed() -> String {
        "1 to 200 visible ASCII characters".to_owned()
    }

    fn read(text: &str) -> Result<Self, String> {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if visible && (1..=200).contains(&text.len()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(must_be::<Self>())
        }
    }
}

impl Value for Label {
    fn allowed() -> String {
        "1 to 100 visible characters".to_owned()
    }

    fn read(text: &str) -> Result<Self, String> {
        Label::parse(text).map_err(|reason| reason.message)
    }
}

/// The name of a tag of points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TagName(String);

impl TagName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Value for TagName {
    fn allowed() -> String {
        "a tag of 1 to 100 visible characters without commas".to_owned()
    }

    fn read(text: &str) -> Result<Self, String> {
        let label = Label::parse(text).ok().filter(|label| !label.as_str().contains(','));
        label.map(|label| Self(label.to_string())).ok_or_else(must_be::<Self>)
    }
}

/// Which log lines are written: levels, for all or by module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogFilter(String);

impl LogFilter {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    // A bare word that is no level would be taken for a module's name and silence everything else: a typing error in
    // `info` must not turn the log off.
    fn is_directive(text: &str) -> bool {
        let level = text.rsplit_once('=').map_or(text, |(_, level)| level);
        Self::LEVELS.contains(&level.to_ascii_lowercase().as_str())
    }
}

impl Value for LogFilter {
    fn allowed() -> String {
        format!("one of {}, or a list such as info,api_http=debug", Self::LEVELS.join(", "))
    }

    fn read(text: &str) -> Result<Self, String> {
        let directives: Vec<_> = items(text).collect();
        let known =
            !directives.is_empty() && directives.iter().all(|directive| Self::is_directive(directive));
        let filter = directives.join(",");
        if known && EnvFilter::try_new(&filter).is_ok() { Ok(Self(filter)) } else { Err(must_be::<Self>()) }
    }
}

/// A share of all: from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Share(f64);

impl Share {
    pub(crate) fn get(self) -> f64 {
        self.0
    }
}

impl Value for Share {
    fn allowed() -> String {
        "a number from 0 to 1".to_owned()
    }

    fn read(text: &str) -> Result<Self, String> {
        let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
        share.map(Self).ok_or_else(must_be::<Self>)
    }
}

macro_rules! choices {
    ($($(#[$doc:meta])* $name:ident { $($(#[$about:meta])* $choice:ident = $text:literal),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum $name { $($(#[$about])* $choice),* }

        impl Value for $name {
            fn allowed() -> String {
                format!("one of {}", [$($text),*].join(", "))
            }

            fn read(text: &str) -> Result<Self, String> {
                match text {
                    $($text => Ok(Self::$choice),)*
                    _ => Err(must_be::<Self>()),
                }
            }
        }
    )*};
}

choices! {
    /// What log lines look like.
    LogFormat {
        /// For people on a terminal, JSON elsewhere.
        Auto = "auto",
        /// For people.
        Human = "human",
        /// One JSON object a line.
        Json = "json",
    }

    /// What fields of points are called as metrics.
    MetricNames {
        /// `measurement.field`.
        MeasurementAndField = "measurement_and_field",
        /// `field`.
        Field = "field",
    }

    /// What becomes of a point that says otherwise than what is stored.
    Conflict {
        /// The newer is believed.
        Replace = "replace",
        /// The newer is refused.
        Refuse = "refuse",
    }

    /// Which requests become spans, by OpenTelemetry's names.
    Sampler {
        /// All.
        AlwaysOn = "always_on",
        /// None.
        AlwaysOff = "always_off",
        /// A share.
        Ratio = "traceidratio",
        /// All but those whose client says otherwise.
        ParentOrOn = "parentbased_always_on",
        /// None but those whose client says otherwise.
        ParentOrOff = "parentbased_always_off",
        /// A share of those whose client says nothing.
        ParentOrRatio = "parentbased_traceidratio",
    }

    /// Who brings the database's schema up to date.
    Migration {
        /// The server, when it starts.
        Auto = "auto",
        /// Somebody else, by `techtrack migrate`.
        Off = "off",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelled_log_level_is_refused_instead_of_silencing_the_log() {
        for good in ["info", "OFF", "info,api_http=debug", "warn, domain::app=trace"] {
            assert!(LogFilter::read(good).is_ok(), "{good:?}");
        }
        for bad in ["", "inof", "api_http", "info,api_http=loud"] {
            assert!(LogFilter::read(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_list_names_the_item_that_is_wrong() {
        type Numbers = Vec<Whole<1, 9>>;
        assert_eq!(Numbers::read("1, 2 ,3").unwrap().len(), 3);
        let refusal = Numbers::read("1,many").unwrap_err();
        assert!(refusal.contains("\"many\""), "{refusal}");
        assert!(Numbers::read("").unwrap().is_empty());
    }

    #[test]
    fn metrics_are_kept_for_so_many_days() {
        let classes = Vec::<Class>::read("vibration.*=30, energy = 3650").unwrap();
        assert_eq!(classes.iter().map(|class| class.kept).collect::<Vec<_>>(), [DAY * 30, DAY * 3650]);
        for bad in ["vibration", "vibration=", "=3", "a=0", "a=36501", "a*b=3", "A=3", "a=3=4"] {
            assert!(Vec::<Class>::read(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_number_outside_its_range_is_refused_with_the_range() {
        assert_eq!(Whole::<60, 3600>::read("600").unwrap().get(), 600);
        for bad in ["59", "3601", "-1", "6e2", "", "60.0"] {
            assert_eq!(
                Whole::<60, 3600>::read(bad).unwrap_err(),
                "must be a whole number from 60 to 3600",
                "{bad:?}"
            );
        }
    }
}
