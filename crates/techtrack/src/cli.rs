//! The command line: its words, its help, and what was said on it. What the commands do is in [`crate::commands`].

use crate::config::{DatabaseUrl, Entry, SETTINGS, Setting, Source, Value};
use clap::{Arg, ArgMatches, Args, FromArgMatches, Parser, Subcommand};
use domain::audit::chain::Hash;
use domain::error::Reason;
use domain::text::{Email, RoleName, Secret, Username};
use std::fmt::Write as _;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  techtrack serve                              on an embedded SQLite file, at http://127.0.0.1:8000
  techtrack serve --listen 0.0.0.0:80 --database-url postgres://techtrack@db/techtrack
  techtrack demo                               a plant that moves, to look at
  techtrack --config /etc/techtrack.toml config    what would be in effect, and why
  techtrack user create anna --role OPERATOR       asks for the password without showing it
  techtrack user reset-password anna               prints a password for one sign-in
  techtrack import equipment plant.csv --dry-run   what the file would change, and what is wrong with it
";

/// Equipment, readings, alerts and people of an industrial plant, behind a REST API.
#[derive(Debug, Parser)]
#[command(
    name = "techtrack",
    version,
    after_help = "`techtrack --help` shows examples and every setting.",
    after_long_help = teaching(),
    disable_help_subcommand = true,
    max_term_width = 120
)]
pub(crate) struct CommandLine {
    /// A TOML file with settings.
    #[arg(long, global = true, value_name = "FILE", help_heading = "Settings")]
    pub config: Option<PathBuf>,

    #[command(flatten)]
    pub flags: Flags,

    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the API until told to stop (SIGTERM, Ctrl-C); requests under way are finished first.
    Serve,

    /// Serve a small plant that moves, to look at: machines with a week of history, people, rules, alerts, and new readings
    /// every second. Unless you name a database, its data are in var/demo.db. Never puts a plant where one is already.
    Demo,

    /// Bring the database's schema up to date.
    Migrate {
        /// Change nothing; exit with 1 when the schema is not up to date.
        #[arg(long)]
        check: bool,
    },

    /// Roll up, pack and remove what is old, as servers do by themselves now and then.
    Tend,

    /// Create accounts, reset passwords, list people.
    #[command(subcommand)]
    User(UserCommand),

    /// Bring what others keep into the plant.
    #[command(subcommand)]
    Import(ImportCommand),

    /// Write what the plant holds for others.
    #[command(subcommand)]
    Export(ExportCommand),

    /// Copy the embedded database, as it is at this moment, into a file; servers go on meanwhile. All that was acknowledged before
    /// is in it. Databases of PostgreSQL are backed up by PostgreSQL's own means.
    Backup {
        /// The file to write. It appears under this name when it is complete and on the disk.
        file: PathBuf,

        /// Replace the file if it is there.
        #[arg(long)]
        force: bool,
    },

    /// Make a backup the embedded database, after checking the file, its schema and its audit trail. No server may run on it.
    Restore {
        /// A file that `backup` wrote. It stays as it is.
        file: PathBuf,

        /// Replace the database that is there, which is kept beside it under another name.
        #[arg(long)]
        force: bool,

        /// Restore it even though its audit trail was touched, which is noted at the trail's end.
        #[arg(long)]
        despite_trail: bool,
    },

    /// Carry all of the embedded database over to an empty one of PostgreSQL, and compare what arrived with what left. All or
    /// nothing; the embedded database stays, brought up to date for this release. No server may run on either.
    Move {
        /// Where to: postgres://USER:PASSWORD@HOST/DATABASE, a database in which nothing is yet. With `-` the URL is read from the
        /// first line of standard input, where other users of the machine do not see its password.
        #[arg(long, value_name = "URL", value_parser = target)]
        to: Target,

        /// Move it even though its audit trail was touched, which is noted at the trail's end.
        #[arg(long)]
        despite_trail: bool,
    },

    /// See whether somebody touched the audit trail, and note where it ends.
    #[command(subcommand)]
    Audit(AuditCommand),

    /// Look after the keys that sign tokens.
    #[command(subcommand)]
    Keys(KeysCommand),

    /// Print the effective configuration as TOML, with the source of each value; secrets are masked.
    Config {
        /// Print every setting explained, as Markdown, instead.
        #[arg(long)]
        reference: bool,
    },

    /// Print the OpenAPI document.
    Openapi,

    /// Print every error code explained, as Markdown.
    Errors,

    /// Print every metric explained, as Markdown.
    Metrics,

    /// Ask the server at the configured address whether it is ready; exit with 1 when it is not.
    Healthcheck,
}

/// What to do with people.
#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Create an account.
    Create(NewAccount),

    /// Give an account a one-time password, print it, and end the account's sessions.
    ResetPassword {
        /// The login.
        #[arg(value_parser = |text: &str| told(Username::parse(text)))]
        name: Username,
    },

    /// List all accounts.
    List {
        /// As JSON lines instead of a table.
        #[arg(long)]
        json: bool,
    },
}

/// An account to be created from the command line.
#[derive(Debug, Args)]
pub(crate) struct NewAccount {
    /// The login.
    #[arg(value_parser = |text: &str| told(Username::parse(text)))]
    pub name: Username,

    /// The e-mail address.
    #[arg(long, value_parser = |text: &str| told(Email::parse(text)))]
    pub email: Option<Email>,

