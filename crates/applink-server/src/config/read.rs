//! Variables over file over defaults, every problem kept.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use applink_api::clock::Clock;
use applink_api::entropy::Entropy;
use applink_salesforce::OrgHosts;
use secrecy::{ExposeSecret as _, SecretString};
use url::{Host, Url};

use super::file::{self, ClientSection, ConfigFile, HerokuSection, LimitsSection};
use super::{
    AccessConfig, Config, ConfigError, ConfigProblem, Confirm, ConnectTimeout, DEFAULT_HEALTH_CHECK_PERIOD,
    DEFAULT_TOKEN_LIFETIME, LoginClient, MASTER_KEY_ADVICE, OAuthConfig, Reconciling, RotationSetting,
    spool_beside,
};
use crate::audit::recorder::Reads;
use crate::db::DatabaseUrl;
use crate::env_vars as var;
use crate::limits::LimitsConfig;
use crate::provider::{self, ProviderConfig};
use crate::spool::outage::OutageConfig;
use crate::spool::{DEFAULT_LIMIT, SpoolConfig};
use crate::tokens::points::Points;
use crate::vault::{KeySource, MasterKey, MasterKeys, Transit};

/// A first operator key must be at least this long.
const OPERATOR_KEY_LENGTH: usize = 32;

type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

pub(super) struct Reader<'a> {
    env: Env<'a>,
    problems: Vec<ConfigProblem>,
}

pub(super) fn load(env: Env<'_>, file: Option<&str>) -> Result<Config, ConfigError> {
    let mut reader = Reader { env, problems: Vec::new() };
    let file = reader.file(file);
    let config = reader.config(file);
    match config {
        Some(config) if reader.problems.is_empty() => Ok(config),
        _ => Err(ConfigError(reader.problems)),
    }
}

