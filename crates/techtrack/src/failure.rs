//! How the program fails: what it says, and with which status it exits.

use crate::config::Refused;
use crate::terminal;
use domain::error::BoxError;
use std::error::Error;
use std::fmt;
use std::process::ExitCode;

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The configuration is not accepted.
    Refused(Refused),
    /// The command does not make sense as it was given.
    Usage(String),
    /// It was tried and did not work.
    Failed(BoxError),
}

impl Failure {
    /// The status that tells scripts whether to correct the command (2) or to look at the machine (1).
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Failure::Refused(_) | Failure::Usage(_) => ExitCode::from(2),
            Failure::Failed(_) => ExitCode::FAILURE,
        }
    }

    /// Tells whoever started the program.
    pub(crate) fn tell(&self) {
        terminal::complain(&self.to_string());
    }

    /// Something was tried and broke.
    pub(crate) fn failed(error: impl Into<BoxError>) -> Self {
        Failure::Failed(error.into())
    }

    /// As [`Failure::failed`], said in terms of what was being done.
    pub(crate) fn while_doing(what: impl fmt::Display, error: &dyn Error) -> Self {
        Failure::Failed(format!("{what}: {}", with_causes(error)).into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Refused(refused) => refused.fmt(f),
            Failure::Usage(message) => f.write_str(message),
            Failure::Failed(error) => f.write_str(&with_causes(&**error)),
        }
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Failure::Refused(refused)
    }
}

impl From<domain::error::Error> for Failure {
    fn from(error: domain::error::Error) -> Self {
        Failure::failed(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Failure::failed(error)
    }
}

/// The error and what is below it, outermost first, without what repeats itself.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut told = error.to_string();
    let mut below = error.source();
    while let Some(cause) = below {
        let cause_told = cause.to_string();
        if !told.ends_with(&cause_told) {
            told.push_str(": ");
            told.push_str(&cause_told);
        }
        below = cause.source();
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_tells_its_whole_chain_of_causes_once() {
        let disk = std::io::Error::other("the disk is full");
        let fault = domain::error::Error::Fault(Box::new(disk));
        assert_eq!(Failure::from(fault).to_string(), "internal error: the disk is full");
    }
}
