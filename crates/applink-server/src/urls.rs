//! Every absolute link to ourselves. No other file joins URLs.

use applink_api::ids::AddonId;
use url::Url;

/// Links under the public URL. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Urls {
    base: Url,
}

impl Urls {
    /// Links under a base such as `https://applink.example`.
    pub fn new(mut base: Url) -> Self {
        base.set_path("/");
        base.set_query(None);
        base.set_fragment(None);
        Self { base }
    }

    /// The base, without a slash at the end.
    pub fn base(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Value of an app's `<PREFIX>_API_URL`.
    pub fn api(&self, addon: AddonId) -> String {
        format!("{}/addons/{addon}", self.base())
    }

    /// Where a person's browser starts a log-in, once.
    pub fn oauth_start(&self, one_time: &str) -> String {
        format!("{}/oauth/start/{one_time}", self.base())
    }

    /// Where orgs send browsers back; registered with every external client app.
    pub fn oauth_callback(&self) -> String {
        format!("{}/oauth/callback", self.base())
    }

    /// Where a person's browser is signed in to an add-on, once.
    pub fn sign_in(&self, ticket: &str) -> String {
        format!("{}/sso/open/{ticket}", self.base())
    }

    /// Where an OpenID provider sends browsers back; registered there.
    pub fn openid_callback(&self) -> String {
        format!("{}/sso/openid/callback", self.base())
    }

    /// Whether browsers reach us over TLS, so that cookies can demand it.
    pub fn is_https(&self) -> bool {
        self.base.scheme() == "https"
    }
}
