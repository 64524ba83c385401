//! How long the server takes for the dashboard's pages, and what they weigh, with very much in the add-on.
//!
//! `cargo xtask bench dashboard`, or `cargo run --release -p applink-server --example dashboard_figures`. Prints JSON.

#![expect(clippy::print_stdout, reason = "a measurement talks on its terminal")]
#![expect(clippy::disallowed_methods, reason = "the time of a page is what is measured")]

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use applink_api::operator::{CreateAddon, CreateApp};
use applink_server::audit::{Actor, tallies};
use applink_server::db::DatabaseUrl;
use applink_server::vault::MasterKey;
use applink_server::{Config, RunningServer, Server, addons};
use applink_testkit::many::{Many, Owner};
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use http::header::{ACCEPT_ENCODING, CONTENT_TYPE, COOKIE, HeaderValue, ORIGIN, SET_COOKIE};
use reqwest::{Method, Request, Url};
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const SALT: &str = "figures";
/// Times each page is asked for, after one time that does not count.
const RUNS: usize = 30;
/// What there is.
const MANY: Many = Many {
    connections: 10_000,
    authorizations: 10_000,
    publications: 1_000,
    events: 200_000,
    invocations: 20_000,
};
/// The first page, and those that have much to do.
const PAGES: [(&str, &str); 14] = [
    ("first page: connections", "/dashboard/connections"),
    ("connections, searched", "/dashboard/connections?q=09999"),
    ("connections, page 100", "/dashboard/connections?page=100"),
    ("authorizations, page 100", "/dashboard/authorizations?page=100"),
    ("publications", "/dashboard/publications"),
    ("publications, searched by connection", "/dashboard/publications?q=conn_00999"),
    ("the form Publish App", "/dashboard/publications/new"),
    ("data action targets", "/dashboard/data-action-targets"),
    ("activity", "/dashboard/activity"),
    ("activity, filtered", "/dashboard/activity?action=grant.&what=event+199990"),
    ("health, a day", "/dashboard/health"),
    ("health, a week", "/dashboard/health?window=week"),
    ("health, a day of one org", "/dashboard/health?org=conn_00100"),
    ("activity as CSV, 50,000 rows", "/dashboard/activity.csv"),
];

fn main() -> ExitCode {
    match run() {
        Ok(measured) => {
            println!("{measured}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<Value> {
    let folder = std::env::temp_dir().join(format!("applink-figure-dashboard-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let measured = runtime.block_on(measure(&folder));
    let _ = std::fs::remove_dir_all(&folder);
    measured
}

async fn measure(folder: &Path) -> Result<Value> {
    let server = start(folder).await?;
    let addon = fill(&server).await?;
    // As a server does every ten seconds; here all events came at once.
    for _ in 0..2 {
        tallies::count(server.app()).await?;
    }
    let visitor = Visitor::sign_in(&server, &addon).await?;
    let mut pages = Vec::new();
    for (name, path) in PAGES {
        let runs = if path.contains(".csv") { 3 } else { RUNS };
        pages.push(visitor.page(name, path, runs).await?);
    }
    Ok(json!({"pages": pages, "connections": MANY.connections, "authorizations": MANY.authorizations,
        "publications": MANY.publications, "events": MANY.events, "invocations": MANY.invocations}))
}

async fn start(folder: &Path) -> Result<RunningServer> {
    let url = DatabaseUrl::sqlite(&folder.join("applink.db"));
    let mut config = Config::local(url, MasterKey::from_bytes([7; 32]));
    config.access.sso_salt = Some(SALT.into());
    // Counted all the same, only higher than anybody gets.
    config.limits.management_per_hour = 1_000_000;
    Ok(Server::start(config).await?)
}

/// Makes the add-on; its uuid.
async fn fill(server: &RunningServer) -> Result<String> {
    let (app, actor) = (server.app(), Actor::system());
    let create = CreateApp { name: "large-app".to_owned(), url: None };
    let created = addons::create_app(app, &actor, create, None).await?;
    let create = CreateAddon { app: "large-app".to_owned(), attachment: None, name: None };
    let addon = addons::provision(app, &actor, create).await?.id.to_string();
    let owner = Owner {
        addon: &addon,
        app: &created.id.to_string(),
        now: app.clock.now().as_micros(),
        is_postgres: false,
    };
    let tx = app.store.begin().await?;
    for statement in MANY.statements(&owner) {
        tx.execute_unprepared(&statement).await?;
    }
    tx.commit().await?;
    Ok(addon)
}

/// A browser that is signed in and takes compressed answers as they are.
struct Visitor {
    http: reqwest::Client,
    base: String,
    cookie: HeaderValue,
}

impl Visitor {
    async fn sign_in(server: &RunningServer, addon: &str) -> Result<Self> {
        let http =
            reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build()?;
        let base = server.url().to_string();
        let timestamp = server.app().clock.now().as_seconds().to_string();
        let signed = digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{addon}:{SALT}:{timestamp}").as_bytes());
        let token: String = signed.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let form = [
            ("resource_id", addon),
            ("resource_token", &token),
            ("timestamp", &timestamp),
            ("email", "person@acme.example"),
        ];
        let mut request = Request::new(Method::POST, Url::parse(&format!("{base}/sso/login"))?);
        *request.body_mut() = Some(serde_urlencoded::to_string(form)?.into());
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(ORIGIN, HeaderValue::from_str(&base)?);
        let answer = http.execute(request).await?;
        let cookie = answer.headers().get(SET_COOKIE).ok_or("no session")?.to_str()?;
        let cookie = HeaderValue::from_str(cookie.split(';').next().unwrap_or_default())?;
        Ok(Self { http, base, cookie })
    }

    /// The body of an answer, how long it took, and how many bytes came, head included.
    async fn get(&self, path: &str) -> Result<(String, Duration, usize)> {
        let mut request = Request::new(Method::GET, Url::parse(&format!("{}{path}", self.base))?);
        request.headers_mut().insert(COOKIE, self.cookie.clone());
        request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        let started = Instant::now();
        let answer = self.http.execute(request).await?;
        if !answer.status().is_success() {
            return Err(format!("{path}: {}", answer.status()).into());
        }
        let head: usize =
            answer.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        let body = answer.bytes().await?;
        let took = started.elapsed();
        Ok((String::from_utf8_lossy(&body).into_owned(), took, head + body.len()))
    }

    async fn page(&self, name: &str, path: &str, runs: usize) -> Result<Value> {
        let (html, first, own) = self.get(path).await?;
        let mut times = Vec::new();
        for _ in 0..runs {
            times.push(self.get(path).await?.1.as_secs_f64() * 1000.0);
        }
        times.sort_by(f64::total_cmp);
        let at = |part: usize| times.get((times.len() * part).div_ceil(100).saturating_sub(1)).copied();
        let mut assets = 0;
        for asset in assets_of(&html) {
            assets += self.get(asset).await?.2;
        }
        Ok(json!({"name": name, "path": path, "first_ms": first.as_secs_f64() * 1000.0, "median_ms": at(50),
            "p95_ms": at(95), "bytes": own, "asset_bytes": assets}))
    }
}

/// What a page loads besides itself.
fn assets_of(html: &str) -> impl Iterator<Item = &str> {
    let found = html.split(['"']).filter(|text| text.starts_with("/dashboard/assets/"));
    found.collect::<std::collections::BTreeSet<_>>().into_iter()
}
