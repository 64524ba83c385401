//! `applink:authorizations:test`: does the token work, whose is it, and how much of the org's limits is left.
//!
//! 1. The service hands out the token, as it would to the app.
//! 2. The org says whose it is.
//! 3. The org says what is left of its limits.

use applink_salesforce::rest::OrgCall;
use serde::Serialize;
use serde_json::Value;

use super::unknown;
use crate::arguments::{AddonArgs, OutputArgs};
use crate::error::{CliError, ExitStatus};
use crate::org_access::{Access, refused};
use crate::printer::{Printer, fields};
use crate::settings::Settings;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Developer name of the authorization
    developer_name: String,
    #[command(flatten)]
    addon: AddonArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// What the token is good for.
#[derive(Serialize)]
struct Tested {
    developer_name: String,
    works: bool,
    username: String,
    user_id: String,
    org_id: String,
    instance_url: String,
    api_version: String,
    limits: Vec<Limit>,
}

/// One of the org's limits.
#[derive(Serialize)]
struct Limit {
    name: &'static str,
    max: i64,
    remaining: i64,
}

/// Those an integration runs into.
const LIMITS: [&str; 4] =
    ["DailyApiRequests", "DailyBulkV2QueryJobs", "DailyAsyncApexExecutions", "DataStorageMB"];

pub(crate) async fn run(args: Args, settings: &Settings, printer: Printer) -> Result<ExitStatus, CliError> {
    let name = &args.developer_name;
    let addon = settings.addon(&args.addon).await?;
    let client = addon.app_client(printer)?;
    let progress = printer.start(format!("Testing {name}..."));
    let authorization = match client.authorizations().get(name).await {
        Err(error) if error.is_not_found() => return Err(unknown(name, &addon)),
        other => other.map_err(|error| addon.explain(error))?,
    };
    let access = Access::of(authorization)?;
    let user = access.org().who_am_i().await.map_err(refused)?;
    let limits =
        access.org().send(&OrgCall::get(format!("/services/data/v{}/limits", access.api_version))).await;
    // A user without the right to see limits still has a token that works.
    let limits = limits.and_then(|answer| answer.json::<Value>()).unwrap_or(Value::Null);
    progress.finish("done");
    let tested = Tested {
        developer_name: name.clone(),
        works: true,
        username: user.username,
        user_id: access.user_id.clone(),
        org_id: access.org_id.clone(),
        instance_url: access.instance_url.clone(),
        api_version: access.api_version.clone(),
        limits: LIMITS.iter().filter_map(|name| limit(&limits, name)).collect(),
    };
    show(&tested, args.output.json, printer)
}

fn limit(limits: &Value, name: &'static str) -> Option<Limit> {
    let of = |key: &str| limits.get(name)?.get(key)?.as_i64();
    Some(Limit { name, max: of("Max")?, remaining: of("Remaining")? })
}

fn show(tested: &Tested, json: bool, printer: Printer) -> Result<ExitStatus, CliError> {
    if json {
        printer.json(tested)?;
        return Ok(ExitStatus::Success);
    }
    let text = |text: &str| Some(text.to_owned());
    let mut pairs = vec![
        ("Username", text(&tested.username)),
        ("User ID", text(&tested.user_id)),
        ("Org ID", text(&tested.org_id)),
        ("Instance URL", text(&tested.instance_url)),
        ("API Version", text(&tested.api_version)),
    ];
    pairs.extend(
        tested
            .limits
            .iter()
            .map(|limit| (limit.name, Some(format!("{} of {} left", limit.remaining, limit.max)))),
    );
    printer.data(&format!("=== {} works\n\n{}", tested.developer_name, fields(&pairs)))?;
    Ok(ExitStatus::Success)
}
