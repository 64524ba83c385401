//! Setting a client up.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue};
use url::{Host, Url};

use super::transport::{Credentials, Transport, WarningSink};
use super::{Client, ClientError};
use crate::entropy::Entropy;
use crate::headers;
use crate::ids::AppUuid;
use crate::secret::{ExposeSecret, SecretString};

/// Long enough for a slow network, short enough to notice a dead one.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The deadline of a call that does not wait for an org; one that does has its own.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a call is sent at most. Waits of 0.2 s and 0.4 s lie between.
const DEFAULT_ATTEMPTS: u32 = 3;

/// Makes a [`Client`]. From [`Client::builder`].
pub struct ClientBuilder {
    api_url: String,
    token: Option<SecretString>,
    api_key: Option<SecretString>,
    sso: Option<SecretString>,
    app: Option<AppUuid>,
    user_agent: String,
    timeout: Duration,
    attempts: u32,
    entropy: Entropy,
    on_warning: Option<WarningSink>,
}

impl ClientBuilder {
    pub(super) fn new(api_url: &str) -> Self {
        Self {
            api_url: api_url.to_owned(),
            token: None,
            api_key: None,
            sso: None,
            app: None,
            user_agent: concat!("applink-api/", env!("CARGO_PKG_VERSION")).to_owned(),
            timeout: DEFAULT_TIMEOUT,
            attempts: DEFAULT_ATTEMPTS,
            entropy: Entropy::system(),
            on_warning: None,
        }
    }

    /// The add-on token (`<PREFIX>_TOKEN`).
    #[must_use]
    pub fn token(mut self, token: SecretString) -> Self {
        self.token = Some(token);
        self
    }

    /// An API key (`alk_…`): scope `manage` for changes to one add-on, `operate` for [`Client::operator`].
    #[must_use]
    pub fn api_key(mut self, key: SecretString) -> Self {
        self.api_key = Some(key);
        self
    }

    /// Heroku's single sign-on answer, base64, sent as `x-addon-sso`.
    #[must_use]
    pub fn addon_sso(mut self, sso: SecretString) -> Self {
        self.sso = Some(sso);
        self
    }

    /// Which app is speaking (`HEROKU_APP_ID`), sent as `x-app-uuid`.
    #[must_use]
    pub fn app(mut self, app: AppUuid) -> Self {
        self.app = Some(app);
        self
    }

    /// `name/version` of the program; `applink-api/<version>` unless set.
    #[must_use]
    pub fn user_agent(mut self, user_agent: &str) -> Self {
        user_agent.clone_into(&mut self.user_agent);
        self
    }

    /// The deadline of one try of a call, 30 s unless set. Calls that wait for an org have longer ones.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How often a call is tried at most, 3 unless set; 1 never repeats.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// Where request ids come from; the operating system unless set.
    #[must_use]
    pub fn entropy(mut self, entropy: Entropy) -> Self {
        self.entropy = entropy;
        self
    }

    /// Called with the text of every warning the service sends (`x-heroku-warning`, `warning-message`).
    #[must_use]
    pub fn on_warning(mut self, sink: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.on_warning = Some(Arc::new(sink));
        self
    }

    /// The client.
    ///
    /// # Errors
    /// [`ClientError::InvalidUrl`] and [`ClientError::InvalidCredential`]; [`ClientError::Setup`] when TLS can't
    /// be set up.
    pub fn build(self) -> Result<Client, ClientError> {
        let base = parse_base(&self.api_url)?;
        let transport = Transport {
            http: http_client(&base, &self.user_agent)?,
            host: host_and_port(&base),
            credentials: Credentials {
                token: bearer("add-on token", self.token.as_ref())?,
                api_key: bearer("API key", self.api_key.as_ref())?,
            },
            fixed_headers: fixed_headers(self.sso.as_ref(), self.app)?,
            base,
            timeout: self.timeout,
            attempts: self.attempts,
            entropy: self.entropy,
            on_warning: self.on_warning,
        };
        Ok(Client { transport: Arc::new(transport) })
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder").field("user_agent", &self.user_agent).finish_non_exhaustive()
    }
}

fn parse_base(text: &str) -> Result<Url, ClientError> {
    let invalid =
        |reason: &str| ClientError::InvalidUrl { url: without_userinfo(text), reason: reason.to_owned() };
    let url = Url::parse(text.trim()).map_err(|error| invalid(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(invalid("it must start with https:// or http://"));
    }
    if url.host().is_none() {
        return Err(invalid("it has no host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("it must not contain a user name or password; the token is given apart"));
    }
    Ok(url)
}

/// The text up to an `@`, if there is one, is left out: it may be a password.
fn without_userinfo(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((_, rest)) => format!("…@{rest}"),
        None => text.to_owned(),
    }
}

fn host_and_port(url: &Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => String::new(),
    }
}

fn http_client(base: &Url, user_agent: &str) -> Result<reqwest::Client, ClientError> {
    let mut builder = reqwest::Client::builder()
        .user_agent(user_agent)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT);
    if base.scheme() == "http" {
        // Loading the system's certificates costs more than a whole call over plain http.
        builder = builder.tls_certs_only(std::iter::empty());
    }
    if is_loopback(base) {
        builder = builder.no_proxy();
    }
    builder.build().map_err(ClientError::Setup)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

fn bearer(what: &'static str, secret: Option<&SecretString>) -> Result<Option<HeaderValue>, ClientError> {
    secret.map(|secret| sensitive(what, &format!("Bearer {}", secret.expose_secret()))).transpose()
}

fn sensitive(what: &'static str, text: &str) -> Result<HeaderValue, ClientError> {
    let mut value =
        HeaderValue::from_str(text).map_err(|_unprintable| ClientError::InvalidCredential { what })?;
    value.set_sensitive(true);
    Ok(value)
}

fn fixed_headers(sso: Option<&SecretString>, app: Option<AppUuid>) -> Result<HeaderMap, ClientError> {
    let mut map = HeaderMap::new();
    map.insert(reqwest::header::ACCEPT, HeaderValue::from_static("application/json"));
    if let Some(sso) = sso {
        map.insert(headers::ADDON_SSO, sensitive("single sign-on answer", sso.expose_secret())?);
    }
    if let Some(app) = app {
        map.insert(headers::APP_UUID, sensitive("app uuid", &app.to_string())?);
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_urls_that_are_not_an_api() {
        for (url, reason) in [
            ("applink.example/addons/1", "relative URL"),
            ("ftp://applink.example/", "must start with https"),
            ("https://user:hunter2@applink.example/", "user name or password"),
        ] {
            let error = Client::builder(url).build().unwrap_err().to_string();
            assert!(error.contains(reason), "{url}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_token_with_a_line_break_is_refused_without_showing_it() {
        let token = SecretString::from("can\nary".to_owned());
        let error = Client::builder("http://127.0.0.1:1/").token(token).build().unwrap_err();
        assert_eq!(error.to_string(), "the add-on token has characters that can't be sent in a header");
    }

    #[test]
    fn knows_this_machine() {
        for (url, expected) in [
            ("http://127.0.0.2:1/", true),
            ("http://[::1]/", true),
            ("http://localhost/", true),
            ("http://10.0.0.1/", false),
        ] {
            assert_eq!(is_loopback(&Url::parse(url).unwrap()), expected, "{url}");
        }
    }
}
