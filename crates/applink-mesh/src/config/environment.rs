//! The environment variables, each read once, at the start.

use std::net::{Ipv4Addr, SocketAddr};

use applink_api::ids::AppUuid;
use secrecy::SecretString;

use crate::bypass::HealthAnswer;
use crate::config::{ForwardedRule, HostRule, ReplayRule, RequestIdRule, VerdictRule, VerifyRule};
use crate::path::PathRule;

/// Every variable the mesh reads, with what it means.
pub const VARIABLES: [(&str, &str); 27] = [
    (API_URL, "the control plane's URL, up to and including the add-on (required)"),
    (TOKEN, "the add-on's token (required)"),
    (OLD_API_URL, "older spelling, read when neither of the first two is set"),
    (OLD_TOKEN, "older spelling, goes with the older URL"),
    (PORT, "public port (default 8070); --port wins"),
    (APP_PORT, "the app's port (default 3000); wins over app.port of the YAML file"),
    (APP_ID, "this app's uuid: calls meant for another app are refused"),
    (BYPASS_ALL, "true: no authentication at all"),
    (OLD_BYPASS_ALL, "older spelling"),
    (SECRET, "what mesh and app share; made at every start when the mesh starts the app"),
    (HEALTHCHECK, "answer (default): the mesh answers on the health route; forward: the app does"),
    (PATHS, "strict (default), or verbatim: verified calls may have %2f and // in their path"),
    (REQUEST_ID_RULE, "equal (default), or contains: the context's id may be a part of the request id"),
    (
        VERIFY,
        "local (default): the mesh verifies with the orgs' keys; ask: the control plane does, call by call",
    ),
    (MAX_STALENESS, "seconds for which calls are verified without the control plane (default 300), then 503"),
    (
        REPLAY,
        "local (default): tokens with an id are used once here; shared: at all meshes; off: again and again",
    ),
    (VERDICTS, "verdict (default), or bare: any 200 of the control plane is a yes"),
    (HOST, "app (default): the app sees its own address as Host; preserve: the caller's"),
    (FORWARDED, "overwrite (default), or trust (default on Heroku): x-forwarded-* come from a router"),
    (KEEP_CLIENT_CONTEXT, "true, with bypass-all only: the caller's x-client-context reaches the app"),
    (
        METRICS,
        "a port of loopback, an address, or off (default 127.0.0.1:19070): where GET /metrics is answered",
    ),
    (REPORTS, "on (default), or off: the control plane is told what was called"),
    (THREADS, "how many threads serve requests (default: as many as processors, at most 4)"),
    (RELOAD_SIGNAL, "HUP, USR1 or USR2: exchanges the app for a new one; off (default)"),
    (RESPONSE_TIMEOUT, "seconds the app may take to begin its answer (default 125)"),
    (GRACE, "seconds for which new connections are still served after a stop signal (default 0)"),
    (DATA_ACTION_LIMIT, "largest body of a data action in bytes (default 1048576)"),
];

pub(super) const API_URL: &str = "HEROKU_APPLINK_API_URL";
const URL: &str = "HEROKU_APPLINK_URL";
pub(super) const TOKEN: &str = "HEROKU_APPLINK_TOKEN";
const OLD_API_URL: &str = "HEROKU_INTEGRATION_API_URL";
const OLD_TOKEN: &str = "HEROKU_INTEGRATION_TOKEN";
const PORT: &str = "PORT";
const APP_PORT: &str = "APP_PORT";
const APP_ID: &str = "HEROKU_APP_ID";
const BYPASS_ALL: &str = "HEROKU_APPLINK_SERVICE_MESH_BYPASS_ALL_ROUTES";
const OLD_BYPASS_ALL: &str = "HEROKU_INTEGRATION_SERVICE_MESH_BYPASS_ALL_ROUTES";
pub(crate) const SECRET: &str = "APPLINK_MESH_SECRET";
const HEALTHCHECK: &str = "APPLINK_MESH_HEALTHCHECK";
const PATHS: &str = "APPLINK_MESH_PATHS";
const REQUEST_ID_RULE: &str = "APPLINK_MESH_REQUEST_ID";
const VERIFY: &str = "APPLINK_MESH_VERIFY";
const MAX_STALENESS: &str = "APPLINK_MESH_MAX_STALENESS_SECONDS";
const REPLAY: &str = "APPLINK_MESH_REPLAY";
const VERDICTS: &str = "APPLINK_MESH_VERDICTS";
const HOST: &str = "APPLINK_MESH_HOST";
const FORWARDED: &str = "APPLINK_MESH_FORWARDED";
const KEEP_CLIENT_CONTEXT: &str = "APPLINK_MESH_KEEP_CLIENT_CONTEXT";
const METRICS: &str = "APPLINK_MESH_METRICS";
const REPORTS: &str = "APPLINK_MESH_REPORTS";
const THREADS: &str = "APPLINK_MESH_THREADS";
pub(crate) const RELOAD_SIGNAL: &str = "APPLINK_MESH_RELOAD_SIGNAL";
const RESPONSE_TIMEOUT: &str = "APPLINK_MESH_RESPONSE_TIMEOUT_SECONDS";
const GRACE: &str = "APPLINK_MESH_GRACE_SECONDS";
const DATA_ACTION_LIMIT: &str = "APPLINK_MESH_DATA_ACTION_LIMIT_BYTES";
/// Set in every dyno: the one who connects is Heroku's router.
const DYNO: &str = "DYNO";

