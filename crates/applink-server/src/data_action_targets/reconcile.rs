//! Takes each target one state on; every step may be repeated.
//!
//! 1. `pending`: nothing was asked of the org yet.
//! 2. `creating`: is it there? Else it is made. Then it is looked at until the org says that it is active.
//! 3. `generating_signing_key`: the org makes a key, which is sealed and committed with the state. A key that got lost on
//!    the way is simply made again; keys there were before count on for an hour. Before a target that has a key asks for
//!    another, that is noted on it: when no answer is ever known, it is `created` with the word that the org may sign with
//!    another key.
//! 4. `deleting`: the org deletes it, and the row goes with its keys. One of its name that calls something else is
//!    somebody else's and stays, or ours that was changed there, which is noted as left behind. When the org keeps ours, it
//!    is `created` again with the reason; but when its connection goes, it is left there and noted as left behind. After
//!    the last target of a connection that is being disconnected, its grant goes to be revoked.
//!
//! What a step did is written under the fence of its claim, so a worker that stalled past its lease writes nothing; and it
//! begins nothing at the org when little of the lease is left, nor is it longer at a step than that. The rows of a batch
//! are worked at once, each for itself: neither an org that hangs nor a row that can't be read keeps another waiting.

use std::time::Duration;

use applink_api::operator::LeftBehind;
use applink_api::time::Timestamp;
use applink_salesforce::data_cloud::{DataActionTarget, NewDataActionTarget, TargetStatus};
use applink_salesforce::egress::SendFailure;
use applink_salesforce::error::ErrorKind;
use applink_salesforce::rest::ApiVersion;
use applink_salesforce::{Org, OrgError};
use futures_util::future::join_all;
use secrecy::SecretString;
use tokio::time::Instant;
use uuid::Uuid;

use super::flow::{self, State, Target};
use super::{store, targets};
use crate::addons;
use crate::app::App;
use crate::audit::{Actor, Entry};
use crate::credentials::{self, Credential};
use crate::db::claim::Claim;
use crate::db::{StoreError, Tx};
use crate::error::chain;
use crate::reconcilers::{Status, StepError};
use crate::removals;
use crate::tokens::{self, TokenError};
use crate::vault::{SealedToken, VaultError};

/// How long a row is the worker's own.
const LEASE: Duration = Duration::from_secs(180);
/// Rows taken at a time, and worked at once.
const BATCH: u32 = 10;
/// No row is begun with less of the lease left: another worker that takes it would have the org make another key.
const STEP: Duration = Duration::from_secs(60);
/// The longest that the calls of one step may take together; the rest of [`STEP`] is for writing it down.
const AT_THE_ORG: Duration = Duration::from_secs(45);
/// The first version with data action targets.
const FALLBACK_VERSION: ApiVersion = ApiVersion::new(62);

/// What a step came to.
enum Outcome {
    /// The next state.
    Next(State),
    /// With a new signing key.
    Key(SecretString),
    /// The org is still at it.
    Wait,
    /// It is out of the org.
    Gone,
    /// It was changed in the org, which keeps it.
    Left,
}

