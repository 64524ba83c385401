//! Which add-on an app talks to, out of its environment.
//!
//! 1. No name given: the attachment `HEROKU_APPLINK_ADDON_NAME` names, else `HEROKU_APPLINK`.
//! 2. A URL: the first `…_API_URL` with that value, upper and lower case alike; its value is used, not the text given.
//! 3. A name or colour: `<NAME>_API_URL` with `<NAME>_TOKEN`, else both of `<ATTACHMENT>_<NAME>_…`. Half of a pair
//!    counts as nothing.
//! 4. An add-on's uuid or name: the first `…_API_URL` whose path ends in it.
//!
//! 1 to 3 are what the official SDKs do (the Node one for 1), 4 is ours. `…_URL` is read where `…_API_URL` is unset.

use applink_api::client::{Client, ClientError};
use applink_api::ids::AppUuid;
use secrecy::SecretString;
use url::Url;

use crate::env::Env;

const DEFAULT_ATTACHMENT: &str = "HEROKU_APPLINK";
const ATTACHMENT_VAR: &str = "HEROKU_APPLINK_ADDON_NAME";
const APP_ID_VAR: &str = "HEROKU_APP_ID";
const URL_SUFFIXES: [&str; 2] = ["_API_URL", "_URL"];
const USER_AGENT: &str = concat!("applink-sdk/", env!("CARGO_PKG_VERSION"));

/// The environment doesn't say which add-on to use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// `HEROKU_APP_ID` is missing.
    #[error(
        "HEROKU_APP_ID is not set: set it to the app's uuid (heroku apps:info --json shows it as app.id)"
    )]
    NoAppId,
    /// `HEROKU_APP_ID` is not a uuid.
    #[error("HEROKU_APP_ID is not a uuid such as 6f1e0c6e-4f0e-4f3b-9d5f-0f6f4c1f5b3a")]
    BadAppId,
    /// No attachment of that name.
    #[error("no AppLink add-on is attached as {name}: looked for {looked_for}")]
    NotAttached {
        /// The name, colour, uuid or URL that was asked for.
        name: String,
        /// The variables that would have named it.
        looked_for: String,
    },
    /// There is a URL, but no token beside it.
    #[error("{url_variable} is set, but {token_variable} is not")]
    NoToken {
        /// The variable with the URL.
        url_variable: String,
        /// The variable that should hold the token.
        token_variable: String,
    },
    /// The values are there, but can't be used.
    #[error("the values of {prefix}_API_URL and {prefix}_TOKEN can't be used")]
    Unusable {
        /// The prefix of both variables.
        prefix: String,
        /// What is wrong with them.
        #[source]
        source: Box<ClientError>,
    },
    /// `APPLINK_MESH_SECRET` is set to nothing.
    #[error("APPLINK_MESH_SECRET is empty: let the mesh start the app, or unset the variable")]
    EmptyMeshSecret,
}

/// An attachment, resolved.
#[derive(Clone, Debug)]
pub(crate) struct AddonConfig {
    prefix: String,
    pub(crate) api_url: String,
    token: SecretString,
    app: AppUuid,
}

impl AddonConfig {
    /// Steps 1 to 4.
    pub(crate) fn resolve(env: &dyn Env, name: Option<&str>) -> Result<Self, ConfigError> {
        let app = filled(env, APP_ID_VAR).ok_or(ConfigError::NoAppId)?;
        let app = app.parse().map_err(|_not_a_uuid| ConfigError::BadAppId)?;
        let attachment = filled(env, ATTACHMENT_VAR).unwrap_or_else(|| DEFAULT_ATTACHMENT.to_owned());
        let name = name.unwrap_or(&attachment);
        let found = if name.contains("://") {
            by_url(env, name)?
        } else {
            by_name(env, name, &attachment).or_else(|| by_addon(env, name))
        };
        let Some((prefix, api_url, token)) = found else { return Err(not_attached(env, name, &attachment)) };
        Ok(Self { prefix, api_url, token: token.into(), app })
    }

    /// A client of that add-on.
    pub(crate) fn client(&self) -> Result<Client, ConfigError> {
        let builder = Client::builder(&self.api_url).token(self.token.clone()).app(self.app);
        builder
            .user_agent(USER_AGENT)
            .build()
            .map_err(|source| ConfigError::Unusable { prefix: self.prefix.clone(), source: Box::new(source) })
    }
}

/// Prefix, URL and token.
type Found = (String, String, String);

