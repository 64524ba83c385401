//! The file `heroku-applink-service-mesh.yaml` in the working directory.
//!
//! ```yaml
//! app:
//!   host: http://127.0.0.1
//!   port: "3000"            # APP_PORT wins
//! mesh:
//!   authentication:
//!     bypassRoutes: ["/public", "/assets/*"]
//!   healthcheck:
//!     enable: "true"
//!     route: /healthcheck
//! ```
//! Keys are strict: a key that is not known is an error, with its line. An empty file is the defaults.

use serde::Deserialize;
use serde_saphyr::{Location, Spanned};

use crate::bypass::{BypassRoute, BypassRouteError};

/// What the file says; what it does not say is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct YamlFile {
    pub(crate) app_host: Option<String>,
    pub(crate) app_port: Option<u16>,
    pub(crate) bypass_routes: Vec<BypassRoute>,
    pub(crate) health_enabled: Option<bool>,
    pub(crate) health_route: Option<String>,
}

/// The file can't be used. Lines and columns count from 1.
#[derive(Debug, thiserror::Error)]
pub enum YamlError {
    /// A key the mesh does not know, or knows elsewhere.
    #[error("{file}, line {line}, column {column}: unknown key `{key}`; known here: {known}")]
    UnknownKey {
        /// The file.
        file: String,
        /// Where the key is.
        line: u64,
        /// Where the key is.
        column: u64,
        /// The key.
        key: String,
        /// What may stand there.
        known: String,
    },
    /// Not YAML, or not of the right shape.
    #[error("{file}, line {line}, column {column}: {problem}")]
    Unreadable {
        /// The file.
        file: String,
        /// Where.
        line: u64,
        /// Where.
        column: u64,
        /// What is wrong.
        problem: String,
    },
    /// A value that makes no sense.
    #[error("{file}, line {line}, column {column}: {key}: {problem}")]
    Value {
        /// The file.
        file: String,
        /// Where the value is.
        line: u64,
        /// Where the value is.
        column: u64,
        /// The key it belongs to.
        key: &'static str,
        /// What is wrong and how to write it.
        problem: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    app: Option<App>,
    mesh: Option<MeshSection>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct App {
    host: Option<Spanned<String>>,
    port: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MeshSection {
    authentication: Option<Authentication>,
    healthcheck: Option<Healthcheck>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Authentication {
    bypass_routes: Option<Vec<Spanned<String>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Healthcheck {
    enable: Option<Spanned<String>>,
    route: Option<Spanned<String>>,
}

impl YamlFile {
    /// Reads `text`; `file` is its name, for errors.
    pub(crate) fn parse(file: &str, text: &str) -> Result<Self, YamlError> {
        let document: Option<Document> =
            serde_saphyr::from_str(text).map_err(|error| unreadable(file, &error))?;
        let Some(document) = document else { return Ok(Self::default()) };
        Reader { file }.read(document)
    }
}

fn unreadable(file: &str, error: &serde_saphyr::Error) -> YamlError {
    let error = error.without_snippet();
    let (line, column) = error.location().map_or((1, 1), position);
    let file = file.to_owned();
    match error {
        serde_saphyr::Error::SerdeUnknownField { field, expected, .. } => {
            YamlError::UnknownKey { file, line, column, key: field.clone(), known: expected.join(", ") }
        }
        other => {
            let text = other.to_string();
            let problem = text.lines().next().unwrap_or_default().to_owned();
            YamlError::Unreadable { file, line, column, problem }
        }
    }
}

fn position(location: Location) -> (u64, u64) {
    (location.line(), location.column())
}

/// Turns texts into values, naming the place of what can't be.
struct Reader<'f> {
    file: &'f str,
}

impl Reader<'_> {
    fn read(&self, document: Document) -> Result<YamlFile, YamlError> {
        let (app_host, app_port) = document.app.map_or((None, None), |app| (app.host, app.port));
        let (authentication, health) =
            document.mesh.map_or((None, None), |mesh| (mesh.authentication, mesh.healthcheck));
        let (enable, route) = health.map_or((None, None), |health| (health.enable, health.route));
        let routes = authentication.and_then(|section| section.bypass_routes).unwrap_or_default();
        Ok(YamlFile {
            app_host: app_host.map(|host| host.value),
            app_port: app_port.map(|port| self.port(port)).transpose()?,
            bypass_routes: routes.into_iter().map(|route| self.route(route)).collect::<Result<_, _>>()?,
            health_enabled: enable.map(|enable| self.enable(enable)).transpose()?,
            health_route: route.map(|route| self.health_route(route)).transpose()?,
        })
    }

    fn port(&self, port: Spanned<String>) -> Result<u16, YamlError> {
        match port.value.parse() {
            Ok(number) if number > 0 => Ok(number),
            _ => Err(self.wrong("app.port", &port, "write a port from 1 to 65535")),
        }
    }

    fn route(&self, route: Spanned<String>) -> Result<BypassRoute, YamlError> {
        BypassRoute::parse(&route.value)
            .map_err(|error| self.wrong("mesh.authentication.bypassRoutes", &route, &sentence(&error)))
    }

    fn enable(&self, enable: Spanned<String>) -> Result<bool, YamlError> {
        match enable.value.as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(self.wrong("mesh.healthcheck.enable", &enable, "write \"true\" or \"false\"")),
        }
    }

    fn health_route(&self, route: Spanned<String>) -> Result<String, YamlError> {
        match BypassRoute::parse(&route.value) {
            Ok(BypassRoute::Exact(path)) => Ok(path),
            Ok(BypassRoute::Prefix(_)) => {
                Err(self.wrong("mesh.healthcheck.route", &route, "it can't end in `*`"))
            }
            Err(error) => Err(self.wrong("mesh.healthcheck.route", &route, &sentence(&error))),
        }
    }

    fn wrong(&self, key: &'static str, value: &Spanned<String>, problem: &str) -> YamlError {
        let (line, column) = position(value.referenced);
        YamlError::Value { file: self.file.to_owned(), line, column, key, problem: problem.to_owned() }
    }
}

fn sentence(error: &BypassRouteError) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<YamlFile, YamlError> {
        YamlFile::parse("mesh.yaml", text)
    }

    fn message(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn reads_the_official_file() {
        let file = parse(
            "app:\n  host: http://127.0.0.1\n  port: \"3000\"\nmesh:\n  authentication:\n    bypassRoutes: [\"/public\", \"/assets/*\"]\n  healthcheck:\n    enable: \"true\"\n    route: /healthcheck\n",
        )
        .unwrap();
        assert_eq!(file.app_host.as_deref(), Some("http://127.0.0.1"));
        assert_eq!(file.app_port, Some(3000));
        assert_eq!(
            file.bypass_routes,
            [BypassRoute::Exact("/public".into()), BypassRoute::Prefix("/assets/".into())]
        );
        assert_eq!((file.health_enabled, file.health_route.as_deref()), (Some(true), Some("/healthcheck")));
    }

    #[test]
    fn plain_scalars_and_absent_parts_are_fine() {
        assert_eq!(parse("app:\n  port: 4000\n").unwrap().app_port, Some(4000));
        assert_eq!(parse("mesh:\n  healthcheck:\n    enable: false\n").unwrap().health_enabled, Some(false));
        for empty in ["", "\n", "# only a comment\n", "---\n", "app:\nmesh:\n", "mesh:\n  authentication:\n"]
        {
            assert_eq!(parse(empty).unwrap(), YamlFile::default(), "{empty:?}");
        }
    }

    #[test]
    fn unknown_keys_are_named_with_their_line() {
        assert_eq!(
            message("app:\n  port: 3000\nmesh:\n  authentication:\n    bypasRoutes: []\n"),
            "mesh.yaml, line 5, column 5: unknown key `bypasRoutes`; known here: bypassRoutes"
        );
        assert!(message("App: {}\n").starts_with("mesh.yaml, line 1, column 1: unknown key `App`"));
    }

    #[test]
    fn wrong_values_are_named_with_their_line() {
        for (text, start) in [
            ("app:\n  port: http\n", "mesh.yaml, line 2, column 9: app.port: "),
            ("app:\n  port: 0\n", "mesh.yaml, line 2, column 9: app.port: "),
            (
                "mesh:\n  healthcheck:\n    enable: maybe\n",
                "mesh.yaml, line 3, column 13: mesh.healthcheck.enable: ",
            ),
            (
                "mesh:\n  authentication:\n    bypassRoutes:\n      - /ok\n      - public\n",
                "mesh.yaml, line 5, column 9: mesh.authentication.bypassRoutes: `public` is no path",
            ),
            (
                "mesh:\n  healthcheck: {route: /h*}\n",
                "mesh.yaml, line 2, column 24: mesh.healthcheck.route: ",
            ),
            ("app: [\n", "mesh.yaml, line "),
            ("app: 7\n", "mesh.yaml, line 1, column 6: "),
        ] {
            assert!(message(text).starts_with(start), "{}", message(text));
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "([a-z:\\-\\[\\]{}\"'#&*!|>% \\n]){0,60}") {
            let _ = parse(&text);
        }
    }
}
