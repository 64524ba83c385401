//! Health: what went on, as charts one looks at rather than reads, and the map of what hangs together.
//!
//! Everything comes from what is stored anyway: the audit log (tokens handed out, refreshes, failures), of which counts per
//! half hour are kept ([`tallies`]), and what meshes reported (counts of all calls, and a sample with their org and duration).

pub mod charts;
pub mod figures;
pub mod map;

use std::collections::{BTreeMap, HashMap};

use applink_api::ids::{AddonId, AppUuid};
use applink_api::time::Timestamp;
use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use sea_orm::DatabaseConnection;
use serde::Deserialize;

use self::charts::Chart;
use self::figures::{Slices, Sums, Window, latency};
use self::map::{Health, Map, Node, Side};
use super::session::RequireSession;
use super::shell::{Section, Shell};
use crate::addons::{self, Attachment};
use crate::app::App;
use crate::audit::browse::{self, By, Count, Counted};
use crate::audit::tallies;
use crate::connections;
use crate::credentials::{self, Credential, Kind, State as Standing, overview};
use crate::db::StoreError;
use crate::error::ApiError;
use crate::invocations::figures::{self as invocations, Sampled};

/// Requests of the sample that are looked at.
const SAMPLED: i64 = 20_000;
/// Apps and orgs to choose from, at most: with more orgs the one is typed.
const CHOICES: usize = 100;
/// Orgs of the map, at most.
const MAPPED: u64 = 100;
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
    /// None when there are too many to choose from: then it is typed.
    orgs: Option<Vec<Choice>>,
    org: String,
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
    /// With what one of their connections is called; none when there are too many.
    orgs: Option<Vec<(String, String)>>,
}

impl Known {
    async fn load(app: &App, found: &RequireSession) -> Result<Self, ApiError> {
        let (reader, addon) = (app.store.reader(), found.addon.id);
        let attachments = addons::store::attachments_of(reader, addon).await?;
        let orgs = overview::few_orgs(reader, addon, CHOICES as u64).await?;
        Ok(Self { attachments, orgs })
    }

    fn apps(&self) -> BTreeMap<AppUuid, String> {
        self.attachments.iter().map(|one| (one.app.id, one.app.name.clone())).collect()
    }
}

impl Asked {
    /// With an org's id where the name of a connection was typed.
    async fn with_org(mut self, app: &App, addon: AddonId) -> Result<Self, ApiError> {
        self.org = self.org.trim().to_owned();
        if self.org.is_empty() || self.org.starts_with("00D") {
            return Ok(self);
        }
        let named = credentials::store::find(app.store.reader(), addon, Kind::Connection, &self.org).await?;
        if let Some(org) = named.as_ref().and_then(Credential::org) {
            self.org.clone_from(&org.org_id);
        }
        Ok(self)
    }
}

