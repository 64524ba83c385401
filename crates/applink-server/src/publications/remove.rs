//! Taking a publication out of its org.
//!
//! 1. A DELETE writes a deploy of the kind [`Remove`](super::DeployKind::Remove) and the audit entry: from here on
//!    nothing is lost.
//! 2. [`super::reconcile`] claims it in its turn, and asks here what there is to delete: what this publication's
//!    deploys made, without the client apps and permission sets another publication in the org relies on.
//! 3. Permission sets that go are taken away from their users first, because an org deletes none that is assigned. Who
//!    had them is stored before, and they get them back when the org refuses the rest.
//! 4. One package deletes all of it or nothing: first what refers to others (registration, client apps), then
//!    permission sets, the named credential, and the external credential last.
//! 5. When the org is done, the publication's row goes in one transaction with the audit entry; what stayed for
//!    another publication's sake is that one's from then on, and goes with it.
//!
//! Every step may be repeated: deleting what is gone is no error. Somebody else's registration of the same name is
//! left alone with everything that has that name.

use std::collections::BTreeSet;

use applink_api::error::ResourceError;
use applink_api::ids::AppUuid;
use applink_api::publication::{self as wire, Component, RemovalStatus};
use applink_salesforce::OrgError;

use super::flow::DeployState;
use super::metadata::{self, archive};
use super::org::{Assignment, PublishingOrg, Registration};
use super::spec::Format;
use super::{Deploy, DeployKind, Publication, publish, store};
use crate::addons;
use crate::app::App;
use crate::audit::Entry;
use crate::credentials::Credential;
use crate::db::{StoreError, Tx};
use crate::error::ApiError;
use crate::web::auth::RequireManager;

/// Step 1. Asked for again while it goes on, it is the same removal.
///
/// # Errors
/// 404 when nothing is published under that name for that app; 409 when the connection is not connected.
pub async fn begin(
    app: &App,
    manager: &RequireManager,
    connection: &Credential,
    app_uuid: AppUuid,
    client: &str,
) -> Result<(Publication, Deploy), ApiError> {
    let addon = manager.addon.id;
    let org = connection.org().ok_or_else(ApiError::not_found)?;
    let mut tx = app.store.begin().await?;
    addons::store::lock(&*tx, addon).await?;
    let found = store::find_by_client(&*tx, addon, (connection.id, &org.org_id), client).await?;
    let publication =
        found.filter(|publication| publication.app == app_uuid).ok_or_else(ApiError::not_found)?;
    let unfinished = store::unfinished(&*tx, addon, publication.id).await?;
    match unfinished {
        Some(removal) if removal.kind == DeployKind::Remove => return Ok((publication, removal)),
        None if publication.live.is_none() => return Err(ApiError::not_found()),
        _ => {}
    }
    publish::connected(connection)?;
    let now = app.clock.now();
    let deploy = Deploy {
        id: app.entropy.uuid(),
        addon,
        kind: DeployKind::Remove,
        publication: publication.id,
        connection: connection.id,
        number: store::next_number(&*tx, addon, connection.id).await?,
        state: DeployState::Pending,
        due_at: Some(publish::AT_ONCE),
        trying_since: None,
        attempts: 0,
        hash: String::new(),
        package: None,
        format: Format::Json,
        document: Vec::new(),
        origins: Vec::new(),
        uses: Vec::new(),
        named: None,
        unassigned: Vec::new(),
        requested_at: now,
        requested_by: manager.actor.name.clone(),
        finished_at: None,
        fence: 0,
    };
    store::insert_deploy(&*tx, &deploy).await?;
    let detail = format!("{} through {}", publication.client, connection.name);
    let entry = Entry::new(&manager.actor, "publication.removal_requested", addon, publication.id.0);
    tx.audit(entry.with_detail(detail));
    tx.commit().await?;
    Ok((publication, deploy))
}

/// How a publication's removal goes; none when its newest deploy is none.
pub fn to_wire(newest: &Deploy) -> Option<wire::Removal> {
    if newest.kind != DeployKind::Remove {
        return None;
    }
    let (status, error) = match &newest.state {
        DeployState::Failed(failure) => {
            let error = ResourceError { id: failure.id.clone().into(), message: failure.message.clone() };
            (RemovalStatus::Failed, Some(error))
        }
        _ => (RemovalStatus::Removing, None),
    };
    let requested_by = newest.requested_by.clone();
    Some(wire::Removal { status, error, requested_at: newest.requested_at, requested_by })
}

/// What there is to delete.
#[derive(Debug)]
pub(super) struct Removal {
    made: BTreeSet<(&'static str, String)>,
}

/// What is to be sent.
pub(super) enum Prepared {
    /// There is nothing of ours in the org.
    Nothing,
    /// A package of deletions.
    Package {
        /// The zip.
        package: Vec<u8>,
        /// Who has the permission sets that are in it.
        assigned: Vec<Assignment>,
    },
}

const REGISTRATION: &str = "ExternalServiceRegistration";
const PERMISSION_SET: &str = "PermissionSet";

/// In the order of deletion. Settings of an external client app go with the app.
const BEFORE: [&str; 3] = [REGISTRATION, "ExternalClientApplication", "ConnectedApp"];
const AFTER: [&str; 3] = [PERMISSION_SET, "NamedCredential", "ExternalCredential"];

impl Removal {
    /// Step 2.
    pub(super) async fn of(app: &App, publication: &Publication) -> Result<Self, StoreError> {
        let reader = app.store.reader();
        let own = store::deploys_of(reader, publication.addon, publication.id).await?;
        let mut made = made(&publication.client, &own);
        for other in store::others_in_org(reader, &publication.org_id, publication.id).await? {
            let deploys = store::deploys_of(reader, other.addon, other.id).await?;
            made.retain(|(kind, name)| {
                is_named_after(&publication.client, kind, name) || !is_used(name, &deploys)
            });
        }
        Ok(Self { made })
    }

