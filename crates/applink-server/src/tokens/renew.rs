//! Steps 4 to 7: one renewal of one grant.

use std::time::Duration;

use applink_api::connection::ConnectionMethod;
use applink_api::error::ResourceError;
use applink_api::time::Timestamp;
use applink_salesforce::OrgOrigin;
use applink_salesforce::oauth::{OAuthClient, Outcome, Refusal, TokenFailure, Tokens};
use secrecy::SecretString;
use tokio::time::Instant;

use super::adopt::{self, Adopted};
use super::age::{self, NewToken};
use super::lease::{Effect, Event, Jitter, LEASE, LEAST_LEFT, LeaseState, Verdict, step};
use super::points::Point;
use super::store::{self, Model};
use super::{FreshToken, LOOK_AGAIN, PATIENCE, TokenError, paused, state_of};
use crate::addons;
use crate::app::App;
use crate::audit::{Actor, Entry};
use crate::config::ClientSecrets;
use crate::credentials::{self, Credential, flow};
use crate::db::claim::Claim;
use crate::db::{self, StoreError};
use crate::oauth::jwt::{AssertionRequest, Signed, drop_session};
use crate::oauth::secrets;
use crate::spool::{self, Kept, RefreshAnswer};

/// How often a commit of fresh tokens is tried while the lease lasts.
const COMMIT_TRIES: u32 = 4;
/// The pause between those tries.
const COMMIT_PAUSE: Duration = Duration::from_millis(500);

/// What happened at the org.
#[derive(Debug)]
enum Answer {
    Tokens(Box<Tokens>),
    Failure(TokenFailure),
    /// Nothing was sent, for a reason of our own.
    Unable(TokenError),
    /// Nothing was sent: too little of the lease was left, or the row has other tokens by now.
    Lapsed,
}

/// Renews the grant unless somebody else is at it, or did so since `seen` was read.
///
/// # Errors
/// [`TokenError`]; the row says what may be tried next.
pub(super) async fn renew(app: &App, seen: &Model, rejected: Option<i64>) -> Result<(), TokenError> {
    spool::before_refresh(app, seen.id.0).await?;
    let rejected = rejected == Some(seen.token_version);
    app.config.points.reached(Point::Wanting, seen.id.0).await;
    let claimed = claim(app, seen, rejected).await.inspect_err(|error| app.spool.note(error));
    let Some(held) = claimed? else { return await_holder(app, seen).await };
    let reached = |point| app.config.points.reached(point, seen.id.0);
    match held.effect {
        Effect::Send { last_chance } => {
            if last_chance {
                tracing::warn!(grant = %seen.id, "a grant in doubt gets its one last-chance refresh");
            }
            reached(Point::Claimed).await;
            let left = || held.left(app);
            let prepared = async {
                let request = prepare(app, &held.grant).await;
                reached(Point::Sending).await;
                if last_chance && !is_as_claimed(app, &held.grant).await? {
                    return Ok(None);
                }
                request.map(Some)
            };
            let answer = send(left, prepared, async |request| call(app, request, left).await).await;
            reached(Point::Answered).await;
            record(app, held, answer).await
        }
        Effect::Reauth => bury(app, &held.grant, "The org gave no answer to the last refresh.").await,
        _ => Ok(()),
    }
}

/// A last chance is looked at once more right before it is sent: the answer that was thought lost may be in the row by
/// now, and the token that was opened is used up then.
async fn is_as_claimed(app: &App, grant: &Model) -> Result<bool, StoreError> {
    let current = live(app, grant).await?;
    Ok(current.is_some_and(|current| {
        (current.id, current.fence, current.token_version) == (grant.id, grant.fence, grant.token_version)
    }))
}

async fn live(app: &App, grant: &Model) -> Result<Option<Model>, StoreError> {
    in_time(store::live(app.store.reader(), grant.addon(), grant.credential_id.0)).await
}

/// A statement that is never answered, because the machine of the database is gone for example, must not keep a grant
/// from being renewed once there is a database again.
async fn in_time<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    db::in_time(Instant::now() + db::PATIENCE, work).await
}

/// The lease, with what it allows.
#[derive(Debug)]
struct Held {
    grant: Model,
    state: LeaseState,
    effect: Effect,
    since: Instant,
    /// The same by the wall clock, which goes on while a machine is suspended.
    since_by_clock: Timestamp,
    /// A client's word, and not the token's age, is why it is renewed.
    forced: bool,
}

