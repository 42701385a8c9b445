//! RocksDB as a static library, compiled once for every profile and clone.
//!
//! ```text
//! <cache>/rocksdb-<version of librocksdb-sys>/librocksdb.a
//!      ▲ made once: release, without debug information       │ ROCKSDB_LIB_DIR, ROCKSDB_STATIC
//!      └── cargo build of holdfast-state, a target of its own ▼
//!                                                  every cargo that xtask runs
//! ```
//!
//! Its C++ takes many minutes, and cargo would compile it for each profile and after each `clean`.
//! Cargo by itself still does so where these variables are not set; `cargo xtask rocksdb` prints them.
//! Who sets them in one shell and not in another makes cargo build anew at each change: they are part
//! of what cargo compares.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::binaries::bare_cargo;
use crate::install;
use crate::run::{Result, checked, root, shown};
use crate::tools;

/// The crate that compiles it.
const CRATE: &str = "librocksdb-sys";
const LIBRARY: &str = "librocksdb.a";

/// The directory of the library, made if it is not there.
pub(crate) fn library() -> Result<PathBuf> {
    install::ensure(install::BUILD)?;
    tools::kept(&name()?, |partial| {
        let build = partial.join("build");
        let mut command = bare_cargo();
        command.args(["build", "--release", "--locked", "--package", "holdfast-state"]);
        command.args(["--features", "rocksdb", "--target-dir"]).arg(&build);
        // As RocksDB's own makefile: -O2. Debug information would make it ten times as large.
        for (setting, value) in [("OPT_LEVEL", "2"), ("LTO", "off"), ("DEBUG", "0")] {
            command.env(format!("CARGO_PROFILE_RELEASE_{setting}"), value);
        }
        command.env("ROCKSDB_COMPILE", "1");
        println!("Running once, for many minutes: {}", shown(&command));
        checked(&mut command)?;
        let made = made(&build)?;
        fs::copy(&made, partial.join(LIBRARY))
            .map_err(|error| format!("{}: {error}", made.display()))?;
        let _ = fs::remove_dir_all(build);
        Ok(())
    })
}

/// Prints the variables for a shell.
pub(crate) fn print() -> Result<()> {
    println!("export ROCKSDB_LIB_DIR={} ROCKSDB_STATIC=1", library()?.display());
    Ok(())
}

/// Lets a command use the library, if it is there.
pub(crate) fn provide(command: &mut Command) {
    let directory = name().and_then(|name| Ok(tools::cache()?.join(name)));
    if let Ok(directory) = directory
        && directory.join(LIBRARY).is_file()
    {
        command.env("ROCKSDB_LIB_DIR", directory).env("ROCKSDB_STATIC", "1");
    }
}

/// The library's directory in the cache: of the version that the lock file names.
fn name() -> Result<String> {
    let lock = root().join("Cargo.lock");
    let text = fs::read_to_string(&lock).map_err(|error| format!("{}: {error}", lock.display()))?;
    let version = version_in(&text).ok_or_else(|| format!("{CRATE} is not in Cargo.lock"))?;
    Ok(format!("rocksdb-{version}-{}", std::env::consts::ARCH))
}

fn version_in(lock: &str) -> Option<&str> {
    let name = format!("name = \"{CRATE}\"\nversion = \"");
    let (_, rest) = lock.split_once(&name)?;
    Some(rest.split_once('"')?.0)
}

/// Where cargo left it.
fn made(build: &Path) -> Result<PathBuf> {
    let scripts = build.join("release/build");
    let entries =
        fs::read_dir(&scripts).map_err(|error| format!("{}: {error}", scripts.display()))?;
    let mut found = entries.flatten().map(|entry| entry.path().join("out").join(LIBRARY));
    found
        .find(|path| path.is_file())
        .ok_or_else(|| format!("{LIBRARY} is nowhere in {}", scripts.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_lock_files() {
        let lock = "[[package]]\nname = \"librocksdb-sys\"\nversion = \"0.1.2+3.4\"\nsource = 1\n";
        assert_eq!(version_in(lock), Some("0.1.2+3.4"));
        assert_eq!(version_in("[[package]]\nname = \"other\"\n"), None);
    }

    #[test]
    fn this_repository_has_one() {
        assert!(name().is_ok_and(|name| name.starts_with("rocksdb-")));
    }
}
