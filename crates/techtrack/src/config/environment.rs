//! The layer of the environment, and the only place that reads it.

use super::layers::{Entry, Source};
use super::problems::{Problem, unknown};
use super::settings::SETTINGS;
use super::table::{PREFIX, Setting};
use std::ffi::OsString;
use std::fmt;

/// The process's environment at one moment. `Debug` shows the names alone.
#[derive(Clone, Default)]
pub(crate) struct Environment(Vec<(String, OsString)>);

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// How a variable says that a setting shall be empty that otherwise is not.
const NOTHING: &str = "none";

impl Environment {
    /// What the process was started with.
    #[allow(
        clippy::disallowed_methods,
        reason = "the one home of the environment: everybody else is handed its values"
    )]
    pub(crate) fn of_this_process() -> Self {
        Self::new(std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))))
    }

    /// An environment of these variables.
    pub(crate) fn new<N: Into<String>, V: Into<OsString>>(
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        Self(variables.collect())
    }

    /// Whether somebody asked all programs for output without colours.
    pub(crate) fn forbids_colour(&self) -> bool {
        self.find("NO_COLOR").is_some()
    }

    /// What the environment says.
    pub(crate) fn entries(&self, problems: &mut Vec<Problem>) -> Vec<Entry> {
        self.refuse_unknown(problems);
        SETTINGS.iter().filter_map(|setting| self.entry(setting, problems)).collect()
    }

    fn entry(&self, setting: &Setting, problems: &mut Vec<Problem>) -> Option<Entry> {
        let (name, value) =
            setting.variables().find_map(|name| self.find(&name).map(|value| (name, value)))?;
        match value.to_str() {
            Some(NOTHING) if setting.is_emptied_by_a_word() => {
                Some(Entry::new(setting, "", Source::Variable(name)))
            }
            Some(text) => Some(Entry::new(setting, text, Source::Variable(name))),
            None => {
                problems.push(Problem::at(name, "is not valid UTF-8"));
                None
            }
        }
    }

    /// The variable's value. One that is set to nothing counts as not set: that is how compose files pass on variables
    /// that nobody gave them.
    fn find(&self, name: &str) -> Option<&OsString> {
        let (_, value) = self.0.iter().find(|(candidate, _)| candidate == name)?;
        (!value.is_empty()).then_some(value)
    }

    fn refuse_unknown(&self, problems: &mut Vec<Problem>) {
        let known: Vec<String> = SETTINGS.iter().flat_map(Setting::variables).collect();
        let ours = self.0.iter().filter(|(name, _)| name.starts_with(PREFIX));
        for (name, _) in ours.filter(|(name, _)| !known.contains(name) && !self.is_service_link(name)) {
            let message = unknown("setting", name, known.iter().map(String::as_str));
            problems.push(Problem::at(name, message));
        }
    }

    /// Kubernetes announces every service to every container by variables named after the service, so one that is
    /// called `techtrack` would look like settings of ours.
    fn is_service_link(&self, name: &str) -> bool {
        let address = |value: &OsString| value.to_str().is_some_and(|text| text.contains("://"));
        self.find("KUBERNETES_SERVICE_HOST").is_some()
            && (name.ends_with("_SERVICE_HOST")
                || name.contains("_SERVICE_PORT")
                || name.contains("_TCP")
                || name.contains("_UDP")
                || (name.ends_with("_PORT") && self.find(name).is_some_and(address)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusals(variables: &[(&str, &str)]) -> Vec<String> {
        let mut problems = Vec::new();
        Environment::new(variables.iter().copied()).entries(&mut problems);
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_variable_of_ours_that_is_no_setting_is_refused_with_the_nearest_one() {
        let variables = [
            ("TECHTRACK_LISTNE", "127.0.0.1:1"),
            ("TECHTRACK_TOKEN_ACESS_SECONDS", "60"),
            ("TECHTRACK_WHATEVER_ELSE_THERE_MIGHT_BE", "1"),
            ("SOMEBODY_ELSES", "1"),
        ];
        assert_eq!(
            refusals(&variables),
            [
                "TECHTRACK_LISTNE is no setting; did you mean TECHTRACK_LISTEN?",
                "TECHTRACK_TOKEN_ACESS_SECONDS is no setting; did you mean TECHTRACK_TOKEN_ACCESS_SECONDS?",
                "TECHTRACK_WHATEVER_ELSE_THERE_MIGHT_BE is no setting",
            ]
        );
    }

    #[test]
    fn what_is_not_empty_by_itself_is_emptied_by_a_word() {
        let variables = [
            ("TECHTRACK_RETENTION_PACKED_AFTER_DAYS", "none"),
            ("TECHTRACK_INFLUX_METRIC_TAGS", "none"),
            ("TECHTRACK_ADMIN_USERNAME", "none"),
            ("TECHTRACK_INFLUX_ATTRIBUTE_TAGS", ""),
        ];
        let entries = Environment::new(variables).entries(&mut Vec::new());
        let said: Vec<_> = entries.iter().map(|entry| (entry.key, entry.text.as_str())).collect();
        assert_eq!(said, [("username", "none"), ("metric_tags", ""), ("packed_after_days", "")]);
    }

    #[test]
    fn what_kubernetes_announces_about_a_service_of_our_name_is_passed_over() {
        let links = [
            ("KUBERNETES_SERVICE_HOST", "10.0.0.1"),
            ("TECHTRACK_SERVICE_HOST", "10.0.0.7"),
            ("TECHTRACK_SERVICE_PORT_HTTP", "8000"),
            ("TECHTRACK_PORT", "tcp://10.0.0.7:8000"),
            ("TECHTRACK_PORT_8000_TCP_ADDR", "10.0.0.7"),
        ];
        assert_eq!(refusals(&links), [] as [&str; 0]);
        assert_eq!(refusals(&[("TECHTRACK_PORT", "8000")]).len(), 1);
    }

    #[test]
    fn a_value_that_is_no_text_is_refused_by_its_name() {
        use std::os::unix::ffi::OsStringExt;
        let broken = OsString::from_vec(vec![b'a', 0xff]);
        let mut problems = Vec::new();
        Environment::new([("TECHTRACK_LISTEN", broken)]).entries(&mut problems);
        assert_eq!(problems, [Problem::at("TECHTRACK_LISTEN", "is not valid UTF-8")]);
    }
}
