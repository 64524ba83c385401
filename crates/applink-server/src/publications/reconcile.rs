//! Step 6 of publishing: deploys that are due.
//!
//! A claimed deploy is pursued for up to [`PURSUIT`]: one step, its outcome committed, a pause, the next step. What
//! is not final by then is given back and claimed again. Each step is safe to repeat, and every write repeats the
//! fence of its claim, so a worker that stalled past its lease changes nothing.
//!
//! A deploy may be killed
//! * before the intent is committed: nothing was sent; it is sent later;
//! * between intent and the org's id of the deploy: the org is asked for the marker, and while it works on
//!   anything, or might not show it yet ([`SETTLING`]), nothing is sent;
//! * later: the id is known, and asking goes on.

use std::time::Duration;

use applink_api::error::{Problem, error_id};
use applink_api::publication::Component;
use applink_salesforce::error::ErrorKind;
use applink_salesforce::metadata::{DeployResult, DeployStatus};
use applink_salesforce::{OrgError, RecordId};
use tokio::time::{Instant, timeout, timeout_at};

use super::flow::{self, DeployState, Failure, Outcome, Step};
use super::org::{self, PublishingOrg};
use super::remove::{Prepared, Removal};
use super::store::{self, Lease};
use super::{Deploy, DeployKind, Live, Publication, metadata, places};
use crate::app::App;
use crate::audit::{Actor, Entry};
use crate::credentials::{self, Credential};
use crate::db::StoreError;
use crate::db::claim::Claim;
use crate::error::chain;
use crate::reconcilers::{Status, StepError};
use crate::tokens::TokenError;

/// How long a claim lasts: longer than [`PURSUIT`] and one more step together.
const LEASE: Duration = Duration::from_secs(90);
/// How long one claim pursues a deploy.
const PURSUIT: Duration = Duration::from_secs(40);
/// How long one step may take.
const STEP: Duration = Duration::from_secs(40);
/// How long after an intent an org may still not show the deploy.
const SETTLING: Duration = Duration::from_secs(5);

/// Goes on at once with what a process that was killed had claimed, where that can be known; else once its lease ends.
///
/// # Errors
/// [`StoreError`].
pub async fn take_over(app: &App) -> Result<(), StoreError> {
    app.store.database().free_leases(store::DUE.table).await
}

/// Starts on every deploy that is due. Each runs on as a task of its own, so that a slow org holds up nobody else.
///
/// # Errors
/// [`StepError`] when the database fails.
pub async fn deploy_due(app: &App) -> Result<Status, StepError> {
    let claim = Claim { owner: app.store.journal().process(), lease: LEASE, limit: 1 };
    let mut status = Status::default();
    while let Some(deploy) = store::claim(app.store.database(), claim).await? {
        status.done += 1;
        let app = app.clone();
        app.tasks.clone().spawn(async move { pursue(&app, deploy).await });
    }
    Ok(status)
}

/// Steps until the deploy is final or the time of this claim is over.
async fn pursue(app: &App, mut deploy: Deploy) {
    let until = Instant::now() + PURSUIT;
    loop {
        let goes_on = Instant::now() < until && !app.tasks.is_closed();
        let lease = if goes_on { Lease::Keep } else { Lease::Release };
        match advance(app, &mut deploy, lease).await {
            Ok(Progress::GoOn) if lease == Lease::Keep => {
                tokio::time::sleep(flow::pause(deploy.attempts)).await;
            }
            Ok(Progress::Final) => {
                // The next deploy of this connection is due now.
                app.nudges.publications.notify_one();
                return;
            }
            Ok(Progress::GoOn | Progress::LostLease) => return,
            Err(error) => {
                tracing::error!(deploy = %deploy.id, error = %chain(&error), "a deploy's progress could not be stored");
                return;
            }
        }
    }
}

enum Progress {
    GoOn,
    Final,
    LostLease,
}