impl Reader<'_> {
    fn file(&mut self, text: Option<&str>) -> ConfigFile {
        match text.map(file::parse) {
            None => ConfigFile::default(),
            Some(Ok(file)) => file,
            Some(Err(message)) => {
                self.problem(var::CONFIG, message);
                ConfigFile::default()
            }
        }
    }

    fn config(&mut self, mut file: ConfigFile) -> Option<Config> {
        let database_url = self.database_url(file.database_url.take());
        let bind = self.bind(file.bind.take());
        let public_url = self.public_url(file.public_url.take(), bind);
        let keys = self.master_keys(file.master_key.take(), file.master_key_file.take());
        let org_hosts = self.org_hosts(&file);
        let oauth = self.oauth(&mut file, &org_hosts);
        let access = self.access(&mut file);
        let limits = self.limits(&file.limits);
        let webhook_origins = self.webhook_origins(&file);
        let health_check_period =
            self.seconds(var::HEALTH_CHECK_PERIOD, file.health_check_period, 3600..=604_800);
        let provider = self.provider(std::mem::take(&mut file.heroku), access.sso_salt.is_some());
        let openid = self.openid(std::mem::take(&mut file.oidc));
        let token_lifetime = self
            .seconds(var::TOKEN_LIFETIME, file.token_lifetime, 60..=86_400)
            .unwrap_or(DEFAULT_TOKEN_LIFETIME);
        let spool = self.spool(&mut file, database_url.as_ref());
        let audit_reads = self.audit_reads(file.audit_reads.take());
        let outage = self.seconds(var::OUTAGE_MAX, file.outage_max, 0..=3600);
        let (master_keys, key_source) = keys?;
        Some(Config {
            database_url: database_url?,
            bind: bind?,
            public_url,
            master_keys,
            key_source,
            oauth,
            org_hosts,
            access,
            platform: None,
            limits,
            points: Points::default(),
            webhook_origins,
            health_check_period: health_check_period.unwrap_or(DEFAULT_HEALTH_CHECK_PERIOD),
            provider,
            openid,
            token_lifetime,
            spool,
            audit_reads,
            outage: OutageConfig { max: outage.unwrap_or(OutageConfig::default().max) },
            reconciling: Reconciling::Running,
            clock: Clock::system(),
            entropy: Entropy::system(),
        })
    }

    fn audit_reads(&mut self, file: Option<String>) -> Reads {
        match self.text(var::AUDIT_READS).or(file).as_deref() {
            None | Some("each") => Reads::Each,
            Some("per-minute") => Reads::PerMinute,
            Some(_) => {
                self.problem(var::AUDIT_READS, "write `each` or `per-minute`");
                Reads::Each
            }
        }
    }

    fn spool(&mut self, file: &mut ConfigFile, database: Option<&DatabaseUrl>) -> SpoolConfig {
        let folder = match self.text(var::SPOOL_DIR).or(file.spool_dir.take()) {
            Some(none) if none == "none" => None,
            Some(folder) => Some(PathBuf::from(folder)),
            None => match database.and_then(DatabaseUrl::sqlite_path) {
                Some(path) => Some(spool_beside(path)),
                None => Some(PathBuf::from("applink-spool")),
            },
        };
        let limit = match self.text(var::SPOOL_MAX_MB) {
            None => Ok(file.spool_max_mb),
            Some(text) => text.parse().map(Some).map_err(|_| "write a whole number of megabytes".to_owned()),
        };
        let limit = self.checked(var::SPOOL_MAX_MB, limit).flatten();
        SpoolConfig {
            folder,
            limit: limit.map_or(DEFAULT_LIMIT, |megabytes: u32| u64::from(megabytes) << 20),
        }
    }

    fn database_url(&mut self, file: Option<SecretString>) -> Option<DatabaseUrl> {
        let url = self.secret(var::DATABASE_URL).or(file).unwrap_or_else(|| "sqlite://applink.db".into());
        self.checked(var::DATABASE_URL, DatabaseUrl::parse(url).map_err(|error| error.to_string()))
    }

    fn bind(&mut self, file: Option<String>) -> Option<SocketAddr> {
        if let Some(text) = self.text(var::BIND).or(file) {
            let parsed =
                text.parse().map_err(|_| "write an IP address and a port, such as 0.0.0.0:7700".to_owned());
            return self.checked(var::BIND, parsed);
        }
        match self.text(var::PORT) {
            None => Some(SocketAddr::from(([127, 0, 0, 1], 7700))),
            Some(text) => {
                let port = text.parse::<u16>().map_err(|_| "this is not a port number".to_owned());
                self.checked(var::PORT, port).map(|port| SocketAddr::from(([0, 0, 0, 0], port)))
            }
        }
    }

    fn public_url(&mut self, file: Option<String>, bind: Option<SocketAddr>) -> Option<Url> {
        match self.text(var::PUBLIC_URL).or(file) {
            Some(text) => self.checked(var::PUBLIC_URL, public_url(&text)),
            None => {
                if bind.is_some_and(|bind| !bind.ip().is_loopback()) {
                    let message = "set the https URL under which browsers and apps reach this server";
                    self.problem(var::PUBLIC_URL, message);
                }
                None
            }
        }
    }

    fn master_keys(
        &mut self,
        file: Option<SecretString>,
        path: Option<String>,
    ) -> Option<(MasterKeys, KeySource)> {
        if let Some(transit) = self.transit() {
            return Some((MasterKeys::none(), KeySource::Transit(Arc::new(transit?))));
        }
        let (given, named) = (self.secret(var::MASTER_KEY), self.text(var::MASTER_KEY_FILE));
        if given.is_some() && named.is_some() {
            let message = format!("set this or {}, not both: only one can be the key", var::MASTER_KEY_FILE);
            self.problem(var::MASTER_KEY, message);
            return None;
        }
        // A variable wins over the file's settings, whichever of the two it is.
        let (given, named) = match (given, named) {
            (None, None) => (file, path),
            variables => variables,
        };
        let (text, setting, source) = match (given, named) {
            (Some(text), _) => (text, var::MASTER_KEY, KeySource::Fixed),
            (None, Some(path)) => {
                let text = self.master_key_file(&path)?;
                (text, var::MASTER_KEY_FILE, KeySource::File(PathBuf::from(path)))
            }
            (None, None) => {
                self.problem(var::MASTER_KEY, format!("a master key is needed: {MASTER_KEY_ADVICE}"));
                return None;
            }
        };
        let keys = self.checked(setting, MasterKeys::parse(&text).map_err(|error| error.to_string()));
        let others = self.previous_master_keys();
        let mut keys = keys?;
        keys.add(others);
        Some((keys, source))
    }

    /// A key service, when its address is given; then nothing else gives master keys.
    fn transit(&mut self) -> Option<Option<Transit>> {
        let address = self.text(var::VAULT_ADDR)?;
        let parsed = Url::parse(&address).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let parsed = parsed.ok_or_else(|| "write a URL such as https://vault.example:8200".to_owned());
        let address = self.checked(var::VAULT_ADDR, parsed);
        let token = match (self.secret(var::VAULT_TOKEN), self.text(var::VAULT_TOKEN_FILE)) {
            (Some(token), _) => Some(token),
            (None, Some(path)) => {
                let read =
                    std::fs::read_to_string(&path).map_err(|error| format!("{path} can't be read: {error}"));
                let token = self.checked(var::VAULT_TOKEN_FILE, read);
                token.map(|text| SecretString::from(text.trim()))
            }
            (None, None) => {
                self.problem(
                    var::VAULT_TOKEN,
                    "a token is needed that may encrypt and decrypt with the transit key",
                );
                None
            }
        };
        let text = |name, default: &str| self.text(name).unwrap_or_else(|| default.to_owned());
        let (mount, key) = (text(var::VAULT_MOUNT, "transit"), text(var::VAULT_KEY, "applink"));
        let namespace = self.text(var::VAULT_NAMESPACE);
        Some(address.zip(token).map(|(address, token)| Transit { address, token, mount, key, namespace }))
    }

    fn master_key_file(&mut self, path: &str) -> Option<SecretString> {
        let read = std::fs::read_to_string(path).map_err(|error| format!("{path} can't be read: {error}"));
        self.checked(var::MASTER_KEY_FILE, read).map(SecretString::from)
    }

    fn previous_master_keys(&mut self) -> Vec<MasterKey> {
        let text = self.secret(var::PREVIOUS_MASTER_KEYS);
        let parts: Vec<SecretString> = text
            .iter()
            .flat_map(|text| text.expose_secret().split(',').map(str::trim))
            .filter(|part| !part.is_empty())
            .map(SecretString::from)
            .collect();
        let parse = |part: &SecretString| MasterKey::parse(part).map_err(|error| error.to_string());
        parts.iter().filter_map(|part| self.checked(var::PREVIOUS_MASTER_KEYS, parse(part))).collect()
    }

    fn org_hosts(&mut self, file: &ConfigFile) -> OrgHosts {
        let mut hosts = OrgHosts::salesforce();
        let origins = self.list(var::ORG_ORIGINS).unwrap_or_else(|| file.org_origins.clone());
        for origin in origins {
            hosts = self.changed(var::ORG_ORIGINS, hosts, |hosts| hosts.list(&origin));
        }
        let pairs = match self.list(var::LOGIN_HOST_MAP) {
            None => file.login_host_map.clone().into_iter().collect(),
            Some(pairs) => self.pairs(&pairs),
        };
        for (from, to) in pairs {
            hosts = self.changed(var::LOGIN_HOST_MAP, hosts, |hosts| hosts.lead(&from, &to));
        }
        hosts
    }

    fn webhook_origins(&mut self, file: &ConfigFile) -> Vec<Url> {
        let texts = self.list(var::WEBHOOK_ORIGINS).unwrap_or_else(|| file.webhook_origins.clone());
        texts.iter().filter_map(|text| self.checked(var::WEBHOOK_ORIGINS, webhook_origin(text))).collect()
    }

    fn pairs(&mut self, texts: &[String]) -> Vec<(String, String)> {
        let split = |text: &String| {
            let pair = text.split_once('=').map(|(from, to)| (from.trim().to_owned(), to.trim().to_owned()));
            pair.ok_or_else(|| {
                "write pairs such as https://login.salesforce.com=http://127.0.0.1:7701".to_owned()
            })
        };
        texts.iter().filter_map(|text| self.checked(var::LOGIN_HOST_MAP, split(text))).collect()
    }

    fn changed(
        &mut self,
        setting: &str,
        hosts: OrgHosts,
        change: impl FnOnce(OrgHosts) -> Result<OrgHosts, applink_salesforce::hosts::HostRefused>,
    ) -> OrgHosts {
        let before = hosts.clone();
        self.checked(setting, change(hosts).map_err(|error| error.to_string())).unwrap_or(before)
    }

    fn oauth(&mut self, file: &mut ConfigFile, hosts: &OrgHosts) -> OAuthConfig {
        let mut clients: Vec<LoginClient> = Vec::new();
        for section in std::mem::take(&mut file.oauth.clients) {
            clients.extend(self.client(section, hosts));
        }
        if let Some(client_id) = self.text(var::OAUTH_CLIENT_ID) {
            clients.retain(|client| client.login_host.is_some());
            let client_secrets = self.secret(var::OAUTH_CLIENT_SECRET).into_iter().collect();
            clients.push(LoginClient { login_host: None, client_id, client_secrets });
        }
        let confirm = self.text(var::OAUTH_CONFIRM).or(file.oauth.confirm.take());
        let confirm = match confirm.as_deref() {
            None | Some("always") => Confirm::Always,
            Some("never") => Confirm::Never,
            Some(_) => {
                self.problem(var::OAUTH_CONFIRM, "write `always` or `never`");
                Confirm::Always
            }
        };
        let timeout = self.seconds(var::CONNECT_TIMEOUT, file.oauth.timeout, 60..=3600);
        let timeout = timeout.map(ConnectTimeout).unwrap_or_default();
        OAuthConfig { clients, confirm, timeout, rotation: self.rotation(file.oauth.rotation.take()) }
    }

    fn rotation(&mut self, file: Option<String>) -> RotationSetting {
        match self.text(var::REFRESH_TOKEN_ROTATION).or(file).as_deref() {
            None | Some("learn") => RotationSetting::Learn,
            Some("off") => RotationSetting::Off,
            Some("on") => RotationSetting::On,
            Some(_) => {
                self.problem(var::REFRESH_TOKEN_ROTATION, "write `learn`, `off` or `on`");
                RotationSetting::Learn
            }
        }
    }

    fn client(&mut self, section: ClientSection, hosts: &OrgHosts) -> Option<LoginClient> {
        let ClientSection { login_host, client_id, client_secrets } = section;
        let login_host = match login_host {
            None => None,
            Some(text) => {
                let origin = hosts.login(Some(&text)).map_err(|error| error.to_string());
                Some(self.checked("oauth.clients.login_host", origin)?.as_str().to_owned())
            }
        };
        Some(LoginClient { login_host, client_id, client_secrets })
    }

    fn access(&mut self, file: &mut ConfigFile) -> AccessConfig {
        let operator_key = self.secret(var::OPERATOR_KEY).or(file.operator_key.take());
        if operator_key.as_ref().is_some_and(|key| key.expose_secret().len() < OPERATOR_KEY_LENGTH) {
            let message =
                format!("at least {OPERATOR_KEY_LENGTH} characters: make one with `openssl rand -hex 32`");
            self.problem(var::OPERATOR_KEY, message);
        }
        let allow = match self.text(var::ALLOW_TOKEN_MANAGEMENT) {
            None => file.allow_token_management,
            Some(text) => {
                let parsed = text.parse().map_err(|_| "write `true` or `false`".to_owned());
                self.checked(var::ALLOW_TOKEN_MANAGEMENT, parsed)
            }
        };
        AccessConfig {
            operator_key,
            sso_salt: self.secret(var::SSO_SALT).or(file.sso_salt.take()),
            allow_token_management: allow.unwrap_or(false),
        }
    }

    fn limits(&mut self, file: &LimitsSection) -> LimitsConfig {
        let usual = LimitsConfig::default();
        LimitsConfig {
            management_per_hour: self
                .parsed(var::RATE_LIMIT, "write a whole number, 0 for no limit")
                .or(file.management)
                .unwrap_or(usual.management_per_hour),
            run_time_per_second: self
                .parsed(var::RATE_LIMIT_RUN_TIME, "write a whole number, 0 for no limit")
                .or(file.run_time)
                .unwrap_or(usual.run_time_per_second),
            log_in_per_minute: self
                .parsed(var::RATE_LIMIT_LOG_IN, "write a whole number, 0 for no limit")
                .or(file.log_in)
                .unwrap_or(usual.log_in_per_minute),
            forwarded_for: self
                .parsed(var::FORWARDED_FOR, "write `true` or `false`")
                .or(file.forwarded_for)
                .unwrap_or(usual.forwarded_for),
        }
    }

    fn parsed<T: std::str::FromStr>(&mut self, setting: &str, advice: &str) -> Option<T> {
        let text = self.text(setting)?;
        self.checked(setting, text.parse().map_err(|_| advice.to_owned()))
    }

    /// Everything that being a Heroku add-on needs, once a slug asks for it.
    fn provider(&mut self, file: HerokuSection, has_salt: bool) -> Option<ProviderConfig> {
        let HerokuSection { slug, password, client_secret, api_url, id_url, config_vars_prefix, plans } =
            file;
        let slug = self.text(var::HEROKU_SLUG).or(slug)?;
        if !has_salt {
            let message = "set the `sso_salt` of the add-on's manifest: Heroku signs people on with it";
            self.problem(var::SSO_SALT, message);
        }
        let password = self.needed_secret(var::HEROKU_PASSWORD, password, "the manifest's `api.password`");
        let secret = "the secret of the OAuth client that Heroku shows for the add-on";
        let client_secret = self.needed_secret(var::HEROKU_CLIENT_SECRET, client_secret, secret);
        let api_url = self.service_url(var::HEROKU_API_URL, api_url, provider::DEFAULT_API_URL);
        let id_url = self.service_url(var::HEROKU_ID_URL, id_url, provider::DEFAULT_ID_URL);
        let derived = || ProviderConfig::derived_prefix(&slug);
        let prefix = self.text(var::HEROKU_CONFIG_VARS_PREFIX).or(config_vars_prefix).unwrap_or_else(derived);
        Some(ProviderConfig {
            password: password?,
            client_secret: client_secret?,
            api_url: api_url?,
            id_url: id_url?,
            config_vars_prefix: prefix,
            plans: self.list(var::HEROKU_PLANS).unwrap_or(plans),
            slug,
        })
    }

    fn needed_secret(
        &mut self,
        setting: &str,
        file: Option<SecretString>,
        what: &str,
    ) -> Option<SecretString> {
        let found = self.secret(setting).or(file);
        if found.is_none() {
            self.problem(setting, format!("it is needed with {}: {what}", var::HEROKU_SLUG));
        }
        found
    }

    fn service_url(&mut self, setting: &str, file: Option<String>, default: &str) -> Option<Url> {
        let text = self.text(setting).or(file).unwrap_or_else(|| default.to_owned());
        self.checked(setting, public_url(&text))
    }

    fn seconds(
        &mut self,
        setting: &str,
        file: Option<u64>,
        range: std::ops::RangeInclusive<u64>,
    ) -> Option<Duration> {
        let parsed = match self.text(setting) {
            None => Ok(file?),
            Some(text) => text.parse::<u64>().map_err(|_| "write a whole number of seconds".to_owned()),
        };
        let in_range = |seconds: u64| {
            let message = format!("it must be {} to {} seconds", range.start(), range.end());
            if range.contains(&seconds) { Ok(Duration::from_secs(seconds)) } else { Err(message) }
        };
        self.checked(setting, parsed.and_then(in_range))
    }

    /// An empty variable counts as not set.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        (self.env)(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    pub(super) fn secret(&self, name: &str) -> Option<SecretString> {
        self.text(name).map(SecretString::from)
    }

    pub(super) fn list(&self, name: &str) -> Option<Vec<String>> {
        let text = self.text(name)?;
        Some(text.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect())
    }

    pub(super) fn checked<T>(&mut self, setting: &str, result: Result<T, String>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(message) => {
                self.problem(setting, message);
                None
            }
        }
    }

    pub(super) fn problem(&mut self, setting: &str, message: impl Into<String>) {
        self.problems.push(ConfigProblem { setting: setting.to_owned(), message: message.into() });
    }
}

