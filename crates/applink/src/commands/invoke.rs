//! `invoke`: has a local org call a published app, as one of the org's users; or calls an app on this machine as a stored
//! user of any org ([`local`]).

mod local;

use std::time::Duration;

use secrecy::ExposeSecret as _;
use serde_json::{Map, Value};

use crate::arguments::{AddonArgs, OutputArgs};
use crate::error::{CliError, ExitStatus};
use crate::poll::{self, Waited};
use crate::printer::Printer;
use crate::prompt;
use crate::settings::{LocalOrg, Settings};
use crate::sim::{Invoke, Invoked, Mode};

/// One look for callbacks; the org answers earlier when one arrives.
const LOOK: Duration = Duration::from_secs(5);
/// More than any app or org takes.
const MOST_BODY: u64 = 64 * 1024 * 1024;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Client name of the published app and operation id, joined by a dot; or a path of an app on this machine
    #[arg(value_name = "SERVICE.OPERATION|/PATH")]
    target: String,
    /// Username of the calling user
    #[arg(long = "as", value_name = "USERNAME", required_unless_present = "authorization")]
    username: Option<String>,
    /// With a path: the stored user to call as
    #[arg(long, value_name = "NAME", conflicts_with = "username")]
    authorization: Option<String>,
    /// With a path: where the app listens
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:3000")]
    app_url: String,
    /// With a path: the HTTP method [default: GET, or POST with a body]
    #[arg(long, short = 'X', value_name = "METHOD")]
    method: Option<String>,
    /// JSON body, or `@file`; `@-` reads standard input
    #[arg(long, value_name = "JSON")]
    body: Option<String>,
    /// A path, query or header parameter; may be given several times
    #[arg(long = "parameter", short, value_name = "NAME=VALUE")]
    parameters: Vec<String>,
    /// Call as Apex (callbacks arrive) or as a Flow (they don't)
    #[arg(long, value_enum, default_value_t = Mode::Apex)]
    mode: Mode,
    /// Wait until so many callbacks have arrived
    #[arg(long, value_name = "COUNT", num_args = 0..=1, default_missing_value = "1")]
    wait_callbacks: Option<usize>,
    /// Longest wait for callbacks, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
    /// How long the calling session lives for callbacks, in minutes
    #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(u32).range(1..=1440))]
    callback_timeout: Option<u32>,
    /// Address of the org, when there are several
    #[arg(long, value_name = "URL")]
    org_url: Option<String>,
    #[command(flatten)]
    addon: AddonArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) async fn run(args: Args, settings: &Settings, printer: Printer) -> Result<ExitStatus, CliError> {
    if args.authorization.is_some() {
        if !args.target.starts_with('/') {
            return Err(CliError::refused(format!("`{}` is no path of an app", args.target)).hint(
                "with --authorization an app on this machine is called: give a path such as /accounts",
            ));
        }
        return local::run(&args, settings, printer).await;
    }
    let request = request(&args, printer).await?;
    let org = settings.org(args.org_url.as_deref())?;

    let progress = printer.start(format!("Invoking {} as {}...", args.target, request.username));
    let invoked = match poll::interruptible(org.sim().invoke(&request)).await {
        Waited::Done(outcome) => outcome.map_err(|error| org.explain(error))?,
        Waited::Interrupted => {
            return Err(CliError::interrupted("stopped waiting; the app may still be working on the call"));
        }
    };
    progress.finish(&invoked.status.to_string());
    show(&invoked, args.output.json, printer)?;
    if let Some(count) = args.wait_callbacks {
        let limit = Duration::from_secs(args.timeout);
        wait_for_callbacks(&org, &invoked, count, limit, printer).await?;
    }
    if invoked.status < 400 {
        return Ok(ExitStatus::Success);
    }
    Err(CliError::refused(format!("the app answered {}", invoked.status)))
}

async fn request(args: &Args, printer: Printer) -> Result<Invoke, CliError> {
    let (service, operation) = target(&args.target)?;
    Ok(Invoke {
        service: service.to_owned(),
        operation: operation.to_owned(),
        username: args.username.clone().unwrap_or_default(),
        body: body(args.body.as_deref(), printer).await?,
        parameters: parameters(&args.parameters)?,
        mode: args.mode,
        callback_timeout_minutes: args.callback_timeout,
    })
}

