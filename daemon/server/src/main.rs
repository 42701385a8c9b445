//! The daemon: arguments in, exit status out.

use clap::Parser;
use holdfast_server::boot::{self, arguments::Arguments};
use holdfast_server::logging;
use holdfast_server::report::{Code, Report};
use holdfast_server::settings::{self, docs};
use std::process::ExitCode;

/// Returns memory of large requests to the system, and does not fragment over months.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let ended = if let Some(page) = &arguments.print_docs {
        print_docs(page)
    } else if arguments.check_config {
        check_config(&arguments)
    } else {
        boot::run(arguments)
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(report) => {
            logging::fatal(&report);
            ExitCode::from(report.code.exit_status())
        }
    }
}

fn check_config(arguments: &Arguments) -> Result<(), Report> {
    let loaded = settings::load(arguments)?;
    for file in &loaded.files {
        println!("# read {}", file.display());
    }
    for warning in &loaded.warnings {
        eprintln!("warning: {warning}");
    }
    print!("{}", loaded.effective.shown());
    Ok(())
}

fn print_docs(page: &str) -> Result<(), Report> {
    let Some((_, _, text)) = docs::PAGES.iter().find(|(name, ..)| *name == page) else {
        let names: Vec<&str> = docs::PAGES.iter().map(|(name, ..)| *name).collect();
        return Err(Report::new(
            Code::Usage,
            format!("--print-docs {page} is no page"),
            "only generated pages can be printed",
            format!("pass one of {}", names.join(", ")),
        ));
    };
    print!("{}", text());
    Ok(())
}
