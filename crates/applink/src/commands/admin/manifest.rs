//! `admin:manifest`: the document that makes a control plane a Heroku add-on (Heroku, "Add-on Manifest"). It has
//! secrets in it: what the server's environment already holds is kept, what it lacks is made.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use applink_api::entropy::Entropy;
use applink_server::env_vars;
use applink_server::provider::ProviderConfig;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use url::Url;

use crate::error::{CliError, ExitStatus};
use crate::printer::Printer;
use crate::settings::Settings;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The add-on's id at Heroku: lower-case letters, digits and `-`. It can't be changed later
    #[arg(long, value_name = "SLUG")]
    slug: String,
    /// Public https URL of the control plane
    #[arg(long, value_name = "URL")]
    url: Url,
    /// The add-on's name, as people read it
    #[arg(long, value_name = "NAME", default_value = "AppLink")]
    name: String,
    /// Prefix of the config vars [default: the slug in capitals, with `_` for `-`]
    #[arg(long, value_name = "PREFIX")]
    config_vars_prefix: Option<String>,
    /// Where apps that can have it run
    #[arg(long, value_name = "REGION", value_delimiter = ',', default_value = "us,eu")]
    regions: Vec<String>,
    /// File for the manifest, readable by you alone; standard output when absent
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// File for the server's settings that go with it, readable by you alone
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, settings: &Settings, printer: Printer) -> Result<ExitStatus, CliError> {
    ensure_slug(&args.slug)?;
    ensure_https(&args.url)?;
    let kept_or_made = |name: &str| {
        let kept = settings.environment().get(name);
        kept.map_or_else(|| Entropy::system().hex::<32>(), str::to_owned).into()
    };
    let secrets =
        Secrets { password: kept_or_made(env_vars::HEROKU_PASSWORD), salt: kept_or_made(env_vars::SSO_SALT) };
    let manifest = manifest(args, &secrets);
    match &args.output {
        None => printer.json(&manifest)?,
        Some(path) => {
            let text = serde_json::to_string_pretty(&manifest).unwrap_or_default();
            write_private(path, &format!("{text}\n"))?;
            printer.note(&format!("The manifest is in {}.", path.display()));
        }
    }
    match &args.env_file {
        Some(path) => {
            write_private(path, &environment(args, &secrets))?;
            printer.note(&format!("The server's settings are in {}.", path.display()));
        }
        None => printer.note(&format!(
            "Start the server with {}={}, {}=<api.password> and {}=<api.sso_salt>.",
            env_vars::HEROKU_SLUG,
            args.slug,
            env_vars::HEROKU_PASSWORD,
            env_vars::SSO_SALT
        )),
    }
    printer.note(&format!(
        "Push the manifest with `heroku addons:admin:manifest:push`; then set {} to the secret that Heroku shows.",
        env_vars::HEROKU_CLIENT_SECRET
    ));
    Ok(ExitStatus::Success)
}

struct Secrets {
    password: SecretString,
    salt: SecretString,
}

fn manifest(args: &Args, secrets: &Secrets) -> Value {
    let prefix = prefix(args);
    let at = |path: &str| format!("{}{path}", args.url.as_str().trim_end_matches('/'));
    json!({
        "id": args.slug,
        "name": args.name,
        "api": {
            "config_vars_prefix": prefix,
            "config_vars": [format!("{prefix}_API_URL"), format!("{prefix}_TOKEN")],
            "password": secrets.password.expose_secret(),
            "sso_salt": secrets.salt.expose_secret(),
            "regions": args.regions,
            // Several on one app, and one on several apps.
            "requires": ["attachable", "many_per_app"],
            "production": {"base_url": at("/heroku/resources"), "sso_url": at("/sso/login")},
            "version": "3",
        },
    })
}

fn prefix(args: &Args) -> String {
    args.config_vars_prefix.clone().unwrap_or_else(|| ProviderConfig::derived_prefix(&args.slug))
}

fn environment(args: &Args, secrets: &Secrets) -> String {
    let lines = [
        (env_vars::PUBLIC_URL, args.url.as_str().trim_end_matches('/').to_owned()),
        (env_vars::HEROKU_SLUG, args.slug.clone()),
        (env_vars::HEROKU_PASSWORD, secrets.password.expose_secret().to_owned()),
        (env_vars::HEROKU_CONFIG_VARS_PREFIX, prefix(args)),
        (env_vars::SSO_SALT, secrets.salt.expose_secret().to_owned()),
    ];
    let mut text = String::new();
    for (name, value) in lines {
        text.push_str(&format!("{name}={value}\n"));
    }
    text
}

/// Never over something that is there: it may be the only copy of a secret.
fn write_private(path: &Path, text: &str) -> Result<(), CliError> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    opened.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| {
        let is_there = error.kind() == std::io::ErrorKind::AlreadyExists;
        let told = CliError::broken(format!("can't write {}", path.display())).because(error);
        if is_there { told.hint("choose another name, or move the old file away first") } else { told }
    })
}

fn ensure_slug(slug: &str) -> Result<(), CliError> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let good = slug.starts_with(|c: char| c.is_ascii_lowercase())
        && !slug.ends_with('-')
        && slug.bytes().all(allowed);
    if good {
        return Ok(());
    }
    let message = format!("`{slug}` can't be an add-on's id");
    Err(CliError::refused(message).hint("write lower-case letters, digits and `-`, such as my-applink"))
}

fn ensure_https(url: &Url) -> Result<(), CliError> {
    if url.scheme() == "https" && url.path() == "/" && url.query().is_none() && url.fragment().is_none() {
        return Ok(());
    }
    Err(CliError::refused("Heroku calls the control plane over https only")
        .hint("give its public URL up to host and port, such as https://applink.example"))
}
