//! `cargo xtask package`: a Debian package of the node and the operator's command.
//!
//! Made by dpkg-deb, Debian's own tool, from a tree laid out here and the control files of
//! `packaging/deb`. Every entry carries the time of the last commit and belongs to root, so two runs
//! over the same commit and binaries give the same bytes.
//!
//! ```text
//! usr/bin/{holdfastd,holdfast}                      stripped; symbols go to the .debug files beside
//! usr/lib/{systemd/system,sysusers.d}/              unit, user
//! usr/share/doc/holdfast/                           README, copyright, changelog, settings, errors
//! usr/share/{bash-completion,zsh,fish}/             completions, as `holdfast completions` prints them
//! etc/holdfast/{holdfast.toml,conf.d/}              conffile, read by root and the node alone
//! etc/default/holdfast                              conffile
//! ```
//!
//! The group of `/etc/holdfast` does not exist before the package does, so postinst gives it.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use clap::Args;

use crate::binaries::{self, CLI};
use crate::install::{self, Need};
use crate::package_check;
use crate::run::{Result, checked, output, root, shown};

/// What making a package needs beside the build.
const NEEDS: &[Need] = &[
    Need { brings: "dpkg-deb", apt: "dpkg", dnf: "dpkg" },
    Need { brings: "strip", apt: "binutils", dnf: "binutils" },
    Need { brings: "gzip", apt: "gzip", dnf: "gzip" },
];
/// Where each shell looks for completions.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "usr/share/bash-completion/completions/holdfast"),
    ("zsh", "usr/share/zsh/vendor-completions/_holdfast"),
    ("fish", "usr/share/fish/vendor_completions.d/holdfast.fish"),
];
const DESCRIPTION: &str = "\
Description: Kafka-compatible streaming node
 Kafka clients connect unchanged. A record is acknowledged once it lies in a
 flushed write-ahead log: a cut of the power right after loses nothing.
 .
 The service is neither enabled nor started by the installation.
";

#[derive(Args)]
pub(crate) struct Options {
    /// Installs, upgrades and purges the package in a container with a real systemd (as root).
    #[arg(long)]
    check: bool,
    /// Packages the binaries of this directory, and builds none.
    #[arg(long)]
    binaries: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let binaries = match &options.binaries {
        Some(directory) => directory.clone(),
        None => build()?,
    };
    if options.check {
        return match package_check::run(&binaries)? {
            None => Ok(()),
            Some(why) => {
                println!("skipped: {why}");
                Ok(())
            }
        };
    }
    let deb = Layout::new(&binaries)?.make(version(), &out()?)?;
    println!("{}", output(Command::new("dpkg-deb").arg("--info").arg(&deb))?);
    println!("\n{}\n{}", deb.display(), sha256(&deb)?);
    Ok(())
}

/// Builds what is packaged; the directory it lies in.
pub(crate) fn build() -> Result<PathBuf> {
    install::ensure(install::BUILD)?;
    binaries::build(&[binaries::DAEMON, CLI])?;
    let daemon = binaries::path(binaries::DAEMON);
    daemon.parent().map(Path::to_path_buf).ok_or_else(|| "no directory of binaries".into())
}

/// The version of this source.
pub(crate) fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// Where packages are put.
pub(crate) fn out() -> Result<PathBuf> {
    directory(&root().join("target/package"))
}

/// The digest of a file.
pub(crate) fn sha256(path: &Path) -> Result<String> {
    let line = output(Command::new("sha256sum").arg(path))?;
    Ok(line.split(' ').next().unwrap_or_default().to_owned())
}

/// Stripped binaries and the moment that every file carries.
pub(crate) struct Layout {
    binaries: PathBuf,
    made: SystemTime,
    epoch_s: u64,
    glibc: String,
}

impl Layout {
    /// Strips the binaries of `from`.
    pub(crate) fn new(from: &Path) -> Result<Self> {
        install::ensure(NEEDS)?;
        let said = match std::env::var("SOURCE_DATE_EPOCH") {
            Ok(said) => said,
            Err(_) => {
                output(Command::new("git").current_dir(root()).args(["log", "-1", "--format=%ct"]))?
            }
        };
        let epoch_s: u64 = said.parse().map_err(|_| {
            format!("{said:?} is not a number of seconds: is this a clone? Set SOURCE_DATE_EPOCH")
        })?;
        let binaries = directory(&out()?.join("stripped"))?;
        for name in [binaries::DAEMON.1, CLI.1] {
            let (whole, stripped) = (from.join(name), binaries.join(name));
            let symbols = binaries.join(format!("{name}.debug"));
            let mut keep = Command::new("objcopy");
            checked(keep.arg("--only-keep-debug").arg(&whole).arg(&symbols))?;
            checked(Command::new("strip").arg("-o").arg(&stripped).arg(&whole))?;
        }
        let made = SystemTime::UNIX_EPOCH + Duration::from_secs(epoch_s);
        let glibc = glibc(&binaries)?;
        Ok(Self { binaries, made, epoch_s, glibc })
    }

