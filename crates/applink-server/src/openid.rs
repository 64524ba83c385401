//! Signing in to the dashboard with an OpenID provider, for who runs this server without Heroku.
//!
//! 1. `GET /sso/openid` (`api`) gives this browser a random cookie and sends it to the provider. State, nonce and PKCE
//!    verifier all follow from the cookie ([`flow::Begun`]), so nothing is stored and no other browser can end it.
//! 2. The provider sends it back with a code. Without the cookie, with another state, or as another issuer, it ends here.
//! 3. `provider` trades the code for an ID token, with the client's secret and the verifier, and checks the token:
//!    signature by the provider's keys, issuer, audience, time, nonce, and the hash of the access token. What the token
//!    leaves out is asked of the provider's userinfo endpoint.
//! 4. [`Rule`]s say which add-ons the person may enter and what they may do there ([`flow::entries`]). Without one that
//!    matches, nothing is open to anybody.
//! 5. One add-on: the session begins as with every other sign-on. Several: a page with a sign-in link to each.
//!
//! The provider is called through [`OperatorEgress`](crate::egress::OperatorEgress): its own origin and those that are
//! configured. Compiled in with the feature `oidc` only.

#[cfg(feature = "oidc")]
pub mod api;
pub mod flow;
#[cfg(feature = "oidc")]
pub mod provider;

use secrecy::SecretString;
use url::Url;

/// Whether this build can do it.
pub const IS_BUILT_IN: bool = cfg!(feature = "oidc");

/// An OpenID provider, and whom it may sign in.
#[derive(Clone, Debug)]
pub struct OpenIdConfig {
    /// The provider, as its tokens name it.
    pub issuer: String,
    /// Our client there.
    pub client_id: String,
    /// Its secret; none for a public client.
    pub client_secret: Option<SecretString>,
    /// Further origins of the provider's endpoints.
    pub origins: Vec<Url>,
    /// What is asked for beside `openid`.
    pub scopes: Vec<String>,
    /// The claim with a person's groups.
    pub groups_claim: String,
    /// Who may enter.
    pub access: Vec<Rule>,
}

/// Whom a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// Everybody in a group.
    Group(String),
    /// Whoever has this address, when the provider has verified it.
    Email(String),
}

/// Somebody may enter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Who.
    pub who: Who,
    /// Whether they may change things there, or only look.
    pub may_change: bool,
    /// The add-on, by name or uuid; none is every add-on.
    pub addon: Option<String>,
}

/// How a rule is written.
pub const RULE_ADVICE: &str = "write `group:NAME=manage`, `email:ANN@ACME.EXAMPLE=view`, and `@ADD-ON` behind for one add-on alone, such as `group:support=view@applink-regular-78506`";

impl Rule {
    /// Reads `group:platform=manage` or `email:ann@acme.example=view@applink-regular-78506`.
    ///
    /// # Errors
    /// How it is written.
    pub fn parse(text: &str) -> Result<Self, String> {
        let advice = || RULE_ADVICE.to_owned();
        // The right is behind the last sign: names of groups may hold one.
        let (who, right) = text.trim().rsplit_once('=').ok_or_else(advice)?;
        let (kind, name) = who.split_once(':').ok_or_else(advice)?;
        let name = name.trim();
        let who = match kind.trim() {
            "group" if !name.is_empty() => Who::Group(name.to_owned()),
            "email" if name.contains('@') => Who::Email(name.to_owned()),
            _ => return Err(advice()),
        };
        let (right, addon) = match right.split_once('@') {
            None => (right, None),
            Some((right, addon)) if !addon.trim().is_empty() => (right, Some(addon.trim().to_owned())),
            Some(_) => return Err(advice()),
        };
        let may_change = match right.trim() {
            "manage" => true,
            "view" => false,
            _ => return Err(advice()),
        };
        Ok(Self { who, may_change, addon })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_and_anything_else_is_refused() {
        let read = |text: &str| Rule::parse(text).ok();
        let rule = |who, may_change, addon: Option<&str>| {
            Some(Rule { who, may_change, addon: addon.map(str::to_owned) })
        };
        assert_eq!(read("group:ops=manage"), rule(Who::Group("ops".into()), true, None));
        assert_eq!(
            read(" email:ann@acme.example = view@applink-a-1 "),
            rule(Who::Email("ann@acme.example".into()), false, Some("applink-a-1"))
        );
        assert_eq!(read("group:a=b=view"), rule(Who::Group("a=b".into()), false, None));
        for wrong in [
            "",
            "ops=manage",
            "group:=manage",
            "group:ops",
            "group:ops=admin",
            "group:ops=view@",
            "email:*=view",
            "user:x=view",
        ] {
            assert_eq!(Rule::parse(wrong), Err(RULE_ADVICE.to_owned()), "{wrong}");
        }
    }
}
