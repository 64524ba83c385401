//! Arguments, environment and file, joined into one configuration. What is nearer to the person wins:
//! flags over environment over file over defaults.

use std::ffi::OsString;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use applink_api::clock::Clock;
use applink_api::entropy::Entropy;

use crate::bypass::{BypassRules, HealthRoute};
use crate::child::{ChildConfig, ChildOutput};
use crate::config::environment::{Environment, EnvironmentError, EnvironmentSettings, MetricsSetting};
use crate::config::yaml::{YamlError, YamlFile};
use crate::config::{
    AppAddress, AppAddressError, DEFAULT_APP_PORT, DEFAULT_HEALTH_PATH, DEFAULT_METRICS_PORT, DEFAULT_PORT,
    Limits, Listen, MeshConfig, TrustSettings,
};
use crate::record::access::AccessLog;

/// How often the control plane is told what happened.
const REPORT_EVERY: Duration = Duration::from_secs(5);
/// Threads, unless more are asked for.
const MOST_THREADS: usize = 4;

/// The names the file may have, the first that exists counts.
pub const YAML_NAMES: [&str; 2] =
    ["heroku-applink-service-mesh.yaml", "heroku-integration-service-mesh.yaml"];

/// What the configuration is made of.
pub struct Sources<'s> {
    /// `--port`.
    pub port: Option<u16>,
    /// The app's command with its arguments; may be empty.
    pub command: Vec<OsString>,
    /// Looks an environment variable up.
    pub environment: &'s dyn Fn(&str) -> Option<String>,
    /// Name and text of the YAML file, when there is one.
    pub yaml: Option<(String, String)>,
}

impl fmt::Debug for Sources<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources")
            .field("port", &self.port)
            .field("command", &self.command)
            .finish_non_exhaustive()
    }
}

/// The configuration can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A variable.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// The file.
    #[error(transparent)]
    Yaml(#[from] YamlError),
    /// `app.host`.
    #[error(transparent)]
    AppHost(#[from] AppAddressError),
    /// The collector of traces.
    #[cfg(feature = "otel")]
    #[error(transparent)]
    Traces(#[from] crate::traces::EndpointError),
    /// Mesh and app on the same port of the same machine.
    #[error(
        "mesh and app would both listen on port {0}; give the app another with APP_PORT, or the mesh with --port"
    )]
    SamePort(u16),
}

impl MeshConfig {
    /// The configuration of the binary.
    ///
    /// # Errors
    /// [`ConfigError`], naming the variable or the place in the file.
    pub fn resolve(sources: Sources<'_>) -> Result<Self, ConfigError> {
        let environment = Environment { lookup: sources.environment }.read()?;
        let file = match &sources.yaml {
            Some((name, text)) => YamlFile::parse(name, text)?,
            None => YamlFile::default(),
        };
        let port = sources.port.or(environment.port).unwrap_or(DEFAULT_PORT);
        let app = app_address(&environment, &file)?;
        if app.is_loopback() && app.port() == port {
            return Err(ConfigError::SamePort(port));
        }
        let child = child(sources.command);
        let config = join(environment, file, port, app, child);
        #[cfg(feature = "otel")]
        let config = Self { traces: crate::traces::TraceSettings::read(sources.environment)?, ..config };
        Ok(config)
    }
}

fn app_address(environment: &EnvironmentSettings, file: &YamlFile) -> Result<AppAddress, AppAddressError> {
    let port = environment.app_port.or(file.app_port).unwrap_or(DEFAULT_APP_PORT);
    match &file.app_host {
        Some(host) => AppAddress::parse(host, port),
        None => Ok(AppAddress::loopback(port)),
    }
}

fn child(command: Vec<OsString>) -> Option<ChildConfig> {
    let mut words = command.into_iter();
    let program = words.next()?;
    Some(ChildConfig {
        program,
        arguments: words.collect(),
        environment: Vec::new(),
        directory: None,
        output: ChildOutput::Inherit,
    })
}

fn join(
    environment: EnvironmentSettings,
    file: YamlFile,
    port: u16,
    app: AppAddress,
    child: Option<ChildConfig>,
) -> MeshConfig {
    let bypass = bypass(&environment, file);
    MeshConfig {
        listen: Listen::Everywhere(port),
        app,
        limits: limits(&environment),
        trust: trust(&environment),
        bypass,
        api_url: environment.api_url,
        token: environment.token,
        app_uuid: environment.app_uuid,
        paths: environment.paths,
        request_id: environment.request_id,
        replay: environment.replay,
        verdicts: environment.verdicts,
        allowed_hosts: None,
        host: environment.host,
        forwarded: environment.forwarded,
        mesh_secret: environment.mesh_secret,
        threads: environment.threads.unwrap_or_else(default_threads),
        metrics: metrics_address(environment.metrics),
        report_every: environment.reports.then_some(REPORT_EVERY),
        access_log: AccessLog::default(),
        #[cfg(feature = "otel")]
        traces: None,
        child,
        clock: Clock::system(),
        entropy: Entropy::system(),
    }
}

