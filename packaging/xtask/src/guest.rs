//! What a minimal guest is made of: Debian's kernel for clouds, a few of its modules, busybox.
//!
//! ```text
//! apt-get download ─▶ *.deb ─ dpkg-deb -x ─▶ <cache>/guest-N/{vmlinuz, busybox, modules/*.ko, versions}
//! ```
//!
//! Nothing of it is installed here: it runs inside QEMU, from an archive in memory that
//! `tests/powercut` makes of it and of the node. A whole Debian would take 20 s to boot where
//! QEMU has to translate; this takes 5.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::install;
use crate::run::{Result, checked, found, output, shown};
use crate::tools::{self, kept};

/// Raised when what is kept changes.
const KIT: &str = "guest-1";
/// Depends on the newest kernel.
const KERNEL: &str = "linux-image-cloud-amd64";
const BUSYBOX: &str = "busybox-static";
/// All that `tests/powercut` loads.
const MODULES: [&str; 10] = [
    "virtio",
    "virtio_ring",
    "virtio_pci",
    "virtio_pci_legacy_dev",
    "virtio_pci_modern_dev",
    "virtio_blk",
    "failover",
    "net_failover",
    "virtio_net",
    "virtio-rng",
];

/// Why no guest can be made here, if so.
pub(crate) fn obstacle() -> Option<&'static str> {
    if std::env::consts::ARCH != "x86_64" {
        return Some("guests are made for x86-64 only");
    }
    if found("apt-get").is_none() || found("dpkg-deb").is_none() {
        return Some("guests take Debian's kernel by apt-get, which is not here");
    }
    None
}

/// Sets the variables that `holdfast-powercut` looks for.
pub(crate) fn provide(command: &mut Command) -> Result<()> {
    command.env("HOLDFAST_GUEST", parts()?);
    command.env("HOLDFAST_LIBRDKAFKA", tools::librdkafka()?);
    Ok(())
}

/// The directory of a guest's parts, fetched if it is not there; QEMU is installed.
fn parts() -> Result<PathBuf> {
    if let Some(why) = obstacle() {
        return Err(why.to_owned());
    }
    install::ensure(install::GUEST)?;
    kept(KIT, |partial| {
        // A fresh machine has no package lists; an update that fails is told by what follows.
        let _ = install::as_root(&["apt-get", "update", "-q"]);
        let depends = output(Command::new("apt-cache").args(["depends", "--important", KERNEL]))?;
        let kernel = kernel_in(&depends)
            .ok_or_else(|| format!("apt knows no {KERNEL}: its guest needs Debian's packages"))?;
        let mut command = Command::new("apt-get");
        command.current_dir(partial).args(["-q", "-o", "APT::Sandbox::User=root", "download"]);
        command.args([kernel, BUSYBOX]);
        println!("Running: {}", shown(&command));
        checked(&mut command)?;
        let unpacked = partial.join("unpacked");
        let mut versions = String::new();
        for deb in files(partial, ".deb")? {
            checked(Command::new("dpkg-deb").arg("-x").arg(&deb).arg(&unpacked))?;
            versions.push_str(&deb.file_name().unwrap_or_default().to_string_lossy());
            versions.push('\n');
            let _ = fs::remove_file(deb);
        }
        keep(&unpacked, partial)?;
        let _ = fs::remove_dir_all(unpacked);
        fs::write(partial.join("versions"), versions).map_err(|error| error.to_string())
    })
}

/// The package that the newest kernel is in, in what apt-cache prints.
fn kernel_in(depends: &str) -> Option<&str> {
    let mut names = depends.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    names.find(|name| name.starts_with("linux-image-"))
}

/// Copies the parts from the unpacked packages.
fn keep(unpacked: &Path, parts: &Path) -> Result<()> {
    let copy = |from: &Path, to: PathBuf| {
        let copied = fs::copy(from, to).map(drop);
        copied.map_err(|error| format!("{}: {error}", from.display()))
    };
    copy(&only(&files(&unpacked.join("boot"), "vmlinuz-")?)?, parts.join("vmlinuz"))?;
    let busybox = ["bin/busybox", "usr/bin/busybox"].map(|place| unpacked.join(place));
    let busybox: Vec<PathBuf> = busybox.into_iter().filter(|path| path.is_file()).collect();
    copy(&only(&busybox)?, parts.join("busybox"))?;
    let modules = parts.join("modules");
    fs::create_dir_all(&modules).map_err(|error| format!("{}: {error}", modules.display()))?;
    for module in MODULES {
        let file = format!("{module}.ko");
        let line = output(Command::new("find").arg(unpacked).args(["-name", &file]))?;
        if line.is_empty() {
            return Err(format!("{KERNEL} has no module {module}"));
        }
        copy(Path::new(&line), modules.join(file))?;
    }
    Ok(())
}

/// Files of a directory whose names have `part` in them.
fn files(directory: &Path, part: &str) -> Result<Vec<PathBuf>> {
    let listed = fs::read_dir(directory);
    let listed = listed.map_err(|error| format!("{}: {error}", directory.display()))?;
    let named =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().contains(part));
    Ok(listed.flatten().map(|entry| entry.path()).filter(named).collect())
}

fn only(paths: &[PathBuf]) -> Result<PathBuf> {
    match paths {
        [path] => Ok(path.clone()),
        _ => Err(format!("one file was expected in the packages, not {paths:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_what_the_meta_package_depends_on() {
        let printed = "linux-image-cloud-amd64\n  Depends: linux-image-6.1.0-1-cloud-amd64\n";
        assert_eq!(kernel_in(printed), Some("linux-image-6.1.0-1-cloud-amd64"));
        assert_eq!(kernel_in("linux-image-cloud-amd64\n"), None);
    }
}
