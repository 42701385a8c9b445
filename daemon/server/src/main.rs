//! The daemon: arguments in, exit status out.

use clap::Parser;
use holdfast_server::boot::{self, arguments::Arguments};
use holdfast_server::logging;
use std::process::ExitCode;

/// Returns memory of large requests to the system, and does not fragment over months.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    logging::start();
    match boot::run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(report) => {
            eprintln!("holdfastd: {report}");
            ExitCode::from(report.code.exit_status())
        }
    }
}
