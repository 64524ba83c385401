//! `logs`: what happened in an add-on and who did it, from the control plane's audit ledger, and the calls that meshes told it
//! of.

use std::collections::HashMap;
use std::time::Duration;

use applink_api::audit::AuditEntry;
use applink_api::client::{Client, ClientError};
use applink_api::mesh_report::InvocationRecord;
use applink_api::time::Timestamp;
use serde::Serialize;

use crate::arguments::{AddonArgs, OutputArgs};
use crate::error::{CliError, ExitStatus};
use crate::poll::{self, Waited};
use crate::printer::{Printer, printable};
use crate::settings::{Addon, Settings};

/// Between two looks of `--tail`.
const LOOK: Duration = Duration::from_secs(2);
/// As many lines are on a page of the service.
const PAGE: usize = 200;
/// Meshes and other processes tell some lines later than they happened, by no more than this.
const LATE: Duration = Duration::from_secs(300);
/// So many looks in a row may fail for a passing reason before `--tail` gives up.
const MISSES: u32 = 5;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Go on showing what happens, until Ctrl-C; with --json a line of JSON for each
    #[arg(short, long, visible_alias = "follow")]
    tail: bool,
    /// Begin with at most so many of the newest lines
    #[arg(short, long, value_name = "NUMBER", default_value_t = 100)]
    num: usize,
    /// Only the audit ledger, or only calls that a mesh saw
    #[arg(short, long)]
    source: Option<Source>,
    /// Only what begins like this: `connection`, `authorization.removed`; of calls, the verdict: `verified`
    #[arg(long, value_name = "PREFIX")]
    action: Option<String>,
    #[command(flatten)]
    addon: AddonArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Where a line comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Source {
    Audit,
    Mesh,
}

/// One line.
#[derive(Debug, Serialize)]
#[serde(tag = "source", rename_all = "lowercase")]
enum Line {
    Audit(AuditEntry),
    Mesh(InvocationRecord),
}

pub(crate) async fn run(args: Args, settings: &Settings, printer: Printer) -> Result<ExitStatus, CliError> {
    let addon = settings.addon(&args.addon).await?;
    let client = addon.client(printer)?;
    let mut seen = Seen::default();
    let lines = args.look(&client, &seen, args.num).await.map_err(|error| addon.explain(error))?;
    seen.note(&lines);
    let newest = &lines[lines.len().saturating_sub(args.num)..];
    if args.output.json && !args.tail {
        printer.json(&newest)?;
        return Ok(ExitStatus::Success);
    }
    newest.iter().try_for_each(|line| args.show(line, printer))?;
    if !args.tail {
        return Ok(ExitStatus::Success);
    }
    match poll::interruptible(tail(&args, &addon, &client, seen, printer)).await {
        Waited::Done(ended) => ended.map(|()| ExitStatus::Success),
        Waited::Interrupted => Ok(ExitStatus::Success),
    }
}

async fn tail(
    args: &Args,
    addon: &Addon,
    client: &Client,
    mut seen: Seen,
    printer: Printer,
) -> Result<(), CliError> {
    let mut misses = 0;
    loop {
        tokio::time::sleep(LOOK).await;
        let lines = match args.look(client, &seen, 0).await {
            Ok(lines) => lines,
            Err(error) if error.is_transient() && misses < MISSES => {
                misses += 1;
                continue;
            }
            Err(error) => return Err(addon.explain(error)),
        };
        misses = 0;
        for line in lines.iter().filter(|line| seen.is_new(line)) {
            args.show(line, printer)?;
        }
        seen.note(&lines);
    }
}

/// What was shown lately, and from when on something may be new.
#[derive(Debug, Default)]
struct Seen {
    lines: HashMap<String, Timestamp>,
    since: Option<Timestamp>,
}

impl Seen {
    fn is_new(&self, line: &Line) -> bool {
        self.since.is_none_or(|since| line.at() >= since) && !self.lines.contains_key(&line.key())
    }

