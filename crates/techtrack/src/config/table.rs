//! How the table of settings is written: a row says all there is to know of a setting, and types, precedence, refusals,
//! the printed configuration and the reference follow from it. The rows themselves are in [`super::settings`].

use super::values::{Form, Sight, Value};

/// One setting: a row of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    /// The table of the TOML file that it stands in.
    pub section: &'static str,
    /// Its key there.
    pub key: &'static str,
    /// What holds when nobody says otherwise; empty for nothing.
    pub default: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// How it is written in TOML.
    pub form: Form,
    /// How much of it may be shown.
    pub sight: Sight,
    /// What may be written, as it follows "must be".
    pub allowed: fn() -> String,
    /// The long flag, if it has one.
    pub flag: Option<&'static str>,
    own_variable: Option<&'static str>,
    second_variable: Option<&'static str>,
}

impl Setting {
    /// A row with the names that follow from section and key.
    pub(super) const fn new<T: Value>(
        section: &'static str,
        key: &'static str,
        default: &'static str,
        about: &'static str,
    ) -> Self {
        Self {
            section,
            key,
            default,
            about,
            form: T::FORM,
            sight: T::SIGHT,
            allowed: T::allowed,
            flag: None,
            own_variable: None,
            second_variable: None,
        }
    }

    /// With a flag on the command line.
    pub(super) const fn flag(mut self, name: &'static str) -> Self {
        self.flag = Some(name);
        self
    }

    /// With a variable that does not follow from section and key.
    pub(super) const fn variable(mut self, name: &'static str) -> Self {
        self.own_variable = Some(name);
        self
    }

    /// With a second variable, for when the first is not set.
    pub(super) const fn second_variable(mut self, name: &'static str) -> Self {
        self.second_variable = Some(name);
        self
    }

    /// Whether it may be empty but is not by default. A variable that is set to nothing counts as not set, so that takes a word.
    pub(crate) fn is_emptied_by_a_word(&self) -> bool {
        !self.default.is_empty() && (self.form == Form::List || (self.allowed)().ends_with("or empty"))
    }

    /// `section.key`.
    pub(crate) fn name(&self) -> String {
        format!("{}.{}", self.section, self.key)
    }

    /// Its names in the environment; the first that is set wins.
    pub(crate) fn variables(&self) -> impl Iterator<Item = String> {
        let first = self.own_variable.map_or_else(
            || format!("{PREFIX}{}_{}", self.section, self.key).to_ascii_uppercase(),
            str::to_owned,
        );
        [Some(first), self.second_variable.map(str::to_owned)].into_iter().flatten()
    }
}

/// What our variables start with.
pub(crate) const PREFIX: &str = "TECHTRACK_";

/// Turns rows into the types of the configuration and the table that describes them.
macro_rules! settings {
    ($($section:ident: $Section:ident = $title:literal {
        $($key:ident: $type:ty = $default:literal, $about:literal $(, $detail:ident $name:literal)*;)*
    })*) => {
        $(
            #[doc = $title]
            #[derive(Clone, Debug)]
            pub(crate) struct $Section { $(#[doc = $about] pub $key: $type,)* }

            impl $Section {
                fn read(reading: &mut Reading<'_>) -> Option<Self> {
                    // Every key is read before the first missing one ends it, so that all refusals are heard.
                    $(let $key = reading.value::<$type>(stringify!($section), stringify!($key));)*
                    Some(Self { $($key: $key?,)* })
                }
            }
        )*

        /// The effective configuration. `Debug` masks its secrets.
        #[derive(Clone, Debug)]
        pub(crate) struct Config { $(#[doc = $title] pub $section: $Section,)* }

        impl Config {
            /// Reads every setting; `None` when one was refused, all refusals being with `reading` then.
            pub(super) fn read(reading: &mut Reading<'_>) -> Option<Self> {
                $(let $section = $Section::read(reading);)*
                Some(Self { $($section: $section?,)* })
            }
        }

        /// The sections with their titles, in the order in which they are printed.
        pub(crate) const SECTIONS: &[(&str, &str)] = &[$((stringify!($section), $title)),*];

        /// The table.
        pub(crate) const SETTINGS: &[Setting] = &[$($(
            Setting::new::<$type>(stringify!($section), stringify!($key), $default, $about)$(.$detail($name))*
        ),*),*];
    };
}

pub(crate) use settings;
