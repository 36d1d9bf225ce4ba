//! The binary as a process: where it is, how it is started and stopped, what it wrote.

use crate::patience::{LONG, until};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// What a finished run of the binary left.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

/// What it said, if it ended well; else fails the story.
#[track_caller]
pub fn done(finished: &Finished) -> String {
    assert!(finished.status.success(), "{finished:?}");
    finished.stdout.clone()
}

/// Fails the story unless it ended badly, and told this reason.
#[track_caller]
pub fn refused(finished: &Finished, reason: &str) {
    assert!(!finished.status.success(), "{finished:?}");
    assert!(finished.stderr.contains(reason), "`{reason}` is not in {}", finished.stderr);
}

/// A running binary. Killed when dropped.
pub struct Process {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Process {
    /// Starts the binary with these arguments, nothing in its environment but these variables, and this to read.
    pub fn start(directory: &Path, arguments: &[&str], variables: &[(String, String)], input: &str) -> Self {
        let log = log_file();
        let (stdout, stderr) = (log.with_extension("out"), log.with_extension("log"));
        let file = |path: &Path| File::create(path).expect("a file for the binary's output");
        let mut child = Command::new(binary())
            .args(arguments)
            .env_clear()
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .current_dir(directory)
            .stdin(Stdio::piped())
            .stdout(file(&stdout))
            .stderr(file(&stderr))
            .spawn()
            .expect("the binary starts");
        let mut reader = child.stdin.take().expect("its input is piped");
        // Most commands read nothing, and may be gone by now.
        let _ = reader.write_all(input.as_bytes());
        Self { child, stdout, stderr }
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("its state is known").is_none()
    }

    /// What it has written to standard output so far.
    pub fn stdout(&self) -> String {
        fs::read_to_string(&self.stdout).expect("its output is text")
    }

    /// What it has written to standard error, which is its log, so far.
    pub fn stderr(&self) -> String {
        fs::read_to_string(&self.stderr).expect("its log is text")
    }

    /// Asks it to stop, as systemd and Kubernetes do, without waiting.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends it this signal.
    pub fn signal(&self, name: &str) {
        // The shell's own `kill`: the program of that name is missing on small machines.
        let asked = Command::new("sh").arg("-c").arg(format!("kill -{name} {}", self.child.id())).status();
        assert!(asked.expect("a shell runs").success(), "the process is there to be asked");
    }

    /// Waits until it has ended by itself.
    pub async fn finish(mut self) -> Finished {
        let status = self.wait(LONG).await;
        Finished { status, stdout: self.stdout(), stderr: self.stderr() }
    }

    async fn wait(&mut self, limit: Duration) -> ExitStatus {
        let child = &mut self.child;
        until("the binary to end", limit, async || child.try_wait().expect("its state is known")).await
    }

    /// Ends it at once, as a power cut would.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The test runs in `<target>/<profile>/deps`; the binary is one above, unless somebody moved the target directory.
fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let profile = test.parent().and_then(Path::parent).expect("tests run in <target>/<profile>/deps");
    let directory = match moved_target_directory() {
        Some(target) => target.join(profile.file_name().expect("a profile has a name")),
        None => profile.to_owned(),
    };
    let binary = directory.join("techtrack");
    assert!(binary.is_file(), "{} is missing: run `cargo build -p techtrack`", binary.display());
    binary
}

#[allow(clippy::disallowed_methods, reason = "Cargo's own variable says where Cargo puts binaries")]
fn moved_target_directory() -> Option<PathBuf> {
    std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from).filter(|path| path.is_absolute())
}

/// Where this run of the binary writes, named after the test so that the next run of the test replaces it.
fn log_file() -> PathBuf {
    static STARTED: AtomicU32 = AtomicU32::new(0);
    let directory =
        binary().parent().and_then(Path::parent).expect("a target directory").join("black-box-logs");
    fs::create_dir_all(&directory).expect("a directory for logs");
    let test = std::env::current_exe().expect("a test knows its own path");
    let file = test.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let file = file.rsplit_once('-').map_or(file.as_str(), |(name, _hash)| name);
    let thread = std::thread::current();
    let story = thread.name().unwrap_or("unnamed").replace("::", ".");
    let number = STARTED.fetch_add(1, Ordering::Relaxed);
    // No dot before the number: extensions are put behind it.
    directory.join(format!("{file}.{story}-{number}.log"))
}