/// The answer is the data; with `--json` all the org knows about the call.
fn show(invoked: &Invoked, json: bool, printer: Printer) -> Result<(), CliError> {
    match &invoked.body {
        _ if json => printer.json(invoked),
        Value::Null => Ok(()),
        Value::String(text) => printer.data(text),
        other => printer.json(other),
    }
}

/// Prints each callback as a line of JSON when it arrives.
async fn wait_for_callbacks(
    org: &LocalOrg,
    invoked: &Invoked,
    count: usize,
    limit: Duration,
    printer: Printer,
) -> Result<(), CliError> {
    if !invoked.callbacks_expected {
        printer
            .warning("this call expects no callbacks: its operation declares none, or it was made as a Flow");
        return Ok(());
    }
    let mut seen = 0;
    let all = async {
        while seen < count {
            let callbacks = org.sim().callbacks(&invoked.invocation_id, seen + 1, LOOK).await;
            let callbacks = callbacks.map_err(|error| org.explain(error))?;
            for callback in callbacks.iter().skip(seen) {
                printer.json_line(callback)?;
            }
            seen = seen.max(callbacks.len());
        }
        Ok::<(), CliError>(())
    };
    match poll::interruptible(tokio::time::timeout(limit, all)).await {
        Waited::Done(Ok(outcome)) => outcome,
        Waited::Done(Err(_elapsed)) => Err(CliError::refused(format!(
            "only {seen} of {count} callbacks arrived within {} s",
            limit.as_secs()
        ))
        .hint("wait longer with --timeout")),
        Waited::Interrupted => {
            Err(CliError::interrupted(format!("stopped waiting after {seen} of {count} callbacks")))
        }
    }
}

fn target(text: &str) -> Result<(&str, &str), CliError> {
    text.split_once('.').filter(|(service, operation)| !service.is_empty() && !operation.is_empty()).ok_or_else(|| {
        CliError::refused(format!("`{text}` names no operation"))
            .hint("write the client name and the operation id, joined by a dot: ProvisioningAPI.provisionServices")
    })
}

/// The JSON of `--body`, of a file, or of standard input.
async fn body(given: Option<&str>, printer: Printer) -> Result<Option<Value>, CliError> {
    let Some(given) = given else { return Ok(None) };
    let (named, text) = match given.strip_prefix('@') {
        None => ("--body".to_owned(), given.to_owned()),
        Some("-") => ("standard input".to_owned(), piped(printer).await?),
        Some(path) => (path.to_owned(), file(path)?),
    };
    let read = serde_json::from_str(&text);
    read.map(Some).map_err(|error| CliError::broken(format!("{named} is not JSON: {error}")))
}

async fn piped(printer: Printer) -> Result<String, CliError> {
    let read = prompt::standard_input("the body", MOST_BODY, printer).await?;
    let text = read.map_err(|error| CliError::broken("can't read standard input").because(error))?;
    Ok(text.expose_secret().to_owned())
}

fn file(path: &str) -> Result<String, CliError> {
    std::fs::read_to_string(path)
        .map_err(|error| CliError::broken(format!("can't read {path}")).because(error))
}

/// `NAME=VALUE` pairs; what reads as a number or a boolean is sent as one.
fn parameters(pairs: &[String]) -> Result<Option<Value>, CliError> {
    let mut object = Map::new();
    for pair in pairs {
        let (name, value) = pair
            .split_once('=')
            .filter(|(name, _)| !name.is_empty())
            .ok_or_else(|| CliError::refused(format!("`{pair}` is no parameter")).hint("write NAME=VALUE"))?;
        object.insert(name.to_owned(), parameter(value));
    }
    Ok((!object.is_empty()).then_some(Value::Object(object)))
}

fn parameter(value: &str) -> Value {
    match serde_json::from_str(value) {
        Ok(scalar @ (Value::Number(_) | Value::Bool(_))) => scalar,
        _ => Value::String(value.to_owned()),
    }
}