    /// Whom step 3 takes something away from, and the package of step 4.
    pub(super) async fn prepare(
        mut self,
        publication: &Publication,
        org: &PublishingOrg,
    ) -> Result<Prepared, OrgError> {
        if let Ok(client) = publication.client.parse() {
            let found = org.registration(&client).await?;
            if found.is_some_and(|found| !is_ours(publication, &found)) {
                self.made.retain(|(kind, name)| !is_named_after(&publication.client, kind, name));
            }
        }
        if self.made.is_empty() {
            return Ok(Prepared::Nothing);
        }
        let assigned = org.assignments(&self.of_kind(PERMISSION_SET)).await?;
        let (before, after) = (self.in_order(&BEFORE), self.in_order(&AFTER));
        let files = archive::deletions(&before, &after, org.release().await?.min(metadata::NEWEST));
        // Writing to memory does not fail; were it to, there would be nothing to send.
        Ok(archive::zip(&files).map_or(Prepared::Nothing, |package| Prepared::Package { package, assigned }))
    }

    /// Step 5, first half.
    pub(super) async fn bequeath(tx: &Tx, publication: &Publication) -> Result<(), StoreError> {
        let own = store::deploys_of(&**tx, publication.addon, publication.id).await?;
        let mut left = made(&publication.client, &own);
        left.retain(|(kind, name)| !is_named_after(&publication.client, kind, name));
        for heir in store::others_in_org(&**tx, &publication.org_id, publication.id).await? {
            let deploys = store::deploys_of(&**tx, heir.addon, heir.id).await?;
            let live = deploys.iter().find(|deploy| {
                deploy.kind == DeployKind::Publish && matches!(deploy.state, DeployState::Published { .. })
            });
            let Some(live) = live else { continue };
            let (inherited, others) = left.into_iter().partition(|(_, name)| is_used(name, &deploys));
            left = others;
            store::add_components(&**tx, live, components(inherited)).await?;
        }
        Ok(())
    }

    fn of_kind(&self, wanted: &str) -> Vec<String> {
        let found = self.made.iter().filter(|(kind, _)| *kind == wanted);
        found.map(|(_, name)| name.clone()).collect()
    }

    fn in_order(&self, kinds: &[&'static str]) -> Vec<(&'static str, &str)> {
        let of = |wanted: &'static str| self.made.iter().filter(move |(kind, _)| *kind == wanted);
        kinds.iter().flat_map(|kind| of(kind)).map(|(kind, name)| (*kind, name.as_str())).collect()
    }
}

fn components(made: BTreeSet<(&'static str, String)>) -> Vec<Component> {
    let components = made.into_iter().map(|(kind, name)| Component {
        kind: kind.to_owned(),
        name,
        success: true,
        created: true,
        problem: None,
    });
    components.collect()
}

/// The components this publication's deploys made in the org.
fn made(client: &str, deploys: &[Deploy]) -> BTreeSet<(&'static str, String)> {
    let published = deploys.iter().filter_map(|deploy| match (&deploy.kind, &deploy.state) {
        (DeployKind::Publish, DeployState::Published { components }) => Some(components),
        _ => None,
    });
    let kinds: Vec<&'static str> = BEFORE.into_iter().chain(AFTER).collect();
    let mut made = BTreeSet::new();
    for component in published.flatten() {
        let kind = kinds.iter().find(|kind| **kind == component.kind);
        if let (Some(kind), true) = (kind, is_made(client, component)) {
            made.insert((*kind, component.name.clone()));
        }
    }
    made
}

/// What has the client's name was made for it, and an external client app is in a package only when the org has none
/// of that name. Permission sets and connected apps may have been there before.
fn is_made(client: &str, component: &Component) -> bool {
    component.success
        && (component.created
            || component.kind == "ExternalClientApplication"
            || is_named_after(client, &component.kind, &component.name))
}

fn is_named_after(client: &str, kind: &str, name: &str) -> bool {
    let named_after = [REGISTRATION, PERMISSION_SET, "NamedCredential", "ExternalCredential"];
    named_after.contains(&kind) && name.eq_ignore_ascii_case(client)
}

/// Whether another publication relies on a name: its last published deploy or one under way. Rows of an older
/// version don't list what they use, so their documents are searched.
fn is_used(name: &str, deploys: &[Deploy]) -> bool {
    let mut current = Vec::new();
    for deploy in deploys {
        match deploy.state {
            DeployState::Failed(_) => {}
            DeployState::Published { .. } => {
                current.push(deploy);
                break;
            }
            _ => current.push(deploy),
        }
    }
    current.into_iter().any(|deploy| {
        deploy.uses.iter().any(|used| used.eq_ignore_ascii_case(name))
            || (deploy.uses.is_empty() && contains(&deploy.document, name.as_bytes()))
    })
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len().max(1)).any(|window| window == word)
}

fn is_ours(publication: &Publication, found: &Registration) -> bool {
    let same_id = publication.live.as_ref().is_some_and(|live| live.registration_id == found.id);
    same_id || found.description.contains(&metadata::marker(publication.id, ""))
}
