//! Brings what the spool holds into the database.
//!
//! 1. Refresh answers first, all of them each time (adopting one twice is safe): a grant whose answer waits here must not
//!    be refreshed with its old token ([`adopt`]). One that the database refuses stays, for its own
//!    grant's sake, and the others go on ([`stuck`](super::stuck)).
//! 2. Then audit rows, in groups; how far it came is part of the same transaction.
//! 3. A file that is done is begun anew, or removed when its process is gone.
//!
//! Meanwhile no refresh starts, so nothing here waits for an org, and for the database not longer than [`STEP`] at a time:
//! what is nobody's is revoked behind it ([`revoke`]). Nor does a record that can't be read hold up anybody: answers around
//! it are brought in, and its file is put aside ([`Seen`]).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::file::{Cursor, Found, SpoolFile};
use super::record::{AuditRow, Record};
use super::stuck::Stuck;
use super::{RefreshAnswer, Size, Spool, SpoolError, locked, store};
use crate::app::App;
use crate::audit::recorder::MAX_GROUP;
use crate::db::{self, StoreError};
use crate::error::chain;
use crate::reconcilers::{Status, StepError};
use crate::tokens::TokenError;
use crate::tokens::adopt::{self, Adopted};
use crate::tokens::renew;
use crate::vault::VaultError;

/// How long one answer may take the database: it is read, sealed and committed.
const STEP: Duration = db::PATIENCE.saturating_mul(2);

/// A replay ended early; what is left is still in the spool.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The database failed.
    #[error("the database takes nothing")]
    Store(#[source] StoreError),
    /// The spool can't be read.
    #[error("the spool can't be read")]
    Spool(#[source] SpoolError),
}

impl From<StoreError> for ReplayError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<SpoolError> for ReplayError {
    fn from(error: SpoolError) -> Self {
        Self::Spool(error)
    }
}

impl From<ReplayError> for StepError {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::Store(error) => Self::Store(error),
            ReplayError::Spool(error) => Self::Spool(error),
        }
    }
}

impl From<ReplayError> for TokenError {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::Store(error) => Self::Store(error),
            ReplayError::Spool(_) => Self::RetryAfter(Duration::from_secs(5)),
        }
    }
}

/// Called before a refresh of this grant: none starts while the database is away, or an answer waits in the spool that
/// the database may take.
///
/// # Errors
/// [`TokenError`]: then nothing may be sent.
pub async fn before_refresh(app: &App, grant: Uuid) -> Result<(), TokenError> {
    let spool = &app.spool;
    if spool.outage().is_on() || !spool.is_replayed() {
        match replay(app).await {
            // What is left are audit rows.
            Err(ReplayError::Store(error)) if !error.is_unavailable() => {}
            outcome => {
                outcome?;
            }
        }
    }
    if spool.stuck().holds(grant) {
        return Err(TokenError::not_stored());
    }
    Ok(())
}

/// What the reconciler does: looks for files of processes that are gone, and replays everything.
///
/// # Errors
/// [`ReplayError`].
pub(crate) async fn reconcile(app: &App) -> Result<Status, ReplayError> {
    let spool = app.spool.clone();
    let looked = tokio::task::spawn_blocking(move || spool.take_left_files()).await;
    if let Err(error) = looked {
        tracing::error!(error = %error, "spools of processes that are gone could not be looked for");
    }
    replay(app).await
}

/// Replays everything, and ends the outage when that works.
///
/// # Errors
/// [`ReplayError`].
pub async fn replay(app: &App) -> Result<Status, ReplayError> {
    let (spool, asked) = (&app.spool, Instant::now());
    let _one_at_a_time = spool.0.replaying.lock().await;
    // Who waited for one that found the database away need not find that out anew, one after the other.
    if locked(&spool.0.was_away).is_some_and(|was_away| was_away > asked) {
        return Err(StoreError::timed_out().into());
    }
    // In the heap, as are the large steps below: who waits for a token would carry all of it on its stack.
    let outcome = Box::pin(replay_all(app)).await;
    if outcome.as_ref().is_err_and(ReplayError::is_unavailable) {
        *locked(&spool.0.was_away) = Some(Instant::now());
    }
    outcome
}

