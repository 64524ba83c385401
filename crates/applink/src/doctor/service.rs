//! The service as the app reaches it: address, token, app id, clock.

use std::time::Duration;

use applink_api::authorization::Authorization;
use applink_api::client::ClientError;
use applink_api::clock::Clock;
use applink_api::connection::Connection;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::DATE;
use url::Url;

use super::Report;
use crate::printer::Printer;
use crate::settings::{Addon, is_this_machine};

/// More than this is refused somewhere: assertions live for three minutes, sign-ons for five.
const MOST_SKEW_SECONDS: i64 = 60;
const TIMEOUT: Duration = Duration::from_secs(10);

/// What the service has.
pub(crate) struct Rows {
    pub(crate) connections: Vec<Connection>,
    pub(crate) authorizations: Vec<Authorization>,
}

/// Reads the service's lists as the app would.
pub(crate) async fn rows(addon: &Addon, printer: Printer, report: &mut Report) -> Option<Rows> {
    report.checked("service");
    if let Err(error) = addon.app_id() {
        report.error("app-id-missing", "HEROKU_APP_ID", &error);
    }
    let client = match addon.client(printer) {
        Ok(client) => client,
        Err(error) => {
            report.error("service-address", addon.label(), &error);
            return None;
        }
    };
    match tokio::try_join!(list_connections(&client), list_authorizations(&client)) {
        Ok((connections, authorizations)) => {
            key_counts(&client, addon, report).await;
            Some(Rows { connections, authorizations })
        }
        Err(error) => {
            refused(error, addon, report);
            None
        }
    }
}

/// Lists are read with the token; what only a key may see is asked for, so that one that counts no more is noticed.
async fn key_counts(client: &applink_api::client::Client, addon: &Addon, report: &mut Report) {
    let Some(key) = addon.key() else { return };
    if let Err(error) = client.webhooks().list().await
        && error.status() == Some(401)
    {
        report.fault(
            "api-key-refused",
            "APPLINK_API_KEY",
            format!("the service does not take {key}: it was revoked, or is of another add-on"),
            "put another in its place: `applink dev` makes one when it starts; else see `applink tokens:create` and `applink admin keys create`",
        );
    }
}

async fn list_connections(client: &applink_api::client::Client) -> Result<Vec<Connection>, ClientError> {
    client.connections().list().await
}

async fn list_authorizations(
    client: &applink_api::client::Client,
) -> Result<Vec<Authorization>, ClientError> {
    client.authorizations().list().await
}

fn refused(error: ClientError, addon: &Addon, report: &mut Report) {
    let token = addon.variable("_TOKEN");
    let url = addon.variable("_API_URL");
    let (id, about, fix) = match (&error, error.status()) {
        (ClientError::Unreachable { .. } | ClientError::TimedOut { .. }, _) => (
            "service-unreachable",
            url.clone(),
            format!("start the service, or correct {url}; behind a proxy set HTTPS_PROXY"),
        ),
        (_, Some(401)) => (
            "token-refused",
            token.clone(),
            format!("copy {token} anew from the add-on's config vars; a rotated or foreign token counts as none"),
        ),
        (_, Some(403)) => (
            "wrong-attachment",
            "HEROKU_APP_ID".to_owned(),
            "set HEROKU_APP_ID to the uuid of the app that this attachment's token is of, or attach the add-on to this app"
                .to_owned(),
        ),
        (_, Some(404)) => (
            "addon-unknown",
            url.clone(),
            format!("{url} and {token} must be of the same add-on: copy both from its config vars"),
        ),
        _ => ("service-trouble", url.clone(), error.hint().unwrap_or("look at the service's log").to_owned()),
    };
    let told = addon.explain(error);
    let details = told.details();
    let cause = match details.first() {
        _ if id == "addon-unknown" => {
            format!("the token is of another add-on than the address, or there is none there ({told})")
        }
        Some(detail) => format!("{told} ({detail})"),
        None => told.to_string(),
    };
    report.fault(id, about, cause, fix);
}

/// Compares this machine's clock with the service's.
pub(crate) async fn clock(addon: &Addon, clock: &Clock, report: &mut Report) {
    let Some(theirs) = time_of(addon.api_url()).await else {
        report.skipped("clock", "the service does not tell the time");
        return;
    };
    report.checked("clock");
    let ours = clock.now().as_micros() / 1_000_000;
    let ahead = ours.saturating_sub(theirs.as_second());
    if ahead.abs() > MOST_SKEW_SECONDS {
        let direction = if ahead > 0 { "ahead of" } else { "behind" };
        report.fault(
            "clock-skew",
            "this machine's clock",
            format!("it is {} s {direction} the service's, so what is signed here counts as expired or not yet valid", ahead.abs()),
            "let both machines keep time (NTP): `timedatectl set-ntp true`",
        );
    }
}

async fn time_of(api_url: &str) -> Option<Timestamp> {
    let mut url = Url::parse(api_url).ok()?;
    url.set_path("/health");
    let mut http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(TIMEOUT);
    if url.scheme() == "http" {
        http = http.tls_certs_only(std::iter::empty());
    }
    if is_this_machine(&url) {
        http = http.no_proxy();
    }
    let answer = http.build().ok()?.get(url).send().await.ok()?;
    let date = answer.headers().get(DATE)?.to_str().ok()?;
    rfc2822::parse(date).ok().map(|time| time.timestamp())
}
