//! What follows from what, without anybody being asked.

use std::time::Duration;

use applink_api::time::Timestamp;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};

use super::{Rule, Who};
use crate::addons::Addon;
use crate::web::auth::same;

/// How long a person has at the provider.
pub const LIFETIME: Duration = Duration::from_secs(600);

/// A sign-in that one browser began: what its cookie holds. The random part is 256 bits that nobody else knows; what is
/// derived from it under a label says nothing about the rest.
#[derive(Clone, Debug)]
pub struct Begun {
    text: SecretString,
    at: Timestamp,
    /// The add-on that was asked for.
    pub addon: Option<String>,
}

impl Begun {
    /// Now. `random` is 256 bits in an alphabet without dots.
    pub fn new(random: &str, at: Timestamp, addon: Option<&str>) -> Self {
        let text = format!("{random}.{}.{}", at.as_micros(), addon.unwrap_or_default());
        Self { text: text.into(), at, addon: addon.map(str::to_owned) }
    }

    /// From a cookie, unless it is too old. A time or an add-on that were changed make another state.
    pub fn read(text: &str, now: Timestamp) -> Option<Self> {
        let mut parts = text.splitn(3, '.');
        let _random = parts.next().filter(|random| random.len() >= 43)?;
        let at = Timestamp::from_micros(parts.next()?.parse().ok()?);
        let addon = parts.next()?;
        let is_fresh = at <= now && now.since(at) < LIFETIME;
        let addon = Some(addon.to_owned()).filter(|addon| !addon.is_empty());
        is_fresh.then(|| Self { text: text.into(), at, addon })
    }

    /// The cookie's value.
    pub fn cookie(&self) -> &str {
        self.text.expose_secret()
    }

    /// Until when it counts.
    pub fn expires_at(&self) -> Timestamp {
        self.at.plus(LIFETIME)
    }

    /// Comes back with the browser.
    pub fn state(&self) -> String {
        self.derived("state")
    }

    /// Comes back in the ID token.
    pub fn nonce(&self) -> String {
        self.derived("nonce")
    }

    /// Shows the provider that who trades the code is who asked for it.
    pub fn verifier(&self) -> SecretString {
        self.derived("verifier").into()
    }

    /// Whether the browser came back with this sign-in's state.
    pub fn is_answered_by(&self, state: &str) -> bool {
        same(&self.state(), state)
    }

    fn derived(&self, label: &str) -> String {
        let said = format!("applink openid {label} v1\n{}", self.text.expose_secret());
        URL_SAFE_NO_PAD.encode(digest(&SHA256, said.as_bytes()).as_ref())
    }
}

/// What is known of a person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    /// The provider's id of them.
    pub subject: String,
    /// Their address, when the provider has verified it.
    pub email: Option<String>,
    /// The groups they are in.
    pub groups: Vec<String>,
}

impl Person {
    /// For pages and the audit log. Nothing but a verified address is a name: the rest may be of the person's own choice.
    pub fn name(&self, provider: &str) -> String {
        self.email.clone().unwrap_or_else(|| format!("{} at {provider}", self.subject))
    }

    fn is(&self, who: &Who) -> bool {
        match who {
            Who::Group(name) => self.groups.iter().any(|group| group == name),
            Who::Email(address) => {
                self.email.as_ref().is_some_and(|email| email.eq_ignore_ascii_case(address))
            }
        }
    }
}

/// The add-ons that are open to a person, and whether they may change things there. The stronger rule counts.
pub fn entries(person: &Person, rules: &[Rule], addons: Vec<Addon>) -> Vec<(Addon, bool)> {
    let applying: Vec<&Rule> = rules.iter().filter(|rule| person.is(&rule.who)).collect();
    let right = |addon: &Addon| {
        let id = addon.id.to_string();
        let named = |name: &String| *name == addon.name || name.eq_ignore_ascii_case(&id);
        let rights = applying.iter().filter(|rule| rule.addon.as_ref().is_none_or(named));
        rights.map(|rule| rule.may_change).max()
    };
    addons.into_iter().filter_map(|addon| right(&addon).map(|may_change| (addon, may_change))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANDOM: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn what_a_cookie_holds_is_one_sign_in_of_ten_minutes() {
        let begun = Begun::new(RANDOM, at(1000), Some("applink-a-1"));
        let read = |text: &str, now| Begun::read(text, at(now));
        let same = read(begun.cookie(), 1599).unwrap();
        assert_eq!(
            (same.state(), same.nonce(), same.addon.as_deref()),
            (begun.state(), begun.nonce(), Some("applink-a-1"))
        );
        assert!(read(begun.cookie(), 1600).is_none() && read(begun.cookie(), 999).is_none());
        let parts = [begun.state(), begun.nonce(), begun.verifier().expose_secret().to_owned()];
        assert!(parts.iter().all(|part| part.len() == 43) && parts[0] != parts[1] && parts[1] != parts[2]);
        let later = begun.cookie().replace("1000000000", "1500000000");
        assert!(!read(&later, 1600).unwrap().is_answered_by(&begun.state()), "its time is part of the state");
        for garbled in ["", "a.1.b", RANDOM, &format!("{RANDOM}.x."), &format!("{RANDOM}.1000000000")] {
            assert!(read(garbled, 1000).is_none(), "{garbled}");
        }
    }

    #[test]
    fn nothing_is_open_without_a_rule_and_the_stronger_one_counts() {
        let addon = |number: u128, name: &str| Addon {
            id: uuid::Uuid::from_u128(number).into(),
            name: name.to_owned(),
        };
        let addons = || vec![addon(1, "one"), addon(2, "two")];
        let person = Person {
            subject: "s".to_owned(),
            email: Some("Ann@acme.example".to_owned()),
            groups: vec!["support".to_owned()],
        };
        let open = |person: &Person, rules: &[&str]| {
            let rules: Vec<Rule> = rules.iter().map(|text| Rule::parse(text).unwrap()).collect();
            let entries = entries(person, &rules, addons());
            entries.into_iter().map(|(addon, right)| (addon.name, right)).collect::<Vec<_>>()
        };
        let list = |pairs: &[(&str, bool)]| {
            pairs.iter().map(|(name, right)| ((*name).to_owned(), *right)).collect::<Vec<_>>()
        };
        assert_eq!(open(&person, &[]), []);
        assert_eq!(open(&person, &["group:Support=manage", "email:bob@acme.example=manage"]), []);
        assert_eq!(open(&person, &["group:support=view"]), list(&[("one", false), ("two", false)]));
        assert_eq!(
            open(&person, &["group:support=view", "email:ann@ACME.example=manage@two"]),
            list(&[("one", false), ("two", true)])
        );
        assert_eq!(
            open(&person, &["group:support=manage@00000000-0000-0000-0000-000000000001"]),
            list(&[("one", true)])
        );
        let unverified = Person { email: None, ..person };
        assert_eq!(open(&unverified, &["email:ann@acme.example=manage"]), []);
        assert_eq!(unverified.name("id.example"), "s at id.example");
    }
}
