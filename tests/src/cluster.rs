//! A PostgreSQL cluster of a story's own: one that may be killed, frozen, stopped and promoted, which nobody does to a
//! server that others use. It is started from the programs of the newest PostgreSQL on the machine, with fsync on: a promise
//! about durability is not tested on a database that makes none.

use crate::patience::{LONG, until};
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

/// The user that the Debian package brings: PostgreSQL refuses to run as root.
const SERVER_USER: &str = "postgres";

/// How long to wait before looking again whether it is there.
const PAUSE: Duration = Duration::from_millis(10);

/// A cluster with one database for a server of ours. Ended and removed when dropped.
pub struct Cluster {
    /// As `tests/scripts/with-services.sh` lays it out, so that `clean-test-services.sh` finds what a killed run left behind.
    state: TempDir,
    port: u16,
}

impl Cluster {
    /// A new one.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// A new one with these settings, each such as `max_connections=12`.
    pub async fn start_with(settings: &[&str]) -> Self {
        let cluster = Self::at(free_port());
        let initdb = ["--pgdata", &cluster.data(), "--username", SERVER_USER, "--auth", "trust", "--no-sync"];
        cluster.run("initdb", &[&initdb[..], &["--encoding", "UTF8", "--locale", "C.UTF-8"]].concat()).await;
        let lines: String = settings.iter().map(|setting| format!("{setting}\n")).collect();
        cluster.configure(&lines);
        cluster.start_again().await;
        cluster
    }

    /// A copy of this cluster that follows it and never falls behind: from now on a commit here is acknowledged only when
    /// it is safe there as well. It takes this port, or else any.
    pub async fn synchronous_standby(&self, port: Option<u16>) -> Self {
        let standby = Self::at(port.unwrap_or_else(free_port));
        let source = format!("host=127.0.0.1 port={} user={SERVER_USER} application_name=standby", self.port);
        let copy = ["--pgdata", &standby.data(), "--dbname", &source, "--write-recovery-conf", "--no-sync"];
        standby.run("pg_basebackup", &[&copy[..], &["--checkpoint", "fast"]].concat()).await;
        standby.start_again().await;
        self.tell("ALTER SYSTEM SET synchronous_standby_names = '*'").await;
        self.tell("SELECT pg_reload_conf()").await;
        let in_step = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
        until("the standby to be in step", LONG, async || (self.ask(in_step).await == "1").then_some(()))
            .await;
        standby
    }

