//! The command line: `[--port N] [--] [command [argument…]]`.
//!
//! `check` alone is ours; a command of that name goes after `--`.
//!
//! Everything from the first word that is no flag belongs to the app's command, so both `mesh npm start` and
//! `mesh --port 80 -- npm start` work.

use std::ffi::{OsStr, OsString};

/// What `--help` prints.
pub const USAGE: &str = "\
Usage: applink-mesh [--port PORT] [--] [COMMAND [ARGUMENT...]]
       applink-mesh check

A reverse proxy in front of an app: it starts COMMAND, and passes on only calls from connected Salesforce orgs.
Without COMMAND it stands in front of an app that is already running.
`check` alone starts nothing: it says whether configuration, control plane and app are as they should be.

Options:
  -p, --port PORT  public port (default: PORT, else 8070)
  -h, --help       print this
  -V, --version    print the version

The app must listen on APP_PORT (default 3000). Environment and heroku-applink-service-mesh.yaml are described in
the README of this program.";

/// A command line, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arguments {
    /// Print the usage.
    Help,
    /// Print the version.
    Version,
    /// Say whether a mesh would work here.
    Check,
    /// Run.
    Run {
        /// `--port`.
        port: Option<u16>,
        /// The app's command with its arguments; may be empty.
        command: Vec<OsString>,
    },
}

/// The command line can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentsError {
    /// Not one of ours.
    #[error("unknown option `{0}`; put `--` before a command that begins with a dash, or see --help")]
    Unknown(String),
    /// `--port` at the end.
    #[error("`--port` needs a number after it, such as `--port 8070`")]
    MissingPort,
    /// Not a port.
    #[error("`{0}` is no port: `--port` takes a number from 1 to 65535")]
    Port(String),
}

impl Arguments {
    /// Reads the arguments, the program's name not included.
    ///
    /// # Errors
    /// [`ArgumentsError`].
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, ArgumentsError> {
        let mut rest = arguments.into_iter().collect::<Vec<_>>().into_iter();
        let mut port = None;
        while let Some(argument) = rest.next() {
            match flag(&argument) {
                Some("--") => return Ok(Self::Run { port, command: rest.collect() }),
                Some("-h" | "--help") => return Ok(Self::Help),
                Some("-V" | "--version") => return Ok(Self::Version),
                Some("-p" | "--port") => port = Some(next_port(rest.next())?),
                Some(text) => port = Some(attached_port(text)?),
                None if argument == "check" && port.is_none() && rest.len() == 0 => return Ok(Self::Check),
                None => {
                    return Ok(Self::Run { port, command: std::iter::once(argument).chain(rest).collect() });
                }
            }
        }
        Ok(Self::Run { port, command: Vec::new() })
    }
}

fn flag(argument: &OsStr) -> Option<&str> {
    argument.to_str().filter(|text| text.starts_with('-') && text.len() > 1)
}

fn next_port(argument: Option<OsString>) -> Result<u16, ArgumentsError> {
    let text = argument.ok_or(ArgumentsError::MissingPort)?;
    parse_port(&text.to_string_lossy())
}

/// `--port=80` and `-p80`.
fn attached_port(text: &str) -> Result<u16, ArgumentsError> {
    let port = text
        .strip_prefix("--port=")
        .or_else(|| text.strip_prefix("-p").filter(|rest| !rest.starts_with('-')));
    port.map_or_else(|| Err(ArgumentsError::Unknown(text.to_owned())), parse_port)
}

fn parse_port(text: &str) -> Result<u16, ArgumentsError> {
    match text.trim_start_matches('=').parse() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(ArgumentsError::Port(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, ArgumentsError> {
        Arguments::parse(line.split_whitespace().map(OsString::from))
    }

    fn run(port: Option<u16>, command: &str) -> Arguments {
        Arguments::Run { port, command: command.split_whitespace().map(OsString::from).collect() }
    }

    #[test]
    fn the_official_command_lines() {
        for (line, expected) in [
            ("npm start", run(None, "npm start")),
            ("-- java -jar app.jar", run(None, "java -jar app.jar")),
            ("--port 5000 -- uvicorn app:app --port 3000", run(Some(5000), "uvicorn app:app --port 3000")),
            ("-p 5000 npm start -p 1", run(Some(5000), "npm start -p 1")),
            ("--port=5000 -- a", run(Some(5000), "a")),
            ("-p5000 a -- b", run(Some(5000), "a -- b")),
            ("-- -x", run(None, "-x")),
            ("", run(None, "")),
            ("--help", Arguments::Help),
            ("--version npm", Arguments::Version),
            ("npm --version", run(None, "npm --version")),
            ("check", Arguments::Check),
            ("-- check", run(None, "check")),
            ("check all", run(None, "check all")),
        ] {
            assert_eq!(parse(line), Ok(expected), "{line}");
        }
    }

    #[test]
    fn wrong_lines_say_why() {
        assert_eq!(parse("--prot 1 a"), Err(ArgumentsError::Unknown("--prot".into())));
        assert_eq!(parse("--port"), Err(ArgumentsError::MissingPort));
        for wrong in ["--port 0", "--port 70000", "--port=x", "-px"] {
            assert!(matches!(parse(wrong), Err(ArgumentsError::Port(_))), "{wrong}");
        }
    }
}
