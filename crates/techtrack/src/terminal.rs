//! The terminal: results go to standard output, complaints to standard error, secrets are asked for without echo.
//!
//! What happens while the server runs is for the log; see [`crate::logging`].

use domain::text::Secret;
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
