//! Health: what went on, as charts one looks at rather than reads, and the map of what hangs together.
//!
//! Everything comes from what is stored anyway: the audit log (tokens handed out, refreshes, failures) and what meshes
//! reported (counts of all calls, and a sample with their org and duration).

pub mod charts;
pub mod figures;
pub mod map;

use std::collections::{BTreeMap, HashMap};

use applink_api::ids::AppUuid;
use applink_api::time::Timestamp;
use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;

use self::charts::Chart;
use self::figures::{Slices, Sums, Window, latency};
use self::map::{Health, Map, Node, Side};
use super::session::RequireSession;
use super::shell::{Section, Shell};
use crate::addons::{self, Attachment};
use crate::app::App;
use crate::audit::browse::{self, By, Count, Counted};
use crate::connections;
use crate::credentials::{Credential, State as Standing, overview};
use crate::error::ApiError;
use crate::invocations::figures as invocations;

/// Requests of the sample that are looked at.
const SAMPLED: i64 = 20_000;
/// Apps and orgs to choose from, at most: a page stays small.
const CHOICES: usize = 200;
/// Apps or orgs that are counted apart; a chart shows fewer.
const TOLD_APART: i64 = 100;
/// A mesh that was not heard of for this long is silent.
const SILENT: std::time::Duration = std::time::Duration::from_secs(10 * 60);

const HANDED_OUT: &str = "authorization.handed_out";
/// What becomes of tokens at the org, with what it is for people.
const TOKENS: [(&str, &str); 7] = [
    ("grant.refreshed", "refreshed"),
    ("grant.last_chance", "refused once"),
    ("grant.dead", "ended by the org"),
    ("connection.failed", "log-in failed"),
    ("authorization.failed", "log-in failed"),
    ("connection.reconnect_failed", "log-in failed"),
    ("authorization.reconnect_failed", "log-in failed"),
];

/// How far back, and of which app and org.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    window: String,
    app: String,
    org: String,
}

/// Something to choose.
struct Choice {
    value: String,
    label: String,
    chosen: bool,
}

#[derive(Template)]
#[template(path = "dashboard/health.html")]
struct Page {
    shell: Shell,
    windows: Vec<(&'static str, bool)>,
    apps: Vec<Choice>,
    orgs: Vec<Choice>,
    map: Map,
    charts: Vec<Chart>,
}

/// The charts and the map.
pub async fn show(State(app): State<App>, found: RequireSession, Query(asked): Query<Asked>) -> Response {
    let shell = found.shell(&app, Section::Health);
    shell.answer(load(&app, &found, shell.clone(), asked).await)
}

/// What is attached, and orgs to choose from.
struct Known {
    attachments: Vec<Attachment>,
    /// With what one of their connections is called.
    orgs: Vec<(String, String)>,
}

impl Known {
    async fn load(app: &App, found: &RequireSession, asked: &Asked) -> Result<Self, ApiError> {
        let (reader, addon) = (app.store.reader(), found.addon.id);
        let attachments = addons::store::attachments_of(reader, addon).await?;
        let mut orgs = overview::orgs(reader, addon, CHOICES as u64).await?;
        for (org, name) in &mut orgs {
            *name = format!("{name} ({org})");
        }
        // One of ten thousand stays chosen, too.
        if !asked.org.is_empty() && orgs.iter().all(|(org, _)| *org != asked.org) {
            orgs.insert(0, (asked.org.clone(), asked.org.clone()));
        }
        Ok(Self { attachments, orgs })
    }