pub(super) fn public_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|_| "write a URL such as https://applink.example".to_owned())?;
    let loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    if url.scheme() != "https" && !(url.scheme() == "http" && loopback) {
        return Err("it must start with https://, since tokens travel over it".to_owned());
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err("it must end after host and port".to_owned());
    }
    Ok(url)
}

pub(super) fn webhook_origin(text: &str) -> Result<Url, String> {
    let advice = "write origins such as http://127.0.0.1:4000";
    let url = Url::parse(text).map_err(|_| advice.to_owned())?;
    let is_web = matches!(url.scheme(), "http" | "https");
    let is_bare =
        url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    if is_web && is_bare { Ok(url) } else { Err(advice.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";

    fn with(pairs: &[(&'static str, &'static str)], file: Option<&str>) -> Result<Config, ConfigError> {
        let pairs = pairs.to_vec();
        load(
            &move |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()),
            file,
        )
    }

    #[test]
    fn a_missing_master_key_says_how_to_make_one() {
        let error = with(&[], None).unwrap_err();
        assert_eq!(error.0.len(), 1);
        assert_eq!(error.0[0].setting, var::MASTER_KEY);
        assert!(error.to_string().contains("openssl rand -base64 32"), "{error}");
    }

    #[test]
    fn defaults_are_local_and_careful() {
        let config = with(&[(var::MASTER_KEY, KEY)], None).unwrap();
        assert_eq!(config.bind.to_string(), "127.0.0.1:7700");
        assert_eq!(config.oauth.confirm, Confirm::Always);
        assert!(!config.access.allow_token_management);
        assert_eq!(config.token_lifetime, Duration::from_secs(900));
    }

    #[test]
    fn everything_wrong_is_told_at_once_and_no_secret_repeated() {
        let error = with(
            &[
                (var::MASTER_KEY, "canary-not-base64!"),
                (var::DATABASE_URL, "mysql://u:canary@h/d"),
                (var::BIND, "localhost"),
                (var::PUBLIC_URL, "http://applink.example"),
                (var::OPERATOR_KEY, "canary"),
                (var::TOKEN_LIFETIME, "5"),
                (var::LOGIN_HOST_MAP, "https://login.salesforce.com"),
                (var::ORG_ORIGINS, "ftp://x"),
                (var::WEBHOOK_ORIGINS, "http://10.0.0.1/path"),
                (var::OAUTH_CONFIRM, "sometimes"),
            ],
            None,
        )
        .unwrap_err();
        let named: Vec<&str> = error.0.iter().map(|problem| problem.setting.as_str()).collect();
        for setting in [
            var::MASTER_KEY,
            var::DATABASE_URL,
            var::BIND,
            var::PUBLIC_URL,
            var::OPERATOR_KEY,
            var::TOKEN_LIFETIME,
            var::LOGIN_HOST_MAP,
            var::ORG_ORIGINS,
            var::WEBHOOK_ORIGINS,
            var::OAUTH_CONFIRM,
        ] {
            assert!(named.contains(&setting), "{setting} is missing in {named:?}");
        }
        assert!(!error.to_string().contains("canary"), "{error}");
    }

    #[test]
    fn being_a_heroku_add_on_needs_all_of_its_secrets_and_no_more() {
        let error = with(&[(var::MASTER_KEY, KEY), (var::HEROKU_SLUG, "my-applink")], None).unwrap_err();
        let named: Vec<&str> = error.0.iter().map(|problem| problem.setting.as_str()).collect();
        assert_eq!(named, [var::SSO_SALT, var::HEROKU_PASSWORD, var::HEROKU_CLIENT_SECRET]);
        let file = format!(
            "master_key = '{KEY}'\nsso_salt = 's'\n[heroku]\nslug = 'my-applink'\npassword = 'p'\nclient_secret = 'c'\nplans = ['free']"
        );
        let config = with(&[], Some(&file)).unwrap().provider.unwrap();
        assert_eq!(config.config_vars_prefix, "MY_APPLINK");
        assert_eq!(config.api_url.as_str(), "https://api.heroku.com/");
        assert!(config.has_plan("free") && !config.has_plan("premium"));
        let away = with(&[(var::HEROKU_API_URL, "http://heroku.example")], Some(&file)).unwrap_err();
        assert_eq!(away.0[0].setting, var::HEROKU_API_URL);
        assert!(with(&[(var::MASTER_KEY, KEY)], None).unwrap().provider.is_none());
    }

    #[test]
    fn a_variable_wins_over_the_file() {
        let file = format!(
            "bind = '127.0.0.1:1'\nmaster_key = '{KEY}'\n[oauth]\nconfirm = 'never'\n[[oauth.clients]]\nlogin_host = 'https://test.salesforce.com'\nclient_id = 'sandbox'\n[[oauth.clients]]\nclient_id = 'others'\n"
        );
        let config =
            with(&[(var::BIND, "127.0.0.1:2"), (var::OAUTH_CLIENT_ID, "mine")], Some(&file)).unwrap();
        assert_eq!(config.bind.port(), 2);
        assert_eq!(config.oauth.confirm, Confirm::Never);
        assert_eq!(config.oauth.client_for("https://test.salesforce.com").unwrap().client_id, "sandbox");
        assert_eq!(config.oauth.client_for("https://login.salesforce.com").unwrap().client_id, "mine");
    }

    #[test]
    fn a_misspelt_key_in_the_file_is_named_with_its_place() {
        let error = with(&[(var::MASTER_KEY, KEY)], Some("\nbnid = 'x'\n")).unwrap_err();
        assert!(error.to_string().contains("bnid"), "{error}");
        assert!(error.to_string().contains("line 2"), "{error}");
    }

    #[test]
    fn a_public_address_needs_a_public_url() {
        let error = with(&[(var::MASTER_KEY, KEY), (var::PORT, "5000")], None).unwrap_err();
        assert_eq!(error.0[0].setting, var::PUBLIC_URL);
        let config = with(
            &[(var::MASTER_KEY, KEY), (var::PORT, "5000"), (var::PUBLIC_URL, "https://a.example")],
            None,
        );
        assert_eq!(config.unwrap().bind.to_string(), "0.0.0.0:5000");
    }
}
