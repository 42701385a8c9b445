//! Kafka's jars of three releases, and the programs of `tests/conformance/clients/java` compiled
//! against each: `HOLDFAST_CLIENTS_JAVA_4_3_1` and its like are class paths.
//!
//! ```text
//! cache: kafka-4.3.1/libs/*.jar    from Maven Central, kept outside the clone
//! target/clients-java/4.3.1/       classes, and `sources`: what they were compiled from
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::install;
use crate::run::{Result, checked, root, shown};
use crate::tools::{self, KAFKA};

/// The oldest that today's brokers still serve, the last that knew ZooKeeper, and the present one.
const RELEASES: [&str; 3] = ["2.8.2", "3.9.1", KAFKA];

/// Sets the variables on `command`, fetching and compiling what is missing.
pub(crate) fn provide(command: &mut Command) -> Result<()> {
    install::ensure(install::JAVA)?;
    for release in RELEASES {
        let jars = format!("{}/*", libs(release)?.display());
        let classes = classes(release, &jars)?;
        let name = format!("HOLDFAST_CLIENTS_JAVA_{}", release.replace('.', "_"));
        command.env(name, format!("{}:{jars}", classes.display()));
    }
    Ok(())
}

/// The jars, by the project file of the bench, which names what a broker and its tools need.
fn libs(release: &str) -> Result<PathBuf> {
    if release == KAFKA {
        return tools::kafka_libs();
    }
    let home = tools::kept(&format!("kafka-{release}"), |partial| {
        let mut command = Command::new("mvn");
        command.args(["-q", "-B", "-f"]).arg(root().join("tests/bench/kafka/pom.xml"));
        command.args(["dependency:copy-dependencies", "-DincludeScope=runtime"]);
        command.arg(format!("-Dkafka.version={release}"));
        command.arg(format!("-DoutputDirectory={}", partial.join("libs").display()));
        eprintln!("Running: {}", shown(&command));
        checked(&mut command)
    })?;
    Ok(home.join("libs"))
}

/// The programs compiled against `jars`, anew when a source is not what it was.
fn classes(release: &str, jars: &str) -> Result<PathBuf> {
    let shown_error = |path: &Path, error| format!("{}: {error}", path.display());
    let here = root().join("tests/conformance/clients/java");
    let entries = fs::read_dir(&here).map_err(|error| shown_error(&here, error))?;
    let mut sources: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    sources.retain(|path| path.extension().is_some_and(|extension| extension == "java"));
    sources.sort();
    let mut content = String::new();
    for source in &sources {
        content += &fs::read_to_string(source).map_err(|error| shown_error(source, error))?;
    }
    let classes = root().join("target/clients-java").join(release);
    let compiled = classes.join("sources");
    if fs::read_to_string(&compiled).is_ok_and(|before| before == content) {
        return Ok(classes);
    }
    let _ = fs::remove_dir_all(&classes);
    fs::create_dir_all(&classes).map_err(|error| shown_error(&classes, error))?;
    let mut command = Command::new("javac");
    command.args(["-nowarn", "-proc:none", "--release", "17", "-cp", jars]);
    command.arg("-d").arg(&classes).args(&sources);
    checked(&mut command)?;
    fs::write(&compiled, content).map_err(|error| shown_error(&compiled, error))?;
    Ok(classes)
}