async fn replay_all(app: &App) -> Result<Status, ReplayError> {
    let spool = &app.spool;
    spool.mend();
    if spool.is_empty() {
        works(app).await?;
        return Ok(Status::default());
    }
    let (mut done, seen) = adopt_all(app).await?;
    match write_rows(app, &seen).await {
        Ok(rows) => done += rows,
        Err(error) => {
            // Rows that are refused hold up nobody but themselves.
            if !error.is_unavailable() {
                works(app).await?;
            }
            return Err(error);
        }
    }
    works(app).await?;
    let left = left_over(spool, &seen);
    *locked(&spool.0.left_over) = left;
    if left == Some(Size(0, 0)) {
        spool.stuck().forget_settled();
    }
    if done > 0 {
        tracing::info!(records = done, "the spool is replayed");
    }
    Ok(Status { done })
}

/// What a replay saw of a file.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// Among so many records each answer was tried.
    records: u64,
    /// Some of them still wait.
    is_held: bool,
    /// Something in it does not open: nobody will ever read that, and the file is kept when the rest is replayed.
    is_damaged: bool,
    /// Something in it is of another version, which is to have the file: its rows are left to that, too.
    is_foreign: bool,
}

/// How much is left when all of it was refused; none when something came meanwhile.
fn left_over(spool: &Spool, seen: &HashMap<Uuid, Seen>) -> Option<Size> {
    let files = spool.files();
    let mut records = 0;
    for file in files.left.iter().chain(&files.own).filter(|file| file.records() > 0) {
        let seen = seen.get(&file.id()).filter(|seen| seen.records == file.records())?;
        records += seen.records;
    }
    let in_memory = spool.in_memory();
    let stuck = spool.stuck();
    let refused = in_memory.iter().all(|answer| stuck.holds(answer.grant) || stuck.is_revoking(answer));
    refused.then_some(Size(records, in_memory.len()))
}

impl ReplayError {
    fn is_unavailable(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_unavailable())
    }
}

/// Ends the outage, once the database has taken a write.
async fn works(app: &App) -> Result<(), StoreError> {
    if app.spool.outage().is_on() {
        let probe = async {
            let tx = app.store.begin().await?;
            store::probe(&*tx).await?;
            tx.commit().await
        };
        db::in_time(Instant::now() + db::PATIENCE, probe).await?;
        app.spool.works();
    }
    Ok(())
}

/// Step 1: how many answers were dealt with, and what the files are like.
async fn adopt_all(app: &App) -> Result<(u64, HashMap<Uuid, Seen>), ReplayError> {
    let spool = &app.spool;
    let (mut done, mut all) = (0, HashMap::new());
    let in_memory = spool.in_memory().clone();
    for answer in in_memory {
        if is_settled(app, &answer).await? {
            spool.in_memory().retain(|other| (other.grant, other.at) != (answer.grant, answer.at));
            done += 1;
        }
    }
    for id in files(spool) {
        let mut seen = match adopt_all_of(app, id).await {
            Err(ReplayError::Spool(error)) if spool.leave(id) => {
                tracing::error!(error = %chain(&error), "a spool file was left");
                continue;
            }
            seen => seen?,
        };
        if seen.is_foreign && !seen.is_held && !spool.leave(id) {
            // In a file of our own nothing is of another version.
            (seen.is_foreign, seen.is_damaged) = (false, true);
        }
        all.insert(id, seen);
    }
    Ok((done, all))
}

async fn adopt_all_of(app: &App, file: Uuid) -> Result<Seen, ReplayError> {
    let (mut cursor, mut seen) = (Cursor::default(), Seen::default());
    while let Some(read) = read(&app.spool, file, &mut cursor)? {
        match read {
            Read::Record(Record::Refresh(answer)) => seen.is_held |= !is_settled(app, &answer).await?,
            Read::Record(Record::Audit(_)) => {}
            Read::Damage => seen.is_damaged = true,
            Read::Foreign => seen.is_foreign = true,
        }
    }
    seen.records = cursor.index;
    Ok(seen)
}