    /// Makes `holdfast_<version>_<architecture>.deb` in `into`.
    pub(crate) fn make(&self, version: &str, into: &Path) -> Result<PathBuf> {
        let architecture = output(Command::new("dpkg").arg("--print-architecture"))?;
        let name = format!("holdfast_{version}_{architecture}");
        let tree = Tree::new(into.join(format!("{name}.tree")))?;
        self.fill(&tree, version)?;
        let size_kib = tree.size_bytes()?.div_ceil(1024);
        let glibc = &self.glibc;
        // Of the compiler that is here, whose library RocksDB was linked with.
        let stdcxx = output(Command::new("c++").arg("-dumpversion"))?;
        let stdcxx = stdcxx.split('.').next().unwrap_or_default();
        // procps: the unit reloads with /bin/kill.
        let control = format!(
            "Package: holdfast\nVersion: {version}\nArchitecture: {architecture}\n\
             Maintainer: The Holdfast authors <packages@holdfast.invalid>\n\
             Installed-Size: {size_kib}\nDepends: libc6 (>= {glibc}), libgcc-s1, libstdc++6 (>= {stdcxx}), \
             procps, systemd (>= 247)\n\
             Section: database\nPriority: optional\n{DESCRIPTION}"
        );
        tree.write("DEBIAN/control", 0o644, control.as_bytes())?;
        tree.date(self.made)?;
        let deb = into.join(format!("{name}.deb"));
        let mut command = Command::new("dpkg-deb");
        command.args(["--root-owner-group", "-Zxz", "--build"]).arg(&tree.0).arg(&deb);
        command.env("SOURCE_DATE_EPOCH", self.epoch_s.to_string()).stdout(Stdio::null());
        println!("Running: {}", shown(&command));
        checked(&mut command)?;
        Ok(deb)
    }

    fn fill(&self, tree: &Tree, version: &str) -> Result<()> {
        let (deb, docs) = (root().join("packaging/deb"), root().join("packaging/docs"));
        let cli = self.binaries.join(CLI.1);
        tree.copy(&self.binaries.join(binaries::DAEMON.1), "usr/bin/holdfastd", 0o755)?;
        tree.copy(&cli, "usr/bin/holdfast", 0o755)?;
        let unit = root().join("systemd/holdfastd.service");
        tree.copy(&unit, "usr/lib/systemd/system/holdfastd.service", 0o644)?;
        tree.copy(&deb.join("sysusers.conf"), "usr/lib/sysusers.d/holdfast.conf", 0o644)?;
        for (shell, place) in COMPLETIONS {
            let text = output(Command::new(&cli).args(["completions", shell]))?;
            tree.write(place, 0o644, format!("{text}\n").as_bytes())?;
        }
        self.manual(tree, &cli)?;

        tree.copy(&docs.join("holdfast.toml"), "etc/holdfast/holdfast.toml", 0o640)?;
        tree.directory("etc/holdfast/conf.d", 0o750)?;
        tree.directory("etc/holdfast", 0o750)?;
        tree.copy(&deb.join("default"), "etc/default/holdfast", 0o644)?;
        let conffiles = "/etc/holdfast/holdfast.toml\n/etc/default/holdfast\n";
        tree.write("DEBIAN/conffiles", 0o644, conffiles.as_bytes())?;
        for script in ["postinst", "prerm", "postrm"] {
            tree.copy(&deb.join(script), &format!("DEBIAN/{script}"), 0o755)?;
        }

        let doc = "usr/share/doc/holdfast";
        tree.copy(&root().join("README.md"), &format!("{doc}/README.md"), 0o644)?;
        tree.copy(&root().join("LICENSE"), &format!("{doc}/LICENSE"), 0o644)?;
        tree.copy(&deb.join("copyright"), &format!("{doc}/copyright"), 0o644)?;
        tree.gzip(&root().join("CHANGELOG.md"), &format!("{doc}/NEWS.md.gz"))?;
        let at = format!("@{}", self.epoch_s);
        let date = output(Command::new("date").args(["-u", "-R", "-d", &at]).env("LC_ALL", "C"))?;
        let changelog = format!(
            "holdfast ({version}) stable; urgency=medium\n\n  * What changed: NEWS.md.gz beside \
             this file.\n\n -- The Holdfast authors <packages@holdfast.invalid>  {date}\n"
        );
        tree.write("changelog", 0o644, changelog.as_bytes())?;
        tree.gzip(&tree.0.join("changelog"), &format!("{doc}/changelog.gz"))?;
        fs::remove_file(tree.0.join("changelog")).map_err(|error| error.to_string())?;
        for page in files(&docs)? {
            let below = page.strip_prefix(&docs).map_err(|error| error.to_string())?;
            tree.copy(&page, &format!("{doc}/{}", below.display()), 0o644)?;
        }
        Ok(())
    }