fn bypass(environment: &EnvironmentSettings, file: YamlFile) -> BypassRules {
    let path = file.health_route.unwrap_or_else(|| DEFAULT_HEALTH_PATH.to_owned());
    let enabled = file.health_enabled.unwrap_or(true);
    BypassRules {
        all: environment.bypass_all,
        keep_client_context: environment.bypass_all && environment.keep_client_context,
        routes: file.bypass_routes,
        health: enabled.then_some(HealthRoute { path, answer: environment.health }),
    }
}

/// A mesh shares its machine with the app.
fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS)
}

fn metrics_address(setting: Option<MetricsSetting>) -> Option<SocketAddr> {
    match setting {
        Some(MetricsSetting::Off) => None,
        Some(MetricsSetting::At(address)) => Some(address),
        None => Some(SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_METRICS_PORT))),
    }
}

fn trust(environment: &EnvironmentSettings) -> TrustSettings {
    let defaults = TrustSettings::default();
    TrustSettings {
        verify: environment.verify,
        max_staleness: environment.max_staleness_seconds.map_or(defaults.max_staleness, Duration::from_secs),
        ..defaults
    }
}

fn limits(environment: &EnvironmentSettings) -> Limits {
    let defaults = Limits::default();
    Limits {
        response: environment.response_timeout_seconds.map_or(defaults.response, Duration::from_secs),
        grace: environment.grace_seconds.map_or(defaults.grace, Duration::from_secs),
        data_action_body: environment.data_action_limit.unwrap_or(defaults.data_action_body),
        ..defaults
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bypass::{BypassRoute, HealthAnswer};

    fn resolve(
        port: Option<u16>,
        variables: &[(&str, &str)],
        yaml: Option<&str>,
    ) -> Result<MeshConfig, ConfigError> {
        let lookup = |name: &str| {
            let addon = [("HEROKU_APPLINK_API_URL", "http://127.0.0.1:1"), ("HEROKU_APPLINK_TOKEN", "t")];
            let found = variables.iter().copied().chain(addon).find(|(known, _)| *known == name);
            found.map(|(_, value)| value.to_owned())
        };
        MeshConfig::resolve(Sources {
            port,
            command: vec!["npm".into(), "start".into()],
            environment: &lookup,
            yaml: yaml.map(|text| ("mesh.yaml".to_owned(), text.to_owned())),
        })
    }

    #[test]
    fn nearer_sources_win() {
        let yaml = Some("app:\n  port: 4000\n  host: http://localhost\n");
        let config = resolve(Some(1), &[("PORT", "2"), ("APP_PORT", "5000")], yaml).unwrap();
        assert_eq!(config.listen, Listen::Everywhere(1));
        assert_eq!(config.app.authority().as_str(), "localhost:5000");
        let config = resolve(None, &[("PORT", "2")], yaml).unwrap();
        assert_eq!(config.listen, Listen::Everywhere(2));
        assert_eq!(config.app.authority().as_str(), "localhost:4000");
        let config = resolve(None, &[], None).unwrap();
        assert_eq!(config.listen, Listen::Everywhere(8070));
        assert_eq!(config.app.authority().as_str(), "127.0.0.1:3000");
        assert_eq!(config.child.unwrap().arguments, ["start"]);
    }

    #[test]
    fn mesh_and_app_need_two_ports() {
        assert!(matches!(resolve(None, &[("PORT", "3000")], None), Err(ConfigError::SamePort(3000))));
        let elsewhere = Some("app:\n  host: http://10.0.0.1\n");
        assert!(resolve(None, &[("PORT", "3000")], elsewhere).is_ok());
    }

    #[test]
    fn the_health_route_can_be_moved_forwarded_and_switched_off() {
        let health = |variables: &[(&str, &str)], yaml| resolve(None, variables, yaml).unwrap().bypass.health;
        let standard = health(&[], None).unwrap();
        assert_eq!((standard.path.as_str(), standard.answer), ("/healthcheck", HealthAnswer::Mesh));
        let moved = health(
            &[("APPLINK_MESH_HEALTHCHECK", "forward")],
            Some("mesh:\n  healthcheck:\n    route: /up\n"),
        );
        assert_eq!(moved, Some(HealthRoute { path: "/up".into(), answer: HealthAnswer::App }));
        assert_eq!(health(&[], Some("mesh:\n  healthcheck:\n    enable: \"false\"\n")), None);
    }

    #[test]
    fn bypass_routes_come_from_the_file() {
        let yaml = "mesh:\n  authentication:\n    bypassRoutes: [/a, /b/*]\n";
        let config = resolve(None, &[("APPLINK_MESH_KEEP_CLIENT_CONTEXT", "true")], Some(yaml)).unwrap();
        assert_eq!(
            config.bypass.routes,
            [BypassRoute::Exact("/a".into()), BypassRoute::Prefix("/b/".into())]
        );
        assert!(!config.bypass.keep_client_context, "only together with bypass-all");
    }
}