/// A step did not come about.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("there is no token for the org")]
    Token(#[from] TokenError),
    #[error("the org did not do its part")]
    Org(#[from] OrgError),
    #[error("the org says that it failed{0}")]
    Failed(String),
    #[error("its connection is gone")]
    NoConnection,
    #[error("the org did not answer in time")]
    Slow,
    #[error("the org made a key, which can't be sealed")]
    NotSealed(#[source] VaultError),
}

impl Trouble {
    /// Whether trying again may help.
    fn is_passing(&self) -> bool {
        match self {
            Self::Token(TokenError::ReauthRequired(_) | TokenError::NotLive | TokenError::Host(_))
            | Self::Failed(_)
            | Self::NoConnection => false,
            Self::Token(_) | Self::Slow | Self::NotSealed(_) => true,
            Self::Org(error) => error.kind() != ErrorKind::Rejected,
        }
    }

    /// Whether the org may have made a key that nobody here knows.
    fn may_have_made_a_key(&self) -> bool {
        match self {
            Self::Slow | Self::NotSealed(_) => true,
            Self::Token(_) | Self::Failed(_) | Self::NoConnection => false,
            Self::Org(error) => match error {
                OrgError::Send(failure) => !matches!(failure, SendFailure::NotSent { .. }),
                OrgError::Rejected { status, .. } | OrgError::Unexpected { status } => {
                    !status.is_client_error()
                }
                OrgError::Shape { .. } => true,
                _ => false,
            },
        }
    }

    /// For the person who made it.
    fn sentence(&self) -> String {
        match self {
            Self::Token(error) => error.to_string(),
            Self::Org(error) => error.to_string(),
            error => error.to_string(),
        }
    }
}

/// Moves on what is due.
///
/// # Errors
/// [`StepError`] when the database fails.
pub async fn work_due(app: &App) -> Result<Status, StepError> {
    work_due_within(app, AT_THE_ORG).await
}

/// The same, with another limit for the calls of one step.
///
/// # Errors
/// [`StepError`].
pub async fn work_due_within(app: &App, at_the_org: Duration) -> Result<Status, StepError> {
    let begun = Instant::now();
    let claim = Claim { owner: app.store.journal().process(), lease: LEASE, limit: BATCH };
    let due = app.store.database().claim_due::<targets::Model>(targets::DUE, claim).await?;
    let begin_until = begun + (LEASE - STEP);
    let worked = due.into_iter().map(|row| work_or_postpone(app, row, begin_until, at_the_org));
    let worked = join_all(worked).await;
    forget_former_keys(app).await?;
    let done = worked.into_iter().try_fold(0, |done, row| row.map(|()| done + 1))?;
    Ok(Status { done })
}

/// A row that can't be worked, whatever the reason, is tried again later; only when not even that can be written does the
/// run fail.
async fn work_or_postpone(
    app: &App,
    row: targets::Model,
    begin_until: Instant,
    at_the_org: Duration,
) -> Result<(), StepError> {
    let (id, fence, failures) = (row.id.0, row.fence, row.failures);
    let worked = async {
        if Instant::now() > begin_until {
            let tx = app.store.begin().await?;
            targets::free(&*tx, id, fence).await?;
            return Ok(tx.commit().await?);
        }
        work(app, Target::try_from(row)?, fence, at_the_org).await
    };
    let Err(error) = worked.await else { return Ok(()) };
    tracing::error!(target = %id, error = %chain(&error), "a data action target can't be moved on");
    let failures = u32::try_from(failures).unwrap_or_default().saturating_add(1);
    let due_at = app.clock.now().plus(flow::pause_after(failures));
    let tx = app.store.begin().await?;
    targets::postpone(&*tx, (id, fence), (failures, due_at)).await?;
    Ok(tx.commit().await?)
}

async fn forget_former_keys(app: &App) -> Result<(), StoreError> {
    let tx = app.store.begin().await?;
    store::delete_expired(&*tx, app.clock.now()).await?;
    tx.commit().await
}

async fn work(app: &App, target: Target, fence: i64, at_the_org: Duration) -> Result<(), StepError> {
    let connection =
        credentials::store::find_by_id(app.store.reader(), target.addon, target.connection).await?;
    if asks_for_another_key(&target) && !note_doubt(app, &target, fence).await? {
        return Ok(());
    }
    let taken = match &connection {
        Some(connection) => match tokio::time::timeout(at_the_org, step(app, connection, &target)).await {
            Ok(taken) => taken,
            Err(_) => Err(Trouble::Slow),
        },
        None => Err(Trouble::NoConnection),
    };
    let taken = match taken {
        Ok(taken) => seal(app, &target, taken).await,
        Err(trouble) => Err(trouble),
    };
    if let Err(trouble) = &taken {
        tracing::warn!(target = target.api_name, org = target.org_id, error = %chain(trouble), "a step of a data action target failed");
    }
    let mut tx = app.store.begin().await?;
    addons::store::lock(&*tx, target.addon).await?;
    let current = targets::find_claimed(&*tx, target.addon, target.id, fence).await?;
    let Some(mut current) = current else { return Ok(()) };
    if let Ok(Done::Key(row, sealed)) = &taken {
        keep_key(app, &tx, &mut current, (*row, sealed)).await?;
    }
    if let Err(trouble) = &taken
        && asks_for_another_key(&target)
        && !trouble.may_have_made_a_key()
    {
        // Nothing was made, now or before.
        current.kept = None;
    }
    // Whoever was quicker, a DELETE for example, has decided.
    if current.state != target.state {
        targets::save_and_free(&*tx, &current).await?;
        tx.commit().await?;
        app.nudges.data_action_targets.notify_one();
        return Ok(());
    }
    let has_key = matches!(taken, Ok(Done::Key(..)));
    let alone = current.state == State::Deleting && is_removed_alone(&tx, &current).await?;
    match judge(&mut current, taken, alone, app.clock.now()) {
        Judged::Stays => {}
        Judged::Goes(left) => return Ok(erase(app, tx, &current, left.as_deref()).await?),
    }
    tracing::debug!(
        target = current.api_name,
        state = current.state.word(),
        fence,
        "a data action target moved on"
    );
    note(&mut tx, &target, &current, has_key);
    targets::save_and_free(&*tx, &current).await?;
    tx.commit().await?;
    if current.due_at == Some(flow::AT_ONCE) {
        app.nudges.data_action_targets.notify_one();
    }
    Ok(())
}

/// Whether the next step may leave nobody knowing which key the org signs with, and that is not noted yet.
fn asks_for_another_key(target: &Target) -> bool {
    target.state == State::GeneratingSigningKey && target.key_made_at.is_some() && !target.is_key_in_doubt()
}

/// `false` when another worker took it.
async fn note_doubt(app: &App, target: &Target, fence: i64) -> Result<bool, StoreError> {
    let tx = app.store.begin().await?;
    let noted = targets::doubt(&*tx, (target.id, fence), &flow::key_in_doubt()).await?;
    tx.commit().await?;
    Ok(noted)
}

/// What a step came to, its key sealed.
enum Done {
    Key(Uuid, SealedToken),
    Other(Outcome),
}

async fn seal(app: &App, target: &Target, taken: Outcome) -> Result<Done, Trouble> {
    let Outcome::Key(key) = taken else { return Ok(Done::Other(taken)) };
    let row = app.entropy.uuid();
    let sealed = app.vault.seal(store::place(target.addon, row), &key).await.map_err(Trouble::NotSealed)?;
    Ok(Done::Key(row, sealed))
}

/// The org signs with this key from now on, whatever was decided of the target meanwhile.
async fn keep_key(
    app: &App,
    tx: &Tx,
    current: &mut Target,
    (row, sealed): (Uuid, &SealedToken),
) -> Result<(), StoreError> {
    let now = app.clock.now();
    let of = (current.org_id.as_str(), current.api_name.as_str());
    store::retire(&**tx, current.addon, of, now.plus(flow::FORMER_KEY_COUNTS)).await?;
    store::insert(&**tx, current.addon, of, (row, sealed.clone()), now).await?;
    current.key_made_at = Some(now);
    current.kept = None;
    Ok(())
}

/// What becomes of a row.
enum Judged {
    /// It stays, as it is now.
    Stays,
    /// It goes; with a reason, it is left in its org.
    Goes(Option<String>),
}

/// `alone`: it is to be removed, and its connection stays.
fn judge(current: &mut Target, taken: Result<Done, Trouble>, alone: bool, now: Timestamp) -> Judged {
    let trouble = match taken {
        Ok(Done::Other(Outcome::Gone)) => return Judged::Goes(None),
        Ok(Done::Other(Outcome::Left)) => {
            return Judged::Goes(Some("it was changed there and calls something else now".to_owned()));
        }
        Ok(Done::Other(Outcome::Next(state))) => {
            flow::enter(current, state, now);
            return Judged::Stays;
        }
        Ok(Done::Other(Outcome::Wait)) => {
            if !flow::wait(current, now) {
                flow::fail(current, "it did not set it up in time", now);
            }
            return Judged::Stays;
        }
        Ok(Done::Key(..) | Done::Other(Outcome::Key(_))) => {
            flow::enter(current, State::Created, now);
            return Judged::Stays;
        }
        Err(trouble) => trouble,
    };
    let sentence = trouble.sentence();
    let again = flow::retry(current, now) && trouble.is_passing();
    match (again, &current.state) {
        (true, _) => {}
        (false, State::Deleting) if alone => flow::keep(current, &sentence, now),
        (false, State::Deleting) => return Judged::Goes(Some(sentence)),
        (false, _) => flow::fail(current, &sentence, now),
    }
    Judged::Stays
}

/// Whether a target that was made is to go by itself, and not because its connection goes: nobody waits for it then.
async fn is_removed_alone(tx: &Tx, target: &Target) -> Result<bool, StoreError> {
    let connection = credentials::store::find_by_id(&**tx, target.addon, target.connection).await?;
    Ok(target.key_made_at.is_some() && connection.is_some_and(|connection| connection.live().is_some()))
}

/// Ends of the way are in the audit log. `has_key`: a signing key came.
fn note(tx: &mut Tx, before: &Target, now: &Target, has_key: bool) {
    let action = match &now.state {
        State::Created if before.state == State::Deleting => "data_action_target.removal_failed",
        State::Created if before.key_made_at.is_none() => "data_action_target.created",
        State::Created if has_key => "data_action_target.key_rotated",
        State::Created => "data_action_target.key_rotation_failed",
        State::CreationFailed(_) => "data_action_target.failed",
        _ => return,
    };
    tx.audit(Entry::new(&Actor::system(), action, now.addon, now.id).with_detail(&now.api_name));
}

/// The org's part of a step.
async fn step(app: &App, connection: &Credential, target: &Target) -> Result<Outcome, Trouble> {
    if target.state == State::Pending {
        return Ok(Outcome::Next(State::Creating));
    }
    let token = tokens::fresh_access_token(app, connection).await?;
    let version = token.version;
    match at_the_org(&org(app, connection, token), target).await {
        Err(Trouble::Org(OrgError::SessionExpired { .. })) => {
            let token = tokens::replace_rejected(app, connection, version).await?;
            at_the_org(&org(app, connection, token), target).await
        }
        done => done,
    }
}

fn org(app: &App, connection: &Credential, token: tokens::FreshToken) -> Org {
    let version = connection.org().and_then(|org| org.api_version.parse().ok());
    Org::new(app.egress.clone(), token.instance, version.unwrap_or(FALLBACK_VERSION), token.access_token)
}

async fn at_the_org(org: &Org, target: &Target) -> Result<Outcome, Trouble> {
    match target.state {
        State::Creating => create(org, target).await,
        State::GeneratingSigningKey => Ok(Outcome::Key(org.new_signing_key(&target.api_name).await?)),
        State::Deleting => {
            let found = org.data_action_target(&target.api_name).await?;
            match found {
                // An org that does not say what it calls is believed where it made our key.
                Some(found)
                    if is_ours(&found, target)
                        || (found.endpoint.is_none() && target.key_made_at.is_some()) =>
                {
                    org.delete_data_action_target(&target.api_name).await?
                }
                Some(_) if target.key_made_at.is_some() => return Ok(Outcome::Left),
                Some(_) => tracing::warn!(
                    target = target.api_name,
                    org = target.org_id,
                    "a data action target of this name calls something else, and stays in its org"
                ),
                None => {}
            }
            Ok(Outcome::Gone)
        }
        State::Pending | State::Created | State::CreationFailed(_) => Ok(Outcome::Next(target.state.clone())),
    }
}

/// One of this name is ours when it calls what ours is to call.
fn is_ours(found: &DataActionTarget, target: &Target) -> bool {
    found.endpoint.as_deref().is_some_and(|endpoint| target.is_called_at(endpoint))
}

/// One that is there already and is ours was made before: an answer got lost.
async fn create(org: &Org, target: &Target) -> Result<Outcome, Trouble> {
    let found = match org.data_action_target(&target.api_name).await? {
        Some(found) if is_ours(&found, target) => found,
        Some(_) => {
            return Err(Trouble::Failed(
                ": it has a target of this name that calls something else; choose another API name"
                    .to_owned(),
            ));
        }
        None => {
            let new = NewDataActionTarget {
                api_name: target.api_name.clone(),
                label: target.label.clone(),
                endpoint: target.endpoint.clone(),
            };
            org.create_data_action_target(&new).await?
        }
    };
    match found.status {
        TargetStatus::Active => Ok(Outcome::Next(State::GeneratingSigningKey)),
        TargetStatus::Error => {
            let code = found.status_error.map(|code| format!(" ({code})"));
            Err(Trouble::Failed(code.unwrap_or_default()))
        }
        _ => Ok(Outcome::Wait),
    }
}

/// The row goes, and its keys. With a reason, the target may be in its org still.
async fn erase(app: &App, mut tx: Tx, target: &Target, left: Option<&str>) -> Result<(), StoreError> {
    store::delete_keys(&*tx, target.addon, (&target.org_id, &target.api_name)).await?;
    targets::delete(&*tx, target.addon, target.id).await?;
    if let Some(reason) = left {
        tracing::error!(
            target = target.api_name,
            org = target.org_id,
            reason,
            "a data action target is left in its org"
        );
        let left = LeftBehind {
            kind: "data action target".to_owned(),
            name: target.api_name.clone(),
            org_id: Some(target.org_id.clone()),
            reason: reason.to_owned(),
        };
        removals::store::add_left_behind(&*tx, target.addon, left).await?;
    }
    let was_last = targets::list(&*tx, target.addon, target.connection).await?.is_empty();
    let found = credentials::store::find_by_id(&*tx, target.addon, target.connection).await?;
    if was_last && found.is_some_and(|found| matches!(found.state, credentials::State::Disconnecting(_))) {
        tokens::store::start_revoking(&*tx, target.connection).await?;
    }
    tx.audit(
        Entry::new(&Actor::system(), "data_action_target.removed", target.addon, target.id)
            .with_detail(left.unwrap_or(&target.api_name)),
    );
    tx.commit().await?;
    app.nudges.nudge();
    Ok(())
}