/// A variable is missing or makes no sense. Values of secrets are never repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvironmentError {
    /// No control plane.
    #[error(
        "Heroku AppLink add-on config vars not set: HEROKU_APPLINK_API_URL and HEROKU_APPLINK_TOKEN are needed"
    )]
    NoAddon,
    /// One half of the pair.
    #[error("{present} is set but {missing} is not; both come with the add-on")]
    HalfAddon {
        /// What is there.
        present: &'static str,
        /// What is not.
        missing: &'static str,
    },
    /// A value that is none of those allowed.
    #[error("{name} is `{value}`; it must be {expected}")]
    Value {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
}

/// What the environment says.
#[derive(Clone, Debug)]
pub(crate) struct EnvironmentSettings {
    pub(crate) api_url: String,
    pub(crate) token: SecretString,
    pub(crate) port: Option<u16>,
    pub(crate) app_port: Option<u16>,
    pub(crate) app_uuid: Option<AppUuid>,
    pub(crate) bypass_all: bool,
    pub(crate) keep_client_context: bool,
    pub(crate) mesh_secret: Option<SecretString>,
    pub(crate) health: HealthAnswer,
    pub(crate) paths: PathRule,
    pub(crate) request_id: RequestIdRule,
    pub(crate) verify: VerifyRule,
    pub(crate) max_staleness_seconds: Option<u64>,
    pub(crate) replay: ReplayRule,
    pub(crate) verdicts: VerdictRule,
    pub(crate) host: HostRule,
    pub(crate) forwarded: ForwardedRule,
    pub(crate) metrics: Option<MetricsSetting>,
    pub(crate) reports: bool,
    pub(crate) threads: Option<usize>,
    pub(crate) response_timeout_seconds: Option<u64>,
    pub(crate) grace_seconds: Option<u64>,
    pub(crate) data_action_limit: Option<usize>,
}

/// Where metrics are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MetricsSetting {
    Off,
    At(SocketAddr),
}

/// Looks variables up; an empty one counts as not set.
pub(crate) struct Environment<'l> {
    pub(crate) lookup: &'l dyn Fn(&str) -> Option<String>,
}

const METRICS_FORMS: &str = "a port, an address such as 127.0.0.1:9464, or off";
const TRUTHS: &str = "true or false";
const PORTS: &str = "a port from 1 to 65535";
const NUMBERS: &str = "a whole number above 0";

