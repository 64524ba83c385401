//! Webhooks: what the control plane tells an add-on's endpoints, and how they are managed.
//!
//! Deliveries follow [Standard Webhooks](https://www.standardwebhooks.com): headers [`ID`], [`TIMESTAMP`] and
//! [`SIGNATURE`], the signature over `id.timestamp.body`. `docs/webhooks.md` shows how to verify one.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::ids::AddonId;
use crate::secret::{SecretString, wire};
use crate::time::Timestamp;

/// The event's id: the same on every attempt, so that a receiver can tell a repeat.
pub const ID: &str = "webhook-id";
/// When this attempt was made, in seconds since the Unix epoch.
pub const TIMESTAMP: &str = "webhook-timestamp";
/// `v1,<base64 of HMAC-SHA256>`; two of them, with a space between, while a secret is being rotated.
pub const SIGNATURE: &str = "webhook-signature";
/// Every secret starts with this; what follows is the key in base64.
pub const SECRET_PREFIX: &str = "whsec_";

macro_rules! event_types {
    ($($variant:ident = $text:literal, $about:literal;)*) => {
        /// What happened.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        #[non_exhaustive]
        pub enum EventType {
            $(#[doc = $about] $variant,)*
        }

        impl EventType {
            /// Every type, with what it means.
            pub const ALL: &'static [(EventType, &'static str)] = &[$((Self::$variant, $about),)*];

            /// As on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

event_types! {
    ConnectionCreated = "connection.created",
        "A connection waits for somebody to log in at the org.";
    ConnectionConnected = "connection.connected",
        "An org is connected.";
    ConnectionFailed = "connection.failed",
        "An org could not be connected, or it refuses to renew the connection's tokens.";
    ConnectionRecovered = "connection.recovered",
        "A connection that failed or had to be connected again works again: the org gave new tokens.";
    ConnectionReauthRequired = "connection.reauth_required",
        "The org ended the connection's grant; somebody must connect again.";
    ConnectionDisconnected = "connection.disconnected",
        "A connection was removed by a person and its grant is gone.";
    ConnectionRenamed = "connection.renamed",
        "A connection has another name.";
    AuthorizationCreated = "authorization.created",
        "An authorization waits for somebody to log in at the org.";
    AuthorizationAuthorized = "authorization.authorized",
        "A user is authorized.";
    AuthorizationFailed = "authorization.failed",
        "A user could not be authorized, or the org refuses to renew the authorization's tokens.";
    AuthorizationRecovered = "authorization.recovered",
        "An authorization that failed or had to be given again works again: the org gave new tokens.";
    AuthorizationReauthRequired = "authorization.reauth_required",
        "The org ended the authorization's grant; somebody must authorize again.";
    AuthorizationDisconnected = "authorization.disconnected",
        "An authorization was removed by a person and its grant is gone.";
    AuthorizationRenamed = "authorization.renamed",
        "An authorization has another name or alias.";
    PublicationPublished = "publication.published",
        "An app is published into an org.";
    PublicationFailed = "publication.failed",
        "An app could not be published; what was published before still works.";
    PublicationDeleted = "publication.deleted",
        "A publication was removed from its org.";
    PublicationDeleteFailed = "publication.delete_failed",
        "A publication could not be removed from its org; it is still there.";
    PublicationDeletedInOrg = "publication.deleted_in_org",
        "Somebody deleted a publication's external service in the org.";
    WebhookTest = "webhook.test",
        "Somebody asked for a test.";
}

impl EventType {
    /// The type of a text on the wire.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().map(|(kind, _)| *kind).find(|kind| kind.as_str() == text)
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The body of a delivery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct WebhookEvent {
    /// One of [`EventType`]; a receiver ignores what it does not know.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it happened.
    pub timestamp: Timestamp,
    /// The add-on.
    pub addon_id: AddonId,
    /// Grows with every event about the same thing: whoever has seen a greater one drops this one.
    pub version: i64,
    /// The connection, authorization or publication as it was then, as the API answers it.
    pub data: Value,
}

/// Body of `POST /addons/{addon}/webhooks`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CreateWebhook {
    /// Where events go: a public https URL.
    pub url: String,
    /// Event types such as `connection.failed` or `connection.*`; none means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub event_types: Vec<String>,
    /// What it is for, in a person's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Body of `PATCH /addons/{addon}/webhooks/{webhook}`: what is absent stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct UpdateWebhook {
    /// Another URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Other event types; an empty list means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_types: Option<Vec<String>>,
    /// Another description; an empty one removes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether events are sent. Switching it on again starts with the next event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// Body of `POST /addons/{addon}/webhooks/{webhook}/rotate-secret`.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RotateSecret {
    /// How long the former secret signs too, in hours (0 to 168); 24 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap_hours: Option<u32>,
}

/// An endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Webhook {
    /// Its uuid.
    #[cfg_attr(feature = "schema", schema(value_type = String, format = "uuid"))]
    pub id: Uuid,
    /// Where events go.
    pub url: String,
    /// Which; none means all.
    pub event_types: Vec<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Whether events are sent.
    pub enabled: bool,
    /// Why they are not, when nobody switched it off.
    pub disabled_reason: Option<String>,
    /// Since when no delivery succeeded, when the last one did not.
    pub failing_since: Option<Timestamp>,
    /// Until when the former secret signs too.
    pub former_secret_until: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// When it last changed.
    pub last_modified_at: Timestamp,
    /// Who changed it.
    pub last_modified_by: String,
}

/// An endpoint with its secret: the answer to making one and to rotating its secret, and the only time it is shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct WebhookWithSecret {
    /// The endpoint.
    #[serde(flatten)]
    pub webhook: Webhook,
    /// `whsec_…`
    #[serde(with = "wire")]
    #[cfg_attr(feature = "schema", schema(value_type = String, format = Password))]
    pub secret: SecretString,
}

