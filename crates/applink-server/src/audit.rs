//! Who did what: an append-only ledger whose edits, gaps and truncations show.
//!
//! 1. Every process writes its own *segment*: rows `0, 1, 2, …`, each with the MAC of the one before. The key is
//!    derived from the master key, so a thief of the database can't recompute the chain. When it is unknown whether
//!    a row was committed, the process goes on in a new segment: no number is ever given twice.
//! 2. Rows of a state change are committed with it ([`crate::db::Tx::commit`]). Reads go through the
//!    [`Recorder`], which groups what waits (at most [`recorder::MAX_WAIT`] or [`recorder::MAX_GROUP`] rows) into
//!    one commit; the caller is answered after it.
//! 3. The first rows of a segment are committed with an *anchor* of the newest of them, and each minute the newest row
//!    of each open segment gets another. Anchors are one small chain over all segments ([`anchor`]), and go to the
//!    log, where a thief of the database can't reach them. What a process that was killed wrote last is anchored by
//!    one that lives.
//! 4. [`verify`] walks it all.
//!
//! Actors are opaque ids; their names are in a table of their own that can be erased. Details never hold secrets.

pub mod anchor;
pub mod api;
pub mod browse;
mod chain;
pub mod page;
pub mod recorder;
pub mod store;
pub mod tallies;
pub mod uses;
pub mod verify;

use std::collections::HashMap;
use std::fmt;

use applink_api::clock::Clock;
use applink_api::entropy::Entropy;
use applink_api::ids::AddonId;
use sea_orm::DatabaseTransaction;
use tokio::time::Instant;
use uuid::Uuid;

use crate::db::{self, Database, RowId, StoreError};
use crate::vault::MasterKeys;
pub use chain::{CHAIN_PURPOSE, ChainKey, ChainKeys};
pub use recorder::Recorder;

/// Who acts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Actor {
    /// What kind of caller, such as `api_key`.
    pub kind: ActorKind,
    /// The name that is kept in the erasable table: an e-mail, an attachment's id, a process.
    pub name: String,
}

/// Kinds of actors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ActorKind {
    /// The server itself: reconcilers.
    System,
    /// An app with its add-on token.
    App,
    /// A person or pipeline with an API key.
    ApiKey,
    /// A person Heroku's single sign-on speaks of; the digest does not cover the name.
    Claimed,
    /// A person whom our own single sign-on or Platform API vouches for.
    Person,
    /// An operator.
    Operator,
    /// A browser in the OAuth round trip.
    Browser,
}

impl ActorKind {
    /// As stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::App => "app",
            Self::ApiKey => "api_key",
            Self::Claimed => "claimed",
            Self::Person => "person",
            Self::Operator => "operator",
            Self::Browser => "browser",
        }
    }
}

impl ActorKind {
    /// The reverse of [`ActorKind::as_str`]; what is unknown is a claim.
    pub(crate) fn of(word: &str) -> Self {
        let all = [
            Self::System,
            Self::App,
            Self::ApiKey,
            Self::Claimed,
            Self::Person,
            Self::Operator,
            Self::Browser,
        ];
        all.into_iter().find(|kind| kind.as_str() == word).unwrap_or(Self::Claimed)
    }
}

impl Actor {
    /// An actor of a kind.
    pub fn new(kind: ActorKind, name: impl Into<String>) -> Self {
        Self { kind, name: name.into() }
    }

    /// The server itself.
    pub fn system() -> Self {
        Self::new(ActorKind::System, "applink")
    }
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Who.
    pub actor: Actor,
    /// What: a dotted constant such as `connection.connected`.
    pub action: &'static str,
    /// In which add-on.
    pub addon: Option<AddonId>,
    /// To what.
    pub subject: Option<Uuid>,
    /// More, for people; never a secret.
    pub detail: String,
}

impl Entry {
    /// An entry without details.
    pub fn new(actor: &Actor, action: &'static str, addon: AddonId, subject: impl Into<Uuid>) -> Self {
        Self {
            actor: actor.clone(),
            action,
            addon: Some(addon),
            subject: Some(subject.into()),
            detail: String::new(),
        }
    }

    /// The same with details.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }
}

/// This process's segment of the ledger.
pub struct Journal {
    keys: ChainKeys,
    process: String,
    clock: Clock,
    entropy: Entropy,
    state: tokio::sync::Mutex<Segments>,
}

/// The segment in use, and the newest rows of former ones that no anchor covers yet.
struct Segments {
    current: Segment,
    ended: Vec<Tip>,
}

/// The newest row of a segment that is known to be committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tip {
    pub(crate) segment: RowId,
    pub(crate) seq: i64,
    pub(crate) row_mac: String,
}

struct Segment {
    id: RowId,
    opened: bool,
    next: i64,
    /// Rows before this one are anchored.
    anchored: i64,
    last_mac: String,
    actors: HashMap<Actor, RowId>,
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Journal({})", self.process)
    }
}

