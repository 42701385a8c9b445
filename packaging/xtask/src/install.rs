//! Packages of the distribution: what is missing is named, then installed with apt or dnf.
//!
//! A need is known by the file or program it must bring, never by the package database, so a
//! machine that has the thing from elsewhere is left alone. Nothing is run silently; without root
//! the same line goes through sudo.

use std::path::Path;
use std::process::Command;

use crate::run::{Result, checked, found, shown};

/// Something a build or a test cannot do without.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Need {
    /// A program to be found in PATH, or an absolute path.
    pub(crate) brings: &'static str,
    /// Debian and Ubuntu package.
    pub(crate) apt: &'static str,
    /// Fedora and RHEL package.
    pub(crate) dnf: &'static str,
}

const fn need(brings: &'static str, apt: &'static str, dnf: &'static str) -> Need {
    Need { brings, apt, dnf }
}

/// What the release build needs beside Rust.
pub(crate) const BUILD: &[Need] = &[
    need("cc", "gcc", "gcc"),
    need("c++", "g++", "gcc-c++"),
    // Reads RocksDB's C header for bindgen, with its library and its own headers.
    need("clang", "clang", "clang"),
    need("/usr/include/stdio.h", "libc6-dev", "glibc-devel"),
    need("make", "make", "make"),
    need("protoc", "protobuf-compiler", "protobuf-compiler"),
];

/// What the tests need beside the build.
pub(crate) const TEST: &[Need] = &[
    need("kcat", "kcat", "kcat"),
    need("systemd-analyze", "systemd", "systemd"),
    need("mkfs.ext4", "e2fsprogs", "e2fsprogs"),
    need("mount", "mount", "util-linux"),
    need("tar", "tar", "tar"),
    need("xz", "xz-utils", "xz"),
];

/// What a guest needs beside its own parts.
pub(crate) const GUEST: &[Need] = &[
    need("qemu-system-x86_64", "qemu-system-x86", "qemu-system-x86-core"),
    need("mkfs.ext4", "e2fsprogs", "e2fsprogs"),
    need("strip", "binutils", "binutils"),
];

/// What the bench needs beside the build.
pub(crate) const BENCH: &[Need] =
    &[need("fio", "fio", "fio"), need("fincore", "util-linux", "util-linux-core")];

/// What Kafka and clients in Java need.
pub(crate) const JAVA: &[Need] = &[
    need("java", "openjdk-17-jdk-headless", "java-17-openjdk-devel"),
    need("javac", "openjdk-17-jdk-headless", "java-17-openjdk-devel"),
    need("mvn", "maven", "maven"),
];

/// What clients in Python need.
pub(crate) const PYTHON: &[Need] =
    &[need("python3", "python3", "python3"), need("pip3", "python3-pip", "python3-pip")];

/// What the client programs need beside the tools that `clients` fetches.
pub(crate) const CLIENTS: &[Need] = &[need("kcat", "kcat", "kcat")];

fn missing(needs: &[Need]) -> Vec<Need> {
    let absent = |need: &&Need| match need.brings.strip_prefix('/') {
        Some(_) => !Path::new(need.brings).exists(),
        None => found(need.brings).is_none(),
    };
    needs.iter().filter(absent).copied().collect()
}

/// Installs what is missing and looks again.
pub(crate) fn ensure(needs: &[Need]) -> Result<()> {
    let absent = missing(needs);
    if absent.is_empty() {
        return Ok(());
    }
    let names = |pick: fn(&Need) -> &'static str| absent.iter().map(pick).collect::<Vec<_>>();
    let lacking = names(|need| need.brings).join(", ");
    println!("This machine lacks: {lacking}.");
    if found("apt-get").is_some() {
        // Package lists may be absent on a fresh machine; an update that fails is told by the
        // install that follows.
        let _ = as_root(&["apt-get", "update", "-q"]);
        let mut line = vec!["apt-get", "install", "-q", "-y", "--no-install-recommends"];
        line.extend(names(|need| need.apt));
        as_root(&line)?;
    } else if found("dnf").is_some() {
        let mut line = vec!["dnf", "install", "-y"];
        line.extend(names(|need| need.dnf));
        as_root(&line)?;
    } else {
        let apt = names(|need| need.apt).join(" ");
        return Err(format!(
            "{lacking} missing, and neither apt-get nor dnf is here; install what your \
             distribution calls {apt}, then run this again"
        ));
    }
    match missing(needs) {
        still if still.is_empty() => Ok(()),
        still => Err(format!("{} still missing after the installation", still[0].brings)),
    }
}

/// Runs one line as root: directly, or through sudo.
pub(crate) fn as_root(line: &[&str]) -> Result<()> {
    let mut command = if is_root() {
        Command::new(line[0])
    } else if found("sudo").is_some() {
        let mut command = Command::new("sudo");
        command.arg(line[0]);
        command
    } else {
        return Err(format!(
            "`{}` needs root, and sudo is not here: run it as root",
            line.join(" ")
        ));
    };
    command.args(&line[1..]);
    // Packages must not stop to ask questions.
    command.env("DEBIAN_FRONTEND", "noninteractive");
    println!("Running: {}", shown(&command));
    checked(&mut command)
}

/// Is this root?
pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}
