//! What a person at the terminal sees: progress, and each measurement as it is made.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, Write};

/// A bar on standard error. Where nobody looks, it is not seen.
pub(crate) fn progress(steps: u64, what: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(steps).with_style(style).with_message(what.to_owned())
}

/// Writes a line.
pub(crate) fn say(text: &str) {
    // A reader that went away is no reason to stop measuring.
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// Says what went wrong.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "techtrack-bench: {text}");
}