/// One step and its outcome.
async fn advance(app: &App, deploy: &mut Deploy, lease: Lease) -> Result<Progress, StoreError> {
    let Some(step) = flow::next_step(&deploy.state) else { return Ok(Progress::Final) };
    let Some(publication) = store::find(app.store.reader(), deploy.addon, deploy.publication).await? else {
        return Ok(Progress::LostLease);
    };
    let trying_since = *deploy.trying_since.get_or_insert(app.clock.now());
    let (target, outcome) = match Target::reach(app, deploy, &publication).await? {
        Ok(target) => {
            let outcome = take(app, deploy, &publication, &target, step).await?;
            (Some(target), outcome)
        }
        Err(outcome) => (None, Some(outcome)),
    };
    let Some(outcome) = outcome else { return Ok(Progress::LostLease) };
    let mut outcome = outcome.or_give_up(trying_since, app.clock.now());
    if let Outcome::Refused(failure) = &mut outcome
        && !deploy.unassigned.is_empty()
    {
        let is_late = app.clock.now().since(trying_since) > flow::PATIENCE;
        match give_back(app, deploy, target.as_ref()).await {
            // The org refuses once more in a moment, and then they are given back.
            GivenBack::NotNow if !is_late => outcome = Outcome::NoAnswer,
            GivenBack::All => {}
            GivenBack::NotNow | GivenBack::NotAll => failure.message.push_str(&missed(deploy)),
        }
    }
    record(app, deploy, outcome, lease).await
}

enum GivenBack {
    All,
    /// The org has its reasons.
    NotAll,
    /// It may work in a moment.
    NotNow,
}

/// What a removal took away before the org refused it.
async fn give_back(app: &App, deploy: &mut Deploy, target: Option<&Target>) -> GivenBack {
    let Some(target) = target else { return GivenBack::NotAll };
    let until = Instant::now() + STEP;
    let mut refused = Vec::new();
    for assignment in &deploy.unassigned {
        match timeout_at(until, target.org.assign(assignment)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) if error.kind() == ErrorKind::Rejected => {
                tracing::warn!(deploy = %deploy.id, user = %assignment.user, error = %chain(&error), "a permission set could not be given back");
                refused.push(assignment.clone());
            }
            Ok(Err(error)) => {
                target.heed(app, &error).await;
                return GivenBack::NotNow;
            }
            Err(_) => return GivenBack::NotNow,
        }
    }
    deploy.unassigned = refused;
    if deploy.unassigned.is_empty() { GivenBack::All } else { GivenBack::NotAll }
}

fn missed(deploy: &Deploy) -> String {
    let missed = deploy.unassigned.iter().map(|assignment| {
        format!("permission set {} of user {}", assignment.permission_set, assignment.user)
    });
    let missed: Vec<String> = missed.collect();
    format!(" What was taken away before could not be given back: {}.", missed.join(", "))
}

/// The connection's org, with a live token.
struct Target {
    connection: Credential,
    org: PublishingOrg,
}

impl Target {
    /// The inner error is what it means for the deploy that the org can't be called.
    async fn reach(
        app: &App,
        deploy: &Deploy,
        publication: &Publication,
    ) -> Result<Result<Self, Outcome>, StoreError> {
        let found =
            credentials::store::find_by_id(app.store.reader(), deploy.addon, deploy.connection).await?;
        let Some(connection) = found.filter(|connection| connection.live().is_some()) else {
            return Ok(Err(Outcome::Refused(not_connected())));
        };
        Ok(match org::connect(app, &connection).await {
            // The name may stand for another org by now, which must not get this package.
            Ok(org) if org.org_id() != publication.org_id => Err(Outcome::Refused(other_org(publication))),
            Ok(org) => Ok(Self { connection, org }),
            Err(TokenError::ReauthRequired(error)) => {
                Err(Outcome::Refused(Failure::new(&error.id, error.message.clone())))
            }
            Err(error) => {
                tracing::warn!(deploy = %deploy.id, error = %chain(&error), "a deploy waits for an access token");
                Err(Outcome::NoAnswer)
            }
        })
    }

    /// A refused session gets a new token for the next step.
    async fn heed(&self, app: &App, error: &OrgError) {
        if matches!(error, OrgError::SessionExpired { .. }) {
            let renewed = org::reconnect(app, &self.connection, self.org.token_version()).await;
            if let Err(error) = renewed {
                tracing::warn!(error = %chain(&error), "a refused access token could not be replaced");
            }
        }
    }
}

fn other_org(publication: &Publication) -> Failure {
    let message = format!(
        "The connection was connected to another org than {} before that one was done; try again.",
        publication.org_id
    );
    Failure::new(error_id::CONFLICT, message)
}

