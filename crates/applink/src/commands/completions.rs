//! `completions`: what a shell needs to complete our commands, in their spelling with spaces.

use std::io;

use clap::{Command, CommandFactory as _};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::error::{CliError, ExitStatus};
use crate::printer::Printer;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(args: &Args, printer: Printer) -> Result<ExitStatus, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut tree(&Cli::command()), "applink", &mut script);
    let script = String::from_utf8(script).map_err(|error| CliError::output(io::Error::other(error)))?;
    printer.data(script.trim_end())?;
    Ok(ExitStatus::Success)
}

/// The commands as a tree of words: shells break words at colons.
fn tree(cli: &Command) -> Command {
    let mut root = Command::new("applink").about(cli.get_about().cloned().unwrap_or_default());
    for command in cli.get_subcommands().filter(|command| !command.is_hide_set()) {
        let words: Vec<&str> = command.get_name().split(':').collect();
        root = planted(root, &words, command);
    }
    root
}

/// `parent` with `command` under the path `words`; topics on the way are made when they are missing.
fn planted(parent: Command, words: &[&str], command: &Command) -> Command {
    let Some((&first, rest)) = words.split_first() else { return parent };
    let present = parent.find_subcommand(first).cloned();
    let node = present.clone().unwrap_or_else(|| Command::new(first.to_owned()));
    let node = match rest {
        [] => node
            .about(command.get_about().cloned().unwrap_or_default())
            .args(command.get_arguments().cloned()),
        _ => planted(node, rest, command),
    };
    if present.is_some() { parent.mut_subcommand(first, |_old| node) } else { parent.subcommand(node) }
}
