//! AppLink in one binary: the commands of the CLI, the control plane (`serve`), the org simulator (`org`) and the
//! whole local stack (`dev`).

mod arguments;
mod browser;
mod cli;
mod commands;
mod error;
mod key_file;
mod poll;
mod printer;
mod prompt;
mod publish_dir;
mod settings;
mod sim;
mod spelling;

use std::process::ExitCode;

use error::{CliError, ExitStatus};
use printer::Printer;

fn main() -> ExitCode {
    let printer = Printer::new();
    let status = match cli::parse(std::env::args_os().skip(1).collect()) {
        Ok(command) => commands::run(command, printer).unwrap_or_else(|error| reported(&error, printer)),
        Err(answered) => answered.print(printer),
    };
    status.into()
}

fn reported(error: &CliError, printer: Printer) -> ExitStatus {
    // `applink connections | head -1` is no failure.
    if error.is_broken_pipe() {
        return ExitStatus::Success;
    }
    printer.error(error);
    error.status()
}