fn not_connected() -> Failure {
    let message = "The connection was disconnected before the org was done; connect it and try again.";
    Failure::new(error_id::CONFLICT, message)
}

/// Takes a step; `None` when the lease was lost before anything was sent.
async fn take(
    app: &App,
    deploy: &mut Deploy,
    publication: &Publication,
    target: &Target,
    step: Step,
) -> Result<Option<Outcome>, StoreError> {
    match step {
        Step::Send => {
            deploy.state = DeployState::Intended { since: app.clock.now() };
            if !store_progress(app, deploy).await? {
                return Ok(None);
            }
            Ok(Some(match deploy.kind {
                DeployKind::Publish => send(app, deploy, target, deploy.package.as_deref()).await,
                DeployKind::Remove => return send_removal(app, deploy, publication, target).await,
            }))
        }
        Step::Settle => Ok(Some(settle(app, deploy, publication, target).await)),
        Step::Poll { deploy_id } => Ok(Some(poll(app, deploy, publication, target, &deploy_id).await)),
    }
}

async fn store_progress(app: &App, deploy: &Deploy) -> Result<bool, StoreError> {
    let tx = app.store.begin().await?;
    let written = store::save_deploy(&*tx, deploy, Lease::Keep).await?;
    tx.commit().await?;
    Ok(written)
}

/// The one call that must not be repeated blindly.
async fn send(app: &App, deploy: &Deploy, target: &Target, package: Option<&[u8]>) -> Outcome {
    let Some(package) = package else {
        return Outcome::Refused(Failure::new(error_id::SERVER_ERROR, "The package is gone; publish again."));
    };
    match timeout(STEP, target.org.deploy(package)).await {
        Err(_) => Outcome::AnswerUnknown,
        Ok(Ok(id)) => Outcome::Sent { deploy_id: id.to_string() },
        Ok(Err(error)) => {
            target.heed(app, &error).await;
            unsent(deploy, &error)
        }
    }
}

/// Deletions are cut to what is in the org at this moment; sending them twice is the same as once. `None` when the
/// lease was lost before anything was changed.
async fn send_removal(
    app: &App,
    deploy: &mut Deploy,
    publication: &Publication,
    target: &Target,
) -> Result<Option<Outcome>, StoreError> {
    let removal = Removal::of(app, publication).await?;
    let until = Instant::now() + STEP;
    let (package, assigned) = match timeout_at(until, removal.prepare(publication, &target.org)).await {
        Err(_) => return Ok(Some(Outcome::NotSent)),
        Ok(Err(error)) => {
            target.heed(app, &error).await;
            return Ok(Some(unsent(deploy, &error)));
        }
        Ok(Ok(Prepared::Nothing)) => {
            return Ok(Some(Outcome::Done { registration_id: String::new(), components: Vec::new() }));
        }
        Ok(Ok(Prepared::Package { package, assigned })) => (package, assigned),
    };
    // An earlier try may have taken something away too.
    for assignment in &assigned {
        if !deploy.unassigned.iter().any(|known| known.id == assignment.id) {
            deploy.unassigned.push(assignment.clone());
        }
    }
    if !store_progress(app, deploy).await? {
        return Ok(None);
    }
    Ok(Some(match timeout_at(until, target.org.unassign(&assigned)).await {
        Err(_) => Outcome::NotSent,
        Ok(Err(error)) => {
            target.heed(app, &error).await;
            unsent(deploy, &error)
        }
        Ok(Ok(())) => send(app, deploy, target, Some(&package)).await,
    }))
}

/// What a failed send means.
fn unsent(deploy: &Deploy, error: &OrgError) -> Outcome {
    tracing::warn!(deploy = %deploy.id, error = %chain(error), "a package was not accepted");
    match (error, error.kind()) {
        // The org looked at the session before anything else.
        (OrgError::SessionExpired { .. }, _) => Outcome::NotSent,
        (error, _) if org::was_not_sent(error) => Outcome::NotSent,
        (OrgError::Rejected { .. }, ErrorKind::Limit) => Outcome::NotSent,
        (OrgError::Rejected { .. } | OrgError::OverLimit { .. }, ErrorKind::Rejected) => {
            let nothing = match deploy.kind {
                DeployKind::Publish => "published",
                DeployKind::Remove => "removed",
            };
            Outcome::Refused(Failure::new(error_id::DEPLOY_FAILED, format!("Nothing was {nothing}: {error}")))
        }
        _ => Outcome::AnswerUnknown,
    }
}