/// Brings one answer in; `false` when the database refuses it, for now.
async fn is_settled(app: &App, answer: &RefreshAnswer) -> Result<bool, ReplayError> {
    let (grant, now) = (answer.grant, app.clock.now());
    if app.spool.stuck().is_settled(answer) {
        return Ok(true);
    }
    if app.spool.stuck().is_revoking(answer) || !app.spool.stuck().is_due(answer, now) {
        return Ok(false);
    }
    match in_time(Box::pin(adopt::adopt(app, answer))).await {
        Ok(Adopted::Gone) => {
            tracing::warn!(%grant, "tokens from the spool belong to a grant that is gone; they are revoked");
            revoke(app, answer);
            Ok(false)
        }
        Ok(adopted) => {
            match adopted {
                Adopted::Committed => tracing::info!(%grant, "tokens from the spool are committed"),
                Adopted::ToRevoke => {
                    tracing::info!(%grant, "tokens from the spool belong to a grant that is being revoked, and are revoked with it");
                }
                Adopted::Superseded | Adopted::Gone => {}
            }
            app.spool.stuck().settle(answer);
            Ok(true)
        }
        Err(TokenError::Store(error) | TokenError::Vault(VaultError::Store(error)))
            if error.is_unavailable() =>
        {
            Err(error.into())
        }
        Err(error) if Stuck::is_hopeless(answer, now) => {
            tracing::error!(%grant, error = %chain(&error), "tokens in the spool can't be committed; after a day the credential is given up, and must be connected again");
            let given_up = give_up(app, answer).await?;
            match given_up {
                GivenUp::Revoke => revoke(app, answer),
                GivenUp::Leave => app.spool.stuck().settle(answer),
                GivenUp::NotYet => app.spool.stuck().refused(answer, now),
            }
            Ok(given_up == GivenUp::Leave)
        }
        Err(error) => {
            tracing::error!(%grant, error = %chain(&error), "tokens in the spool can't be committed: mend that, or their credential must be connected again after a day; others go on");
            app.spool.stuck().refused(answer, now);
            adopt::hold(app, answer).await;
            Ok(false)
        }
    }
}

/// Whatever the database is asked must end. What is cut off may have been committed all the same.
async fn in_time<T, E: From<StoreError>>(work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    timeout(STEP, work).await.unwrap_or_else(|_| Err(StoreError::timed_out().into()))
}

/// Revokes what is nobody's, a few at a time, and nobody waits for it. Until that was tried the answer stays where it is,
/// so that it is tried again after a crash.
fn revoke(app: &App, answer: &RefreshAnswer) {
    if !app.spool.stuck().begin_revoking(answer) {
        return;
    }
    let (app, answer) = (app.clone(), answer.clone());
    let turn = Arc::clone(&app.spool.0.revocations);
    app.tasks.clone().spawn(async move {
        let _turn = turn.acquire().await;
        adopt::revoke(&app, &answer).await;
        app.spool.stuck().settle(&answer);
    });
}

/// What becomes of an answer that the database has refused for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GivenUp {
    /// Its credential says that it must be connected again: the tokens are nobody's.
    Revoke,
    /// Not even that could be written. The row stays in doubt; to revoke the tokens could end the grant.
    Leave,
    /// The row has changed meanwhile, and it must be looked at anew.
    NotYet,
}

/// The credential says that it must be connected again, and only then the tokens are revoked: as long as the grant lives,
/// that could end it.
async fn give_up(app: &App, answer: &RefreshAnswer) -> Result<GivenUp, StoreError> {
    let found = crate::tokens::store::find(app.store.reader(), answer.addon, answer.grant);
    let grant = match in_time(found).await {
        Ok(Some(grant)) if grant.token_version == answer.replaced => grant,
        Ok(_) => return Ok(GivenUp::NotYet),
        Err(error) if error.is_unavailable() => return Err(error),
        Err(_) => return Ok(GivenUp::Leave),
    };
    let bury = renew::bury(app, &grant, "The tokens of its last refresh could not be stored.");
    match in_time(Box::pin(bury)).await {
        Err(TokenError::Store(error)) if error.is_unavailable() => Err(error),
        Ok(()) => Ok(GivenUp::NotYet),
        // That is how it says that it buried this grant.
        Err(TokenError::NotLive | TokenError::ReauthRequired(_)) => Ok(GivenUp::Revoke),
        Err(error) => {
            tracing::error!(grant = %answer.grant, error = %chain(&error), "nor can that be written");
            Ok(GivenUp::Leave)
        }
    }
}

