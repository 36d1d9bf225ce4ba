//! The terminal: results go to standard output, complaints to standard error, secrets are asked for without echo.
//!
//! What happens while the server runs is for the log; see [`crate::logging`].

use domain::text::Secret;
use indicatif::{ProgressBar, ProgressStyle};
use std::fmt;
use std::io::{self, BufRead, ErrorKind, IsTerminal, Write};

/// Writes the result of a command. A reader that has seen enough (`| head`) is no failure.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let end = if text.ends_with('\n') { "" } else { "\n" };
    let written = write!(out, "{text}{end}").and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Says what went wrong. There is nobody left to tell when even this fails.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "techtrack: {text}");
}

/// Whether standard error is a person's terminal.
pub(crate) fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// A bar that shows the person at the terminal how far a command has come, on standard error. Elsewhere it is not seen.
pub(crate) fn progress(steps: usize, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(steps as u64).with_style(style).with_message(what)
}

/// Reads a password from the first line of standard input.
pub(crate) fn password_from_stdin() -> io::Result<Secret> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(Secret::new(line.trim_end_matches(['\r', '\n'])))
}

/// Asks the person at the terminal, twice, for a new password; `None` when the two differ.
pub(crate) fn ask_new_password(whose: &str) -> io::Result<Option<Secret>> {
    let first = Secret::new(rpassword::prompt_password(format!("New password for {whose}: "))?);
    let second = Secret::new(rpassword::prompt_password("The same again: ")?);
    Ok((first == second).then_some(first))
}

/// Rows of text in columns as wide as their widest cell.
pub(crate) struct Table<const COLUMNS: usize>(Vec<[String; COLUMNS]>);

impl<const COLUMNS: usize> Table<COLUMNS> {
    /// A table with these headings.
    pub(crate) fn new(headings: [&str; COLUMNS]) -> Self {
        Self(vec![headings.map(str::to_owned)])
    }

    pub(crate) fn row(&mut self, cells: [String; COLUMNS]) {
        self.0.push(cells);
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.0.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    }
}

impl<const COLUMNS: usize> fmt::Display for Table<COLUMNS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths: [usize; COLUMNS] = std::array::from_fn(|column| self.width(column));
        for row in &self.0 {
            let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
            let line = cells.collect::<Vec<_>>().join("  ");
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(["ID", "LOGIN", "ROLES"]);
        table.row(["1".into(), "Олег".into(), "ADMIN".into()]);
        table.row(["12".into(), "anna.maria".into(), String::new()]);
        assert_eq!(table.to_string(), "ID  LOGIN       ROLES\n1   Олег        ADMIN\n12  anna.maria\n");
    }
}
