//! `holdfast man --out DIR`: a manual page per command, for packages.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory};

use crate::args::Cli;
use crate::errors::{CliError, Result};

/// Options of `man`.
#[derive(Args, Debug)]
pub(crate) struct ManArgs {
    /// Where the pages go.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub(crate) fn run(args: &ManArgs) -> Result<()> {
    let written = fs::create_dir_all(&args.out).and_then(|()| {
        pages().into_iter().try_for_each(|(name, page)| fs::write(args.out.join(name), page?))
    });
    written.map_err(|error| {
        let what = format!("the pages cannot be written to {}", shown(&args.out));
        CliError::failed(what, error.to_string()).try_next("give a writable directory")
    })
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// File name and content of every page.
fn pages() -> Vec<(String, io::Result<Vec<u8>>)> {
    let mut pages = Vec::new();
    let mut command = Cli::command();
    command.build();
    collect(&command, "holdfast", &mut pages);
    pages
}

fn collect(command: &Command, name: &str, pages: &mut Vec<(String, io::Result<Vec<u8>>)>) {
    let mut page = Vec::new();
    let rendered = clap_mangen::Man::new(command.clone().display_name(name.to_owned()))
        .title(name.to_owned())
        .render(&mut page);
    pages.push((format!("{name}.1"), rendered.map(|()| page)));
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        if below.get_name() != "help" {
            collect(below, &format!("{name}-{}", below.get_name()), pages);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page() {
        let pages = pages();
        let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
        for name in ["holdfast.1", "holdfast-topic-create.1", "holdfast-group-reset-offsets.1"] {
            assert!(names.contains(&name), "{name} is not among {names:?}");
        }
        assert!(!names.iter().any(|name| name.contains("help") || name.contains("-man")));
        for (name, page) in &pages {
            let page = String::from_utf8(page.as_ref().unwrap().clone()).unwrap();
            assert!(page.contains(".SH NAME") && page.len() > 300, "{name}");
        }
    }
}