impl Held {
    /// How much of the lease is left, by the clock that has gone on further.
    fn left(&self, app: &App) -> Duration {
        let passed = self.since.elapsed().max(app.clock.now().since(self.since_by_clock));
        LEASE.saturating_sub(passed)
    }
}

/// Somebody else is at it, in another process. One task looks for all who wait in this one.
async fn await_holder(app: &App, seen: &Model) -> Result<(), TokenError> {
    let patience = Instant::now() + PATIENCE;
    while Instant::now() < patience {
        tokio::time::sleep(LOOK_AGAIN).await;
        let current = live(app, seen).await?;
        let now = app.clock.now().as_micros();
        let is_held = |grant: &Model| {
            grant.id == seen.id
                && grant.token_version == seen.token_version
                && grant.lease_until.is_some_and(|until| now < until)
        };
        if !current.as_ref().is_some_and(is_held) {
            return Ok(());
        }
    }
    Ok(())
}

/// Step 4: lease and intent in one commit.
async fn claim(app: &App, seen: &Model, rejected: bool) -> Result<Option<Held>, TokenError> {
    let (since, since_by_clock) = (Instant::now(), app.clock.now());
    let claim = Claim { owner: app.store.journal().process(), lease: LEASE, limit: 1 };
    let database = app.store.database();
    let claimed = in_time(async {
        let tx = app.store.begin().await?;
        let row = database.claim_one::<Model>(&tx, store::TO_RENEW, &seen.id.to_string(), claim).await?;
        Ok(row.map(|grant| (tx, grant)))
    });
    let Some((mut tx, grant)) = claimed.await? else { return Ok(None) };
    let now = app.clock.now();
    let event = Event::Claimed { now, seen: seen.token_version, rejected };
    let before = state_of(app, &grant)?;
    let (state, effect) = step(&before, event);
    in_time(store::save_lease(&*tx, &grant, &state)).await?;
    if effect == (Effect::Send { last_chance: true }) {
        tx.audit(Entry::new(&Actor::system(), "grant.last_chance", grant.addon(), grant.credential_id.0));
    }
    app.config.points.reached(Point::Claiming, seen.id.0).await;
    tx.commit().await?;
    Ok(Some(Held { grant, state, effect, since, since_by_clock, forced: rejected && !before.is_old(now) }))
}

/// What is sent, with every secret opened.
enum Request {
    Refresh { instance: OrgOrigin, client: ClientSecrets, refresh_token: SecretString },
    Assert(Signed),
}

/// Step 5. Opening secrets may take its time, so the lease is looked at after that, right before sending. From then on
/// only the client knows whether anything went out, and it has its own deadline: nobody else cuts it short.
async fn send<R>(
    left: impl Fn() -> Duration,
    prepared: impl Future<Output = Result<Option<R>, TokenError>>,
    call: impl AsyncFnOnce(R) -> Result<Tokens, TokenFailure>,
) -> Answer {
    let request = match prepared.await {
        Ok(Some(request)) if left() >= LEAST_LEFT => request,
        Ok(_) => return Answer::Lapsed,
        Err(error) => return Answer::Unable(error),
    };
    match call(request).await {
        Ok(tokens) => Answer::Tokens(Box::new(tokens)),
        Err(failure) => Answer::Failure(failure),
    }
}

async fn prepare(app: &App, grant: &Model) -> Result<Request, TokenError> {
    match grant.connection_method()? {
        ConnectionMethod::OAuth => refresh(app, grant).await,
        ConnectionMethod::Jwt => assert_again(app, grant).await,
    }
}

async fn call(app: &App, request: Request, left: impl Fn() -> Duration) -> Result<Tokens, TokenFailure> {
    match request {
        Request::Refresh { instance, client, refresh_token } => {
            let (instance, refresh_token) = (&instance, &refresh_token);
            let refresh = |client: OAuthClient| async move {
                app.oauth.refresh(instance, &client, refresh_token).await
            };
            secrets::try_each(&client, || left() >= LEAST_LEFT, refresh).await
        }
        Request::Assert(signed) => signed.send(app).await,
    }
}

