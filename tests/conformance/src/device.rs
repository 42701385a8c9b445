//! A device of a check's own: an image on a loop device, so that nobody else feels what is done to it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use holdfast_bench::clock::nap;

use crate::Result;

/// Half a second apart.
const UNMOUNTS_MAX: usize = 10;

/// A small ext4 file system; unmounted when it goes out of scope.
pub(crate) struct Device {
    /// Where.
    pub(crate) mounted: PathBuf,
}

impl Device {
    /// A fresh one below `work`. Needs root.
    pub(crate) fn mount(work: &Path, len_bytes: u64) -> Result<Self> {
        let (image, mounted) = (work.join("device.img"), work.join("device"));
        let _ = Command::new("umount").arg(&mounted).stderr(Stdio::null()).status();
        fs::create_dir_all(&mounted).map_err(|error| error.to_string())?;
        let file = File::create(&image).map_err(|error| error.to_string())?;
        file.set_len(len_bytes).map_err(|error| error.to_string())?;
        let run = |command: &mut Command| match command.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("{:?} ended: {status}", command.get_program())),
            Err(error) => Err(format!("{:?}: {error}", command.get_program())),
        };
        run(Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(&image))?;
        run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&mounted))?;
        Ok(Self { mounted })
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // Writes that a killed process left behind may still be on their way.
        for _ in 0..UNMOUNTS_MAX {
            let mut command = Command::new("umount");
            let ended = command.arg(&self.mounted).stderr(Stdio::null()).status();
            if ended.is_ok_and(|status| status.success()) {
                return;
            }
            nap(Duration::from_millis(500));
        }
        let _ = Command::new("umount").arg("-l").arg(&self.mounted).status();
    }
}
