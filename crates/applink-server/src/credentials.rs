//! What a connection and an authorization have in common: a name in an add-on that stands for a user of an org.
//!
//! ```text
//!            POST                 org answers                    DELETE                 revoked
//! (nothing) ──────▶ pending ─────────────────────▶ live ─────────────────▶ disconnecting ───────▶ disconnected
//!                     │  └── time is up, denied ──▶ failed   grant dies ─▶ dead                         │
//!                     └──────────────── DELETE ─────────────────────────────────────────────────────────┘
//! ```
//!
//! `failed`, `dead` and `disconnected` rows are taken up again by a POST with their name (same id). A PATCH logs a
//! `live` row in again in place: it stays live, with its old grant, until the new one is there. The official
//! words differ by kind; they are chosen where a row becomes an answer, in `connections` and `authorizations`:
//!
//! | here | connection | authorization |
//! |---|---|---|
//! | pending | connecting | authorizing |
//! | live | connected | authorized |
//! | dead | disconnected, `error.id = reauth_required` | failed, `error.id = reauth_required` |
//!
//! Every change of a row happens under its add-on's lock ([`crate::addons::store::lock`]), so that a POST, a
//! DELETE, a callback and a reconciler never interleave, and goes through [`mod@write`], which tells webhooks of it. The
//! secrets themselves are in [`crate::tokens`]'s grants.

pub mod begin;
pub mod change;
pub mod disconnect;
pub mod flow;
pub mod overview;
pub mod reconcile;
pub mod store;
pub mod write;

use applink_api::connection::ConnectionMethod;
use applink_api::error::ResourceError;
use applink_api::ids::AddonId;
use applink_api::org::OrgType;
use applink_api::time::Timestamp;
use uuid::Uuid;

/// Connection or authorization.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Kind {
    /// The trust of an org.
    Connection,
    /// One user's credentials, handed out to app code.
    Authorization,
}

impl Kind {
    /// As stored, and as said in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Authorization => "authorization",
        }
    }

    /// What its name is called in messages.
    pub fn name_word(self) -> &'static str {
        match self {
            Self::Connection => "connection name",
            Self::Authorization => "developer name",
        }
    }

    /// Its name's place in a request.
    pub fn name_field(self) -> &'static str {
        match self {
            Self::Connection => "$.connection_name",
            Self::Authorization => "$.developer_name",
        }
    }
}

/// Where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// A person is to log in at the org before the time is up.
    Pending {
        /// When the time is up.
        until: Timestamp,
        /// The org of a dead grant that is being connected again: no other will do.
        was: Option<OrgUser>,
    },
    /// Usable.
    Live(OrgUser),
    /// The grant died at the org; a person must connect again.
    Dead {
        /// What was connected.
        org: OrgUser,
        /// Why, with the command that helps.
        error: ResourceError,
    },
    /// It never came about.
    Failed {
        /// Why.
        error: ResourceError,
        /// See [`State::Pending`].
        was: Option<OrgUser>,
    },
    /// Being revoked at the org.
    Disconnecting(OrgUser),
    /// Removed by a person. The row stays until its name is used again or [`flow::KEPT_DISCONNECTED`] is over.
    Disconnected {
        /// What was connected.
        org: Option<OrgUser>,
        /// When the row goes.
        until: Timestamp,
    },
}

/// A user of an org.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrgUser {
    /// 18 characters, `00D…`.
    pub org_id: String,
    /// The org's own origin, with scheme.
    pub instance_url: String,
    /// 18 characters, `005…`.
    pub user_id: String,
    /// The user name.
    pub username: String,
    /// The org's newest API version, without a leading `v`.
    pub api_version: String,
}

/// A connection or an authorization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Its uuid.
    pub id: Uuid,
    /// The tenant.
    pub addon: AddonId,
    /// Which of the two.
    pub kind: Kind,
    /// The name as typed.
    pub name: String,
    /// An authorization's second name.
    pub alias: Option<String>,
    /// Salesforce or Data Cloud.
    pub org_type: OrgType,
    /// Where it stands.
    pub state: State,
    /// Browser or JWT.
    pub method: ConnectionMethod,
    /// The login URL that was asked for.
    pub login_url: String,
    /// The app it was made through.
    pub app_name: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// When it last changed.
    pub last_modified_at: Timestamp,
    /// Who changed it.
    pub last_modified_by: String,
}

impl Credential {
    /// The command that makes it again, spelled as in the official CLI, with its name.
    pub fn command(&self) -> String {
        let topic = self.org_type.topic();
        let verb = match self.kind {
            Kind::Connection => "connect",
            Kind::Authorization => "authorizations:add",
        };
        let how = match self.method {
            ConnectionMethod::Jwt => ":jwt",
            ConnectionMethod::OAuth => "",
        };
        format!("{topic}:{verb}{how} {}", self.name)
    }

    /// The org and user, as far as they are or were known.
    pub fn org(&self) -> Option<&OrgUser> {
        match &self.state {
            State::Live(org) | State::Disconnecting(org) | State::Dead { org, .. } => Some(org),
            State::Disconnected { org, .. } => org.as_ref(),
            State::Pending { was, .. } | State::Failed { was, .. } => was.as_ref(),
        }
    }

    /// The org and user, when it is usable.
    pub fn live(&self) -> Option<&OrgUser> {
        match &self.state {
            State::Live(org) => Some(org),
            _ => None,
        }
    }

    /// Why it is not well.
    pub fn error(&self) -> Option<&ResourceError> {
        match &self.state {
            State::Dead { error, .. } | State::Failed { error, .. } => Some(error),
            _ => None,
        }
    }
}
