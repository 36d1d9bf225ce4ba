//! Makes Cargo embed the migrations anew when one is added or changed, which `embed_migrations!` cannot notice by itself,
//! and hands on a digest of them, by which the test databases know their template.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::{fs, io};

const MIGRATIONS: &str = "../../migrations/postgres";

fn main() -> io::Result<()> {
    let mut digest = DefaultHasher::new();
    watch(Path::new(MIGRATIONS), &mut digest)?;
    println!("cargo::rustc-env=MIGRATIONS_DIGEST={:016x}", digest.finish());
    Ok(())
}

fn watch(path: &Path, digest: &mut DefaultHasher) -> io::Result<()> {
    println!("cargo::rerun-if-changed={}", path.display());
    if path.is_file() {
        path.hash(digest);
        return fs::read(path).map(|content| content.hash(digest));
    }
    let mut inside =
        fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
    inside.sort();
    inside.iter().try_for_each(|path| watch(path, digest))
}