async fn refresh(app: &App, grant: &Model) -> Result<Request, TokenError> {
    let sealed = grant.refresh_token.as_ref().ok_or(TokenError::NotLive)?;
    let refresh_token = app.vault.open_sealed(grant.place("refresh_token"), sealed).await?;
    let instance = app.hosts.instance(&grant.instance_url).map_err(TokenError::Host)?;
    let client = app.config.oauth.client_secrets(&grant.client_id);
    Ok(Request::Refresh { instance, client, refresh_token })
}

async fn assert_again(app: &App, grant: &Model) -> Result<Request, TokenError> {
    let sealed = grant.private_key.as_ref().ok_or(TokenError::NotLive)?;
    let private_key = app.vault.open_sealed(grant.place("private_key"), sealed).await?;
    let login = app.hosts.instance(&grant.login_origin).map_err(TokenError::Host)?;
    let request =
        AssertionRequest { client_id: grant.client_id.clone(), username: grant.username.clone(), login };
    // It was read and used once already, when it was stored.
    let signed = Signed::new(app, request, private_key).await;
    signed.map(Request::Assert).map_err(|_| TokenError::NotLive)
}

/// Steps 6 and 7.
async fn record(app: &App, held: Held, answer: Answer) -> Result<(), TokenError> {
    let (fence, now, jitter) = (held.grant.fence, app.clock.now(), jitter(app));
    match answer {
        Answer::Tokens(tokens) => keep(app, &held, *tokens).await,
        Answer::Lapsed => {
            tracing::warn!(grant = %held.grant.id, "a refresh stalled before it was sent; it begins anew");
            settle(app, &held, Event::Lapsed { fence }, held.grant.refusal.clone()).await?;
            Ok(())
        }
        Answer::Unable(error) => {
            settle(app, &held, Event::NotSent { fence, now, jitter }, None).await?;
            Err(error)
        }
        Answer::Failure(failure) => {
            let verdict = failure.refusal().map_or(Verdict::Passing, |refusal| verdict(&held.state, refusal));
            let event = match failure.outcome() {
                Outcome::NotSent => Event::NotSent { fence, now, jitter },
                Outcome::Answered(_) => Event::Refused { fence, now, verdict, jitter },
                Outcome::Unknown => Event::Unanswered { fence, now, jitter },
            };
            tracing::warn!(grant = %held.grant.id, error = %crate::error::chain(&failure), "a token refresh failed");
            if verdict == Verdict::Ended {
                return bury(app, &held.grant, &ended(&held.grant, &failure)).await;
            }
            let refusal = failure.refusal().and_then(mendable);
            let state = settle(app, &held, event, refusal.clone()).await?;
            Err(paused(refusal, state.not_before.map_or(LEASE, |time| time.since(now))))
        }
    }
}

fn jitter(app: &App) -> Jitter {
    let percent = app.entropy.below(u64::from(Jitter::MOST) + 1);
    Jitter::percent(u32::try_from(percent).unwrap_or_default())
}

/// What a refusal means. An assertion is made anew each time: its key is as good as it was.
fn verdict(state: &LeaseState, refusal: &Refusal) -> Verdict {
    if refusal.ends_grant() && !state.repeatable {
        Verdict::Ended
    } else if refusal.class.is_transient() {
        Verdict::Passing
    } else {
        Verdict::ToBeMended
    }
}

/// A grant that was never refreshed may be one that could not be: its app's policy is worth a look.
fn ended(grant: &Model, failure: &TokenFailure) -> String {
    let policy = match grant.token_version {
        1 => {
            "; if that happens after every log-in, see Refresh Token Policy, step 3 of the guide to the external client app"
        }
        _ => "",
    };
    format!("The org ended the grant ({failure}{policy})")
}

/// What an org refuses and what mends it; none when it passes by itself.
fn mendable(refusal: &Refusal) -> Option<String> {
    (!refusal.class.is_transient())
        .then(|| format!("The org gives no new access token ({refusal}). {}", refusal.hint()))
}