/// Actors remembered between rows; beyond that the table is asked again.
const REMEMBERED_ACTORS: usize = 4096;

impl Journal {
    /// A journal that will open a segment with its first row.
    pub fn new(masters: &MasterKeys, process: String, clock: Clock, entropy: Entropy) -> Self {
        Self::with_keys(ChainKeys::new(masters), process, clock, entropy)
    }

    /// The same with keys that were read.
    pub fn with_keys(keys: ChainKeys, process: String, clock: Clock, entropy: Entropy) -> Self {
        let current = Segment::new(RowId(entropy.uuid()));
        let state = tokio::sync::Mutex::new(Segments { current, ended: Vec::new() });
        Self { keys, process, clock, entropy, state }
    }

    /// The keys of the chains, for verifying.
    pub fn keys(&self) -> &ChainKeys {
        &self.keys
    }

    /// The time entries are written with.
    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Where ids of rows come from that are written beside entries.
    pub(crate) fn entropy(&self) -> &Entropy {
        &self.entropy
    }

    /// This process's name.
    pub fn process(&self) -> &str {
        &self.process
    }

    /// Appends the entries in the transaction and commits it. One transaction at a time holds the segment; it does
    /// nothing but insert and commit meanwhile.
    ///
    /// While the commit is under way a new segment stands in the old one's place, and stays there unless the outcome
    /// is known: a caller that goes away during COMMIT, or a connection that breaks, may leave the rows durable.
    ///
    /// All of it has a time limit: a database in which COMMIT hangs (a standby that does not confirm, a disk that is
    /// gone) would otherwise stop everybody who waits for the segment.
    pub(crate) async fn commit(&self, tx: DatabaseTransaction, entries: &[Entry]) -> Result<(), StoreError> {
        let until = Instant::now() + db::PATIENCE;
        let mut state = db::in_time(until, async { Ok(self.state.lock().await) }).await?;
        let mut segment = state.take(RowId(self.entropy.uuid()));
        let appended = db::in_time(until, self.append_all(&tx, &segment, entries)).await;
        let (next, met) = match appended {
            Ok(appended) => appended,
            Err(error) => {
                // A number that is taken after all stays taken.
                if !error.is_duplicate() {
                    state.put_back(segment);
                }
                return Err(error);
            }
        };
        db::in_time(until, async { Ok(tx.commit().await?) }).await?;
        if let Some(anchor) = &next.anchor {
            anchor::tell(anchor);
        }
        segment.advance(next, met);
        state.put_back(segment);
        Ok(())
    }

    /// Appends entries and nothing else. On SQLite one statement mostly can, and is its own transaction: that saves the
    /// database two steps of three. Then nobody knows after an error whether the rows are durable, so another segment goes on.
    pub(crate) async fn record(&self, database: &Database, entries: &[Entry]) -> Result<(), StoreError> {
        let until = Instant::now() + db::PATIENCE;
        // As with a transaction, the connection comes first and the segment second: nobody waits for the other way round.
        let few = (1..=store::MOST_AT_ONCE).contains(&entries.len());
        if few && let Some(mut writer) = db::in_time(until, database.sqlite_writer()).await? {
            let mut state = db::in_time(until, async { Ok(self.state.lock().await) }).await?;
            if let Some(actors) = state.current.known_actors(entries) {
                let mut segment = state.take(RowId(self.entropy.uuid()));
                let mut next = segment.position();
                let rows = self.rows(&mut next, entries, &actors);
                db::in_time(until, store::insert_rows_alone(&mut writer, rows)).await?;
                segment.advance(next, HashMap::new());
                state.put_back(segment);
                return Ok(());
            }
        }
        self.commit(database.begin().await?, entries).await
    }

    async fn append_all(
        &self,
        tx: &DatabaseTransaction,
        segment: &Segment,
        entries: &[Entry],
    ) -> Result<(Position, HashMap<Actor, RowId>), StoreError> {
        let mut next = segment.position();
        if !next.opened && !entries.is_empty() {
            let (master_key_id, at) = (self.keys.current().master_key_id(), self.clock.now().as_micros());
            store::open_segment(tx, next.segment, &self.process, master_key_id, at).await?;
            next.opened = true;
        }
        let (mut met, mut actors) = (HashMap::new(), Vec::with_capacity(entries.len()));
        for Entry { actor, .. } in entries {
            let known = match segment.actors.get(actor).or_else(|| met.get(actor)) {
                Some(known) => *known,
                None => {
                    let id = self.actor_id(tx, actor).await?;
                    met.insert(actor.clone(), id);
                    id
                }
            };
            actors.push(known);
        }
        let rows = self.rows(&mut next, entries, &actors);
        store::insert_rows(tx, rows).await?;
        if next.opened && !segment.opened {
            // From its first commit on, a segment can't be taken out as a whole without a trace.
            let tip = Tip { segment: next.segment, seq: next.next - 1, row_mac: next.last_mac.clone() };
            next.anchor = Some(anchor::append(tx, self.keys.current(), &tip, self.clock.now()).await?);
        }
        Ok((next, met))
    }