/// How a delivery stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// An attempt is due.
    Pending,
    /// The endpoint answered 2xx.
    Delivered,
    /// Given up.
    Failed,
}

impl DeliveryStatus {
    /// As on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }
}

/// An event on its way to an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct WebhookDelivery {
    /// Its uuid.
    #[cfg_attr(feature = "schema", schema(value_type = String, format = "uuid"))]
    pub id: Uuid,
    /// The event: its `webhook-id`.
    pub event_id: String,
    /// What happened.
    pub event_type: String,
    /// How it stands.
    pub status: DeliveryStatus,
    /// When the event happened.
    pub created_at: Timestamp,
    /// When the next attempt is due.
    pub next_attempt_at: Option<Timestamp>,
    /// The attempts so far, oldest first.
    pub attempts: Vec<WebhookAttempt>,
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct WebhookAttempt {
    /// When.
    pub at: Timestamp,
    /// The status of the answer, when there was one. Its body is never read.
    pub status: Option<u16>,
    /// What came of it, in a few words.
    pub outcome: String,
    /// How long it took.
    pub milliseconds: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_reads_as_it_is_written() {
        for (kind, about) in EventType::ALL {
            assert_eq!(EventType::parse(kind.as_str()), Some(*kind));
            assert!(about.ends_with('.'), "{kind}");
        }
        assert_eq!(EventType::parse("connection.*"), None);
    }

    #[test]
    fn a_secret_is_beside_its_webhook_on_the_wire_and_never_printed() {
        let json = serde_json::json!({"id": Uuid::nil(), "url": "https://a.example/", "event_types": [],
            "description": null, "enabled": true, "disabled_reason": null, "failing_since": null,
            "former_secret_until": null, "created_at": "2026-01-01T00:00:00.000000Z", "created_by": "a@b.c",
            "last_modified_at": "2026-01-01T00:00:00.000000Z", "last_modified_by": "a@b.c", "secret": "whsec_canary"});
        let read: WebhookWithSecret = serde_json::from_value(json.clone()).unwrap();
        assert!(!format!("{read:?}").contains("canary"));
        assert_eq!(serde_json::to_value(read).unwrap(), json);
    }
}
