//! Questions to the person. Without a terminal nothing is asked and nothing waits.

use std::io::{self, IsTerminal as _};

use applink_api::names::look_up_key;
use console::{Key, Term};

use crate::error::CliError;
use crate::printer::Printer;

/// Somebody can read the question and type the answer.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Waits for a key.
///
/// # Errors
/// `q` and Escape refuse; a terminal that can't be read breaks.
pub(crate) fn any_key(question: &str, printer: Printer) -> Result<(), CliError> {
    printer.ask(question);
    let key = Term::stderr().read_key();
    printer.note("");
    match key {
        Ok(Key::Char('q' | 'Q') | Key::Escape) => {
            Err(CliError::refused("stopped before anything was opened"))
        }
        Ok(_) => Ok(()),
        Err(error) => Err(CliError::broken("the terminal can't be read").because(error)),
    }
}

/// Makes sure that a destructive command is meant: `given` (from `--confirm`) or what is typed must be `name`.
///
/// # Errors
/// When it is another name, or when there is nobody to ask.
pub(crate) fn confirm(
    name: &str,
    given: Option<&str>,
    warning: &str,
    printer: Printer,
) -> Result<(), CliError> {
    let answer = match given {
        Some(given) => given.to_owned(),
        None => asked(name, warning, printer)?,
    };
    if look_up_key(answer.trim()) == look_up_key(name) {
        return Ok(());
    }
    Err(CliError::refused(format!(
        "confirmation `{}` did not match `{name}`; nothing was changed",
        answer.trim()
    )))
}

fn asked(name: &str, warning: &str, printer: Printer) -> Result<String, CliError> {
    if !can_ask() {
        return Err(CliError::refused(format!("{warning}; there is no terminal to confirm that"))
            .hint(format!("run it again with `--confirm {name}`")));
    }
    printer.warning(warning);
    printer.ask(&format!("To proceed, type {name} or re-run this command with --confirm {name}: "));
    let mut answer = String::new();
    io::stdin()
        .read_line(&mut answer)
        .map_err(|error| CliError::broken("the terminal can't be read").because(error))?;
    Ok(answer)
}
