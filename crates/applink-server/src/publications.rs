//! Publications: an app's OpenAPI document deployed into a connected org under a client name.
//!
//! 1. [`api`] takes the upload: a zip with the document, and what to call it. [`package`] unpacks it within the
//!    documented limits.
//! 2. [`spec`] reads the document; what can't be published is refused with line and column, before anybody is
//!    called.
//! 3. [`org`] asks the org what it already has: its release, client apps, permission sets, and whether the name is
//!    somebody else's.
//!    What it would break for Flows and Apex that use what is published now is found by [`breaking`].
//! 4. [`metadata`] turns document, request and org into a package; it is pure.
//! 5. One transaction writes the publication, a deploy that is due, and the audit entry. From here on nothing is
//!    lost: whoever is killed, the row is still due.
//! 6. [`reconcile`] claims the deploy (one per connection at a time, oldest first), commits the *intent*, sends the
//!    package, commits the org's id of it, asks how it goes, and writes the result component by component.
//!    [`flow`] holds the transitions. An intent without an id is settled by asking the org for the marker in the
//!    registration's description; a match is adopted, not deployed again.
//!    With a final state goes what webhooks are told ([`change`]).
//! 7. The request of step 1 has been waiting on the row and answers what became of it.
//!
//! [`remove`] takes a publication out of the org again: a deploy like the others, of deletions, in its turn among
//! them; when it is done, the publication's row goes.
//!
//! [`presence`] notices when somebody deletes a publication in the org.
//!
//! [`history`] lists every deploy of a publication, with its document.
//!
//! Deploys roll back on error: a publish that fails leaves what was published before as it was.

pub mod api;
pub mod breaking;
pub mod change;
pub mod flow;
pub mod history;
pub mod org;
pub mod places;
pub mod presence;
pub mod publish;
pub mod reconcile;
pub mod remove;
pub mod store;

pub use applink_publish::{metadata, package, spec};

use applink_api::ids::{AddonId, AppUuid, PublicationId};
use applink_api::publication::{Component, PublishRequest};
use applink_api::time::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use self::flow::DeployState;
use self::places::Origin;
use self::spec::Format;

/// An app under a client name in an org.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// Its uuid.
    pub id: PublicationId,
    /// The tenant.
    pub addon: AddonId,
    /// The connection it is published through.
    pub connection: Uuid,
    /// The app.
    pub app: AppUuid,
    /// What the app is called in the org.
    pub client: String,
    /// The org (`00D…`).
    pub org_id: String,
    /// What is live, once a deploy succeeded.
    pub live: Option<Live>,
    /// Since when it is known that somebody deleted it in the org.
    pub removed_at: Option<Timestamp>,
    /// When it was first asked for.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// When it was last published.
    pub last_modified_at: Timestamp,
    /// By whom.
    pub last_modified_by: String,
}

/// What the last successful deploy left in the org.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// Id of the External Service registration; empty when the org did not tell it.
    pub registration_id: String,
    /// Hash of the package.
    pub hash: String,
    /// Component by component.
    pub components: Vec<Component>,
}

/// What a deploy is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeployKind {
    /// To publish, or publish anew.
    Publish,
    /// To remove what was published.
    Remove,
}

/// What a request to publish names besides the document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// `authorization_connected_app_name`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connected_app: Option<String>,
    /// `authorization_external_client_app_name`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_client_app: Option<String>,
    /// `authorization_permission_set_name`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission_set: Option<String>,
}

impl Named {
    /// Of a request. Empty names count as absent.
    pub fn of(request: &PublishRequest) -> Self {
        let given = |name: &Option<String>| name.as_ref().filter(|name| !name.is_empty()).cloned();
        Self {
            connected_app: given(&request.authorization_connected_app_name),
            external_client_app: given(&request.authorization_external_client_app_name),
            permission_set: given(&request.authorization_permission_set_name),
        }
    }
}

/// One attempt to publish, or to remove what was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deploy {
    /// Its uuid.
    pub id: Uuid,
    /// The tenant.
    pub addon: AddonId,
    /// What it is for.
    pub kind: DeployKind,
    /// What it publishes or removes.
    pub publication: PublicationId,
    /// The connection, whose deploys run one after the other.
    pub connection: Uuid,
    /// Its turn among them.
    pub number: i64,
    /// Where it stands.
    pub state: DeployState,
    /// When it is to be looked at; none when it is final.
    pub due_at: Option<Timestamp>,
    /// Since when it is tried in vain: its first step, and anew once the org took the package. Waiting for its
    /// turn does not count.
    pub trying_since: Option<Timestamp>,
    /// Looks since the last change of state.
    pub attempts: u32,
    /// Hash of the package.
    pub hash: String,
    /// The package as a zip, until it is final.
    pub package: Option<Vec<u8>>,
    /// How the document is written.
    pub format: Format,
    /// The document as uploaded.
    pub document: Vec<u8>,
    /// The components of the package, and where the document names them.
    pub origins: Vec<Origin>,
    /// Client apps and permission sets of the org that the document relies on, whoever made them.
    pub uses: Vec<String>,
    /// What it was asked to name about authorization. None when nobody wrote it down.
    pub named: Option<Named>,
    /// What a removal took away from users and has not given back.
    pub unassigned: Vec<org::Assignment>,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// By whom.
    pub requested_by: String,
    /// When it became final.
    pub finished_at: Option<Timestamp>,
    /// The lease's number, repeated by every write of whoever works on it.
    pub fence: i64,
}
