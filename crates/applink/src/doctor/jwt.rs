//! A key and the user it is for: the org itself is asked for a token, and says what is wrong.
//!
//! 1. The key is read, and must be one that others can't read.
//! 2. An assertion is signed and sent to the login host, as the service would.
//! 3. What the org refuses has a meaning ([`RefusalClass`](applink_salesforce::oauth::RefusalClass)).
//! 4. With the token the user's permission is looked at. The token is dropped; ending it might end the session of a
//!    connection of the same user.

use applink_api::clock::Clock;
use applink_api::entropy::Entropy;
use applink_salesforce::egress::EgressSettings;
use applink_salesforce::oauth::{OAuth, SigningKey, TokenFailure, Tokens};
use applink_salesforce::rest::{ApiVersion, Org};
use applink_salesforce::{OrgEgress, OrgHosts, OrgOrigin};
use jiff::Timestamp;
use url::Url;

use super::Report;
use super::rows::REFUSALS;
use crate::error::CliError;
use crate::key_file;
use crate::printer::{Printer, printable};
use crate::settings::is_this_machine;

const DEFAULT_LOGIN: &str = "https://login.salesforce.com";
/// Old enough for every org, new enough for the query.
const VERSION: &str = "60.0";
const MOST_SKEW_SECONDS: i64 = 60;

/// What is asked about.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) key_file: &'a str,
    pub(crate) allow_open: bool,
    pub(crate) client_id: &'a str,
    pub(crate) username: &'a str,
    pub(crate) login_url: Option<&'a str>,
}

/// Steps 1 to 4.
pub(crate) async fn look(asked: &Asked<'_>, clock: &Clock, printer: Printer, report: &mut Report) {
    report.checked("jwt");
    if let Err(error) = try_it(asked, clock, printer, report).await {
        report.error("jwt", asked.key_file, &error);
    }
}

async fn try_it(
    asked: &Asked<'_>,
    clock: &Clock,
    printer: Printer,
    report: &mut Report,
) -> Result<(), CliError> {
    let pem = key_file::read(asked.key_file, asked.allow_open, printer).await;
    let pem = pem.map_err(|error| match error.known_as() {
        Some(_) => error,
        None => error.code("key-unusable"),
    })?;
    let unusable = |error: applink_salesforce::oauth::KeyError| {
        CliError::refused(error.to_string()).code("key-unusable").hint(error.hint())
    };
    let key = SigningKey::from_pem(&pem).map_err(unusable)?;
    let (login, hosts) = login_host(asked.login_url)?;
    let settings = EgressSettings {
        user_agent: concat!("applink/", env!("CARGO_PKG_VERSION")).to_owned(),
        ..EgressSettings::default()
    };
    let egress =
        OrgEgress::new(settings).map_err(|error| CliError::broken(error.to_string()).because(error))?;
    let now = Timestamp::from_microsecond(clock.now().as_micros()).unwrap_or_default();
    let jti = Entropy::system().uuid().to_string();
    let assertion = key.assert(asked.client_id, asked.username, &login, now, &jti).map_err(unusable)?;
    match OAuth::new(egress.clone()).jwt_bearer(&assertion).await {
        Ok(tokens) => granted(asked, tokens, &hosts, egress, report).await,
        Err(failure) => {
            refused(asked, &login, &failure, now, report);
            Ok(())
        }
    }
}

fn refused(
    asked: &Asked<'_>,
    login: &OrgOrigin,
    failure: &TokenFailure,
    now: Timestamp,
    report: &mut Report,
) {
    let about = format!("{} at {}", printable(asked.username), login.authority());
    let Some(refusal) = failure.refusal() else {
        report.fault("org-unreachable", about, failure.to_string(), failure.hint());
        return;
    };
    let skew = refusal.org_time.map_or(0, |theirs| now.as_second().saturating_sub(theirs.as_second()));
    if skew.abs() > MOST_SKEW_SECONDS {
        report.fault(
            "clock-skew",
            "this machine's clock",
            format!("it is {} s off the org's, and the org refused the assertion: {refusal}", skew.abs()),
            "let this machine keep time (NTP): `timedatectl set-ntp true`",
        );
        return;
    }
    let id = REFUSALS.iter().find(|(class, _)| *class == refusal.class).map_or("org-refused", |(_, id)| id);
    report.fault(id, about, printable(&failure.to_string()), refusal.hint());
}

async fn granted(
    asked: &Asked<'_>,
    tokens: Tokens,
    hosts: &OrgHosts,
    egress: OrgEgress,
    report: &mut Report,
) -> Result<(), CliError> {
    let about = printable(asked.username);
    if !tokens.scopes.is_empty() && !tokens.scopes.iter().any(|scope| scope == "api" || scope == "full") {
        report.fault(
            "scope-missing",
            about,
            format!("the org granted {}, but not api", tokens.scopes.join(", ")),
            "add \"Manage user data via APIs (api)\" to the external client app's OAuth scopes",
        );
        return Ok(());
    }
    let elsewhere = |error: applink_salesforce::hosts::HostRefused| {
        CliError::refused(error.to_string()).code("org-address").hint(error.hint())
    };
    let instance = tokens.instance(hosts).map_err(elsewhere)?;
    let version: ApiVersion =
        VERSION.parse().map_err(|error| CliError::broken("the API version can't be used").because(error))?;
    let org = Org::new(egress, instance, version, tokens.access_token);
    match org.may_manage_applink().await {
        Ok(true) => {}
        Ok(false) => report.fault(
            "permission-missing",
            about,
            "the user lacks the permission Manage Heroku AppLink, which a connection needs",
            "in Setup, assign the user a permission set with \"Manage Heroku AppLink\"",
        ),
        Err(error) => report.fault(
            "api-not-enabled",
            about,
            printable(&error.to_string()),
            "check that the user may use the API (permission API Enabled)",
        ),
    }
    Ok(())
}

/// Salesforce's own hosts, or an org on this machine.
fn login_host(login_url: Option<&str>) -> Result<(OrgOrigin, OrgHosts), CliError> {
    let text = login_url.unwrap_or(DEFAULT_LOGIN);
    let refused = |error: applink_salesforce::hosts::HostRefused| {
        CliError::refused(error.to_string()).code("login-url").hint(error.hint())
    };
    let mut hosts = OrgHosts::salesforce();
    if Url::parse(text).is_ok_and(|url| is_this_machine(&url)) {
        hosts = hosts.list(text).map_err(refused)?;
    }
    let login = hosts.login(Some(text)).map_err(refused)?;
    Ok((login, hosts))
}