/// Files of processes that are gone first, then our own.
fn files(spool: &Spool) -> Vec<Uuid> {
    let files = spool.files();
    files.left.iter().chain(&files.own).filter(|file| file.records() > 0).map(SpoolFile::id).collect()
}

/// Looks at a file for a moment; meanwhile nothing is appended.
fn with_file<R>(
    spool: &Spool,
    id: Uuid,
    look: impl FnOnce(&SpoolFile) -> Result<R, SpoolError>,
) -> Result<Option<R>, SpoolError> {
    let files = spool.files();
    files.left.iter().chain(&files.own).find(|file| file.id() == id).map(look).transpose()
}

/// Steps 2 and 3. A file that still holds an answer is kept, with the rows that are written already.
async fn write_rows(app: &App, seen: &HashMap<Uuid, Seen>) -> Result<u64, ReplayError> {
    let mut done = 0;
    for id in files(&app.spool) {
        if let Some(seen) = seen.get(&id) {
            done += write_rows_of(app, id, *seen).await?;
        }
    }
    Ok(done)
}

async fn write_rows_of(app: &App, id: Uuid, seen: Seen) -> Result<u64, ReplayError> {
    let spool = &app.spool;
    if seen.is_foreign {
        return Ok(0);
    }
    let mut replayed = in_time(store::replayed(app.store.reader(), id)).await?;
    let mut cursor = Cursor::default();
    let mut done = 0;
    loop {
        let (rows, read) = gather(spool, id, &mut cursor, replayed)?;
        if read == 0 {
            break;
        }
        write(app, id, rows, replayed, cursor.index).await?;
        (replayed, done) = (cursor.index, done + read);
    }
    // What came meanwhile may be an answer.
    if !seen.is_held && cursor.index == seen.records {
        finish(app, id, seen).await?;
    }
    Ok(done)
}

/// What is read from a file.
enum Read {
    Record(Record),
    /// It does not open.
    Damage,
    /// It opens, and says nothing that this version knows.
    Foreign,
}

fn read(spool: &Spool, id: Uuid, cursor: &mut Cursor) -> Result<Option<Read>, SpoolError> {
    let found = with_file(spool, id, |file| file.next(cursor))?.flatten();
    Ok(found.map(|found| match found {
        Found::Record(bytes) => Record::of_bytes(&bytes).map_or(Read::Foreign, Read::Record),
        Found::Damage => Read::Damage,
    }))
}

/// The next group of audit rows, and how many records they and the answers between them are.
fn gather(
    spool: &Spool,
    id: Uuid,
    cursor: &mut Cursor,
    replayed: u64,
) -> Result<(Vec<AuditRow>, u64), SpoolError> {
    let (mut rows, mut count) = (Vec::new(), 0);
    while rows.len() < MAX_GROUP {
        let Some(read) = read(spool, id, cursor)? else { break };
        if cursor.index <= replayed {
            continue;
        }
        count += 1;
        if let Read::Record(Record::Audit(row)) = read {
            rows.push(row);
        }
    }
    Ok((rows, count))
}

async fn write(app: &App, file: Uuid, rows: Vec<AuditRow>, from: u64, to: u64) -> Result<(), StoreError> {
    let write = async {
        let mut tx = app.store.begin().await?;
        if !store::remember(&*tx, file, from, to).await? {
            // An earlier try was committed after all: what it wrote is not written twice.
            return Err(StoreError::Busy);
        }
        for row in rows {
            tx.audit(row.into_entry());
        }
        tx.commit().await
    };
    db::in_time(Instant::now() + db::PATIENCE, write).await
}