    /// A role of the account; may be given several times.
    #[arg(long = "role", value_name = "ROLE", default_value = "CLIENT",
        value_parser = |text: &str| told(RoleName::parse(text)))]
    pub roles: Vec<RoleName>,

    /// The login of the account's mentor.
    #[arg(long, value_name = "LOGIN", value_parser = |text: &str| told(Username::parse(text)))]
    pub mentor: Option<Username>,

    /// Make the account a mentor itself.
    #[arg(long)]
    pub is_mentor: bool,

    /// Read the password from the first line of standard input instead of asking for it.
    #[arg(long)]
    pub password_stdin: bool,
}

fn told<T>(read: Result<T, Reason>) -> Result<T, String> {
    read.map_err(|reason| reason.message)
}

/// What to bring in.
#[derive(Debug, Subcommand)]
pub(crate) enum ImportCommand {
    /// Register and update equipment from a file of comma-separated values. A piece whose serial number is registered
    /// already is updated; what is wrong is told by line, and the other lines are imported. Exits with 1 when a line failed.
    Equipment {
        /// A file in UTF-8 whose first line names its columns: name and type, and as you like id, model, manufacturer,
        /// serial_number, installation_date, location, parent, status, attributes.
        file: PathBuf,

        /// Check every line and say what would become of it; write nothing.
        #[arg(long)]
        dry_run: bool,
    },
}

/// What to write.
#[derive(Debug, Subcommand)]
pub(crate) enum ExportCommand {
    /// Write the equipment register as comma-separated values, in the form that `import equipment` reads.
    Equipment {
        /// The file to write; standard output without one.
        file: Option<PathBuf>,
    },
}

/// What to do with the audit trail.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Walk along the whole trail and name the first row that was edited, removed or reordered; exit with 1 when there is one.
    /// Servers may go on meanwhile.
    Verify {
        /// A head that was noted earlier: fail unless the trail still contains it, as it does not when it was rewritten.
        #[arg(long, value_name = "HASH", value_parser = hash)]
        expect: Option<Hash>,
    },

    /// Print the hash of the newest row, to be noted where whoever writes the database cannot write.
    Head,
}

/// Where to move.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// Here.
    Postgres(Secret),
    /// As somebody says on standard input.
    Said,
}

fn target(text: &str) -> Result<Target, String> {
    if text == "-" { Ok(Target::Said) } else { postgres(text).map(Target::Postgres) }
}

/// The URL of a database of PostgreSQL.
pub(crate) fn postgres(text: &str) -> Result<Secret, String> {
    match DatabaseUrl::read(text)? {
        DatabaseUrl::Postgres(url) => Ok(url),
        DatabaseUrl::Sqlite(_) => Err("must be postgres://USER:PASSWORD@HOST/DATABASE".to_owned()),
    }
}

fn hash(text: &str) -> Result<Hash, String> {
    Hash::parse(text).ok_or_else(|| "a hash has 64 hexadecimal digits".to_owned())
}

/// What to do with signing keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Sign with a new key from now on; tokens signed with the one before stay good.
    Rotate,
}

/// The settings that have a flag, and what was given for them. They come from the table of settings, so that names,
/// defaults and help are said once.
#[derive(Debug, Default)]
pub(crate) struct Flags(pub Vec<Entry>);

fn flagged() -> impl Iterator<Item = (&'static Setting, &'static str)> {
    SETTINGS.iter().filter_map(|setting| Some((setting, setting.flag?)))
}

impl Args for Flags {
    fn augment_args(command: clap::Command) -> clap::Command {
        flagged().fold(command, |command, (setting, flag)| {
            let variables: Vec<_> = setting.variables().collect();
            let mut help = format!("{} [env: {}]", setting.about, variables.join(", "));
            if !setting.default.is_empty() {
                let _ = write!(help, " [default: {}]", setting.default);
            }
            command.arg(
                Arg::new(flag)
                    .long(flag)
                    .global(true)
                    .help(help)
                    .value_name("VALUE")
                    .help_heading("Settings"),
            )
        })
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = flagged().filter_map(|(setting, flag)| {
            let text = matches.get_one::<String>(flag)?;
            Some(Entry::new(setting, text, Source::Flag(flag)))
        });
        Ok(Self(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Examples, and every setting by its name in the environment.
fn teaching() -> String {
    let mut page = format!(
        "{EXAMPLES}
Settings come from flags, else from the environment, else from the file given by --config (`http.listen` is the key \
`listen` in the table `[http]`), else they have the default shown. Names that are no setting are refused.

Environment:
"
    );
    for setting in SETTINGS {
        let variables: Vec<_> = setting.variables().collect();
        let default = Some(setting.default).filter(|default| !default.is_empty());
        let default = default.map_or_else(String::new, |default| format!(" [default: {default}]"));
        let _ = writeln!(
            page,
            "  {}  ({})\n      {}{default}",
            variables.join(", "),
            setting.name(),
            setting.about
        );
    }
    page.push_str("\nExit status: 0 done, 1 failed, 2 not understood (command line or configuration).");
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_holds_together() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn a_flag_is_heard_before_and_after_the_command() {
        for arguments in [
            ["techtrack", "--listen", "127.0.0.1:9", "serve"],
            ["techtrack", "serve", "--listen", "127.0.0.1:9"],
        ] {
            let line = CommandLine::try_parse_from(arguments).unwrap();
            let given: Vec<_> = line.flags.0.iter().map(|entry| (entry.key, entry.text.as_str())).collect();
            assert_eq!(given, [("listen", "127.0.0.1:9")]);
        }
    }

    #[test]
    fn help_names_every_variable_and_default() {
        let help = CommandLine::command().render_long_help().to_string();
        for setting in SETTINGS {
            for variable in setting.variables() {
                assert!(help.contains(&variable), "{variable}");
            }
            assert!(help.contains(setting.default), "{}", setting.default);
        }
    }
}