/// Step 2.
fn by_url(env: &dyn Env, url: &str) -> Result<Option<Found>, ConfigError> {
    let is_it = |(_, value): &(String, String)| value.eq_ignore_ascii_case(url);
    let Some((prefix, value)) = api_urls(env).into_iter().find(is_it) else { return Ok(None) };
    let token_variable = format!("{prefix}_TOKEN");
    match filled(env, &token_variable) {
        Some(token) => Ok(Some((prefix, value, token))),
        None => Err(ConfigError::NoToken { url_variable: format!("{prefix}_API_URL"), token_variable }),
    }
}

/// Step 3.
fn by_name(env: &dyn Env, name: &str, attachment: &str) -> Option<Found> {
    let key = name.to_uppercase();
    pair(env, &key).or_else(|| pair(env, &format!("{attachment}_{key}")))
}

/// Step 4.
fn by_addon(env: &dyn Env, name: &str) -> Option<Found> {
    let ends_in_it = |(_, value): &(String, String)| {
        let url = Url::parse(value).ok();
        let last = url
            .as_ref()
            .and_then(Url::path_segments)
            .and_then(|mut segments| segments.rfind(|segment| !segment.is_empty()));
        last.is_some_and(|last| last.eq_ignore_ascii_case(name))
    };
    api_urls(env).into_iter().filter(ends_in_it).find_map(|(prefix, _)| pair(env, &prefix))
}

fn pair(env: &dyn Env, prefix: &str) -> Option<Found> {
    let url = URL_SUFFIXES.iter().find_map(|suffix| filled(env, &format!("{prefix}{suffix}")))?;
    let token = filled(env, &format!("{prefix}_TOKEN"))?;
    Some((prefix.to_owned(), url, token))
}

/// Every `<prefix>_API_URL` with its prefix, in the environment's order.
fn api_urls(env: &dyn Env) -> Vec<(String, String)> {
    let prefixes =
        env.names().into_iter().filter_map(|name| name.strip_suffix("_API_URL").map(str::to_owned));
    prefixes
        .filter_map(|prefix| filled(env, &format!("{prefix}_API_URL")).map(|value| (prefix, value)))
        .collect()
}

fn filled(env: &dyn Env, name: &str) -> Option<String> {
    env.var(name).filter(|value| !value.is_empty())
}

