//! The matrix as text: one line for each operation and target, one column for each kind of caller.

use crate::cast::{Caller, Target};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use tests::Backend;
use tests::openapi::Operation;

/// Answers by operation, target and caller.
#[derive(Default)]
pub(crate) struct Table(BTreeMap<(String, Target), Line>);

#[derive(Default)]
struct Line {
    needs: String,
    statuses: BTreeMap<Caller, u16>,
}

impl Table {
    /// Fills a cell.
    pub(crate) fn fill(&mut self, operation: &Operation, target: Target, caller: Caller, status: u16) {
        let line = self.0.entry((operation.id.clone(), target)).or_default();
        line.needs = needs(operation);
        line.statuses.insert(caller, status);
    }

    /// Fails when the table is not the committed one. Writes it instead when asked to, once for all databases.
    pub(crate) fn compare(&self, backend: Backend) {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("authorisation.matrix");
        let actual = self.text();
        if is_update_wanted() && backend == Backend::Sqlite {
            std::fs::write(&path, &actual).expect("the table can be written");
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        let only_in = |one: &str, other: &str, sign: char| {
            let lines = one.lines().filter(|line| !other.lines().any(|theirs| theirs == *line));
            lines.map(|line| format!("{sign} {line}\n")).collect::<String>()
        };
        let differences = only_in(&committed, &actual, '-') + &only_in(&actual, &committed, '+');
        assert!(committed == actual, "the matrix is not as committed (-) but (+):\n{differences}");
    }

    fn text(&self) -> String {
        let width = self.0.keys().map(|(id, _)| id.len()).max().unwrap_or_default();
        let mut text = format!("{:width$} {:6} {:22}", "operation", "target", "needs");
        for caller in Caller::ALL {
            let _ = write!(text, " {:>10}", caller.name());
        }
        text.push('\n');
        for ((id, target), line) in &self.0 {
            let _ = write!(text, "{id:width$} {:6} {:22}", target.name(), line.needs);
            for caller in Caller::ALL {
                let status = line.statuses.get(&caller).map_or_else(|| "?".to_owned(), u16::to_string);
                let _ = write!(text, " {status:>10}");
            }
            text.push('\n');
        }
        text
    }
}

/// What the document says that it takes.
fn needs(operation: &Operation) -> String {
    let permission = operation.note("x-permission").or(operation.note("x-requires")).unwrap_or("?");
    match (operation.is_public(), operation.note("x-permission-too"), operation.note("x-otherwise")) {
        (true, _, _) => "nothing".to_owned(),
        (false, Some(too), _) => format!("{permission} {too}"),
        (false, None, Some(_)) => format!("{permission} or own"),
        (false, None, None) => permission.to_owned(),
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "whoever runs the test says by the environment that the table is new"
)]
fn is_update_wanted() -> bool {
    std::env::var_os("UPDATE_MATRIX").is_some()
}
