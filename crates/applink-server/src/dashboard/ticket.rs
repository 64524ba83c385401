//! Links with which the stand-in for the Platform API signs people on in a browser. Nothing is stored until one is
//! used: what it says is signed.

use std::time::Duration;

use applink_api::ids::AddonId;
use applink_api::time::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;
use uuid::Uuid;

use crate::app::App;
use crate::web::auth::same;
use crate::web::auth::sso::{SEPARATOR, mac};

/// How long a link is good.
pub(crate) const LIFETIME: Duration = Duration::from_secs(60);
const LABEL: &str = "applink sign-in link v1";

/// What a link says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    /// The add-on.
    pub(crate) addon: AddonId,
    /// Who.
    pub(crate) user: Uuid,
    /// And their e-mail.
    pub(crate) email: String,
    /// Until when.
    pub(crate) expires_at: Timestamp,
    /// Tells one link from the next.
    nonce: String,
}

impl Ticket {
    /// For a person, from now on.
    pub(crate) fn new(app: &App, addon: AddonId, user: Uuid, email: &str) -> Self {
        let expires_at = app.clock.now().plus(LIFETIME);
        Self { addon, user, email: email.to_owned(), expires_at, nonce: app.entropy.hex::<16>() }
    }

    /// As it stands in a link.
    pub(crate) fn sign(&self, salt: &SecretString) -> String {
        let said = self.said();
        let mac = mac(&[LABEL, &said], salt);
        format!("{}.{mac}", URL_SAFE_NO_PAD.encode(said))
    }

    fn said(&self) -> String {
        let Self { addon, user, email, expires_at, nonce } = self;
        let (addon, user) = (addon.to_string(), user.to_string());
        [&addon, &user, email, &expires_at.as_micros().to_string(), nonce].map(String::as_str).join(SEPARATOR)
    }

    /// Reads a link whose signature is right and whose time is not up.
    pub(crate) fn read(text: &str, salt: &SecretString, now: Timestamp) -> Option<Self> {
        let (said, given) = text.split_once('.')?;
        let said = String::from_utf8(URL_SAFE_NO_PAD.decode(said).ok()?).ok()?;
        if !same(&mac(&[LABEL, &said], salt), given) {
            return None;
        }
        let mut parts = said.split(SEPARATOR);
        let ticket = Self {
            addon: parts.next()?.parse().ok()?,
            user: parts.next()?.parse().ok()?,
            email: parts.next()?.to_owned(),
            expires_at: Timestamp::from_micros(parts.next()?.parse().ok()?),
            nonce: parts.next()?.to_owned(),
        };
        (ticket.expires_at > now).then_some(ticket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_was_signed_and_not_otherwise() {
        let ticket = Ticket {
            addon: Uuid::from_u128(1).into(),
            user: Uuid::from_u128(2),
            email: "dev@acme.example".to_owned(),
            expires_at: Timestamp::from_seconds(100),
            nonce: "n".to_owned(),
        };
        let text = ticket.sign(&"salt".into());
        let read =
            |text: &str, salt: &str, now| Ticket::read(text, &salt.into(), Timestamp::from_seconds(now));
        assert_eq!(read(&text, "salt", 99), Some(ticket.clone()));
        assert_eq!(read(&text, "salt", 100), None, "its time is up");
        assert_eq!(read(&text, "other", 99), None);
        let forged = Ticket { email: "boss@acme.example".to_owned(), ..ticket }.sign(&"other".into());
        let (said, _) = forged.split_once('.').unwrap();
        let (_, mac) = text.split_once('.').unwrap();
        assert_eq!(read(&format!("{said}.{mac}"), "salt", 99), None);
        for garbled in ["", ".", "a.b", "%%%.%%%"] {
            assert_eq!(read(garbled, "salt", 0), None, "{garbled}");
        }
    }
}