    fn apps(&self) -> BTreeMap<AppUuid, String> {
        self.attachments.iter().map(|one| (one.app.id, one.app.name.clone())).collect()
    }
}

async fn load(app: &App, found: &RequireSession, shell: Shell, asked: Asked) -> Result<Page, ApiError> {
    // As in the API: reading the log and the calls needs the right to change.
    found.manager()?;
    let window = Window::of(&asked.window);
    let now = app.clock.now();
    let slices = Slices::until(now, window);
    let known = Known::load(app, found, &asked).await?;
    let choice = |value: String, label: String, asked: &str| Choice { chosen: value == asked, value, label };
    let mut charts = token_charts(app, found, &known, slices, &asked).await?;
    charts.extend(call_charts(app, found, &known, slices, &asked).await?);
    Ok(Page {
        windows: Window::ALL.map(|one| (one.word(), one == window)).to_vec(),
        apps: known
            .apps()
            .into_iter()
            .take(CHOICES)
            .map(|(id, name)| choice(id.to_string(), name, &asked.app))
            .collect(),
        map: draw(app, found, &known, now).await?,
        orgs: known.orgs.into_iter().map(|(id, name)| choice(id, name, &asked.org)).collect(),
        charts,
        shell,
    })
}

/// From the audit log.
async fn token_charts(
    app: &App,
    found: &RequireSession,
    known: &Known,
    slices: Slices,
    asked: &Asked,
) -> Result<Vec<Chart>, ApiError> {
    let (reader, addon) = (app.store.reader(), found.addon.id);
    let fates = TOKENS.map(|(action, _)| action);
    let wanted = asked.app.parse().ok().and_then(|id| known.apps().get(&id).cloned());
    let handed_out = Counted {
        by: By::Name,
        actions: &[HANDED_OUT],
        since: slices.since(),
        length: slices.length(),
        org: &asked.org,
        app: wanted.as_deref(),
        most: TOLD_APART,
    };
    let by_org = Counted { by: By::Org, ..handed_out.clone() };
    let fates = Counted { by: By::Action, actions: &fates, app: None, ..handed_out.clone() };
    let by_app = summed(slices, browse::counts(reader, addon, &handed_out).await?, app_of);
    let by_org = summed(slices, browse::counts(reader, addon, &by_org).await?, org_of);
    let fates = summed(slices, browse::counts(reader, addon, &fates).await?, fate_of);
    Ok(vec![
        Chart::of(by_app.chart("tokens-by-app", "Tokens handed out, by app", "tokens")),
        Chart::of(by_org.chart("tokens-by-org", "Tokens handed out, by org", "tokens")),
        Chart::of(fates.chart("refreshes", "Refreshes and failures at the org", "times")),
    ])
}

fn summed(slices: Slices, counts: Vec<Count>, name: fn(&str) -> &str) -> Sums {
    let mut sums = Sums::new(slices);
    for count in counts {
        match &count.label {
            Some(label) => sums.add(name(label), count.slice, count.number),
            None => {
                let unnamed = usize::try_from(count.labels - TOLD_APART).unwrap_or_default();
                sums.add_rest(unnamed, count.slice, count.number);
            }
        }
    }
    sums
}

/// An app is recorded as "name (prefix)".
fn app_of(recorded: &str) -> &str {
    recorded.rsplit_once(" (").map_or(recorded, |(name, _)| name)
}

fn org_of(id: &str) -> &str {
    if id.is_empty() { "an org that is gone" } else { id }
}

fn fate_of(action: &str) -> &str {
    TOKENS.iter().find(|(known, _)| *known == action).map_or("other", |(_, word)| word)
}

/// From what meshes reported.
async fn call_charts(
    app: &App,
    found: &RequireSession,
    known: &Known,
    slices: Slices,
    asked: &Asked,
) -> Result<Vec<Chart>, ApiError> {
    let (reader, addon) = (app.store.reader(), found.addon.id);
    let names = known.apps();
    let wanted: Option<AppUuid> = asked.app.parse().ok();
    let (mut by_verdict, mut by_app, mut by_org) = (Sums::new(slices), Sums::new(slices), Sums::new(slices));
    let name_of = |id: AppUuid| names.get(&id).map_or("an app that is gone", String::as_str);
    let sample = invocations::sample(reader, addon, slices.since(), (wanted, &asked.org), SAMPLED).await?;
    // Counts are of all calls, but tell no org: with one chosen, what the sample has must do.
    if asked.org.is_empty() {
        for count in invocations::counts(reader, addon, slices.since(), slices.length()).await? {
            let id = AppUuid::from(count.app_id);
            if wanted.is_none_or(|wanted| wanted == id) {
                by_verdict.add(&count.verdict, count.slice, count.number);
                by_app.add(name_of(id), count.slice, count.number);
            }
        }
    }
    for call in &sample {
        let slice = call.at.div_euclid(slices.length());
        if !asked.org.is_empty() {
            by_verdict.add(&call.verdict, slice, 1);
            by_app.add(name_of(call.app_id.into()), slice, 1);
        }
        let org = if call.org_id.is_empty() { "no verified org" } else { &call.org_id };
        by_org.add(org, slice, 1);
    }
    let durations = sample.iter().map(|call| (Timestamp::from_micros(call.at), call.micros));
    let of_sample = if asked.org.is_empty() { "" } else { " (of the sample)" };
    let titled = |text: &str| format!("{text}{of_sample}");
    Ok(vec![
        Chart::of(by_verdict.chart("verdicts", &titled("Invocations by verdict"), "calls")),
        Chart::of(by_app.chart("calls-by-app", &titled("Invocations by app"), "calls")),
        Chart::of(by_org.chart("calls-by-org", "Invocations by org (of the sample)", "calls")),
        Chart::of(latency(slices, durations)),
    ])
}

async fn draw(app: &App, found: &RequireSession, known: &Known, now: Timestamp) -> Result<Map, ApiError> {
    let heard = invocations::heard(app.store.reader(), found.addon.id).await?;
    let heard: HashMap<AppUuid, i64> =
        heard.into_iter().map(|one| (one.app_id.into(), one.seen_at)).collect();
    let mut apps: Vec<Node> = Vec::new();
    let mut seen: Vec<AppUuid> = Vec::new();
    for attachment in &known.attachments {
        if seen.contains(&attachment.app.id) {
            continue;
        }
        seen.push(attachment.app.id);
        let at = heard.get(&attachment.app.id).map(|at| Timestamp::from_micros(*at));
        apps.push(app_node(attachment, at, now));
    }
    let (reader, addon) = (app.store.reader(), found.addon.id);
    let (total, bad) = overview::counts(reader, addon).await?;
    let some = overview::troubled_first(reader, addon, CHOICES as u64).await?;
    let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let orgs = Side { nodes: some.iter().map(org_node).collect(), total: count(total), bad: count(bad) };
    Ok(Map::of(&found.addon.name, Side::of(apps), orgs))
}

fn app_node(attachment: &Attachment, heard: Option<Timestamp>, now: Timestamp) -> Node {
    let (health, state) = match heard {
        _ if attachment.app.url.is_none() => {
            (Health::Waiting, "it has no URL, so orgs can't call it".to_owned())
        }
        None => (Health::Waiting, "no service mesh has reported in the last week".to_owned()),
        Some(at) if now.since(at) > SILENT => (Health::Bad, format!("its mesh is silent since {at}")),
        Some(_) => (Health::Good, "its mesh reports".to_owned()),
    };
    let detail = attachment.app.url.clone().unwrap_or_default();
    Node { name: attachment.app.name.clone(), detail, health, state }
}

fn org_node(connection: &Credential) -> Node {
    let health = match &connection.state {
        Standing::Live(_) => Health::Good,
        Standing::Pending { .. } | Standing::Disconnecting(_) => Health::Waiting,
        Standing::Dead { .. } | Standing::Failed { .. } | Standing::Disconnected { .. } => Health::Bad,
    };
    let word = serde_json::to_value(connections::wire::status(connection)).unwrap_or_default();
    let mut state = word.as_str().unwrap_or_default().to_owned();
    if let Some(error) = connection.error() {
        state = format!("{state}: {}", error.message);
    }
    let detail = connection.org().map(|org| org.org_id.clone()).unwrap_or_default();
    Node { name: connection.name.clone(), detail, health, state }
}
