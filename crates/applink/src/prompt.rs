//! Questions to the person, and what a person pipes in. Without a terminal nothing is asked and nothing waits.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _};

use applink_api::names::look_up_key;
use console::{Key, Term};
use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr};
use secrecy::SecretString;

use crate::error::CliError;
use crate::poll::{self, Waited};
use crate::printer::Printer;

/// Somebody can read the question and type the answer.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Reads at most `limit` bytes of standard input, which Ctrl-C can stop. Whoever has to type `what` is told so.
///
/// # Errors
/// When it can't be read; what is not UTF-8 is [`io::ErrorKind::InvalidData`] inside.
pub(crate) async fn standard_input(
    what: &str,
    limit: u64,
    printer: Printer,
) -> Result<io::Result<SecretString>, CliError> {
    let read = async {
        // Ctrl-C is listened for once this has waited for the first time.
        tokio::task::yield_now().await;
        if can_ask() {
            printer.note(&format!("Reading {what} from standard input; end it with Ctrl-D."));
        }
        // On a thread of its own: the wait must not keep this one from noticing a signal.
        tokio::task::spawn_blocking(move || read_to_end(limit)).await
    };
    match poll::interruptible(read).await {
        Waited::Done(read) => {
            read.map_err(|error| CliError::broken("standard input can't be read").because(error))
        }
        Waited::Interrupted => {
            printer.note("");
            Err(CliError::interrupted("stopped before anything was done"))
        }
    }
}

fn read_to_end(limit: u64) -> io::Result<SecretString> {
    let mut text = String::new();
    let read = io::stdin().lock().take(limit).read_to_string(&mut text);
    let text = SecretString::from(text);
    read.map(|_length| text)
}

/// Waits for a key.
///
/// # Errors
/// `q` and Escape refuse, Ctrl-C stops; a terminal that can't be read breaks.
pub(crate) fn any_key(question: &str, printer: Printer) -> Result<(), CliError> {
    // From before the question, so that no Ctrl-C falls between it and the wait.
    let asking = Asking::begin(Echo::Off)
        .map_err(|error| CliError::broken("the terminal can't be read").because(error))?;
    printer.ask(question);
    let key = Term::stderr().read_key_raw();
    drop(asking);
    printer.note("");
    match key {
        Ok(Key::Char('q' | 'Q') | Key::Escape) => {
            Err(CliError::refused("stopped before anything was opened"))
        }
        Ok(Key::CtrlC) => Err(CliError::interrupted("stopped before anything was opened")),
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
    typed(question, Echo::Off, printer).map(SecretString::from)
}

/// Whether what is typed is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Echo {
    On,
    Off,
}

fn typed(question: &str, echo: Echo, printer: Printer) -> Result<String, CliError> {
    let unreadable = |error: io::Error| CliError::broken("the terminal can't be read").because(error);
    let asking = Asking::begin(echo).map_err(unreadable)?;
    printer.ask(question);
    let line = read_line().map_err(unreadable);
    drop(asking);
    let line = line?;
    if line.ends_with(&[CTRL_C]) {
        printer.note("");
        return Err(CliError::interrupted("stopped before anything was done"));
    }
    String::from_utf8(line).map_err(|_foreign| CliError::refused("what was typed is not UTF-8 text"))
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

/// A terminal whose Ctrl-C ends the line instead of the program, until this ends: a program that died here would leave the
/// shell without echo, and one that listens for the signal elsewhere would not notice it.
struct Asking(Termios);

impl Asking {
    fn begin(echo: Echo) -> io::Result<Self> {
        let stdin = io::stdin();
        let before = tcgetattr(&stdin)?;
        let mut asking = before.clone();
        asking.local_flags.remove(LocalFlags::ISIG);
        asking.local_flags.insert(LocalFlags::ICANON);
        if echo == Echo::Off {
            asking.local_flags.remove(LocalFlags::ECHO);
            asking.local_flags.insert(LocalFlags::ECHONL);
        }
        if let Some(end) = asking.control_chars.get_mut(SpecialCharacterIndices::VEOL as usize) {
            *end = CTRL_C;
        }
        tcsetattr(&stdin, SetArg::TCSANOW, &asking)?;
        Ok(Self(before))
    }
}

impl Drop for Asking {
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
    let question = format!("To proceed, type {name} or re-run this command with --confirm {name}: ");
    typed(&question, Echo::On, printer)
}
