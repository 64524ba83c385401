//! AppLink in one binary: the CLI, the control plane (`serve`), the org simulator (`org`), and all of it (`dev`).

mod arguments;
mod browser;
mod cli;
mod commands;
mod dev;
mod doctor;
mod document;
mod error;
mod key_file;
mod log_in;
mod logging;
mod manual;
mod org_access;
mod poll;
mod printer;
mod prompt;
mod publish_dir;
mod rehearsal;
mod settings;
mod signals;
mod sim;
mod spelling;

use std::process::ExitCode;

use error::ExitStatus;
use printer::Printer;

fn main() -> ExitCode {
    // A core file would hold tokens in the clear.
    let _ = nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_CORE, 0, 0);
    let printer = Printer::new();
    let status = match cli::parse(std::env::args_os().skip(1).collect()) {
        Ok(command) => commands::run(command, printer).unwrap_or_else(|error| {
            // `applink connections | head -1` is no failure.
            if error.is_broken_pipe() {
                return ExitStatus::Success;
            }
            printer.error(&error);
            error.status()
        }),
        Err(answered) => answered.print(printer),
    };
    status.into()
}