/// Step 3, unless something was appended meanwhile. Where it fails everything is replayed all the same, and nobody waits;
/// how far the file is replayed stays known, since it may come back with the next start.
async fn finish(app: &App, id: Uuid, seen: Seen) -> Result<(), ReplayError> {
    match end_file(&app.spool, id, seen) {
        Ok(true) => {}
        Ok(false) => return Ok(()),
        Err(error) => {
            tracing::error!(error = %chain(&error), "a spool file is replayed, and could not be ended");
            return Ok(());
        }
    }
    let forget = async {
        let tx = app.store.begin().await?;
        store::forget(&*tx, id).await?;
        tx.commit().await
    };
    Ok(in_time(Box::pin(forget)).await?)
}

/// Whether the file is gone from where files are looked for, or is empty.
fn end_file(spool: &Spool, id: Uuid, seen: Seen) -> Result<bool, SpoolError> {
    let mut files = spool.files();
    if let Some(done) = files.left.iter().position(|file| file.id() == id) {
        files.left.remove(done).end(seen.is_damaged)?;
    } else if let Some(own) = files.own.as_mut().filter(|own| own.id() == id) {
        if own.records() > seen.records {
            return Ok(false);
        }
        if !seen.is_damaged {
            own.clear(&spool.0.entropy)?;
        } else if let Some(own) = files.own.take() {
            own.put_aside()?;
        }
    }
    drop(files);
    spool.mend();
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use applink_api::time::Timestamp;
    use applink_salesforce::OrgHosts;
    use secrecy::SecretString;

    use super::super::tests::answer;
    use super::super::{Kept, REVOCATIONS, SpoolConfig};
    use super::*;
    use crate::audit::{Actor, Entry};
    use crate::config::Reconciling;
    use crate::spool::FILE_PURPOSE;
    use crate::vault::MasterKey;
    use crate::{Config, RunningServer, Server};

    const AT_ONCE: Duration = Duration::from_secs(5);

    /// A server, and what its database and its spool are in.
    async fn started(hosts: OrgHosts) -> (RunningServer, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("applink.db").display());
        let mut config = Config::local(url.parse().unwrap(), MasterKey::from_bytes([42; 32]));
        config.reconciling = Reconciling::ByHand;
        config.org_hosts = hosts;
        (Server::start(config).await.unwrap(), folder)
    }

    /// Leaves a file as a process that is gone does; where it is.
    async fn leave(app: &App, records: &[&[u8]]) -> PathBuf {
        let config: &SpoolConfig = &app.config.spool;
        let keys = app.vault.derived(FILE_PURPOSE).await.unwrap();
        let gone =
            Spool::open(config, app.config.outage, keys, app.clock.clone(), app.entropy.clone()).unwrap();
        let mut files = gone.files();
        let own = files.own.as_mut().unwrap();
        for record in records {
            let sealed = own.seal(own.records(), record, &app.entropy).unwrap();
            own.append(&[sealed], u64::MAX).unwrap();
        }
        own.path().to_owned()
    }

    fn refresh(answer: RefreshAnswer) -> Vec<u8> {
        Record::Refresh(answer).to_bytes().unwrap().to_vec()
    }

    /// A refresh may start, at once.
    async fn may_refresh(app: &App) {
        timeout(AT_ONCE, before_refresh(app, Uuid::from_u128(77))).await.expect("at once").unwrap();
    }

    async fn revocations_are_over(app: &App) {
        app.tasks.close();
        app.tasks.wait().await;
        app.tasks.reopen();
    }

    fn is_free(path: &Path) -> bool {
        let file = std::fs::File::open(path).unwrap();
        nix::fcntl::Flock::lock(file, nix::fcntl::FlockArg::LockExclusiveNonblock).is_ok()
    }

    async fn rows(app: &App) -> usize {
        let rows = crate::audit::store::rows_of_addon(app.store.reader(), Uuid::from_u128(2).into(), 100);
        rows.await.unwrap().iter().filter(|row| row.action == "authorization.handed_out").count()
    }

    fn row() -> Vec<u8> {
        let (addon, subject) = (Uuid::from_u128(2).into(), Uuid::from_u128(3));
        let entry = Entry::new(&Actor::system(), "authorization.handed_out", addon, subject);
        Record::of_entry(&entry, Timestamp::from_seconds(0)).to_bytes().unwrap().to_vec()
    }

    #[tokio::test]
    async fn records_of_another_version_are_left_to_it_and_hold_up_nobody() {
        let (server, _folder) = started(OrgHosts::salesforce()).await;
        let app = server.app();
        let newer = br#"{"Newer":{"grant":1}}"#;
        let path = leave(app, &[&refresh(answer(1)), &row(), newer, &refresh(answer(2))]).await;
        let bytes = std::fs::read(&path).unwrap();
        app.spool.take_left_files();
        assert_eq!(app.spool.size(), Size(4, 0));
        // Both answers are nobody's, which is dealt with behind.
        may_refresh(app).await;
        revocations_are_over(app).await;
        for number in [1, 2] {
            assert!(app.spool.stuck().is_settled(&answer(number)), "answer {number} is brought in");
        }
        replay(app).await.unwrap();
        may_refresh(app).await;
        assert!(app.spool.is_empty());
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
        assert!(is_free(&path), "another process may take it");
        assert_eq!(rows(app).await, 0, "its rows are left to that, too");
        locked(&app.spool.0.looked).at = None;
        app.spool.take_left_files();
        assert!(app.spool.is_empty(), "it is not taken again");
    }

    #[tokio::test]
    async fn a_file_of_its_own_that_is_damaged_while_it_is_used_is_kept_and_replaced() {
        let (server, folder) = started(OrgHosts::salesforce()).await;
        let app = server.app();
        let spool = &app.spool;
        let entry = Entry::new(
            &Actor::system(),
            "authorization.handed_out",
            Uuid::from_u128(2).into(),
            Uuid::from_u128(3),
        );
        let path = spool.files().own.as_ref().unwrap().path().to_owned();
        let mut begins = Vec::new();
        for _ in 0..3 {
            begins.push(std::fs::read(&path).unwrap().iter().rposition(|byte| *byte != 0).unwrap());
            spool.keep_entries(std::slice::from_ref(&entry)).unwrap();
        }
        // In the middle of the second record.
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[(begins[1] + begins[2]) / 2] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        may_refresh(app).await;
        replay(app).await.unwrap();
        assert_eq!(rows(app).await, 2, "the first and the third");
        assert!(spool.is_empty());
        let kept = std::fs::read_dir(folder.path().join("applink.db.spool")).unwrap();
        let kept: Vec<_> = kept.map(|entry| entry.unwrap().path()).collect();
        let aside = kept.iter().find(|path| path.to_string_lossy().contains(".damaged-")).unwrap();
        assert_eq!(std::fs::read(aside).unwrap(), bytes);
        spool.keep_entries(std::slice::from_ref(&entry)).unwrap();
        replay(app).await.unwrap();
        assert_eq!((rows(app).await, spool.is_empty()), (3, true), "another one is in its place");
    }

    #[tokio::test]
    async fn what_is_nobodys_is_revoked_without_holding_up_anybody() {
        let org = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", org.local_addr().unwrap());
        let hosts = OrgHosts::salesforce().lead("https://login.salesforce.com", &url).unwrap();
        let (server, _folder) = started(hosts).await;
        let app = server.app();
        let answers: Vec<_> = (1..=30)
            .map(|number| {
                let token = Some(Kept(SecretString::from(format!("canary-{number}"))));
                refresh(RefreshAnswer { refresh_token: token, instance_url: url.clone(), ..answer(number) })
            })
            .collect();
        let path = leave(app, &answers.iter().map(Vec::as_slice).collect::<Vec<_>>()).await;
        app.spool.take_left_files();
        may_refresh(app).await;
        // The org takes connections and says nothing.
        let mut held = Vec::new();
        for _ in 0..REVOCATIONS {
            held.push(timeout(AT_ONCE, org.accept()).await.expect("it is tried").unwrap());
        }
        may_refresh(app).await;
        replay(app).await.unwrap();
        assert!(path.exists(), "until that was tried the answers stay: a crash must not lose them");
        drop((held, org));
        revocations_are_over(app).await;
        replay(app).await.unwrap();
        assert!(app.spool.is_empty() && !path.exists());
    }
}