    /// The next rows of the chain: each entry, and its actor.
    fn rows(&self, position: &mut Position, entries: &[Entry], actors: &[RowId]) -> Vec<store::rows::Model> {
        let at = self.clock.now().as_micros();
        entries.iter().zip(actors).map(|(entry, actor)| self.row(position, entry, *actor, at)).collect()
    }

    /// The next row of the chain.
    fn row(&self, position: &mut Position, entry: &Entry, actor: RowId, at: i64) -> store::rows::Model {
        let mut row = store::rows::Model {
            segment: position.segment,
            seq: position.next,
            at,
            actor: actor.to_string(),
            action: entry.action.to_owned(),
            addon_id: entry.addon.map(|addon| addon.to_string()),
            subject: entry.subject.map(|subject| subject.to_string()),
            detail: entry.detail.clone(),
            prev_mac: position.last_mac.clone(),
            mac: String::new(),
        };
        row.mac = self.keys.current().row_mac(&row);
        position.next += 1;
        position.last_mac.clone_from(&row.mac);
        row
    }

    async fn actor_id(&self, tx: &DatabaseTransaction, actor: &Actor) -> Result<RowId, StoreError> {
        let lookup = self.keys.current().actor_lookup(actor);
        match store::find_actor(tx, &lookup).await? {
            Some(id) => Ok(id),
            None => store::insert_actor(tx, RowId(self.entropy.uuid()), actor, lookup).await,
        }
    }

    /// Asks the table for actors again: a name was erased.
    pub(crate) async fn forget_actors(&self) {
        self.state.lock().await.current.actors.clear();
    }

    /// The newest committed row of each of this process's segments, where it is still to be anchored; the one in use
    /// last.
    pub(crate) async fn tips(&self) -> Vec<Tip> {
        let state = self.state.lock().await;
        state.ended.iter().cloned().chain(state.current.tip()).collect()
    }

    /// This row is anchored; a former segment of which it is the newest is forgotten.
    pub(crate) async fn anchored(&self, tip: &Tip) {
        let mut state = self.state.lock().await;
        state.ended.retain(|ended| ended != tip);
        if state.current.id == tip.segment {
            state.current.anchored = state.current.anchored.max(tip.seq + 1);
        }
    }

    /// The segment in use, when it has rows.
    pub(crate) async fn open_segment(&self) -> Option<RowId> {
        let state = self.state.lock().await;
        state.current.opened.then_some(state.current.id)
    }
}

impl Segments {
    /// Takes the segment in use out and begins another in its place.
    fn take(&mut self, next: RowId) -> Segment {
        let taken = std::mem::replace(&mut self.current, Segment::new(next));
        self.ended.extend(taken.tip());
        taken
    }

    /// Goes on with a segment that was taken out.
    fn put_back(&mut self, segment: Segment) {
        self.ended.retain(|ended| ended.segment != segment.id);
        self.current = segment;
    }
}

/// Where the next row goes; becomes the segment's once the transaction is committed.
struct Position {
    segment: RowId,
    opened: bool,
    next: i64,
    last_mac: String,
    /// What was anchored with the first rows.
    anchor: Option<store::anchors::Model>,
}

impl Segment {
    fn new(id: RowId) -> Self {
        Self { id, opened: false, next: 0, anchored: 0, last_mac: String::new(), actors: HashMap::new() }
    }

    fn position(&self) -> Position {
        let (opened, next, last_mac) = (self.opened, self.next, self.last_mac.clone());
        Position { segment: self.id, opened, next, last_mac, anchor: None }
    }

    /// The entries' actors, when nothing but rows has to be written.
    fn known_actors(&self, entries: &[Entry]) -> Option<Vec<RowId>> {
        let actors = entries.iter().map(|entry| self.actors.get(&entry.actor).copied());
        if self.opened { actors.collect() } else { None }
    }

    fn tip(&self) -> Option<Tip> {
        let (segment, row_mac) = (self.id, self.last_mac.clone());
        (self.next > self.anchored).then(|| Tip { segment, seq: self.next - 1, row_mac })
    }

    fn advance(&mut self, position: Position, met: HashMap<Actor, RowId>) {
        self.opened = position.opened;
        self.next = position.next;
        self.last_mac = position.last_mac;
        if let Some(anchor) = position.anchor {
            self.anchored = anchor.seq + 1;
        }
        if self.actors.len() + met.len() > REMEMBERED_ACTORS {
            self.actors.clear();
        }
        self.actors.extend(met);
    }
}
