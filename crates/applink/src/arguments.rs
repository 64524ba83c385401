//! Flags that several commands share.
//!
//! What a `struct` of arguments is for is said in a plain comment: clap takes a doc comment for the text of the command it is
//! flattened into.

use clap::Args;
use secrecy::SecretString;

use crate::error::CliError;
use crate::key_file;
use crate::printer::Printer;

// Which app and add-on.
#[derive(Debug, Args)]
pub(crate) struct AddonArgs {
    /// App to run the command against: its name or uuid
    #[arg(short, long, value_name = "APP")]
    pub(crate) app: Option<String>,
    /// Git remote of the app to use
    #[arg(short, long, value_name = "REMOTE", conflicts_with = "app")]
    pub(crate) remote: Option<String>,
    /// Name or uuid of an AppLink add-on, or the prefix of its config vars
    #[arg(long, value_name = "ADDON")]
    pub(crate) addon: Option<String>,
}

// How the answer is written.
#[derive(Debug, Args)]
pub(crate) struct OutputArgs {
    /// Write JSON to standard output
    #[arg(long)]
    pub(crate) json: bool,
}

// Where a person logs in.
#[derive(Debug, Args)]
pub(crate) struct LoginArgs {
    /// Where the org's users log in.
    #[arg(
        help = "Salesforce login URL [default: https://login.salesforce.com; sandboxes: https://test.salesforce.com]"
    )]
    #[arg(short, long, alias = "login", value_name = "URL")]
    pub(crate) login_url: Option<String>,
}

// Signing in without a browser.
#[derive(Debug, Args)]
pub(crate) struct JwtArgs {
    /// Consumer key of the org's external client app or connected app
    #[arg(long, value_name = "KEY")]
    pub(crate) client_id: String,
    /// File with the RSA private key in PEM format; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) jwt_key_file: String,
    /// Take a key file that other users of this machine can read
    #[arg(long)]
    pub(crate) allow_open_key_file: bool,
    /// Salesforce user to sign in as
    #[arg(long, value_name = "USERNAME")]
    pub(crate) username: String,
}

// A new key for what was made with one.
#[derive(Debug, Args)]
pub(crate) struct RotateKeyArgs {
    /// File with the new RSA private key in PEM format; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) jwt_key_file: String,
    /// Take a key file that other users of this machine can read
    #[arg(long)]
    pub(crate) allow_open_key_file: bool,
    /// Consumer key, when that changes too
    #[arg(long, value_name = "KEY")]
    pub(crate) client_id: Option<String>,
    /// Salesforce user, when that changes too
    #[arg(long, value_name = "USERNAME")]
    pub(crate) username: Option<String>,
}

impl JwtArgs {
    /// The key that is meant.
    ///
    /// # Errors
    /// See [`key_file::read`].
    pub(crate) async fn read(&self, printer: Printer) -> Result<SecretString, CliError> {
        key_file::read(&self.jwt_key_file, self.allow_open_key_file, printer).await
    }
}

impl RotateKeyArgs {
    /// The new key.
    ///
    /// # Errors
    /// See [`key_file::read`].
    pub(crate) async fn read(&self, printer: Printer) -> Result<SecretString, CliError> {
        key_file::read(&self.jwt_key_file, self.allow_open_key_file, printer).await
    }
}
