//! A PostgreSQL database that is made for a run and removed after it, asked through `psql` and `pgbench` alone, as
//! anybody else would who wants to know what PostgreSQL can do.

use crate::failure::{Outcome, failed};
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

/// A database of our own.
pub(crate) struct Database {
    server: String,
    url: String,
    name: String,
}

impl Database {
    /// Makes one on this server. What a killed run left behind goes first.
    pub(crate) fn create(server: &str, purpose: &str) -> Outcome<Self> {
        Self::from(server, purpose, "template1")
    }

    /// A copy of this one, to which nobody may be connected.
    pub(crate) fn copy_of(&self, purpose: &str) -> Outcome<Self> {
        Self::from(&self.server, purpose, &self.name)
    }

    fn from(server: &str, purpose: &str, template: &str) -> Outcome<Self> {
        let name = format!("techtrack_bench_{purpose}");
        ask(server, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))?;
        ask(server, &format!("CREATE DATABASE {name} TEMPLATE {template}"))?;
        let (base, _) =
            server.rsplit_once('/').ok_or_else(|| failed("the database's URL names no database"))?;
        Ok(Self { server: server.to_owned(), url: format!("{base}/{name}"), name })
    }

    /// Lets sessions from now on commit without waiting for the disk, while something is made that is not measured.
    /// Copies of this database wait again.
    pub(crate) fn make_haste(&self) -> Outcome<()> {
        self.ask(&format!("ALTER DATABASE {} SET synchronous_commit = off", self.name)).map(drop)
    }

    /// Where it is.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Runs statements and gives the rows of the last one as text.
    pub(crate) fn ask(&self, sql: &str) -> Outcome<String> {
        ask(&self.url, sql)
    }

    /// A number out of the database.
    pub(crate) fn number(&self, sql: &str) -> Outcome<f64> {
        Ok(self.ask(sql)?.parse()?)
    }

    /// How long `psql \copy` takes to load a binary file into a table, by psql's own clock.
    pub(crate) fn load(&self, table: &str, columns: &str, file: &Path) -> Outcome<Duration> {
        let copy = format!("\\copy {table} ({columns}) from '{}' with (format binary)", file.display());
        let text = finished(psql(&self.url).args(["-c", "\\timing on", "-c", &copy]).output()?)?;
        let time = text.lines().find_map(|line| line.strip_prefix("Time: ")?.split(' ').next());
        let milliseconds: f64 = time.ok_or_else(|| failed("psql told no time"))?.parse()?;
        Ok(Duration::from_secs_f64(milliseconds / 1000.0))
    }

    /// How many transactions a second `pgbench` gets through with this script.
    pub(crate) fn transactions_per_second(
        &self,
        script: &Path,
        clients: usize,
        time: Duration,
    ) -> Outcome<f64> {
        let clients = clients.to_string();
        let seconds = time.as_secs().max(1).to_string();
        let mut pgbench = Command::new("pgbench");
        pgbench.args([
            "--no-vacuum",
            "--protocol=prepared",
            "--jobs=2",
            "--client",
            &clients,
            "--time",
            &seconds,
        ]);
        let text = finished(pgbench.arg("--file").arg(script).arg(&self.url).output()?)?;
        let tps = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next());
        Ok(tps.ok_or_else(|| failed("pgbench told no rate"))?.parse()?)
    }

    /// The process that all others of this server descend from; none when it runs on another machine or in a container.
    pub(crate) fn postmaster(&self) -> Option<u32> {
        let pid: u32 =
            self.ask("SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)").ok()?.parse().ok()?;
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        name.starts_with("postgres").then_some(pid)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Whatever is left, the next run removes.
        let _ = ask(&self.server, &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
    }
}

fn psql(url: &str) -> Command {
    let mut psql = Command::new("psql");
    psql.args(["--no-psqlrc", "--no-password", "--quiet", "--tuples-only", "--no-align"]);
    psql.args(["--set", "ON_ERROR_STOP=1", url]);
    psql
}

/// Runs statements at this URL and gives the rows of the last one as text.
pub(crate) fn ask(url: &str, sql: &str) -> Outcome<String> {
    finished(psql(url).args(["-c", sql]).output()?).map(|text| text.trim().to_owned())
}

fn finished(output: Output) -> Outcome<String> {
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout)?);
    }
    Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}