/// An intent without an id: does the org have this very package?
async fn settle(app: &App, deploy: &Deploy, publication: &Publication, target: &Target) -> Outcome {
    let Ok(client) = publication.client.parse() else {
        return Outcome::Refused(Failure::new(
            error_id::SERVER_ERROR,
            "The stored client name can't be read.",
        ));
    };
    // Whether deletions arrived can't be read off the org, but they can be sent again.
    let marker =
        (deploy.kind == DeployKind::Publish).then(|| metadata::marker(deploy.publication, &deploy.hash));
    let asked = timeout(STEP, async {
        let registration = target.org.registration(&client).await?;
        let is_busy = target.org.is_deploying().await?;
        Ok::<_, OrgError>((registration, is_busy))
    });
    match asked.await {
        Err(_) => Outcome::NoAnswer,
        Ok(Err(error)) => {
            target.heed(app, &error).await;
            Outcome::NoAnswer
        }
        Ok(Ok((Some(found), _))) if marker.is_some_and(|marker| found.description.contains(&marker)) => {
            Outcome::Done { registration_id: found.id, components: adopted(deploy) }
        }
        Ok(Ok((_, true))) => Outcome::Busy,
        Ok(Ok(_)) if might_not_show_yet(app, deploy) => Outcome::Busy,
        Ok(Ok(_)) => Outcome::Absent,
    }
}

fn might_not_show_yet(app: &App, deploy: &Deploy) -> bool {
    matches!(deploy.state, DeployState::Intended { since } if app.clock.now().since(since) < SETTLING)
}

/// Deploys are all or nothing: when the registration is in, everything is.
fn adopted(deploy: &Deploy) -> Vec<Component> {
    let components = deploy.origins.iter();
    components
        .map(|origin| Component {
            kind: origin.kind.clone(),
            name: origin.name.clone(),
            success: true,
            created: false,
            problem: None,
        })
        .collect()
}

async fn poll(
    app: &App,
    deploy: &Deploy,
    publication: &Publication,
    target: &Target,
    deploy_id: &str,
) -> Outcome {
    let Ok(id) = deploy_id.parse::<RecordId>() else {
        return Outcome::Refused(Failure::new(error_id::SERVER_ERROR, "The stored deploy id can't be read."));
    };
    match timeout(STEP, target.org.deploy_status(id)).await {
        Err(_) => Outcome::NoAnswer,
        Ok(Err(error)) => {
            target.heed(app, &error).await;
            tracing::warn!(deploy = %deploy.id, error = %chain(&error), "a deploy's status can't be read");
            if error.has_code("NOT_FOUND") { Outcome::Refused(vanished()) } else { Outcome::NoAnswer }
        }
        Ok(Ok(result)) if !result.done => Outcome::Running,
        Ok(Ok(result)) if result.success => done(publication, target, &result).await,
        Ok(Ok(result)) => Outcome::Refused(refused(deploy, &result)),
    }
}

fn vanished() -> Failure {
    Failure::new(error_id::DEPLOY_FAILED, "The org no longer knows the deploy; try again.")
}

/// The registration's id stands in the result; an org that leaves it out is asked for it, best effort.
async fn done(publication: &Publication, target: &Target, result: &DeployResult) -> Outcome {
    let mut registration_id = org::registration_id(result);
    if let (None, Ok(client)) = (&registration_id, publication.client.parse()) {
        let found = timeout(STEP, target.org.registration(&client)).await;
        registration_id = found.ok().and_then(Result::ok).flatten().map(|registration| registration.id);
    }
    Outcome::Done {
        registration_id: registration_id.unwrap_or_default(),
        components: org::components(result),
    }
}

