//! The guest's root: the few files a kernel, a node and a shell need, in one archive.
//!
//! ```text
//! cache: vmlinuz, busybox, modules  ─┐
//! the build: holdfastd, without its  ├─▶ cpio ─▶ the guest's memory
//!   debug information; its libraries ┘
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use holdfast_crash::Result;

use crate::cpio::Archive;

/// What the guest needs of the kernel beside the kernel, each behind what it uses.
const MODULES: [&str; 10] = [
    "virtio_ring",
    "virtio",
    "virtio_pci_legacy_dev",
    "virtio_pci_modern_dev",
    "virtio_pci",
    "virtio_blk",
    "failover",
    "net_failover",
    "virtio_net",
    "virtio-rng",
];
const DIRECTORIES: [&str; 7] = ["bin", "data", "dev", "modules", "proc", "sys", "tmp"];

/// Writes the archive into `work` and says where it is.
pub(crate) fn build(guest: &Path, holdfastd: &Path, work: &Path) -> Result<PathBuf> {
    let mut archive = Archive::default();
    for directory in DIRECTORIES {
        archive.directory(directory);
    }
    archive.file("init", include_bytes!("init.sh"));
    archive.file("bin/busybox", &read(&guest.join("busybox"))?);
    for module in MODULES {
        let file = format!("{module}.ko");
        archive.file(&format!("modules/{file}"), &read(&guest.join("modules").join(&file))?);
    }
    archive.file("modules/order", format!("{}\n", MODULES.join("\n")).as_bytes());

    let stripped = work.join("holdfastd");
    let mut strip = Command::new("strip");
    strip.arg("--strip-debug").arg("-o").arg(&stripped).arg(holdfastd);
    output(&mut strip)?;
    archive.file("holdfastd", &read(&stripped)?);
    let mut known: Vec<String> = Vec::new();
    for library in libraries(&output(Command::new("ldd").arg(holdfastd))?) {
        let parents: Vec<&Path> = Path::new(library).ancestors().skip(1).collect();
        for parent in parents.into_iter().rev() {
            let name = parent.to_string_lossy().trim_start_matches('/').to_owned();
            if !name.is_empty() && !known.contains(&name) {
                archive.directory(&name);
                known.push(name);
            }
        }
        archive.file(library.trim_start_matches('/'), &read(Path::new(library))?);
    }
    let path = work.join("initramfs.cpio");
    fs::write(&path, archive.finish()).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path)
}

/// Paths in what `ldd` prints: `name => /path (address)`, or the loader's `/path (address)`.
fn libraries(printed: &str) -> Vec<&str> {
    let path = |line| {
        let line: &str = line;
        line.split_whitespace().find(|word| word.starts_with('/'))
    };
    printed.lines().filter_map(path).collect()
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn output(command: &mut Command) -> Result<String> {
    let out = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if !out.status.success() {
        let why = String::from_utf8_lossy(&out.stderr);
        return Err(format!("{command:?} ended: {}: {}", out.status, why.trim()));
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_and_the_loader_are_found_and_what_the_kernel_brings_is_not() {
        let printed = "\tlinux-vdso.so.1 (0x00007ffd)\n\
                       \tlibm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x00007f2a)\n\
                       \t/lib64/ld-linux-x86-64.so.2 (0x00007f2b)\n";
        assert_eq!(
            libraries(printed),
            ["/lib/x86_64-linux-gnu/libm.so.6", "/lib64/ld-linux-x86-64.so.2"]
        );
    }
}