/// Names what was looked for, or the half of the pair that is there.
fn not_attached(env: &dyn Env, name: &str, attachment: &str) -> ConfigError {
    if name.contains("://") {
        let looked_for = "a variable ending in _API_URL with that value".to_owned();
        return ConfigError::NotAttached { name: name.to_owned(), looked_for };
    }
    let key = name.to_uppercase();
    let prefixes = [key.clone(), format!("{attachment}_{key}")];
    for prefix in &prefixes {
        if let Some(suffix) =
            URL_SUFFIXES.iter().find(|suffix| filled(env, &format!("{prefix}{suffix}")).is_some())
        {
            let url_variable = format!("{prefix}{suffix}");
            return ConfigError::NoToken { url_variable, token_variable: format!("{prefix}_TOKEN") };
        }
    }
    let looked_for = prefixes.map(|prefix| format!("{prefix}_API_URL with {prefix}_TOKEN")).join(", and ");
    ConfigError::NotAttached { name: name.to_owned(), looked_for }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    const APP: (&str, &str) = ("HEROKU_APP_ID", "d52a726b-11a4-47a1-a4b6-2e18a771c2ac");
    const ADDON: &str = "1530f4b5-c63a-4221-b28c-bc9602119605";

    fn env(variables: &[(&str, &str)]) -> Vec<(String, String)> {
        let all = [APP].into_iter().chain(variables.iter().copied());
        all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// URL and token, or the error's text.
    fn resolved(variables: &[(&str, &str)], name: Option<&str>) -> Result<(String, String), String> {
        AddonConfig::resolve(&env(variables), name)
            .map(|config| (config.api_url.clone(), config.token.expose_secret().to_owned()))
            .map_err(|error| error.to_string())
    }

    fn found(url: &str, token: &str) -> Result<(String, String), String> {
        Ok((url.to_owned(), token.to_owned()))
    }

    #[test]
    fn the_default_attachment() {
        let plain = [("HEROKU_APPLINK_API_URL", "https://a"), ("HEROKU_APPLINK_TOKEN", "t")];
        assert_eq!(resolved(&plain, None), found("https://a", "t"));
        let renamed = [
            ("HEROKU_APPLINK_API_URL", "https://a"),
            ("HEROKU_APPLINK_TOKEN", "t"),
            ("HEROKU_APPLINK_STAGING_API_URL", "https://s"),
            ("HEROKU_APPLINK_STAGING_TOKEN", "st"),
            ("HEROKU_APPLINK_ADDON_NAME", "HEROKU_APPLINK_STAGING"),
        ];
        assert_eq!(resolved(&renamed, None), found("https://s", "st"));
        let older = [("HEROKU_APPLINK_URL", "https://u"), ("HEROKU_APPLINK_TOKEN", "t")];
        assert_eq!(resolved(&older, None), found("https://u", "t"));
    }

    #[test]
    fn by_attachment_or_colour() {
        let colours = [
            ("HEROKU_APPLINK_BLUE_API_URL", "https://long"),
            ("HEROKU_APPLINK_BLUE_TOKEN", "long"),
            ("BLUE_API_URL", "https://short"),
            ("BLUE_TOKEN", "short"),
        ];
        assert_eq!(resolved(&colours, Some("blue")), found("https://short", "short"));
        assert_eq!(
            resolved(&colours[..3], Some("Blue")),
            found("https://long", "long"),
            "half a pair is nothing"
        );
        assert_eq!(resolved(&colours, Some("HEROKU_APPLINK_BLUE")), found("https://long", "long"));
        let own = [
            ("ACME_BLUE_API_URL", "https://acme"),
            ("ACME_BLUE_TOKEN", "t"),
            ("HEROKU_APPLINK_ADDON_NAME", "ACME"),
        ];
        assert_eq!(resolved(&own, Some("blue")), found("https://acme", "t"));
    }

    #[test]
    fn by_url_of_any_prefix() {
        let urls = [("OTHER_API_URL", "https://A.example/addons/X"), ("OTHER_TOKEN", "t")];
        assert_eq!(
            resolved(&urls, Some("https://a.example/ADDONS/x")),
            found("https://A.example/addons/X", "t")
        );
        let error = resolved(&urls, Some("https://a.example/addons/x/")).unwrap_err();
        assert!(error.contains("_API_URL with that value"), "{error}");
        let error = resolved(&urls[..1], Some("https://a.example/addons/x")).unwrap_err();
        assert_eq!(error, "OTHER_API_URL is set, but OTHER_TOKEN is not");
    }

    #[test]
    fn by_uuid_or_name_at_the_end_of_the_path() {
        let url = format!("https://applink.example/addons/{ADDON}/");
        let named = [("X_API_URL", "https://h/addons/applink-solid-12345"), ("X_TOKEN", "n")];
        let uuid = [("Y_API_URL", url.as_str()), ("Y_TOKEN", "u")];
        assert_eq!(resolved(&uuid, Some(&ADDON.to_uppercase())), found(&url, "u"));
        assert_eq!(
            resolved(&named, Some("applink-solid-12345")),
            found("https://h/addons/applink-solid-12345", "n")
        );
        assert!(resolved(&uuid, Some("addons")).is_err());
        assert!(resolved(&uuid[..1], Some(ADDON)).is_err(), "without a token it is not found");
    }

    #[test]
    fn says_what_it_looked_for() {
        let error = resolved(&[], Some("blue")).unwrap_err();
        assert_eq!(
            error,
            "no AppLink add-on is attached as blue: looked for BLUE_API_URL with BLUE_TOKEN, and HEROKU_APPLINK_BLUE_API_URL with HEROKU_APPLINK_BLUE_TOKEN"
        );
        let error = resolved(&[("HEROKU_APPLINK_API_URL", "https://a")], None).unwrap_err();
        assert_eq!(error, "HEROKU_APPLINK_API_URL is set, but HEROKU_APPLINK_TOKEN is not");
        let nothing: Vec<(String, String)> = Vec::new();
        assert!(matches!(AddonConfig::resolve(&nothing, None), Err(ConfigError::NoAppId)));
        let bad = vec![("HEROKU_APP_ID".to_owned(), "x".to_owned())];
        assert!(matches!(AddonConfig::resolve(&bad, None), Err(ConfigError::BadAppId)));
    }

    #[test]
    fn a_config_does_not_print_its_token() {
        let plain = env(&[("HEROKU_APPLINK_API_URL", "https://a"), ("HEROKU_APPLINK_TOKEN", "canary")]);
        assert!(!format!("{:?}", AddonConfig::resolve(&plain, None).unwrap()).contains("canary"));
    }
}
