//! `org:users`, `org:permsets`, `org:records` and `org:callbacks`: what a local org has.

use std::time::Duration;

use serde_json::Value;

use crate::arguments::OutputArgs;
use crate::error::{CliError, ExitStatus};
use crate::poll::{self, Waited};
use crate::printer::{Printer, Table};
use crate::settings::Settings;

/// One look for callbacks; the org answers earlier when one arrives.
const LOOK: Duration = Duration::from_secs(5);

// Which org.
#[derive(Debug, clap::Args)]
pub(crate) struct OrgArgs {
    /// Address of the org, when there are several
    #[arg(long, value_name = "URL")]
    org_url: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RecordsArgs {
    /// An object such as Account, or a whole query
    #[arg(value_name = "OBJECT|SOQL")]
    what: String,
    /// See what this user sees [default: the integration user]
    #[arg(short = 'b', long = "as", value_name = "USERNAME")]
    username: Option<String>,
    /// Fields of the object, separated by commas
    #[arg(long, value_name = "NAMES", default_value = "Id,Name")]
    fields: String,
    /// How many records at most
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    limit: u32,
    #[command(flatten)]
    org: OrgArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CallbacksArgs {
    /// Only those of this invocation
    #[arg(long, value_name = "ID")]
    invocation: Option<String>,
    /// Go on showing them as they arrive, until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    #[command(flatten)]
    org: OrgArgs,
}

pub(crate) async fn users(
    args: OrgArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let org = settings.org(args.org_url.as_deref())?;
    let users = org.sim().list("users").await.map_err(|error| org.explain(error))?;
    let columns = [
        ("Username", "username"),
        ("Name", "name"),
        ("Profile", "profile"),
        ("Permission Sets", "permission_sets"),
    ];
    show(&users, &columns, "Users", &args.output, printer)
}

pub(crate) async fn permission_sets(
    args: OrgArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let org = settings.org(args.org_url.as_deref())?;
    let sets = org.sim().list("permission-sets").await.map_err(|error| org.explain(error))?;
    let columns = [
        ("Name", "name"),
        ("Label", "label"),
        ("Session-based", "session_based"),
        ("Assigned To", "assigned_to"),
    ];
    show(&sets, &columns, "Permission sets", &args.output, printer)
}

pub(crate) async fn records(
    args: RecordsArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let org = settings.org(args.org.org_url.as_deref())?;
    let username = match args.username {
        Some(username) => username,
        None => {
            let users = org.sim().list("users").await.map_err(|error| org.explain(error))?;
            integration_user(&users)?
        }
    };
    let soql = if args.what.contains(char::is_whitespace) {
        args.what
    } else {
        format!("SELECT {} FROM {} LIMIT {}", args.fields, args.what, args.limit)
    };
    let page = org.sim().query_as(&username, &soql).await.map_err(|error| org.explain(error))?;
    let records = page.get("records").cloned().unwrap_or_default();
    if args.org.output.json {
        printer.json(&records)?;
        return Ok(ExitStatus::Success);
    }
    let records: Vec<Value> = records.as_array().cloned().unwrap_or_default();
    let names: Vec<String> = field_names(&records);
    if records.is_empty() {
        printer.note(&format!("{username} sees no such record"));
        return Ok(ExitStatus::Success);
    }
    let titles: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut table = Table::new(&titles);
    for record in &records {
        table.row(names.iter().map(|name| cell(record.get(name))));
    }
    printer.data(&table.to_string())?;
    Ok(ExitStatus::Success)
}

pub(crate) async fn callbacks(
    args: CallbacksArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let org = settings.org(args.org.org_url.as_deref())?;
    let invocation = args.invocation.as_deref();
    if !args.follow {
        let callbacks = org.sim().all_callbacks(invocation, 0, Duration::ZERO).await;
        let callbacks = callbacks.map_err(|error| org.explain(error))?;
        if args.org.output.json {
            printer.json(&callbacks)?;
            return Ok(ExitStatus::Success);
        }
        let columns = [
            ("Received", "received_at"),
            ("Callback", "callback"),
            ("User", "username"),
            ("Invocation", "invocation_id"),
        ];
        return show(&Value::Array(callbacks), &columns, "Callbacks", &args.org.output, printer);
    }
    let mut seen = 0;
    let forever = async {
        loop {
            let callbacks = org.sim().all_callbacks(invocation, seen + 1, LOOK).await;
            let callbacks = callbacks.map_err(|error| org.explain(error))?;
            for callback in callbacks.iter().skip(seen) {
                printer.json_line(callback)?;
            }
            seen = seen.max(callbacks.len());
        }
    };
    match poll::interruptible::<Result<(), CliError>>(forever).await {
        Waited::Done(ended) => ended.map(|()| ExitStatus::Success),
        Waited::Interrupted => Ok(ExitStatus::Success),
    }
}

/// Who sees most without being asked for by name.
fn integration_user(users: &Value) -> Result<String, CliError> {
    let text = |user: &Value, key: &str| user.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let all = users.as_array().map(Vec::as_slice).unwrap_or_default();
    let found = all.iter().find(|user| text(user, "profile").contains("Administrator")).or(all.first());
    found
        .map(|user| text(user, "username"))
        .ok_or_else(|| CliError::refused("the org has no users").hint("name one with --as"))
}

/// In the order of the first record.
fn field_names(records: &[Value]) -> Vec<String> {
    let first = records.first().and_then(Value::as_object);
    first
        .map(|fields| fields.keys().filter(|key| *key != "attributes").cloned().collect())
        .unwrap_or_default()
}

fn show(
    list: &Value,
    columns: &[(&str, &str)],
    title: &str,
    output: &OutputArgs,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    if output.json {
        printer.json(list)?;
        return Ok(ExitStatus::Success);
    }
    let titles: Vec<&str> = columns.iter().map(|(title, _)| *title).collect();
    let mut table = Table::new(&titles);
    for row in list.as_array().map(Vec::as_slice).unwrap_or_default() {
        table.row(columns.iter().map(|(_, key)| cell(row.get(*key))));
    }
    printer.data(&format!("=== {title}\n\n{table}"))?;
    Ok(ExitStatus::Success)
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Bool(yes)) => (if *yes { "yes" } else { "no" }).to_owned(),
        Some(Value::Array(items)) => items.iter().map(|item| cell(Some(item))).collect::<Vec<_>>().join(", "),
        Some(other) => other.to_string(),
    }
}