    fn note(&mut self, lines: &[Line]) {
        self.lines.extend(lines.iter().map(|line| (line.key(), line.at())));
        let newest = self.lines.values().max().map(|newest| newest.minus(LATE));
        self.since = self.since.max(newest);
        self.lines.retain(|_, at| self.since.is_none_or(|since| *at >= since));
    }
}

/// The newest lines of one source, page after page into the past: at least `enough`, and all that are new.
async fn back(
    seen: &Seen,
    enough: usize,
    page: impl AsyncFn(Option<Timestamp>) -> Result<Vec<Line>, ClientError>,
) -> Result<Vec<Line>, ClientError> {
    let mut found: HashMap<String, Line> = HashMap::new();
    let mut before = None;
    loop {
        let lines = page(before).await?;
        before = lines.iter().map(Line::at).min();
        let is_last = lines.len() < PAGE;
        let known = found.len();
        let any_new = lines.iter().any(|line| seen.is_new(line) && !found.contains_key(&line.key()));
        found.extend(lines.into_iter().map(|line| (line.key(), line)));
        let is_enough = found.len() >= enough && (seen.since.is_none() || !any_new);
        if is_last || is_enough || found.len() == known {
            return Ok(found.into_values().collect());
        }
    }
}

impl Args {
    /// What there is now, the oldest first: all that is new, and at least `enough` lines of each source.
    async fn look(&self, client: &Client, seen: &Seen, enough: usize) -> Result<Vec<Line>, ClientError> {
        let audit = client.audit();
        let mut lines = Vec::new();
        if self.source != Some(Source::Mesh) {
            let page = async |before| {
                let entries = audit.list_before(before).await?;
                Ok(entries.into_iter().map(Line::Audit).collect())
            };
            lines.extend(back(seen, enough, page).await?);
        }
        if self.source != Some(Source::Audit) {
            let page = async |before| {
                let records = audit.invocations_before(before).await?;
                Ok(records.into_iter().map(Line::Mesh).collect())
            };
            lines.extend(back(seen, enough, page).await?);
        }
        lines.retain(|line| self.action.as_ref().is_none_or(|prefix| line.action().starts_with(prefix)));
        lines.sort_by_cached_key(|line| (line.at(), line.key()));
        Ok(lines)
    }

    fn show(&self, line: &Line, printer: Printer) -> Result<(), CliError> {
        if self.output.json { printer.json_line(line) } else { printer.data(&line.text()) }
    }
}

impl Line {
    fn at(&self) -> Timestamp {
        match self {
            Self::Audit(entry) => entry.at,
            Self::Mesh(record) => record.at,
        }
    }

    fn action(&self) -> &str {
        match self {
            Self::Audit(entry) => &entry.action,
            Self::Mesh(record) => &record.verdict,
        }
    }

    /// Tells lines apart. A record has no number, but no two calls have the same id in the same microsecond.
    fn key(&self) -> String {
        match self {
            Self::Audit(entry) => entry.id.clone(),
            Self::Mesh(record) => format!("{} {}", record.at, record.request_id),
        }
    }

    /// As Heroku's logs look.
    fn text(&self) -> String {
        match self {
            Self::Audit(entry) => {
                let who = entry.actor.as_deref().unwrap_or("(erased)");
                let line = format!("{} applink[audit]: {} by {}", entry.at, entry.action, printable(who));
                if entry.detail.is_empty() { line } else { format!("{line}: {}", printable(&entry.detail)) }
            }
            Self::Mesh(record) => called(record),
        }
    }
}

fn called(record: &InvocationRecord) -> String {
    let InvocationRecord { at, status, mesh_micros, app_micros, .. } = record;
    let [operation, verdict] = [&record.operation, &record.verdict].map(|text| printable(text));
    let mut line = format!("{at} applink[mesh]: {operation} {verdict} status={status}");
    let named = [("org", &record.org_id), ("user", &record.user_id), ("request_id", &record.request_id)];
    for (name, value) in named.into_iter().filter(|(_, value)| !value.is_empty()) {
        line.push_str(&format!(" {name}={}", printable(value)));
    }
    line.push_str(&format!(" mesh={mesh_micros}us app={app_micros}us"));
    line
}
