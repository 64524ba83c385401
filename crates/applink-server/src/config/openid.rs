//! Settings of the OpenID provider. An issuer asks for it; the rest is needed with one.

use secrecy::SecretString;
use url::Url;

use super::file::OpenIdSection;
use super::read::{Reader, public_url};
use crate::env_vars as var;
use crate::openid::{IS_BUILT_IN, OpenIdConfig, RULE_ADVICE, Rule};

/// Asked for unless configured: what gives an address, and with some providers groups.
const SCOPES: [&str; 2] = ["email", "profile"];

impl Reader<'_> {
    pub(super) fn openid(&mut self, file: OpenIdSection) -> Option<OpenIdConfig> {
        let issuer = self.text(var::OIDC_ISSUER).or(file.issuer)?;
        if !IS_BUILT_IN {
            let message = "this program was built without OpenID Connect: build it with the feature `oidc`";
            self.problem(var::OIDC_ISSUER, message);
            return None;
        }
        let is_sound = self.checked(var::OIDC_ISSUER, issuer_url(&issuer)).is_some();
        let client_id = self.text(var::OIDC_CLIENT_ID).or(file.client_id);
        if client_id.is_none() {
            self.problem(var::OIDC_CLIENT_ID, format!("it is needed with {}", var::OIDC_ISSUER));
        }
        let client_secret = self.openid_secret(file.client_secret, file.client_secret_file);
        let origins = self.list(var::OIDC_ORIGINS).unwrap_or(file.origins);
        let origins = origins.iter().filter_map(|text| self.checked(var::OIDC_ORIGINS, public_url(text)));
        let origins: Vec<Url> = origins.collect();
        let access = self.list(var::OIDC_ACCESS).unwrap_or(file.access);
        let access: Vec<Rule> =
            access.iter().filter_map(|text| self.checked(var::OIDC_ACCESS, Rule::parse(text))).collect();
        if access.is_empty() {
            let message = format!("it says who may enter, and without it nobody may: {RULE_ADVICE}");
            self.problem(var::OIDC_ACCESS, message);
        }
        let scopes =
            self.text(var::OIDC_SCOPES).map(|text| text.split_whitespace().map(str::to_owned).collect());
        let usual = || SCOPES.map(str::to_owned).to_vec();
        let groups_claim = self.text(var::OIDC_GROUPS_CLAIM).or(file.groups_claim);
        is_sound.then_some(OpenIdConfig {
            issuer,
            client_id: client_id?,
            client_secret: client_secret?,
            origins,
            scopes: scopes.or(file.scopes).unwrap_or_else(usual),
            groups_claim: groups_claim.unwrap_or_else(|| "groups".to_owned()),
            access,
        })
    }

    /// The inner one is none for a public client.
    fn openid_secret(
        &mut self,
        file: Option<SecretString>,
        path: Option<String>,
    ) -> Option<Option<SecretString>> {
        let given = (self.secret(var::OIDC_CLIENT_SECRET), self.text(var::OIDC_CLIENT_SECRET_FILE));
        let (secret, path) = match given {
            (None, None) => (file, path),
            given => given,
        };
        match (secret, path) {
            (Some(secret), _) => Some(Some(secret)),
            (None, None) => Some(None),
            (None, Some(path)) => {
                let read =
                    std::fs::read_to_string(&path).map_err(|error| format!("{path} can't be read: {error}"));
                let text = self.checked(var::OIDC_CLIENT_SECRET_FILE, read)?;
                Some(Some(SecretString::from(text.trim())))
            }
        }
    }
}

/// As `public_url`, with a path: an issuer may have one.
fn issuer_url(text: &str) -> Result<(), String> {
    let mut url = Url::parse(text).map_err(|_| "write a URL such as https://id.acme.example".to_owned())?;
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
        return Err("it is a URL without user name, query and fragment".to_owned());
    }
    url.set_path("/");
    public_url(url.as_str()).map(|_| ())
}

#[cfg(all(test, feature = "oidc"))]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::config::{Config, ConfigError};

    const KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";

    fn with(pairs: &[(&'static str, &'static str)]) -> Result<Config, ConfigError> {
        let pairs = [pairs, &[(var::MASTER_KEY, KEY)]].concat();
        let find = move |name: &str| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        Config::load(&find, None)
    }

    #[test]
    fn an_issuer_needs_a_client_and_somebody_who_may_enter() {
        assert!(with(&[]).unwrap().openid.is_none());
        let error = with(&[(var::OIDC_ISSUER, "http://id.acme.example")]).unwrap_err();
        let named: Vec<&str> = error.0.iter().map(|problem| problem.setting.as_str()).collect();
        assert_eq!(named, [var::OIDC_ISSUER, var::OIDC_CLIENT_ID, var::OIDC_ACCESS]);
        let sound = [
            (var::OIDC_ISSUER, "https://id.acme.example/realms/ops"),
            (var::OIDC_CLIENT_ID, "applink"),
            (var::OIDC_CLIENT_SECRET, "canary-secret"),
            (var::OIDC_ACCESS, "group:ops=manage, email:ann@acme.example=view@applink-a-1"),
        ];
        let openid = with(&sound).unwrap().openid.unwrap();
        assert_eq!((openid.issuer.as_str(), openid.access.len()), ("https://id.acme.example/realms/ops", 2));
        assert_eq!(
            (openid.scopes, openid.groups_claim.as_str()),
            (vec!["email".to_owned(), "profile".to_owned()], "groups")
        );
        assert_eq!(openid.client_secret.unwrap().expose_secret(), "canary-secret");
        let wrong = [sound.as_slice(), &[(var::OIDC_CLIENT_SECRET_FILE, "/nowhere")]].concat();
        let wrong = with(&wrong[..2].iter().chain(&wrong[3..]).copied().collect::<Vec<_>>()).unwrap_err();
        assert_eq!(wrong.0[0].setting, var::OIDC_CLIENT_SECRET_FILE);
    }
}