impl Environment<'_> {
    pub(crate) fn read(&self) -> Result<EnvironmentSettings, EnvironmentError> {
        let (api_url, token) = self.addon()?;
        let on_heroku = self.text(DYNO).is_some();
        let forwarded = if on_heroku { ForwardedRule::Trust } else { ForwardedRule::Overwrite };
        Ok(EnvironmentSettings {
            api_url,
            token,
            port: self.port(PORT)?,
            app_port: self.port(APP_PORT)?,
            app_uuid: self
                .parsed(APP_ID, "the app's uuid (`heroku apps:info --json`)", |text| text.parse().ok())?,
            bypass_all: self.truth(BYPASS_ALL)? || self.truth(OLD_BYPASS_ALL)?,
            keep_client_context: self.truth(KEEP_CLIENT_CONTEXT)?,
            mesh_secret: self.text(SECRET).map(SecretString::from),
            health: self.choice(
                HEALTHCHECK,
                ("answer", HealthAnswer::Mesh),
                ("forward", HealthAnswer::App),
            )?,
            paths: self.choice(PATHS, ("strict", PathRule::Strict), ("verbatim", PathRule::Verbatim))?,
            request_id: self.choice(
                REQUEST_ID_RULE,
                ("equal", RequestIdRule::Equal),
                ("contains", RequestIdRule::Contains),
            )?,
            verify: self.choice(VERIFY, ("local", VerifyRule::Local), ("ask", VerifyRule::Ask))?,
            max_staleness_seconds: self.number(MAX_STALENESS)?,
            replay: self.replay()?,
            verdicts: self.choice(
                VERDICTS,
                ("verdict", VerdictRule::RequireVerdict),
                ("bare", VerdictRule::AcceptBare),
            )?,
            host: self.choice(HOST, ("app", HostRule::App), ("preserve", HostRule::Preserve))?,
            forwarded: self
                .one_of(FORWARDED, ("overwrite", ForwardedRule::Overwrite), ("trust", ForwardedRule::Trust))?
                .unwrap_or(forwarded),
            metrics: self.parsed(METRICS, METRICS_FORMS, metrics)?,
            reports: self.choice(REPORTS, ("on", true), ("off", false))?,
            threads: self.number(THREADS)?,
            response_timeout_seconds: self.number(RESPONSE_TIMEOUT)?,
            grace_seconds: self.number(GRACE)?,
            data_action_limit: self.number(DATA_ACTION_LIMIT)?,
        })
    }

    fn replay(&self) -> Result<ReplayRule, EnvironmentError> {
        let rule = self.parsed(REPLAY, "local, shared or off", |text| match text {
            "local" => Some(ReplayRule::Local),
            "shared" => Some(ReplayRule::Shared),
            "off" => Some(ReplayRule::Off),
            _ => None,
        })?;
        Ok(rule.unwrap_or_default())
    }

    /// URL and token belong together: the one of one spelling is never sent to the other's host.
    fn addon(&self) -> Result<(String, SecretString), EnvironmentError> {
        let url = self.text(API_URL).or_else(|| self.text(URL));
        match (url, self.text(TOKEN)) {
            (Some(url), Some(token)) => return Ok((url, token.into())),
            (Some(_), None) => return Err(EnvironmentError::HalfAddon { present: API_URL, missing: TOKEN }),
            (None, Some(_)) => return Err(EnvironmentError::HalfAddon { present: TOKEN, missing: API_URL }),
            (None, None) => {}
        }
        match (self.text(OLD_API_URL), self.text(OLD_TOKEN)) {
            (Some(url), Some(token)) => Ok((url, token.into())),
            (Some(_), None) => Err(EnvironmentError::HalfAddon { present: OLD_API_URL, missing: OLD_TOKEN }),
            (None, Some(_)) => Err(EnvironmentError::HalfAddon { present: OLD_TOKEN, missing: OLD_API_URL }),
            (None, None) => Err(EnvironmentError::NoAddon),
        }
    }

    fn text(&self, name: &str) -> Option<String> {
        (self.lookup)(name).filter(|value| !value.is_empty())
    }

    fn parsed<T>(
        &self,
        name: &'static str,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, EnvironmentError> {
        let Some(value) = self.text(name) else { return Ok(None) };
        match parse(&value) {
            Some(parsed) => Ok(Some(parsed)),
            None => Err(EnvironmentError::Value { name, value, expected }),
        }
    }

    fn port(&self, name: &'static str) -> Result<Option<u16>, EnvironmentError> {
        self.parsed(name, PORTS, |text| text.parse().ok().filter(|port| *port > 0))
    }

    fn number<N: std::str::FromStr + PartialEq + Default>(
        &self,
        name: &'static str,
    ) -> Result<Option<N>, EnvironmentError> {
        self.parsed(name, NUMBERS, |text| text.parse().ok().filter(|number| *number != N::default()))
    }

    /// The spellings Go's `ParseBool` takes. The public mesh silently reads anything else as false.
    fn truth(&self, name: &'static str) -> Result<bool, EnvironmentError> {
        let truth = self.parsed(name, TRUTHS, |text| match text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
            _ => None,
        })?;
        Ok(truth.unwrap_or(false))
    }

    /// One of two words; the first is the default.
    fn choice<T: Copy>(
        &self,
        name: &'static str,
        first: (&'static str, T),
        second: (&'static str, T),
    ) -> Result<T, EnvironmentError> {
        Ok(self.one_of(name, first, second)?.unwrap_or(first.1))
    }

    fn one_of<T: Copy>(
        &self,
        name: &'static str,
        first: (&'static str, T),
        second: (&'static str, T),
    ) -> Result<Option<T>, EnvironmentError> {
        self.parsed(name, "one of the two words its description names", |text| {
            [first, second].into_iter().find(|(word, _)| *word == text).map(|(_, value)| value)
        })
    }
}

fn metrics(text: &str) -> Option<MetricsSetting> {
    if text == "off" {
        return Some(MetricsSetting::Off);
    }
    let port = text.parse::<u16>().ok().filter(|port| *port > 0);
    let loopback = port.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    loopback.or_else(|| text.parse().ok()).map(MetricsSetting::At)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<EnvironmentSettings, EnvironmentError> {
        let lookup = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        Environment { lookup: &lookup }.read()
    }

    fn with(variables: &[(&'static str, &'static str)]) -> Result<EnvironmentSettings, EnvironmentError> {
        let mut all = vec![(API_URL, "http://new"), (TOKEN, "new-token")];
        all.extend_from_slice(variables);
        read(&all)
    }

    #[test]
    fn both_spellings_are_read_and_never_mixed() {
        use secrecy::ExposeSecret as _;
        let old = [(OLD_API_URL, "http://old"), (OLD_TOKEN, "old-token")];
        let settings = read(&old).unwrap();
        assert_eq!((settings.api_url.as_str(), settings.token.expose_secret()), ("http://old", "old-token"));
        let settings = with(&old).unwrap();
        assert_eq!((settings.api_url.as_str(), settings.token.expose_secret()), ("http://new", "new-token"));
        assert_eq!(
            read(&[(API_URL, "http://new"), (OLD_TOKEN, "old-token")]).unwrap_err(),
            EnvironmentError::HalfAddon { present: API_URL, missing: TOKEN }
        );
        assert_eq!(read(&[]).unwrap_err(), EnvironmentError::NoAddon);
        assert_eq!(read(&[(URL, "http://short"), (TOKEN, "t")]).unwrap().api_url, "http://short");
    }

    #[test]
    fn bypass_all_takes_the_official_spellings_only() {
        for (value, all) in [("true", true), ("1", true), ("T", true), ("False", false), ("", false)] {
            assert_eq!(with(&[(BYPASS_ALL, value)]).unwrap().bypass_all, all, "{value}");
        }
        assert!(with(&[(OLD_BYPASS_ALL, "true")]).unwrap().bypass_all);
        assert!(with(&[(BYPASS_ALL, "yes")]).is_err(), "a person who writes this believes it is on");
    }

    #[test]
    fn on_heroku_the_router_is_trusted() {
        assert_eq!(with(&[]).unwrap().forwarded, ForwardedRule::Overwrite);
        assert_eq!(with(&[(DYNO, "web.1")]).unwrap().forwarded, ForwardedRule::Trust);
        assert_eq!(
            with(&[(DYNO, "web.1"), (FORWARDED, "overwrite")]).unwrap().forwarded,
            ForwardedRule::Overwrite
        );
    }

    #[test]
    fn wrong_values_name_their_variable() {
        for name in [
            PORT,
            APP_PORT,
            APP_ID,
            REPLAY,
            METRICS,
            REPORTS,
            THREADS,
            VERIFY,
            MAX_STALENESS,
            PATHS,
            HOST,
            VERDICTS,
            RESPONSE_TIMEOUT,
            GRACE,
            DATA_ACTION_LIMIT,
        ] {
            let error = with(&[(name, "nonsense")]).unwrap_err();
            assert!(error.to_string().starts_with(&format!("{name} is `nonsense`; it must be")), "{error}");
        }
        assert!(with(&[(DATA_ACTION_LIMIT, "0")]).is_err());
    }

    #[test]
    fn the_list_of_variables_is_complete() {
        let source = include_str!("environment.rs");
        let constants = source.matches(": &str = \"APPLINK_MESH_").count();
        let listed = VARIABLES.iter().filter(|(name, _)| name.starts_with("APPLINK_MESH_")).count();
        assert_eq!(constants, listed);
    }
}
