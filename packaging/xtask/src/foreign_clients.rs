//! The client programs in Go, JavaScript and Rust: built once into the cache, for the runner's table.
//!
//! Their directories carry a hash of what they are made from (sources and lock file), so an edit is
//! built and an unchanged program is not. Versions are the lock files': `go.sum`,
//! `package-lock.json`, `Cargo.lock`.
//!
//! go.mod asks for Go 1.26. A machine's own Go is used where it is as new. An older one, which where
//! there is none is installed from the distribution, fetches the toolchain as what it also is, a
//! module: `go mod download` has done that since before toolchains were modules.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::binaries::cargo;
use crate::install::{self, Need};
use crate::run::{Result, checked, found, output, root, shown};
use crate::tools::kept;

/// Where Go's own archive puts it, which need not be in PATH.
const GO_OF_ARCHIVE: &str = "/usr/local/go/bin/go";
/// The release that go.mod asks for, and the one that is fetched where there is none as new.
const GO_MINOR_MIN: u32 = 26;
const GO_FETCHED: &str = "1.26.8";
/// franz-go's own tests, built beside the programs.
const FRANZ_TESTS: &str = "github.com/twmb/franz-go/pkg/kgo";

const NODE: &[Need] = &[
    Need { brings: "node", apt: "nodejs", dnf: "nodejs" },
    Need { brings: "npm", apt: "npm", dnf: "nodejs-npm" },
];
const GO: &[Need] = &[Need { brings: "go", apt: "golang-go", dnf: "golang" }];

/// Sets the variables that the table of programs names.
pub(crate) fn provide(command: &mut Command) -> Result<()> {
    command.env("HOLDFAST_CLIENTS_GO", go_programs()?);
    command.env("HOLDFAST_CLIENTS_NODE", node_modules()?);
    command.env("HOLDFAST_CLIENTS_RUST", rdkafka()?);
    Ok(())
}

fn sources(language: &str) -> PathBuf {
    root().join("tests/conformance/clients").join(language)
}

/// A name for what these files hold; directories with all below.
fn hash_of(paths: &[PathBuf]) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    let mut left = paths.to_vec();
    while let Some(path) = left.pop() {
        let told = |error: std::io::Error| format!("{}: {error}", path.display());
        if path.is_dir() {
            let mut below = Vec::new();
            for entry in fs::read_dir(&path).map_err(told)? {
                below.push(entry.map_err(told)?.path());
            }
            below.sort();
            left.extend(below);
        } else {
            path.file_name().hash(&mut hasher);
            fs::read(&path).map_err(told)?.hash(&mut hasher);
        }
    }
    Ok(format!("{:016x}", hasher.finish()))
}

/// A directory with `franz`, `sarama` and `kgo.test`, the library's own tests.
fn go_programs() -> Result<PathBuf> {
    let from = sources("go");
    // The tests are of go.mod, so of the sources' hash too.
    kept(&format!("go-clients-{}", hash_of(std::slice::from_ref(&from))?), |partial| {
        let go = go()?;
        let build = |arguments: &[&str]| {
            let mut command = Command::new(&go);
            command.args(arguments).arg("-o").current_dir(&from);
            // Else a Go of the distribution's would ask the one of the environment.
            command.env("GOTOOLCHAIN", "local").env_remove("GOROOT");
            command
        };
        let mut programs = build(&["build", "-trimpath", "-buildvcs=false"]);
        programs.arg(partial).args(["./franz", "./sarama"]);
        run(programs)?;
        let mut tests = build(&["test", "-c", "-trimpath", "-buildvcs=false"]);
        tests.arg(partial.join("kgo.test")).arg(FRANZ_TESTS);
        run(tests)
    })
}

/// A Go that is new enough.
pub(crate) fn go() -> Result<PathBuf> {
    let here = || found("go").into_iter().chain([PathBuf::from(GO_OF_ARCHIVE)]);
    let there: Vec<PathBuf> = here().filter(|go| go.is_file()).collect();
    if let Some(go) = there.iter().find(|go| go_minor(go).is_some_and(|own| own >= GO_MINOR_MIN)) {
        return Ok(go.clone());
    }
    let home = kept(&format!("go-{GO_FETCHED}"), |partial| {
        if there.is_empty() {
            install::ensure(GO)?;
        }
        let older =
            here().find(|go| go.is_file()).ok_or("there is no go, though it was installed")?;
        fetch_toolchain(&older, partial)
    })?;
    Ok(home.join("bin/go"))
}

