//! The layer of a TOML file: tables are sections, keys are settings, and nothing else is accepted.

use super::layers::{Entry, Source};
use super::problems::{Problem, unknown};
use super::settings::{SECTIONS, SETTINGS};
use super::table::Setting;
use super::values::Form;
use std::path::Path;
use toml::{Table, Value};

/// Reads the file at `path`.
pub(crate) fn read(path: &Path, problems: &mut Vec<Problem>) -> Vec<Entry> {
    let place = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => entries(&place, &text, problems),
        Err(error) => {
            problems.push(Problem::at(place, format!("cannot be read: {error}")));
            Vec::new()
        }
    }
}

/// What a file at `place` with this text says.
pub(crate) fn entries(place: &str, text: &str, problems: &mut Vec<Problem>) -> Vec<Entry> {
    let table: Table = match text.parse() {
        Ok(table) => table,
        Err(error) => {
            problems.push(Problem::at(place, syntax(text, &error)));
            return Vec::new();
        }
    };
    let mut file = File { place, entries: Vec::new(), problems };
    for (name, value) in &table {
        file.section(name, value);
    }
    file.entries
}

// The parser's own rendering quotes the line, which may hold a secret; say where it is, not what it says.
fn syntax(text: &str, error: &toml::de::Error) -> String {
    let line = error
        .span()
        .and_then(|span| text.get(..span.start))
        .map_or(1, |before| before.matches('\n').count() + 1);
    format!("line {line} is not valid TOML: {}", error.message())
}

struct File<'a> {
    place: &'a str,
    entries: Vec<Entry>,
    problems: &'a mut Vec<Problem>,
}

impl File<'_> {
    fn section(&mut self, name: &str, value: &Value) {
        let known = SECTIONS.iter().any(|(section, _)| *section == name);
        match (value.as_table(), known) {
            (Some(keys), true) => keys.iter().for_each(|(key, value)| self.key(name, key, value)),
            (Some(_), false) => self.refuse(name, unknown("section", name, section_names())),
            (None, true) => self.refuse(name, format!("is a section; write [{name}] and its keys below")),
            (None, false) => self.refuse(name, stray(name)),
        }
    }

    fn key(&mut self, section: &str, key: &str, value: &Value) {
        let rows = || SETTINGS.iter().filter(|row| row.section == section);
        let name = format!("{section}.{key}");
        let Some(setting) = rows().find(|row| row.key == key) else {
            let names: Vec<_> = rows().map(Setting::name).collect();
            return self.refuse(&name, unknown("setting", &name, names.iter().map(String::as_str)));
        };
        match text_of(setting.form, value) {
            Some(text) => {
                let source = Source::File(self.place.to_owned());
                self.entries.push(Entry::new(setting, text, source));
            }
            None => self.refuse(&name, format!("must be {}", (setting.allowed)())),
        }
    }

    fn refuse(&mut self, name: &str, message: String) {
        self.problems.push(Problem::at(format!("{}: {name}", self.place), message));
    }
}

fn section_names() -> impl Iterator<Item = &'static str> {
    SECTIONS.iter().map(|(section, _)| *section)
}

fn stray(name: &str) -> String {
    match SETTINGS.iter().find(|row| row.key == name) {
        Some(namesake) => format!("stands in no section; did you mean {}?", namesake.name()),
        None => unknown("section", name, section_names()),
    }
}

/// The value as the other layers would write it; `None` when its TOML type does not fit the setting.
fn text_of(form: Form, value: &Value) -> Option<String> {
    match (form, value) {
        (Form::List, Value::Array(items)) => {
            let items: Option<Vec<_>> = items.iter().map(Value::as_str).collect();
            items.map(|items| items.join(","))
        }
        (_, Value::String(text)) => Some(text.clone()),
        (Form::Number, Value::Integer(number)) => Some(number.to_string()),
        (Form::Switch, Value::Boolean(switch)) => Some(switch.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusals(text: &str) -> Vec<String> {
        let mut problems = Vec::new();
        entries("t.toml", text, &mut problems);
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_unknown_name_in_a_file_is_refused_with_the_nearest_known_one() {
        let text = "
            listen = \"127.0.0.1:1\"
            http = 1
            [htpp]
            listen = \"127.0.0.1:1\"
            [database]
            ulr = \"sqlite://x.db\"
            [log.filter]
            a = 1
            [entirely_different]
        ";
        assert_eq!(
            refusals(&text.replace("http = 1\n", "")),
            [
                "t.toml: database.ulr is no setting; did you mean database.url?",
                "t.toml: entirely_different is no section",
                "t.toml: htpp is no section; did you mean http?",
                "t.toml: listen stands in no section; did you mean http.listen?",
                "t.toml: log.filter must be one of off, error, warn, info, debug, trace, or a list such as info,api_http=debug",
            ]
        );
        assert_eq!(refusals("http = 1"), ["t.toml: http is a section; write [http] and its keys below"]);
    }

    #[test]
    fn a_file_that_is_no_toml_is_refused_by_line_without_quoting_it() {
        let refusal = refusals("[admin]\npassword = \"hunter42\n").join("\n");
        assert!(refusal.starts_with("t.toml line 2 is not valid TOML"), "{refusal}");
        assert!(!refusal.contains("hunter42"), "{refusal}");
    }

    #[test]
    fn a_value_may_be_written_in_its_own_type_or_as_text() {
        let text = "
            [http]
            workers = 4
            require_if_match = true
            cors_origins = [\"https://a.example\", \"https://b.example\"]
            drain_seconds = \"5\"
        ";
        let mut problems = Vec::new();
        let texts: Vec<_> =
            entries("t.toml", text, &mut problems).into_iter().map(|entry| (entry.key, entry.text)).collect();
        assert_eq!(problems, []);
        assert_eq!(
            texts,
            [
                ("cors_origins", "https://a.example,https://b.example".to_owned()),
                ("drain_seconds", "5".to_owned()),
                ("require_if_match", "true".to_owned()),
                ("workers", "4".to_owned()),
            ]
        );
    }

    #[test]
    fn a_file_that_is_not_there_is_refused_by_name() {
        let mut problems = Vec::new();
        read(Path::new("/nowhere/t.toml"), &mut problems);
        let refusal = problems.iter().map(ToString::to_string).collect::<String>();
        assert!(refusal.starts_with("/nowhere/t.toml cannot be read"), "{refusal}");
    }
}
