//! The Heroku Platform API: which AppLink add-on an app has, and the credentials to use it.
//!
//! 1. App, add-ons, attachments and config vars are asked for at once.
//! 2. The add-on is chosen: the only one, or the one `--addon` names.
//! 3. Its first attachment names the config vars with the service's address and token.
//! 4. Heroku vouches for the person (`/sso`), which is what allows changes.
//!
//! The stand-in of `applink dev` answers the same calls.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use applink_api::ids::AppUuid;
use applink_api::names::look_up_key;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::StatusCode;
use reqwest::header::{ACCEPT, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::{Host, Url};

use super::is_this_machine;
use crate::error::CliError;

/// Chooses another Platform API.
pub(super) const HOST: &str = "HEROKU_HOST";
/// The person's token.
pub(super) const API_KEY: &str = "HEROKU_API_KEY";
/// Names the service, for AppLink under another name.
pub(super) const SERVICE: &str = "HEROKU_APPLINK_ADDON";

const DEFAULT_API: &str = "https://api.heroku.com";
const DEFAULT_SERVICE: &str = "heroku-applink";
/// Only these get a Heroku token, besides this machine.
const DOMAINS: [&str; 4] = ["heroku.com", "herokai.com", "herokuspace.com", "herokudev.com"];
const TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const VERSION_3: &str = "application/vnd.heroku+json; version=3";
const VERSION_3_SDK: &str = "application/vnd.heroku+json; version=3.sdk";

/// The Platform API with a person's token.
pub(super) struct Heroku {
    http: reqwest::Client,
    base: Url,
    key: SecretString,
    /// Where the token came from, for messages.
    key_from: String,
    service: String,
}

/// An add-on of an app, with what is needed to use it.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) app: App,
    pub(super) addon_name: String,
    /// The config vars' common beginning.
    pub(super) prefix: String,
    pub(super) api_url: String,
    pub(super) token: SecretString,
    pub(super) sso: SecretString,
    /// Where a browser signs on to its dashboard.
    pub(super) dashboard: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct App {
    pub(super) id: AppUuid,
    pub(super) name: String,
    /// Where it is called.
    #[serde(default)]
    pub(super) web_url: Option<String>,
}

#[derive(Debug, Deserialize)]
struct AddonRow {
    id: String,
    name: String,
    addon_service: Service,
}

#[derive(Debug, Deserialize)]
struct Service {
    name: String,
}

#[derive(Debug, Deserialize)]
struct AttachmentRow {
    name: String,
    addon: AddonRef,
    #[serde(default)]
    web_url: Option<String>,
}

#[derive(Debug, Deserialize)]
struct AddonRef {
    id: String,
}

#[derive(Default, Deserialize)]
struct ErrorBody {
    #[serde(default)]
    id: String,
    #[serde(default)]
    message: String,
}

/// The address of the Platform API that `HEROKU_HOST` means.
///
/// # Errors
/// When it is neither one of Heroku's hosts nor this machine: the token goes nowhere else.
pub(super) fn api(host: Option<&str>) -> Result<Url, CliError> {
    let text = match host {
        None => DEFAULT_API.to_owned(),
        Some(url) if url.contains("://") => url.to_owned(),
        Some(host) => format!("https://api.{host}"),
    };
    let refused = || {
        CliError::refused(format!(
            "{HOST} is {text}, which is neither one of Heroku's hosts nor this machine"
        ))
        .hint(format!("unset {HOST}, or give a host such as herokudev.com or http://127.0.0.1:7700"))
    };
    let url = Url::parse(&text).map_err(|_unreadable| refused())?;
    let is_heroku = url.scheme() == "https"
        && matches!(url.host(), Some(Host::Domain(name)) if DOMAINS.iter().any(|domain| {
            name.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
        }));
    let is_ours = matches!(url.scheme(), "http" | "https") && is_this_machine(&url);
    if is_heroku || is_ours { Ok(url) } else { Err(refused()) }
}

/// Host and port, as `.netrc` names machines.
pub(super) fn machine(api: &Url) -> String {
    match (api.host_str(), api.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => String::new(),
    }
}

impl Heroku {
    /// A client of the API at `base`.
    ///
    /// # Errors
    /// When there is no HTTP client.
    pub(super) fn new(
        base: Url,
        key: SecretString,
        key_from: String,
        service: Option<&str>,
    ) -> Result<Self, CliError> {
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("applink/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT);
        if base.scheme() == "http" {
            // Reading the system's certificates takes longer than the call.
            http = http.tls_certs_only(std::iter::empty());
        }
        if is_this_machine(&base) {
            http = http.no_proxy();
        }
        let http =
            http.build().map_err(|error| CliError::broken("no HTTP client can be made").because(error))?;
        let service = service.unwrap_or(DEFAULT_SERVICE).to_owned();
        Ok(Self { http, base, key, key_from, service })
    }

    /// The API's host, for messages.
    pub(super) fn host(&self) -> String {
        machine(&self.base)
    }

    /// The add-on of `app` that `selector` (its name, its id or an attachment's name) means.
    ///
    /// # Errors
    /// When there is none, or several, or it is not ready.
    pub(super) async fn find(&self, app: &str, selector: Option<&str>) -> Result<Found, CliError> {
        let of_app = |noun| ["apps", app, noun];
        let (addons, attachments, vars) =
            (of_app("addons"), of_app("addon-attachments"), of_app("config-vars"));
        let itself = ["apps", app];
        let (shown, addons, attachments, vars) = tokio::try_join!(
            self.get::<App>(&itself, VERSION_3),
            self.get::<Vec<AddonRow>>(&addons, VERSION_3),
            self.get::<Vec<AttachmentRow>>(&attachments, VERSION_3),
            self.get::<BTreeMap<String, String>>(&vars, VERSION_3),
        )?;
        let addon = self.chosen(&addons, &attachments, app, selector)?;
        let not_ready = || {
            CliError::refused(format!("the AppLink add-on {} isn't fully provisioned on {app}", addon.name))
                .hint(format!("wait for it: `heroku addons:wait {} -a {app}`", addon.name))
        };
        let attachment =
            attachments.into_iter().find(|one| one.addon.id == addon.id).ok_or_else(not_ready)?;
        let var = |suffix: &str| {
            vars.get(&format!("{}{suffix}", attachment.name)).filter(|value| !value.trim().is_empty())
        };
        let (Some(api_url), Some(token)) = (var("_API_URL"), var("_TOKEN")) else { return Err(not_ready()) };
        let sso: Value = self.get(&["apps", app, "addons", &addon.id, "sso"], VERSION_3_SDK).await?;
        Ok(Found {
            app: shown,
            addon_name: addon.name.clone(),
            api_url: api_url.clone(),
            token: token.clone().into(),
            sso: STANDARD.encode(sso.to_string()).into(),
            dashboard: attachment.web_url,
            prefix: attachment.name,
        })
    }

    fn chosen<'a>(
        &self,
        addons: &'a [AddonRow],
        attachments: &[AttachmentRow],
        app: &str,
        selector: Option<&str>,
    ) -> Result<&'a AddonRow, CliError> {
        let ours = || addons.iter().filter(|addon| addon.addon_service.name == self.service);
        if let Some(selector) = selector {
            let key = look_up_key(selector).to_ascii_uppercase();
            let attached = attachments.iter().find(|one| one.name.eq_ignore_ascii_case(&key));
            let named = |addon: &&AddonRow| {
                addon.name == selector
                    || addon.id.eq_ignore_ascii_case(selector)
                    || attached.is_some_and(|attachment| attachment.addon.id == addon.id)
            };
            return ours().find(named).ok_or_else(|| {
                CliError::refused(format!("AppLink add-on {selector} doesn't exist on {app}"))
                    .hint(format!("`heroku addons --app {app}` lists the add-ons of the app"))
            });
        }
        match (ours().next(), ours().nth(1)) {
            (Some(only), None) => Ok(only),
            (Some(_), Some(_)) => {
                let names: Vec<&str> = ours().map(|addon| addon.name.as_str()).collect();
                Err(CliError::refused(format!(
                    "app {app} has multiple AppLink add-ons: {}",
                    names.join(", ")
                ))
                .hint("say which with --addon"))
            }
            (None, _) => Err(CliError::refused(format!("there is no AppLink add-on on {app}"))
                .hint(format!("make one: `heroku addons:create {} -a {app}`", self.service))),
        }
    }

    async fn get<T: DeserializeOwned>(&self, path: &[&str], accept: &'static str) -> Result<T, CliError> {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.clear().extend(path);
        }
        let unreachable = |error: reqwest::Error| {
            CliError::broken(format!("can't reach {}", self.host())).because(error.without_url())
        };
        let mut key = HeaderValue::from_str(&format!("Bearer {}", self.key.expose_secret())).map_err(
            |_unprintable| {
                CliError::broken(format!("{} has characters that can't be sent in a header", self.key_from))
            },
        )?;
        key.set_sensitive(true);
        let request = self.http.get(url).header(ACCEPT, accept).header("authorization", key);
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let body = response.bytes().await.map_err(unreachable)?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| {
                CliError::broken(format!("{} did not answer as Heroku does", self.host())).because(error)
            });
        }
        Err(self.refusal(status, &serde_json::from_slice(&body).unwrap_or_default()))
    }

    fn refusal(&self, status: StatusCode, body: &ErrorBody) -> CliError {
        let host = self.host();
        if status == StatusCode::UNAUTHORIZED {
            return CliError::refused(format!("{host} doesn't accept {}", self.key_from))
                .hint("log in anew with `heroku login`, then `export HEROKU_API_KEY=$(heroku auth:token)`; for a pipeline set it to what `heroku authorizations:create --short` prints");
        }
        if body.id == "two_factor" {
            return CliError::refused(format!("{host} asks for a second factor, which needs a person"))
                .hint("log in with `heroku login`, or use a token of `heroku authorizations:create`");
        }
        let message = match body.message.trim() {
            "" => format!("{host} answered {}", status.as_u16()),
            text => crate::printer::printable(text),
        };
        if status.is_client_error() { CliError::refused(message) } else { CliError::broken(message) }
    }
}

impl fmt::Debug for Heroku {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heroku").field("host", &self.host()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_to_heroku_and_this_machine_alone() {
        for (host, expected) in [
            (None, Some("https://api.heroku.com/")),
            (Some("staging.herokudev.com"), Some("https://api.staging.herokudev.com/")),
            (Some("https://api.heroku.com"), Some("https://api.heroku.com/")),
            (Some("http://127.0.0.1:7700"), Some("http://127.0.0.1:7700/")),
            (Some("https://localhost:8443"), Some("https://localhost:8443/")),
            (Some("http://api.heroku.com"), None),
            (Some("https://api.notheroku.com"), None),
            (Some("evil.example"), None),
            (Some("https://evil.example/?.heroku.com"), None),
            (Some("http://10.0.0.1"), None),
        ] {
            assert_eq!(api(host).ok().as_ref().map(Url::as_str), expected, "{host:?}");
        }
    }

    #[test]
    fn netrc_names_a_machine_with_its_port() {
        assert_eq!(machine(&api(None).unwrap()), "api.heroku.com");
        assert_eq!(machine(&api(Some("http://127.0.0.1:7700")).unwrap()), "127.0.0.1:7700");
    }
}
