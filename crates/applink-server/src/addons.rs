//! Add-ons (the tenants), the apps they are attached to, and the tokens of the attachments.

pub mod api;
pub(crate) mod names;
pub mod provision;
pub mod store;

use applink_api::ids::{AddonId, AppUuid};
use uuid::Uuid;

pub use provision::{attach, create_app, provision};

/// The config-var prefix when none is asked for.
pub const DEFAULT_ATTACHMENT: &str = "HEROKU_APPLINK";

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addon {
    /// Its uuid.
    pub id: AddonId,
    /// Its name (`applink-regular-78506`).
    pub name: String,
}

/// An app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachedApp {
    /// Its uuid (`HEROKU_APP_ID`).
    pub id: AppUuid,
    /// Its name.
    pub name: String,
    /// Its public URL, where orgs call it.
    pub url: Option<String>,
}

/// The binding of an add-on to an app under a prefix. It has a token of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Its uuid.
    pub id: Uuid,
    /// The add-on.
    pub addon: Addon,
    /// The app.
    pub app: AttachedApp,
    /// The config-var prefix.
    pub prefix: String,
}
