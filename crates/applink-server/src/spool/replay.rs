//! Brings what the spool holds into the database.
//!
//! 1. Refresh answers first, all of them each time (adopting one twice is safe): a grant whose answer waits here must not
//!    be refreshed with its old token ([`adopt`]). One that the database refuses stays, for its own
//!    grant's sake, and the others go on ([`stuck`](super::stuck)).
//! 2. Then audit rows, in groups; how far it came is part of the same transaction.
//! 3. A file that is done is begun anew, or removed when its process is gone.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::file::{Cursor, SpoolFile};
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
    let spool = &app.spool;
    let _one_at_a_time = spool.0.replaying.lock().await;
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
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// Among so many records each answer was tried.
    records: u64,
    /// Some of them still wait.
    is_held: bool,
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
    let refused = in_memory.iter().all(|answer| spool.stuck().holds(answer.grant));
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
        let (mut cursor, mut is_held) = (Cursor::default(), false);
        while let Some(record) = read(spool, id, &mut cursor)? {
            if let Record::Refresh(answer) = record {
                is_held |= !is_settled(app, &answer).await?;
            }
        }
        all.insert(id, Seen { records: cursor.index, is_held });
    }
    Ok((done, all))
}

/// Brings one answer in; `false` when the database refuses it, for now.
async fn is_settled(app: &App, answer: &RefreshAnswer) -> Result<bool, ReplayError> {
    let (grant, now) = (answer.grant, app.clock.now());
    if app.spool.stuck().is_settled(answer) {
        return Ok(true);
    }
    if !app.spool.stuck().is_due(answer, now) {
        return Ok(false);
    }
    match adopt::adopt(app, answer).await {
        Ok(adopted) => {
            match adopted {
                Adopted::Committed => tracing::info!(%grant, "tokens from the spool are committed"),
                Adopted::Superseded => {}
                Adopted::ToRevoke => {
                    tracing::info!(%grant, "tokens from the spool belong to a grant that is being revoked, and are revoked with it");
                }
                Adopted::Gone => {
                    tracing::warn!(%grant, "tokens from the spool belong to a grant that is gone; they are revoked");
                    adopt::revoke(app, answer).await;
                }
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
            let is_over = give_up(app, answer).await?;
            if is_over {
                app.spool.stuck().settle(answer);
            } else {
                app.spool.stuck().refused(answer, now);
            }
            Ok(is_over)
        }
        Err(error) => {
            tracing::error!(%grant, error = %chain(&error), "tokens in the spool can't be committed: mend that, or their credential must be connected again after a day; others go on");
            app.spool.stuck().refused(answer, now);
            adopt::hold(app, answer).await;
            Ok(false)
        }
    }
}

/// The credential says that it must be connected again, and only then the tokens are revoked: as long as the grant lives,
/// that could end it. Where not even that can be written, its row stays in doubt. `false` when the row has changed
/// meanwhile, and it must be looked at anew what becomes of the tokens.
async fn give_up(app: &App, answer: &RefreshAnswer) -> Result<bool, StoreError> {
    let grant = match crate::tokens::store::find(app.store.reader(), answer.addon, answer.grant).await {
        Ok(Some(grant)) if grant.token_version == answer.replaced => grant,
        Ok(_) => return Ok(false),
        Err(error) if error.is_unavailable() => return Err(error),
        Err(_) => return Ok(true),
    };
    match renew::bury(app, &grant, "The tokens of its last refresh could not be stored.").await {
        Err(TokenError::Store(error)) if error.is_unavailable() => return Err(error),
        Ok(()) => return Ok(false),
        // That is how it says that it buried this grant.
        Err(TokenError::NotLive | TokenError::ReauthRequired(_)) => adopt::revoke(app, answer).await,
        Err(error) => {
            tracing::error!(grant = %answer.grant, error = %chain(&error), "nor can that be written");
        }
    }
    Ok(true)
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
    let mut replayed = store::replayed(app.store.reader(), id).await?;
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
        finish(app, id, seen.records).await?;
    }
    Ok(done)
}

fn read(spool: &Spool, id: Uuid, cursor: &mut Cursor) -> Result<Option<Record>, SpoolError> {
    let bytes = with_file(spool, id, |file| file.next(cursor))?.flatten();
    bytes.map(|bytes| Record::of_bytes(&bytes)).transpose()
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
        let Some(record) = read(spool, id, cursor)? else { break };
        if cursor.index <= replayed {
            continue;
        }
        count += 1;
        if let Record::Audit(row) = record {
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

/// Step 3, unless something was appended meanwhile.
async fn finish(app: &App, id: Uuid, replayed: u64) -> Result<(), ReplayError> {
    {
        let mut files = app.spool.files();
        if let Some(done) = files.left.iter().position(|file| file.id() == id) {
            files.left.remove(done).remove()?;
        } else if let Some(own) = files.own.as_mut().filter(|own| own.id() == id) {
            if own.records() > replayed {
                return Ok(());
            }
            own.clear(&app.spool.0.entropy)?;
        }
    }
    let tx = app.store.begin().await?;
    store::forget(&*tx, id).await?;
    Ok(tx.commit().await?)
}
