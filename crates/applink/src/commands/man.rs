//! `man`: manual pages, and the reference of all commands, written from the commands themselves.

use std::fs;
use std::path::PathBuf;

use clap::{Command, CommandFactory as _};

use crate::cli::Cli;
use crate::error::{CliError, ExitStatus};
use crate::manual;
use crate::printer::Printer;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The command whose page is wanted, with `:` or spaces; without it the page of the program
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
    /// Write the pages of all commands into this directory
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    output_dir: Option<PathBuf>,
    /// Write the reference of all commands, in Markdown
    #[arg(long, conflicts_with_all = ["command", "output_dir"])]
    markdown: bool,
}

pub(crate) fn run(args: &Args, printer: Printer) -> Result<ExitStatus, CliError> {
    let mut cli = Cli::command();
    cli.build();
    if args.markdown {
        printer.data(manual::reference(&cli).trim_end())?;
    } else if let Some(directory) = &args.output_dir {
        fs::create_dir_all(directory).map_err(|error| unwritable(directory, error))?;
        for (name, page) in manual::pages(&cli) {
            let path = directory.join(name);
            fs::write(&path, page).map_err(|error| unwritable(&path, error))?;
            printer.data(&path.display().to_string())?;
        }
    } else {
        printer.data(manual::page(wanted(&cli, &args.command.join(":"))?).trim_end())?;
    }
    Ok(ExitStatus::Success)
}

fn wanted<'a>(cli: &'a Command, name: &str) -> Result<&'a Command, CliError> {
    if name.is_empty() {
        return Ok(cli);
    }
    let short = name.strip_prefix("applink:").unwrap_or(name);
    cli.find_subcommand(name).or_else(|| cli.find_subcommand(short)).ok_or_else(|| {
        CliError::broken(format!("there is no command {name}")).hint("`applink --help` lists the commands")
    })
}

fn unwritable(path: &std::path::Path, error: std::io::Error) -> CliError {
    CliError::broken(format!("can't write {}", path.display())).because(error)
}