    fn at(port: u16) -> Self {
        let mut state = tempfile::Builder::new();
        let state = state.prefix("techtrack-services.").permissions(Permissions::from_mode(0o755)).tempdir();
        let state = state.expect("a temporary directory");
        fs::write(state.path().join("owner.pid"), std::process::id().to_string()).expect("a file in it");
        let cluster = Self { state, port };
        fs::create_dir(cluster.home()).expect("a directory in it");
        if we_are_root() {
            succeed(Command::new("chown").arg(SERVER_USER).arg(cluster.home()));
        }
        cluster
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `host:port`.
    pub fn authority(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The URL of its database.
    pub fn url(&self) -> String {
        format!("postgres://{SERVER_USER}@{}/postgres", self.authority())
    }

    /// Starts it after it was ended, and waits until it accepts connections.
    pub async fn start_again(&self) {
        let listen = format!(
            "-c listen_addresses=127.0.0.1 -c port={} -c unix_socket_directories={}",
            self.port,
            self.home().display()
        );
        let log = self.log().display().to_string();
        let start = ["start", "--no-wait", "--silent", "--pgdata", &self.data(), "--log", &log];
        self.run("pg_ctl", &[&start[..], &["--options", &listen]].concat()).await;
        self.accepts_connections().await;
    }

    /// Waits until it accepts connections.
    pub async fn accepts_connections(&self) {
        let deadline = Instant::now() + LONG;
        while self.connect().await.is_none() {
            let log = || fs::read_to_string(self.log()).unwrap_or_default();
            assert!(Instant::now() < deadline, "PostgreSQL accepts no connections after {LONG:?}: {}", log());
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Ends all of it at once, as a power cut would.
    pub fn kill(&self) {
        signal("KILL", &self.processes());
        let postmaster = self.postmaster().expect("it was running");
        while is_alive(postmaster) {
            std::thread::yield_now();
        }
        // After a power cut the number in these files is nobody's. Here it may be a dead one's whom nobody buries.
        for lock in ["data/postmaster.pid", &format!(".s.PGSQL.{}.lock", self.port)] {
            fs::remove_file(self.home().join(lock)).expect("it is there");
        }
    }

    /// Kills one process that serves a client, as the kernel does when memory runs out. PostgreSQL then ends all others, and
    /// recovers. Waits until that has begun.
    pub async fn kill_one_session(&self) {
        let witness = self.connect().await.expect("it accepts connections");
        let victim = "SELECT pid FROM pg_stat_activity WHERE application_name = 'techtrack' LIMIT 1";
        let victim = asked(&witness, victim).await;
        signal("KILL", &[victim.parse().expect("a server of ours is connected")]);
        until("PostgreSQL to notice", LONG, async || witness.is_closed().then_some(())).await;
    }

    /// Stops all of it where it stands. Connections are still accepted, by the kernel, and never answered.
    pub fn freeze(&self) {
        signal("STOP", &self.processes());
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        signal("CONT", &self.processes());
    }

    /// Makes a standby the primary.
    pub async fn promote(&self) {
        self.run("pg_ctl", &["promote", "--silent", "--pgdata", &self.data()]).await;
    }

    /// How many sessions of our servers there are.
    pub async fn sessions(&self) -> usize {
        let count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'techtrack'";
        self.ask(count).await.parse().expect("a count")
    }

    /// Says something to its database.
    pub async fn tell(&self, statement: &str) {
        self.ask(statement).await;
    }

    /// The first value of the first row that it answers; nothing where there is none.
    pub async fn ask(&self, query: &str) -> String {
        asked(&self.connect().await.expect("PostgreSQL accepts connections"), query).await
    }

    /// A connection to it, unless it accepts none.
    pub async fn connect(&self) -> Option<Client> {
        let config: Config = format!("{}?application_name=story", self.url()).parse().expect("a URL");
        let (client, connection) = config.connect(NoTls).await.ok()?;
        tokio::spawn(connection);
        Some(client)
    }

    fn home(&self) -> PathBuf {
        self.state.path().join("postgres")
    }

    fn data(&self) -> String {
        self.home().join("data").display().to_string()
    }

    fn log(&self) -> PathBuf {
        self.home().join("server.log")
    }

    fn configure(&self, lines: &str) {
        let path = self.home().join("data/postgresql.conf");
        let before = fs::read_to_string(&path).expect("initdb wrote a configuration");
        fs::write(path, format!("{before}\n{lines}")).expect("a configuration can be written");
    }

    fn postmaster(&self) -> Option<u32> {
        let file = fs::read_to_string(self.home().join("data/postmaster.pid")).ok()?;
        file.lines().next()?.parse().ok()
    }

    /// The postmaster and all that it started.
    fn processes(&self) -> Vec<u32> {
        let postmaster = self.postmaster().expect("it runs");
        let all = fs::read_dir("/proc").expect("there is a /proc").flatten();
        let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let ours = pids.filter(|pid| parent_of(*pid) == Some(postmaster));
        std::iter::once(postmaster).chain(ours).collect()
    }

    async fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = as_server_user(&programs().join(program));
        command.args(arguments).current_dir("/");
        let done = tokio::task::spawn_blocking(move || succeed(&mut command));
        done.await.expect("PostgreSQL's programs do as they are told");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let Some(postmaster) = self.postmaster() else { return };
        if is_alive(postmaster) {
            self.thaw();
            let mut stop = as_server_user(&programs().join("pg_ctl"));
            let stop = stop.args(["stop", "--silent", "--mode", "immediate", "--pgdata", &self.data()]);
            let _ = stop.current_dir("/").stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
    }
}

async fn asked(client: &Client, query: &str) -> String {
    let answer = client.simple_query(query).await.expect("PostgreSQL does as it is told");
    let row = answer.iter().find_map(|message| {
        let SimpleQueryMessage::Row(row) = message else { return None };
        row.get(0)
    });
    row.unwrap_or_default().to_owned()
}

/// Where Debian keeps the server's programs, one directory a version.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let number = |path: &Path| path.file_name().and_then(OsStr::to_str)?.parse::<u32>().ok();
    let newest = versions.map(|entry| entry.path()).max_by_key(|path| number(path));
    let programs = newest.map(|version| version.join("bin")).filter(|bin| bin.join("initdb").is_file());
    programs.expect("PostgreSQL's programs are in /usr/lib/postgresql: apt-get install postgresql")
}

fn as_server_user(program: &Path) -> Command {
    if we_are_root() {
        let mut command = Command::new("runuser");
        command.args(["-u", SERVER_USER, "--"]).arg(program);
        command
    } else {
        Command::new(program)
    }
}

fn we_are_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

fn succeed(command: &mut Command) {
    // Into a file, not a pipe: what `pg_ctl start` starts would hold the pipe open.
    let output = tempfile::tempfile().expect("a temporary file");
    let copy = || output.try_clone().expect("a second handle");
    let status = command.stdin(Stdio::null()).stdout(copy()).stderr(copy()).status();
    let status = status.unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    assert!(status.success(), "{command:?} failed: {}", written_to(output));
}

fn written_to(mut file: fs::File) -> String {
    use std::io::{Read, Seek};
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.read_to_string(&mut text));
    read.map(|_| text).unwrap_or_default()
}

/// Sends a signal by the shell's own `kill`: the program of that name is missing on small machines. Who is gone already needs
/// none.
pub fn signal(name: &str, processes: &[u32]) {
    let list: Vec<String> = processes.iter().map(u32::to_string).collect();
    let mut shell = Command::new("sh");
    let sent = shell.arg("-c").arg(format!("kill -{name} {}", list.join(" "))).stderr(Stdio::null()).status();
    sent.expect("a shell runs");
}

fn parent_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in the second field may have spaces and brackets of its own.
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// Whether it runs. The dead whom nobody has buried do not.
fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().next());
    state.is_some_and(|state| state != "Z")
}

/// Below the range that the kernel hands to outgoing connections, so that it is still free after a restart.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Tests that run side by side have numbers that follow each other, and shall not want the same ports.
    let start = (std::process::id().wrapping_mul(37) % 10_000) as u16;
    loop {
        let port = 20_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