async fn settle(
    app: &App,
    held: &Held,
    event: Event,
    refusal: Option<String>,
) -> Result<LeaseState, StoreError> {
    let (state, _) = step(&LeaseState { fence: held.grant.fence, ..held.state.clone() }, event);
    in_time(async {
        let tx = app.store.begin().await?;
        let told = store::save_failure(&*tx, &held.grant, &state, refusal.clone()).await?;
        if let (true, Some(sentence)) = (told, refusal) {
            let grant = &held.grant;
            credentials::write::tell_refused(&tx, grant.addon(), grant.credential_id.0, sentence).await?;
        }
        tx.commit().await
    })
    .await?;
    Ok(state)
}

/// Step 6: nobody gets the new access token before the new refresh token is durable. Tokens that can't be committed, for
/// whatever reason, go to the spool: the one they replace is used up.
async fn keep(app: &App, held: &Held, tokens: Tokens) -> Result<(), TokenError> {
    let grant = &held.grant;
    let lifetime = lifetime(app, grant, &tokens);
    let (fence, now, rotated) = (grant.fence, app.clock.now(), tokens.refresh_token.is_some());
    let event = Event::Renewed { fence, now, lifetime, rotated, forced: held.forced };
    let (state, _) = step(&held.state, event);
    let answer = answer(app, grant, &state, &tokens);
    match commit(app, held, &state, &answer).await {
        Ok(Adopted::Committed) => {
            app.config.points.reached(Point::Committed, grant.id.0).await;
            age::learn(app, NewToken::of(app, grant.id, state.version, &grant.client_id, &tokens));
            Ok(())
        }
        Ok(Adopted::Superseded) => {
            tracing::warn!(grant = %grant.id, "a refresh came too late: the grant has other tokens already");
            Ok(())
        }
        Ok(Adopted::ToRevoke) => {
            tracing::warn!(grant = %grant.id, "a refresh came too late: the grant is being revoked, and with it what came of it");
            Ok(())
        }
        Ok(Adopted::Gone) => {
            tracing::error!(grant = %grant.id, "a refresh came too late: the grant is gone, and its tokens are revoked");
            drop_session(app, &grant.client_id, &tokens).await;
            Ok(())
        }
        Err(error) => {
            keep_in_spool(app, held, &state, answer.clone(), &error);
            if !error.is_unavailable() {
                adopt::hold(app, &answer).await;
            }
            Err(if error.is_unavailable() { error } else { TokenError::not_stored() })
        }
    }
}

