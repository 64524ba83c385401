//! Questions to the person. Without a terminal nothing is asked and nothing waits.

use std::io::{self, BufRead as _, IsTerminal as _};

use applink_api::names::look_up_key;
use console::{Key, Term};
use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr};
use secrecy::SecretString;

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

/// What Ctrl-C types while signals are off.
const CTRL_C: u8 = 0x03;

/// Asks for what nobody may see. The terminal stops showing what is typed before the question appears, and throws nothing
/// away: whoever types at once, or pastes, is read whole and unseen.
///
/// # Errors
/// Ctrl-C stops; a terminal that can't be read breaks.
pub(crate) fn secret(question: &str, printer: Printer) -> Result<SecretString, CliError> {
    let unreadable = |error: io::Error| CliError::broken("the terminal can't be read").because(error);
    let quiet = Quiet::begin().map_err(unreadable)?;
    printer.ask(question);
    let line = read_line().map_err(unreadable);
    drop(quiet);
    let line = line?;
    if line.ends_with(&[CTRL_C]) {
        printer.note("");
        return Err(CliError::interrupted("stopped before anything was done"));
    }
    String::from_utf8(line)
        .map(SecretString::from)
        .map_err(|_foreign| CliError::refused("what was typed is not UTF-8 text"))
}

/// One line as the terminal hands it over, or what was typed before Ctrl-C.
fn read_line() -> io::Result<Vec<u8>> {
    let mut stdin = io::stdin().lock();
    let mut line = Vec::new();
    loop {
        let piece = stdin.fill_buf()?;
        let end = piece.iter().position(|byte| matches!(*byte, b'\n' | CTRL_C));
        let taken = end.map_or(piece.len(), |end| end + 1);
        line.extend_from_slice(piece.get(..taken).unwrap_or_default());
        stdin.consume(taken);
        if end.is_some() || taken == 0 {
            return Ok(line);
        }
    }
}

/// A terminal that shows nothing of what is typed but the end of the line, until this ends.
struct Quiet(Termios);

impl Quiet {
    fn begin() -> io::Result<Self> {
        let stdin = io::stdin();
        let before = tcgetattr(&stdin)?;
        let mut quiet = before.clone();
        // Ctrl-C ends the line instead of the program, which would leave the shell without echo.
        quiet.local_flags.remove(LocalFlags::ECHO | LocalFlags::ISIG);
        quiet.local_flags.insert(LocalFlags::ICANON | LocalFlags::ECHONL);
        if let Some(end) = quiet.control_chars.get_mut(SpecialCharacterIndices::VEOL as usize) {
            *end = CTRL_C;
        }
        tcsetattr(&stdin, SetArg::TCSANOW, &quiet)?;
        Ok(Self(before))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &self.0);
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
