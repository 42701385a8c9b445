//! `holdfast completions`: written to standard output, for the package or `source <(...)`.

use std::io;

use clap::{Args, CommandFactory, ValueEnum};
use clap_complete::Shell;

use crate::args::Cli;
use crate::errors::{CliError, Result};

/// Options of `completions`.
#[derive(Args, Debug)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    shell: Known,
}

/// The shells we package for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Known {
    Bash,
    Zsh,
    Fish,
}

pub(crate) fn run(args: &CompletionsArgs) -> Result<()> {
    let mut script = Vec::new();
    generate(args.shell, &mut script);
    io::Write::write_all(&mut io::stdout(), &script).map_err(|error| CliError::output(&error))
}

fn generate(shell: Known, script: &mut Vec<u8>) {
    let shell = match shell {
        Known::Bash => Shell::Bash,
        Known::Zsh => Shell::Zsh,
        Known::Fish => Shell::Fish,
    };
    clap_complete::generate(shell, &mut Cli::command(), "holdfast", script);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_learns_the_commands() {
        for shell in Known::value_variants() {
            let mut script = Vec::new();
            generate(*shell, &mut script);
            let script = String::from_utf8(script).unwrap();
            assert!(script.contains("reset-offsets") && script.contains("explain"), "{shell:?}");
        }
    }
}