/// The org's own words for every component, and the lines they come from.
fn refused(deploy: &Deploy, result: &DeployResult) -> Failure {
    let components = org::components(result);
    let problems = places::problems(deploy.format, &deploy.document, &deploy.origins, &components);
    let refused = match deploy.kind {
        DeployKind::Publish => "The org refused the package",
        DeployKind::Remove => "The org removed nothing",
    };
    let message = match (problems.as_slice(), &result.error, &result.status) {
        ([], _, DeployStatus::Canceled | DeployStatus::Canceling) => {
            "The deploy was canceled in the org.".to_owned()
        }
        ([], Some(error), _) => format!("{refused}: {error}"),
        ([], None, _) => format!("{refused} without saying why; see Setup → Deployment Status."),
        ([only], ..) => format!("{refused}: {}", located(deploy, only)),
        ([first, rest @ ..], ..) => {
            format!("{refused}: {} (and {} more)", located(deploy, first), rest.len())
        }
    };
    Failure { id: error_id::DEPLOY_FAILED.to_owned(), message, components, problems }
}

fn located(deploy: &Deploy, problem: &Problem) -> String {
    match (problem.line, problem.column) {
        (Some(line), Some(column)) => {
            format!("{} ({}:{line}:{column})", problem.message, deploy.format.file_name())
        }
        _ => problem.message.clone(),
    }
}

/// Commits an outcome: the deploy, and with a final one the publication and the audit entry.
async fn record(
    app: &App,
    deploy: &mut Deploy,
    outcome: Outcome,
    lease: Lease,
) -> Result<Progress, StoreError> {
    let now = app.clock.now();
    let live = live(deploy, &outcome);
    if matches!(outcome, Outcome::Sent { .. }) {
        deploy.trying_since = Some(now);
    }
    let (state, due_at) = flow::apply(&deploy.state, outcome, deploy.attempts, now);
    let moved = std::mem::discriminant(&state) != std::mem::discriminant(&deploy.state);
    deploy.attempts = if moved { 0 } else { deploy.attempts.saturating_add(1) };
    (deploy.state, deploy.due_at) = (state, due_at);
    let is_final = deploy.state.is_final();
    if is_final {
        deploy.finished_at = Some(now);
        deploy.package = None;
    }
    let mut tx = app.store.begin().await?;
    let lease = if is_final { Lease::Release } else { lease };
    if !store::save_deploy(&*tx, deploy, lease).await? {
        return Ok(Progress::LostLease);
    }
    if let Some(live) = &live {
        store::set_live(&*tx, deploy, live, now).await?;
    }
    super::change::tell(&tx, deploy).await?;
    if deploy.kind == DeployKind::Remove && matches!(deploy.state, DeployState::Published { .. }) {
        if let Some(publication) = store::find(&*tx, deploy.addon, deploy.publication).await? {
            Removal::bequeath(&tx, &publication).await?;
        }
        store::delete(&*tx, deploy.addon, deploy.publication).await?;
    }
    if let Some((action, detail)) = told(deploy) {
        let entry = Entry::new(&Actor::system(), action, deploy.addon, deploy.publication.0);
        tx.audit(entry.with_detail(detail));
    }
    tx.commit().await?;
    Ok(if is_final { Progress::Final } else { Progress::GoOn })
}

fn live(deploy: &Deploy, outcome: &Outcome) -> Option<Live> {
    match outcome {
        Outcome::Done { registration_id, components } if deploy.kind == DeployKind::Publish => Some(Live {
            registration_id: registration_id.clone(),
            hash: deploy.hash.clone(),
            components: components.clone(),
        }),
        _ => None,
    }
}

/// What the audit log says of a final state.
fn told(deploy: &Deploy) -> Option<(&'static str, String)> {
    let package = |detail: String| format!("package {}: {detail}", deploy.hash);
    match (deploy.kind, &deploy.state) {
        (DeployKind::Publish, DeployState::Published { components }) => {
            Some(("publication.published", package(format!("{} components", components.len()))))
        }
        (DeployKind::Publish, DeployState::Failed(failure)) => {
            Some(("publication.failed", package(failure.message.clone())))
        }
        (DeployKind::Remove, DeployState::Published { components }) => {
            let names: Vec<String> =
                components.iter().map(|component| format!("{} {}", component.kind, component.name)).collect();
            Some(("publication.removed", format!("removed from the org: {}", names.join(", "))))
        }
        (DeployKind::Remove, DeployState::Failed(failure)) => {
            Some(("publication.removal_failed", failure.message.clone()))
        }
        _ => None,
    }
}
