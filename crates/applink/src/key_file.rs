//! Reading a private key from a file or standard input, and saying early what is wrong with it.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;

use secrecy::{ExposeSecret as _, SecretString};

use crate::error::CliError;
use crate::printer::Printer;
use crate::prompt;

/// Far more than any RSA key in PEM.
const LIMIT: u64 = 64 * 1024;
/// Readable by the group or by everyone.
const OPEN_MODE: u32 = 0o044;

/// Reads the key `path` names; `-` is standard input.
///
/// # Errors
/// When it can't be read, is readable by others (unless `allow_open`), or is no unencrypted RSA key in PEM.
pub(crate) async fn read(path: &str, allow_open: bool, printer: Printer) -> Result<SecretString, CliError> {
    let read = match path {
        "-" => prompt::standard_input("the private key", LIMIT + 1, printer).await?,
        _ => from_file(path, allow_open)?,
    };
    let pem = whole(path, read)?;
    ensure_private_key(path, pem.expose_secret())?;
    Ok(pem)
}

fn from_file(path: &str, allow_open: bool) -> Result<io::Result<SecretString>, CliError> {
    let unreadable = |error| {
        CliError::broken(format!("can't read the key file {path}"))
            .because(error)
            .hint("name the file with the RSA private key in PEM format, or `-` for standard input")
    };
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if metadata.is_dir() {
        return Err(CliError::refused(format!("{path} is a directory, not a key file")));
    }
    let mode = metadata.permissions().mode();
    if metadata.is_file() && mode & OPEN_MODE != 0 && !allow_open {
        return Err(CliError::refused(format!(
            "others can read the key file {path} (mode {:03o})",
            mode & 0o777
        ))
        .code("key-file-open")
        .hint(format!("run `chmod 600 {path}`, or give --allow-open-key-file if that is meant")));
    }
    let mut text = String::new();
    let read = file.take(LIMIT + 1).read_to_string(&mut text);
    let text = SecretString::from(text);
    Ok(read.map(|_length| text))
}

fn whole(path: &str, read: io::Result<SecretString>) -> Result<SecretString, CliError> {
    match read {
        Ok(pem) if pem.expose_secret().len() as u64 > LIMIT => {
            Err(CliError::refused(format!("{} is too long for a private key", named(path))))
        }
        Ok(pem) => Ok(pem),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(not_pem(path)),
        Err(error) => Err(CliError::broken(format!("can't read {}", named(path))).because(error)),
    }
}

/// Looks at the PEM label only; the service parses the key itself.
fn ensure_private_key(path: &str, pem: &str) -> Result<(), CliError> {
    let file = named(path);
    let Some(label) = label(pem) else { return Err(not_pem(path)) };
    if label == "ENCRYPTED PRIVATE KEY" || pem.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(CliError::refused(format!("the private key in {file} is encrypted"))
            .hint("decrypt it first: `openssl pkey -in encrypted.key -out server.key`"));
    }
    match label {
        "PRIVATE KEY" | "RSA PRIVATE KEY" if !pem.contains(&format!("-----END {label}-----")) => {
            Err(CliError::refused(format!("the private key in {file} is cut off: its END line is missing")))
        }
        "PRIVATE KEY" | "RSA PRIVATE KEY" => Ok(()),
        "OPENSSH PRIVATE KEY" => {
            Err(CliError::refused(format!("{file} holds a key in OpenSSH's own format"))
                .hint("convert a copy: `ssh-keygen -p -m PEM -f copy-of-the-key`"))
        }
        other => {
            Err(CliError::refused(format!("{file} holds a {}, not an RSA private key", other.to_lowercase()))
                .hint("give the key that belongs to the certificate, often named server.key"))
        }
    }
}

fn label(pem: &str) -> Option<&str> {
    let (_, rest) = pem.split_once("-----BEGIN ")?;
    let (label, _) = rest.split_once("-----")?;
    Some(label)
}

fn not_pem(path: &str) -> CliError {
    CliError::refused(format!("{} is not a private key in PEM format", named(path)))
        .hint("it starts with a line like `-----BEGIN PRIVATE KEY-----`")
}

fn named(path: &str) -> &str {
    if path == "-" { "standard input" } else { path }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(pem: &str) -> String {
        ensure_private_key("server.key", pem).map_or_else(|error| error.to_string(), |()| "fine".to_owned())
    }

    #[test]
    fn says_what_the_file_holds_instead() {
        let pem = |label: &str| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
        assert_eq!(verdict(&pem("PRIVATE KEY")), "fine");
        assert_eq!(verdict(&pem("RSA PRIVATE KEY")), "fine");
        for (text, expected) in [
            (pem("ENCRYPTED PRIVATE KEY"), "is encrypted"),
            (pem("RSA PRIVATE KEY").replace("AAAA", "Proc-Type: 4,ENCRYPTED\n\nAAAA"), "is encrypted"),
            (pem("CERTIFICATE"), "holds a certificate"),
            (pem("PUBLIC KEY"), "holds a public key"),
            (pem("EC PRIVATE KEY"), "holds a ec private key"),
            (pem("OPENSSH PRIVATE KEY"), "OpenSSH's own format"),
            ("-----BEGIN PRIVATE KEY-----\nAAAA".to_owned(), "cut off"),
            ("hello".to_owned(), "not a private key in PEM"),
        ] {
            assert!(verdict(&text).contains(expected), "{text}: {}", verdict(&text));
        }
    }
}
