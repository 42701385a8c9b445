//! Object stores for the tests, fetched and built once into the cache.
//!
//! ```text
//! VersityGW   Go module proxy     built, 40 MB
//! S3Proxy     Maven Central       one jar, 55 MB
//! MinIO       Go module proxy     the last source its community got; built only when asked for
//! ```

use std::path::PathBuf;
use std::process::Command;

use crate::foreign_clients::go;
use crate::install;
use crate::run::{Result, checked, shown};
use crate::tools::kept;

const VERSITYGW: &str = "1.8.0";
const S3PROXY: &str = "4.1.0";
/// Archived since; no release has this source.
const MINIO: &str = "v0.0.0-20260212201848-7aac2a2c5b7c";
/// Maven's plugin that copies one artifact, by the version of the bench's project file.
const COPY: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy";

/// Sets the variables that `holdfast-conformance` looks for.
pub(crate) fn provide(command: &mut Command) -> Result<()> {
    command.env("HOLDFAST_VERSITYGW", versitygw()?);
    command.env("HOLDFAST_S3PROXY", s3proxy()?);
    Ok(())
}

/// Prints them; `all` builds MinIO too, which takes minutes.
pub(crate) fn print(all: bool) -> Result<()> {
    println!("HOLDFAST_VERSITYGW={}", versitygw()?.display());
    println!("HOLDFAST_S3PROXY={}", s3proxy()?.display());
    if all {
        println!("HOLDFAST_MINIO={}", minio()?.display());
    }
    Ok(())
}

pub(crate) fn versitygw() -> Result<PathBuf> {
    let package = format!("github.com/versity/versitygw/cmd/versitygw@v{VERSITYGW}");
    go_program(&format!("versitygw-{VERSITYGW}"), &package, "versitygw")
}

pub(crate) fn minio() -> Result<PathBuf> {
    let package = format!("github.com/minio/minio@{MINIO}");
    go_program("minio-20260212", &package, "minio")
}

fn s3proxy() -> Result<PathBuf> {
    install::ensure(install::JAVA)?;
    let home = kept(&format!("s3proxy-{S3PROXY}"), |partial| {
        let mut command = Command::new("mvn");
        command.args(["-q", "-B", COPY]);
        command.arg(format!("-Dartifact=org.gaul:s3proxy:{S3PROXY}:jar:jar-with-dependencies"));
        command.arg(format!("-DoutputDirectory={}", partial.display()));
        eprintln!("Running: {}", shown(&command));
        checked(&mut command)
    })?;
    Ok(home.join(format!("s3proxy-{S3PROXY}-jar-with-dependencies.jar")))
}

/// A program of a Go module, as its authors' lock file has it.
fn go_program(directory: &str, package: &str, program: &str) -> Result<PathBuf> {
    let home = kept(directory, |partial| {
        let mut command = Command::new(go()?);
        command.args(["install", "-trimpath", package]).env("GOBIN", partial);
        command.env("GOTOOLCHAIN", "local").env("GOFLAGS", "").env_remove("GOROOT");
        eprintln!("Running: {}", shown(&command));
        checked(&mut command)
    })?;
    Ok(home.join(program))
}