    /// Man pages, as `holdfast man` writes them.
    fn manual(&self, tree: &Tree, cli: &Path) -> Result<()> {
        let pages = self.binaries.join("man");
        let _ = fs::remove_dir_all(&pages);
        checked(Command::new(cli).args(["man", "--out"]).arg(&pages).stdout(Stdio::null()))?;
        for page in files(&pages)? {
            let name = page.file_name().unwrap_or_default().to_string_lossy().into_owned();
            tree.gzip(&page, &format!("usr/share/man/man1/{name}.gz"))?;
        }
        Ok(())
    }
}

/// The newest version of glibc that a binary asks for, as its symbol versions name it.
fn glibc(binaries_in: &Path) -> Result<String> {
    const MARK: &[u8] = b"GLIBC_2.";
    let mut newest = 0_u32;
    for name in [binaries::DAEMON.1, CLI.1] {
        let path = binaries_in.join(name);
        let bytes = fs::read(&path).map_err(|error| told(&path, &error))?;
        for (at, _) in bytes.windows(MARK.len()).enumerate().filter(|(_, here)| *here == MARK) {
            let digits = bytes[at + MARK.len()..].iter().take_while(|byte| byte.is_ascii_digit());
            let digits: String = digits.take(3).map(|byte| char::from(*byte)).collect();
            newest = newest.max(digits.parse().unwrap_or(0));
        }
    }
    Ok(format!("2.{newest}"))
}

/// What will be unpacked at `/`, with DEBIAN/ for dpkg-deb. Gone when the package is made.
struct Tree(PathBuf);

impl Tree {
    fn new(path: PathBuf) -> Result<Self> {
        let _ = fs::remove_dir_all(&path);
        directory(&path)?;
        mode(&path, 0o755)?;
        Ok(Self(path))
    }

    /// The path in the tree, its parents made.
    fn place(&self, below: &str) -> Result<PathBuf> {
        let mut path = self.0.clone();
        let (parents, name) = below.rsplit_once('/').unwrap_or(("", below));
        for parent in parents.split('/') {
            path.push(parent);
            if !path.is_dir() {
                directory(&path)?;
                mode(&path, 0o755)?;
            }
        }
        Ok(path.join(name))
    }

    fn directory(&self, below: &str, bits: u32) -> Result<()> {
        let path = self.place(below)?;
        directory(&path)?;
        mode(&path, bits)
    }

    fn copy(&self, from: &Path, below: &str, bits: u32) -> Result<()> {
        let bytes = fs::read(from).map_err(|error| told(from, &error))?;
        self.write(below, bits, &bytes)
    }

    fn write(&self, below: &str, bits: u32, bytes: &[u8]) -> Result<()> {
        let path = self.place(below)?;
        fs::write(&path, bytes).map_err(|error| told(&path, &error))?;
        mode(&path, bits)
    }

    fn gzip(&self, from: &Path, below: &str) -> Result<()> {
        let path = self.place(below)?;
        let file = File::create(&path).map_err(|error| told(&path, &error))?;
        checked(Command::new("gzip").args(["-9", "-n", "-c"]).arg(from).stdout(file))?;
        mode(&path, 0o644)
    }

    fn size_bytes(&self) -> Result<u64> {
        let sizes = files(&self.0)?.into_iter().map(|file| fs::metadata(file).map(|own| own.len()));
        sizes.sum::<std::io::Result<u64>>().map_err(|error| error.to_string())
    }

    /// Sets every entry's time, and below DEBIAN too.
    fn date(&self, made: SystemTime) -> Result<()> {
        for path in entries(&self.0)? {
            let file = File::open(&path).map_err(|error| told(&path, &error))?;
            file.set_modified(made).map_err(|error| told(&path, &error))?;
        }
        Ok(())
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn told(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}

fn directory(path: &Path) -> Result<PathBuf> {
    fs::create_dir_all(path).map_err(|error| told(path, &error))?;
    Ok(path.to_path_buf())
}

fn mode(path: &Path, bits: u32) -> Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(bits)).map_err(|error| told(path, &error))
}

fn files(below: &Path) -> Result<Vec<PathBuf>> {
    Ok(entries(below)?.into_iter().filter(|path| path.is_file()).collect())
}

/// Everything below and the directory itself; children before their directory.
fn entries(below: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(below).map_err(|error| told(below, &error))? {
        let path = entry.map_err(|error| told(below, &error))?.path();
        if path.is_dir() {
            found.extend(entries(&path)?);
        } else {
            found.push(path);
        }
    }
    found.push(below.to_path_buf());
    Ok(found)
}
