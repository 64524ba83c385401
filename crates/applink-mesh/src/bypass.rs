//! Phase *bypass*: the few paths that need no authentication, by configuration.
//!
//! A rule is an exact path, or a prefix when it ends in `*`; it is compared with the decoded path, letter case
//! included. Whatever could be read as leading elsewhere was refused before (see [`crate::path`]).

use http::Method;

use crate::path::{PathError, RequestPath};

/// Where the mesh tells its version; the second is the older spelling.
const INFO_PATHS: [&str; 2] = ["/__herokuAppLinkServiceMeshInfo", "/__herokuIntegrationServiceMeshInfo"];

/// The paths that need no authentication.
#[derive(Clone, Debug, Default)]
pub struct BypassRules {
    /// Every path is open. Said aloud at every start.
    pub all: bool,
    /// With `all`: let the caller's own `x-client-context` and `x-signature` reach the app, which then believes
    /// anybody. For trying an app out on one's own machine.
    pub keep_client_context: bool,
    /// The open paths.
    pub routes: Vec<BypassRoute>,
    /// The health route, unless it is switched off.
    pub health: Option<HealthRoute>,
}

/// What happens on the health route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthRoute {
    /// The exact path.
    pub path: String,
    /// Who answers.
    pub answer: HealthAnswer,
}

/// Who answers on the health route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HealthAnswer {
    /// The mesh: 200 while the app accepts connections, else 503.
    #[default]
    Mesh,
    /// The app: the path is one more open route, as in the public mesh.
    App,
}

/// One open path, or all paths that begin alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BypassRoute {
    /// This path only.
    Exact(String),
    /// Every path that begins with this.
    Prefix(String),
}

/// A bypass rule that could never match, or would match more than it seems to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BypassRouteError {
    /// It does not begin with `/`.
    #[error("`{0}` is no path: write it with a leading `/`")]
    NotAPath(String),
    /// `*` before the end.
    #[error("`{0}` has a `*` before its end: only a last `*` stands for anything")]
    InnerStar(String),
    /// A query, fragment or escape.
    #[error("`{0}` has a `?`, `#` or `%`: write the decoded path alone")]
    NotDecoded(String),
    /// Dot segments and the like.
    #[error("`{0}` can't be matched: a path with this is always refused: {1}")]
    Ambiguous(String, PathError),
}

impl BypassRoute {
    /// Reads one entry of `bypassRoutes`.
    ///
    /// # Errors
    /// [`BypassRouteError`].
    pub fn parse(entry: &str) -> Result<Self, BypassRouteError> {
        let (path, prefix) = entry.strip_suffix('*').map_or((entry, false), |path| (path, true));
        if !path.starts_with('/') {
            return Err(BypassRouteError::NotAPath(entry.to_owned()));
        }
        if path.contains('*') {
            return Err(BypassRouteError::InnerStar(entry.to_owned()));
        }
        if path.contains(['?', '#', '%']) {
            return Err(BypassRouteError::NotDecoded(entry.to_owned()));
        }
        ensure_matchable(path).map_err(|error| BypassRouteError::Ambiguous(entry.to_owned(), error))?;
        let path = path.to_owned();
        Ok(if prefix { Self::Prefix(path) } else { Self::Exact(path) })
    }

    fn matches(&self, path: &[u8]) -> bool {
        match self {
            Self::Exact(exact) => path == exact.as_bytes(),
            Self::Prefix(prefix) => path.starts_with(prefix.as_bytes()),
        }
    }
}

/// A rule written in non-ASCII characters is fine; one that [`RequestPath`] refuses would never match.
fn ensure_matchable(path: &str) -> Result<(), PathError> {
    let sendable: String = path.chars().map(|c| if c.is_ascii_graphic() { c } else { '_' }).collect();
    let uri = sendable.parse().map_err(|_| PathError::NotAPath)?;
    RequestPath::parse(&uri)?.ensure_plain_for_open_route()
}

/// What the path alone says about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// The mesh tells its version.
    Info,
    /// The mesh tells how the app is.
    Health,
    /// Forwarded without authentication.
    Open,
    /// Must authenticate.
    Guarded,
}

impl BypassRules {
    /// Finds what the path alone says.
    pub fn opening(&self, method: &Method, path: &RequestPath) -> Opening {
        let decoded = path.decoded();
        if INFO_PATHS.iter().any(|info| decoded == info.as_bytes()) {
            return Opening::Info;
        }
        match self.health.as_ref().filter(|health| decoded == health.path.as_bytes()) {
            Some(HealthRoute { answer: HealthAnswer::App, .. }) => return Opening::Open,
            Some(_) if *method == Method::GET || *method == Method::HEAD => return Opening::Health,
            _ => {}
        }
        let open = self.all || self.routes.iter().any(|route| route.matches(decoded));
        if open { Opening::Open } else { Opening::Guarded }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opening(rules: &BypassRules, method: Method, path: &str) -> Opening {
        rules.opening(&method, &RequestPath::parse(&path.parse().unwrap()).unwrap())
    }

    fn rules(routes: &[&str]) -> BypassRules {
        let routes = routes.iter().map(|route| BypassRoute::parse(route).unwrap()).collect();
        BypassRules { routes, ..BypassRules::default() }
    }

    #[test]
    fn exact_and_prefix_rules() {
        let rules = rules(&["/open", "/pub/*", "/café"]);
        for (path, expected) in [
            ("/open", Opening::Open),
            ("/open?x=1", Opening::Open),
            ("/op%65n", Opening::Open),
            ("/caf%C3%A9", Opening::Open),
            ("/pub/", Opening::Open),
            ("/pub/a/b", Opening::Open),
            ("/open/", Opening::Guarded),
            ("/OPEN", Opening::Guarded),
            ("/open%3Fx", Opening::Guarded),
            ("/open;x", Opening::Guarded),
            ("/pub", Opening::Guarded),
            ("/", Opening::Guarded),
        ] {
            assert_eq!(opening(&rules, Method::POST, path), expected, "{path}");
        }
    }

    #[test]
    fn the_health_route_is_answered_or_open() {
        let health = |answer| BypassRules {
            health: Some(HealthRoute { path: "/healthcheck".into(), answer }),
            ..BypassRules::default()
        };
        let mesh = health(HealthAnswer::Mesh);
        assert_eq!(opening(&mesh, Method::GET, "/healthcheck"), Opening::Health);
        assert_eq!(opening(&mesh, Method::POST, "/healthcheck"), Opening::Guarded);
        assert_eq!(opening(&health(HealthAnswer::App), Method::POST, "/healthcheck"), Opening::Open);
        assert_eq!(opening(&BypassRules::default(), Method::GET, "/healthcheck"), Opening::Guarded);
    }

    #[test]
    fn both_info_routes_need_no_rule() {
        for path in INFO_PATHS {
            assert_eq!(opening(&BypassRules::default(), Method::GET, path), Opening::Info);
        }
    }

    #[test]
    fn rules_that_mislead_are_refused() {
        for entry in ["public", "", "*", "/a*b", "/a*/*", "/a?x", "/a%20b", "/a/../b", "//a", "/a\\b"] {
            assert!(BypassRoute::parse(entry).is_err(), "{entry}");
        }
    }
}
