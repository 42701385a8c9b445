//! What the disk itself gives, so that a broker's figure can be read against it.
//!
//! Two shapes, both O_DIRECT and O_DSYNC over a file written before: 64 KiB one at a time (what a
//! commit costs) and 256 KiB four at a time (what the device can stream).

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::client::{Failed, Result};

/// The device's own figures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Device {
    /// 64 KiB, one at a time: median.
    pub p50_us: f64,
    /// 64 KiB, one at a time: 99th percentile.
    pub p99_us: f64,
    /// 256 KiB, four in flight.
    pub mb_per_s: f64,
}

/// Runs both shapes in `directory`; writes about 1 GiB.
pub fn run(directory: &Path) -> Result<Device> {
    let file = directory.join("fio.dat");
    let result = measure(&file);
    let _ = std::fs::remove_file(&file);
    result
}

fn measure(file: &Path) -> Result<Device> {
    let one = job(file, &["--bs=64k", "--iodepth=1", "--io_size=256m"])?;
    let four = job(file, &["--bs=256k", "--iodepth=4", "--io_size=512m"])?;
    let write = |job: &Value| job["jobs"][0]["write"].clone();
    let percentile = |quantile: &str| {
        write(&one)["lat_ns"]["percentile"][quantile].as_f64().unwrap_or(f64::NAN) / 1e3
    };
    let bytes_per_s = write(&four)["bw_bytes"].as_f64().unwrap_or(f64::NAN);
    Ok(Device {
        p50_us: percentile("50.000000"),
        p99_us: percentile("99.000000"),
        mb_per_s: bytes_per_s / 1e6,
    })
}

fn job(file: &Path, shape: &[&str]) -> Result<Value> {
    let out = Command::new("fio")
        .args(["--name=floor", "--rw=write", "--direct=1", "--sync=dsync", "--ioengine=libaio"])
        .args(["--size=256m", "--overwrite=1", "--output-format=json"])
        // From submission on: on a busy machine the submission itself may wait for the device.
        .args(["--clat_percentiles=0", "--lat_percentiles=1"])
        .arg(format!("--filename={}", file.display()))
        .args(shape)
        .output()?;
    if !out.status.success() {
        let text = String::from_utf8_lossy(&out.stderr).into_owned();
        return Err(Failed::Wrong(format!("fio failed: {text}")));
    }
    let text = String::from_utf8_lossy(&out.stdout);
    let json = text.find('{').map_or("", |start| &text[start..]);
    serde_json::from_str(json)
        .map_err(|error| Failed::Wrong(format!("fio's output is not JSON: {error}")))
}
