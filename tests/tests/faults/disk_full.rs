//! The disk of the embedded database is full while eight write. Whoever asks is told to come back, what was read before can
//! still be read, and once there is room again so is the server, with nothing lost.

use crate::ledger::hold;
use crate::writers::Writers;
use crate::{patience, recovery, rounds, tell};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tests::{Backend, Options, Server};

/// Room for the database and its log, and for little else.
const SIZE: &str = "size=48m";

/// A disk of a story's own. Taken away when dropped.
struct Disk(TempDir);

impl Disk {
    /// A small one, where whoever runs the tests may mount one.
    fn small() -> Option<Self> {
        let directory = tempfile::Builder::new().prefix("techtrack-disk-").tempdir().expect("a directory");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", SIZE, "none"]).arg(directory.path());
        mount.output().is_ok_and(|done| done.status.success()).then_some(Self(directory))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }

    /// Leaves not a byte.
    fn fill(&self) {
        let mut filler = File::create(self.filler()).expect("a file");
        for size in [1 << 16, 1] {
            let block = vec![0; size];
            while filler.write_all(&block).is_ok() {}
        }
    }

    fn make_room(&self) {
        fs::remove_file(self.filler()).expect("it is there");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: somebody may still be about to let go of a file.
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_without_room_is_told_of_and_used_again_when_it_has() {
    let Some(disk) = Disk::small() else {
        tell("NOT SHOWN: what happens when the disk is full. Only root may mount one small enough to fill.");
        return;
    };
    let url = format!("sqlite://{}", disk.path().join("techtrack.db").display());
    let options = Options::default().set("TECHTRACK_TOKEN_ACCESS_SECONDS", "3600").set("DATABASE_URL", &url);
    let server = Server::start_with(Backend::Sqlite, options).await;
    let admin = server.admin().await;
    let writers = Writers::start(&server, &admin).await;
    for _ in 0..rounds(2, 10) {
        writers.acknowledge(50).await;
        disk.fill();
        writers.turned_away().await;
        let full = Instant::now();
        while full.elapsed() < Duration::from_millis(500) {
            let asked = Instant::now();
            server.anonymous().get("/health/live").await.expect(200);
            admin.get("/api/equipment").await.expect(200);
            assert!(asked.elapsed() < patience(), "two reads took {:?}", asked.elapsed());
        }
        disk.make_room();
        let back = Instant::now();
        writers.acknowledge(1).await;
        let recovered = back.elapsed();
        tell(&format!("the disk was full: writes went on after {:.2} s", recovered.as_secs_f64()));
        assert!(recovered <= recovery(), "recovered after {recovered:?}");
    }
    writers.acknowledge(20).await;
    writers.expect_manners(patience());
    hold(&writers.finish().await, &server.admin().await).await;
    // The disk goes after whoever uses it.
    drop(server);
}