async fn load(app: &App, found: &RequireSession, shell: Shell, asked: Asked) -> Result<Page, ApiError> {
    // As in the API: reading the log and the calls needs the right to change.
    found.manager()?;
    let window = Window::of(&asked.window);
    let now = app.clock.now();
    let slices = Slices::until(now, window);
    let (known, asked) = tokio::try_join!(Known::load(app, found), asked.with_org(app, found.addon.id))?;
    let choice = |value: String, label: String, asked: &str| Choice { chosen: value == asked, value, label };
    // Beside each other: each part is a question to the database of its own.
    let (tokens, calls, map) = tokio::try_join!(
        token_charts(app, found, &known, slices, &asked),
        call_charts(app, found, &known, slices, &asked),
        draw(app, found, &known, now)
    )?;
    Ok(Page {
        windows: Window::ALL.map(|one| (one.word(), one == window)).to_vec(),
        apps: known
            .apps()
            .into_iter()
            .take(CHOICES)
            .map(|(id, name)| choice(id.to_string(), name, &asked.app))
            .collect(),
        orgs: known.orgs.map(|orgs| {
            let labelled = orgs.into_iter().map(|(id, name)| (format!("{name} ({id})"), id));
            labelled.map(|(label, id)| choice(id, label, &asked.org)).collect()
        }),
        org: asked.org,
        map,
        charts: tokens.into_iter().chain(calls).collect(),
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
    let (by_app, by_org, fates) = tokio::try_join!(
        counted(reader, addon, &handed_out),
        counted(reader, addon, &by_org),
        counted(reader, addon, &fates)
    )?;
    let (by_app, by_org) = (summed(slices, by_app, app_of), summed(slices, by_org, org_of));
    let fates = summed(slices, fates, fate_of);
    Ok(vec![
        Chart::of(by_app.chart("tokens-by-app", "Tokens handed out, by app", "tokens")),
        Chart::of(by_org.chart("tokens-by-org", "Tokens handed out, by org", "tokens")),
        Chart::of(fates.chart("refreshes", "Refreshes and failures at the org", "times")),
    ])
}

/// From the counts that are kept. They are of whole half hours: the last hour is counted from the rows.
async fn counted(
    reader: &DatabaseConnection,
    addon: AddonId,
    counted: &Counted<'_>,
) -> Result<Vec<Count>, StoreError> {
    if counted.length % tallies::SLOT == 0 {
        tallies::counts(reader, addon, counted).await
    } else {
        browse::counts(reader, addon, counted).await
    }
}

fn summed(slices: Slices, counts: Vec<Count>, name: fn(&str) -> &str) -> Sums {
    let mut sums = Sums::new(slices);
    for count in counts {
        match count.label.as_deref() {
            Some(tallies::OTHERS) => sums.add_rest(None, count.slice, count.number),
            Some(label) => sums.add(name(label), count.slice, count.number),
            None => sums.add_rest(Some(beyond(count.labels)), count.slice, count.number),
        }
    }
    sums
}

/// How many of so many labels are not told apart.
fn beyond(labels: i64) -> usize {
    usize::try_from(labels - TOLD_APART).unwrap_or_default()
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
    let name_of = |id: &str| {
        let known = id.parse().ok().and_then(|id| names.get(&id));
        known.map_or("an app that is gone", String::as_str)
    };
    let (since, length) = (slices.since(), slices.length());
    let sample = Sampled { since, length, app: wanted, org: &asked.org, limit: SAMPLED };
    let (mut by_verdict, mut by_app) = (Sums::new(slices), Sums::new(slices));
    // Counts are of all calls, but tell no org: with one chosen, what the sample has must do.
    if asked.org.is_empty() {
        for count in invocations::counts(reader, addon, since, length).await? {
            let id = AppUuid::from(count.app_id);
            if wanted.is_none_or(|wanted| wanted == id) {
                by_verdict.add(&count.verdict, count.slice, count.number);
                by_app.add(name_of(&id.to_string()), count.slice, count.number);
            }
        }
    } else {
        let (verdicts, apps) = tokio::try_join!(
            invocations::seen(reader, addon, invocations::By::Verdict, &sample, TOLD_APART),
            invocations::seen(reader, addon, invocations::By::App, &sample, TOLD_APART)
        )?;
        by_verdict.add_seen(verdicts, beyond, str::to_owned);
        by_app.add_seen(apps, beyond, |id| name_of(id).to_owned());
    }
    let (orgs, took) = tokio::try_join!(
        invocations::seen(reader, addon, invocations::By::Org, &sample, TOLD_APART),
        invocations::took(reader, addon, &sample)
    )?;
    let mut by_org = Sums::new(slices);
    by_org.add_seen(orgs, beyond, |org| if org.is_empty() { "no verified org" } else { org }.to_owned());
    let of_sample = if asked.org.is_empty() { "" } else { " (of the sample)" };
    let titled = |text: &str| format!("{text}{of_sample}");
    Ok(vec![
        Chart::of(by_verdict.chart("verdicts", &titled("Invocations by verdict"), "calls")),
        Chart::of(by_app.chart("calls-by-app", &titled("Invocations by app"), "calls")),
        Chart::of(by_org.chart("calls-by-org", "Invocations by org (of the sample)", "calls")),
        Chart::of(latency(slices, &took)),
    ])
}

async fn draw(app: &App, found: &RequireSession, known: &Known, now: Timestamp) -> Result<Map, ApiError> {
    let (reader, addon) = (app.store.reader(), found.addon.id);
    let (heard, (total, bad), some) = tokio::try_join!(
        invocations::heard(reader, addon),
        overview::counts(reader, addon),
        overview::troubled_first(reader, addon, MAPPED)
    )?;
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

#[cfg(test)]
pub(crate) mod samples {
    use applink_testkit::html::Sample;

    use super::charts::{Data, Series, Style};
    use super::*;
    use crate::samples::evil;

    fn node(health: Health) -> Node {
        Node { name: evil(), detail: evil(), health, state: evil() }
    }

    fn map(apps: usize, orgs: usize) -> Map {
        let nodes = |count| {
            let all = [Health::Good, Health::Waiting, Health::Bad].into_iter().cycle();
            Side::of(all.take(count).map(node).collect())
        };
        Map::of(&evil(), nodes(apps), nodes(orgs))
    }

    fn chart(id: &str, style: Style, values: &[u64]) -> Chart {
        Chart::of(Data {
            id: id.to_owned(),
            title: evil(),
            unit: "calls",
            labels: values.iter().map(|_| evil()).collect(),
            moments: values.iter().skip(1).map(|_| evil()).collect(),
            series: vec![Series { name: evil(), values: values.to_vec() }],
            style,
        })
    }

    fn charts() -> Vec<Chart> {
        vec![
            chart("bars", Style::Stacked, &[1, 0, 3]),
            chart("lines", Style::Lines, &[1, 2]),
            chart("empty", Style::Stacked, &[0]),
        ]
    }

    pub(crate) fn all() -> Vec<Sample> {
        let mut all: Vec<Sample> =
            charts().into_iter().map(|chart| Sample::new("dashboard/chart.html", chart)).collect();
        let maps = [(0, 0), (1, 2), (25, 80)].map(|(apps, orgs)| map(apps, orgs));
        all.extend(maps.map(|map| Sample::new("dashboard/map.html", map)));
        let choices = || [true, false].map(|chosen| Choice { value: evil(), label: evil(), chosen }).into();
        let page = |orgs, map, charts| Page {
            shell: Shell::sample(),
            windows: vec![("hour", true), ("day", false)],
            apps: choices(),
            orgs,
            org: evil(),
            map,
            charts,
        };
        let pages = [
            page(Some(choices()), map(2, 3), charts()),
            page(None, map(0, 0), Vec::new()),
            page(Some(Vec::new()), map(1, 0), Vec::new()),
        ];
        all.extend(pages.map(|page| Sample::new("dashboard/health.html", page)));
        all
    }
}