/// Under the lease while it lasts; late where it was lost.
async fn commit(
    app: &App,
    held: &Held,
    state: &LeaseState,
    answer: &RefreshAnswer,
) -> Result<Adopted, TokenError> {
    let renewed = adopt::sealed(app, &held.grant, answer).await?;
    let mut tries = 0;
    loop {
        tries += 1;
        match adopt::commit(app, &held.grant, state, renewed.clone()).await {
            Ok(true) => return Ok(Adopted::Committed),
            // The lease was lost; or a commit that broke was made all the same.
            Ok(false) => return adopt::adopt(app, answer).await,
            Err(error) if error.is_unavailable() => return Err(error.into()),
            Err(error) if tries < COMMIT_TRIES && held.since.elapsed() < LEASE => {
                tracing::warn!(grant = %held.grant.id, error = %crate::error::chain(&error), "new tokens could not be committed; trying again");
                tokio::time::sleep(COMMIT_PAUSE).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// What the org answered, as it can be kept outside the database.
fn answer(app: &App, grant: &Model, state: &LeaseState, tokens: &Tokens) -> RefreshAnswer {
    RefreshAnswer {
        grant: grant.id.0,
        addon: grant.addon(),
        credential: grant.credential_id.0,
        replaced: grant.token_version,
        at: state.issued_at,
        expires_at: state.expires_at,
        access_token: tokens.access_token.clone(),
        refresh_token: tokens.refresh_token.clone().map(Kept),
        instance_url: followed_instance(app, grant, tokens),
    }
}

/// The tokens can't be committed now: once the spool has them, they may be handed out.
fn keep_in_spool(app: &App, held: &Held, state: &LeaseState, answer: RefreshAnswer, error: &TokenError) {
    if let Ok(instance) = app.hosts.instance(&answer.instance_url) {
        let token = FreshToken {
            access_token: answer.access_token.clone(),
            instance,
            org_id: held.grant.org_id.clone(),
            grant: held.grant.id,
            version: state.version,
            expires_at: state.expires_at,
        };
        app.handed_out.renewed(answer.credential, &token);
    }
    if error.is_unavailable() {
        app.spool.outage().failed(app.clock.now());
    }
    tracing::error!(grant = %answer.grant, error = %crate::error::chain(error), "new tokens could not be committed");
    app.spool.keep_answer(answer);
}

/// As the org says with the token, else as it said of the one before, else as configured.
fn lifetime(app: &App, grant: &Model, tokens: &Tokens) -> Duration {
    tokens.expires_in.or(grant.session_length()).unwrap_or(app.config.token_lifetime)
}

/// An org may move; it is followed only to a host we may call, and only as the same org.
fn followed_instance(app: &App, grant: &Model, tokens: &Tokens) -> String {
    let same_org = tokens.identity(&app.hosts).is_ok_and(|identity| identity.org_id.as_str() == grant.org_id);
    match tokens.instance(&app.hosts) {
        Ok(instance) if same_org => instance.as_str().to_owned(),
        _ => grant.instance_url.clone(),
    }
}

/// Step 7: the grant is over. Its ciphertext goes, and the credential says which command helps.
pub(crate) async fn bury(app: &App, grant: &Model, why: &str) -> Result<(), TokenError> {
    match in_time(end(app, grant, why)).await {
        Ok(None) => Ok(()),
        buried => {
            // Also when it is not known whether it was committed.
            app.handed_out.forget(grant.credential_id.0);
            Err(buried?.flatten().map_or(TokenError::NotLive, TokenError::ReauthRequired))
        }
    }
}

/// None when it is another one by now, else what the credential says.
async fn end(app: &App, grant: &Model, why: &str) -> Result<Option<Option<ResourceError>>, StoreError> {
    let mut tx = app.store.begin().await?;
    addons::store::lock(&*tx, grant.addon()).await?;
    let current = store::live(&*tx, grant.addon(), grant.credential_id.0).await?;
    // An answer out of another process's spool may have brought new tokens without a new fence.
    let same = |current: Model| {
        current.id == grant.id && current.fence == grant.fence && current.token_version == grant.token_version
    };
    if !current.is_some_and(same) || !store::erase(&*tx, grant).await? {
        return Ok(None);
    }
    let found = credentials::store::find_by_id(&*tx, grant.addon(), grant.credential_id.0).await?;
    let mut error = None;
    if let Some(mut credential) = found {
        flow::die(&mut credential, why, app.clock.now());
        credentials::write::save(&tx, &credential).await?;
        error = Credential::error(&credential).cloned();
    }
    tx.audit(
        Entry::new(&Actor::system(), "grant.dead", grant.addon(), grant.credential_id.0).with_detail(why),
    );
    tx.commit().await?;
    Ok(Some(error))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use applink_salesforce::egress::NotSentReason;

    use super::*;

    fn unreachable() -> TokenFailure {
        TokenFailure::NotSent {
            host: "acme.my.salesforce.com".to_owned(),
            reason: NotSentReason::Connect,
            source: "refused".into(),
        }
    }

    /// Whether a request is sent that is prepared while `left` of the lease remain, `left_after` once it is prepared.
    async fn is_sent(left_after: Duration) -> bool {
        let (prepared, sent) = (Cell::new(false), Cell::new(false));
        let left = || if prepared.get() { left_after } else { LEASE };
        let prepare = async {
            prepared.set(true);
            Ok(Some(()))
        };
        let answer = send(left, prepare, async |()| {
            sent.set(true);
            Err(unreachable())
        });
        let answer = answer.await;
        assert_eq!(sent.get(), matches!(answer, Answer::Failure(_)), "{answer:?}");
        sent.get()
    }

    #[tokio::test]
    async fn the_lease_is_looked_at_after_the_secrets_are_opened_and_right_before_sending() {
        assert!(is_sent(LEAST_LEFT).await);
        assert!(!is_sent(LEAST_LEFT - Duration::from_millis(1)).await);
    }

    #[tokio::test]
    async fn what_can_not_be_opened_is_not_sent() {
        let answer = send(
            || LEASE,
            async { Err::<Option<()>, _>(TokenError::NotLive) },
            async |()| Err(unreachable()),
        );
        assert!(matches!(answer.await, Answer::Unable(TokenError::NotLive)));
    }
}
