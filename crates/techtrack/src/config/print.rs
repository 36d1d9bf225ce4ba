//! The configuration in words: what is in effect, and what there is to configure.

use super::layers::Entry;
use super::masking::{MASK, mask_url};
use super::settings::{SECTIONS, SETTINGS};
use super::table::Setting;
use super::values::{Form, Sight, items};
use std::fmt::Write as _;
use toml::Value;

/// The entries as a TOML file with the source of each value behind it.
pub(crate) fn toml(entries: &[Entry]) -> String {
    let mut page =
        "# The effective configuration; behind each value is its source. Secrets are masked.\n".to_owned();
    for (section, title) in SECTIONS {
        let _ = write!(page, "\n# {title}.\n[{section}]\n");
        for entry in entries.iter().filter(|entry| entry.section == *section) {
            let _ = writeln!(page, "{} = {} # {}", entry.key, shown(entry), entry.source);
        }
    }
    page
}

/// The value as a TOML literal, as far as it may be seen.
pub(super) fn shown(entry: &Entry) -> String {
    let Some(setting) = SETTINGS.iter().find(|row| entry.is_about(row.section, row.key)) else {
        return quoted(MASK);
    };
    match setting.sight {
        Sight::Open => literal(setting.form, &entry.text),
        Sight::Url if !entry.text.is_empty() => quoted(&mask_url(&entry.text)),
        Sight::Hidden if !entry.text.is_empty() => quoted(MASK),
        Sight::Url | Sight::Hidden => quoted(""),
    }
}

fn literal(form: Form, text: &str) -> String {
    match form {
        // TOML has no way to write a number that is not there.
        Form::Number if text.is_empty() => quoted(text),
        Form::Number => text.to_owned(),
        Form::Switch => matches!(text, "on" | "true").to_string(),
        Form::Text => quoted(text),
        Form::List => format!("[{}]", items(text).map(quoted).collect::<Vec<_>>().join(", ")),
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// Every setting as a Markdown page.
pub(crate) fn reference() -> String {
    let mut page = INTRODUCTION.to_owned();
    for (section, title) in SECTIONS {
        let _ = write!(page, "\n## `[{section}]` {title}\n\n{TABLE_HEAD}");
        for setting in SETTINGS.iter().filter(|setting| setting.section == *section) {
            let _ = writeln!(page, "{}", reference_row(setting));
        }
    }
    page
}

const INTRODUCTION: &str = "\
# Configuration reference

Printed by `techtrack config --reference`. Flags win over the environment, the environment over the file given by
`--config`, the file over the defaults. A name that is not listed here is refused. An environment variable that is set
to nothing counts as not set; `none` empties a setting that has a default and may be empty. Where two variables are
named, the first one wins.
";

const TABLE_HEAD: &str = "\
| Key | Environment and flag | Default | Value | Meaning |
|---|---|---|---|---|
";

fn reference_row(setting: &Setting) -> String {
    let flag = setting.flag.map(|flag| format!("--{flag}"));
    let names: Vec<_> = setting.variables().chain(flag).map(|name| code(&name)).collect();
    let cells = [
        code(setting.key),
        names.join(", "),
        code(setting.default),
        (setting.allowed)(),
        setting.about.to_owned(),
    ];
    format!("| {} |", cells.join(" | "))
}

fn code(text: &str) -> String {
    if text.is_empty() {
        return "none".to_owned();
    }
    format!("`{text}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_explains_every_setting() {
        let page = reference();
        for setting in SETTINGS {
            assert!(page.contains(setting.about), "{}", setting.name());
            for variable in setting.variables() {
                assert!(page.contains(&format!("`{variable}`")), "{variable}");
            }
        }
    }
}