/// 26 of go1.26.8.
fn go_minor(go: &Path) -> Option<u32> {
    let mut command = Command::new(go);
    minor_of(&output(command.args(["env", "GOVERSION"]).env("GOTOOLCHAIN", "local")).ok()?)
}

fn minor_of(version: &str) -> Option<u32> {
    let rest = version.strip_prefix("go1.")?;
    rest.split(|other: char| !other.is_ascii_digit()).next()?.parse().ok()
}

/// The toolchain, through the module proxy and its checksum database, into `partial`.
fn fetch_toolchain(older: &Path, partial: &Path) -> Result<()> {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => return Err(format!("no Go toolchain is known for {other}: install Go 1.26")),
    };
    let mut command = Command::new(older);
    let module = format!("golang.org/toolchain@v0.0.1-go{GO_FETCHED}.linux-{architecture}");
    command.args(["mod", "download", "-json", &module]).current_dir(partial);
    command.env("GOTOOLCHAIN", "local").env("GOFLAGS", "").env_remove("GOROOT");
    eprintln!("Running: {}", shown(&command));
    let told = output(&mut command)?;
    let directory = directory_of(&told)
        .ok_or_else(|| format!("`{}` names no directory: {told}", shown(&command)))?;
    let copied = partial.join(".");
    let from = format!("{directory}/.");
    for line in [
        &["cp", "-R", &from, &copied.display().to_string()][..],
        // Modules are kept without a right to write or to run.
        &["chmod", "-R", "u+w", &partial.display().to_string()],
        &["chmod", "-R", "a+x", &partial.join("bin").display().to_string()],
        &["chmod", "-R", "a+x", &partial.join("pkg/tool").display().to_string()],
    ] {
        checked(Command::new(line[0]).args(&line[1..]))?;
    }
    Ok(())
}

/// "Dir" of what `go mod download -json` says.
fn directory_of(told: &str) -> Option<&str> {
    let line = told.lines().find_map(|line| line.trim().strip_prefix("\"Dir\": \""))?;
    line.trim_end_matches(',').strip_suffix('"')
}

/// NODE_PATH of kafkajs.
fn node_modules() -> Result<PathBuf> {
    install::ensure(NODE)?;
    let from = sources("node");
    let names = [from.join("package.json"), from.join("package-lock.json")];
    let home = kept(&format!("clients-node-{}", hash_of(&names)?), |partial| {
        for name in &names {
            let to = partial.join(name.file_name().unwrap_or_default());
            fs::copy(name, &to).map_err(|error| format!("{}: {error}", to.display()))?;
        }
        let mut command = Command::new("npm");
        // No package of these needs to run a script of its own.
        command.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(partial);
        run(command)
    })?;
    Ok(home.join("node_modules"))
}

/// The program over rust-rdkafka.
fn rdkafka() -> Result<PathBuf> {
    install::ensure(install::BUILD)?;
    let from = sources("rust");
    let names = [from.join("Cargo.toml"), from.join("Cargo.lock"), from.join("src")];
    let home = kept(&format!("clients-rust-{}", hash_of(&names)?), |partial| {
        let mut command = cargo();
        command.args(["build", "--release", "--locked", "--manifest-path"]);
        command.arg(from.join("Cargo.toml"));
        // Beside the cache's directory, so that an edit does not build librdkafka again.
        let build = partial.with_file_name("clients-rust-build");
        command.env("CARGO_TARGET_DIR", &build);
        run(command)?;
        let (built, to) = (build.join("release/conformance-rdkafka"), partial.join("rdkafka"));
        fs::copy(&built, &to).map_err(|error| format!("{}: {error}", built.display()))?;
        Ok(())
    })?;
    Ok(home.join("rdkafka"))
}

fn run(mut command: Command) -> Result<()> {
    eprintln!("Running: {}", shown(&command));
    checked(&mut command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_go_tells_its_release_by_the_second_number() {
        assert_eq!(minor_of("go1.26.8"), Some(26));
        assert_eq!(minor_of("go1.26rc1"), Some(26));
        assert_eq!(minor_of("go1.19"), Some(19));
        assert_eq!(minor_of("devel +a1b2"), None);
        assert_eq!(minor_of(""), None);
    }

    #[test]
    fn the_module_cache_is_found_in_what_a_download_says() {
        let told = "{\n\t\"Path\": \"a\",\n\t\"Dir\": \"/cache/a@v1\",\n\t\"Sum\": \"h1\"\n}";
        assert_eq!(directory_of(told), Some("/cache/a@v1"));
        assert_eq!(directory_of("{\"Error\": \"no\"}"), None);
    }
}
