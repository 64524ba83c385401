//! How the app is set up.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use applink_sdk::env::Env;
use applink_sdk::invocation::InvocationSettings;
use applink_sdk::{AppLink, Error};

/// The port when neither `APP_PORT` nor `PORT` is set: where the mesh looks for its app.
const DEFAULT_PORT: u16 = 3000;

/// How the app is set up. See the README for the variables.
#[derive(Debug)]
pub struct Settings {
    /// Where to listen; port 0 picks a free one.
    pub listen: SocketAddr,
    /// The add-on; the routes that need it say so when it is missing.
    pub applink: Result<AppLink, Error>,
    /// How calls from an org are recognised.
    pub invocations: InvocationSettings,
    /// The stored user for campaigns and products.
    pub portal: String,
    /// The field that identifies a product.
    pub product_key: String,
}

/// A variable can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// `APP_PORT` or `PORT` is not a port.
    #[error("{variable} is {value:?}, which is not a port: use a number from 0 to 65535")]
    Port {
        /// Which of the two.
        variable: &'static str,
        /// What it holds.
        value: String,
    },
    /// `APP_HOST` is not an address.
    #[error("APP_HOST is {0:?}, which is not an IP address such as 127.0.0.1")]
    Host(String),
    /// The mesh secret can't be used.
    #[error("calls from an org can't be recognised")]
    Invocations(#[source] Box<Error>),
}

impl Settings {
    /// Reads every variable once, except those of the add-on, which the SDK reads again when it asks for a token.
    ///
    /// # Errors
    /// [`SettingsError`], naming the variable.
    pub fn from_env(env: impl Env) -> Result<Self, SettingsError> {
        let text = |name: &str| env.var(name).filter(|value| !value.is_empty());
        let host = match text("APP_HOST") {
            Some(host) => host.parse().map_err(|_| SettingsError::Host(host))?,
            None => IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        let invocations =
            InvocationSettings::from_env(&env).map_err(|error| SettingsError::Invocations(error.into()))?;
        Ok(Self {
            listen: SocketAddr::new(host, port(&env)?),
            invocations,
            portal: text("PORTAL_AUTHORIZATION").unwrap_or_else(|| "influencerPortal".to_owned()),
            product_key: text("PRODUCT_KEY_FIELD").unwrap_or_else(|| "ProductCode".to_owned()),
            applink: AppLink::from(env, None),
        })
    }
}

/// `APP_PORT` comes first: behind a mesh, `PORT` is the mesh's.
fn port(env: &impl Env) -> Result<u16, SettingsError> {
    for variable in ["APP_PORT", "PORT"] {
        if let Some(value) = env.var(variable).filter(|value| !value.is_empty()) {
            return value.parse().map_err(|_| SettingsError::Port { variable, value });
        }
    }
    Ok(DEFAULT_PORT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)]) -> Result<Settings, String> {
        let owned = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Settings::from_env(Vec::from_iter(owned)).map_err(|error| error.to_string())
    }

    #[test]
    fn the_apps_own_port_comes_first() {
        let listen = |variables: &[(&str, &str)]| settings(variables).unwrap().listen.to_string();
        assert_eq!(listen(&[]), "127.0.0.1:3000");
        assert_eq!(listen(&[("PORT", "8080")]), "127.0.0.1:8080");
        assert_eq!(listen(&[("PORT", "8070"), ("APP_PORT", "0"), ("APP_HOST", "::1")]), "[::1]:0");
    }

    #[test]
    fn a_bad_value_is_named() {
        assert_eq!(
            settings(&[("APP_PORT", "70000")]).unwrap_err(),
            "APP_PORT is \"70000\", which is not a port: use a number from 0 to 65535"
        );
        assert!(settings(&[("APP_HOST", "localhost")]).unwrap_err().contains("APP_HOST"));
        assert!(settings(&[("APPLINK_MESH_SECRET", "")]).is_err());
        assert!(settings(&[]).unwrap().applink.is_err(), "the app starts without an add-on");
    }
}
