//! Apps ask for the same few tokens again and again, many at once. They share reads, but nobody has an answer that is older
//! than the question:
//!
//! 1. The first to ask leads a read. It begins when what is ready to run in this process has run, other questions among it, and
//!    when the read of the same authorization that is under way, if any, has ended. Who asks until then follows.
//! 2. As it begins, it takes no more followers: the next to ask leads the next one.
//! 3. When it fails, or its leader's client goes away, each follower reads alone; so does who has waited a second: a read that
//!    hangs is nobody else's trouble.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

/// How long one waits for what others read.
const PATIENCE: Duration = Duration::from_secs(1);

type Answer<V> = watch::Receiver<Option<Arc<V>>>;

/// What one key is read by.
struct Line<V> {
    /// Held while a read is under way.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// The read that has not begun.
    next: Option<Answer<V>>,
}

/// Reads under way, by what they read.
pub(crate) struct GroupedReads<K: Eq + Hash + Clone, V> {
    lines: Mutex<HashMap<K, Line<V>>>,
}

impl<K: Eq + Hash + Clone, V> std::fmt::Debug for GroupedReads<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GroupedReads")
    }
}

impl<K: Eq + Hash + Clone, V> Default for GroupedReads<K, V> {
    fn default() -> Self {
        Self { lines: Mutex::default() }
    }
}

/// One's part in the next read.
enum Part<'a, K: Eq + Hash + Clone, V> {
    Leads(Lead<'a, K, V>),
    Follows(Answer<V>),
}

impl<K: Eq + Hash + Clone, V> GroupedReads<K, V> {
    /// The answer of a read that began after this was called: one's own, or the one shared with others.
    pub(super) async fn read<E, F>(&self, key: &K, read: impl Fn() -> F) -> Result<Arc<V>, E>
    where
        F: Future<Output = Result<V, E>>,
    {
        match self.join(key) {
            Part::Follows(mut answer) => {
                let shared = timeout(PATIENCE, answer.wait_for(Option::is_some)).await.ok();
                match shared.and_then(|shared| shared.ok().and_then(|found| found.clone())) {
                    Some(found) => Ok(found),
                    None => read().await.map(Arc::new),
                }
            }
            Part::Leads(lead) => {
                let Ok(_turn) = timeout(PATIENCE, lead.takes_turn()).await else {
                    drop(lead);
                    return read().await.map(Arc::new);
                };
                lead.closes();
                let found = Arc::new(read().await?);
                // Nobody may follow.
                let _ = lead.report.send(Some(Arc::clone(&found)));
                Ok(found)
            }
        }
    }

    fn join(&self, key: &K) -> Part<'_, K, V> {
        let mut lines = self.locked();
        let line = lines.entry(key.clone()).or_insert_with(|| Line { turn: Arc::default(), next: None });
        // A leader whose client went away leads nobody.
        if let Some(next) = line.next.as_ref().filter(|next| next.has_changed().is_ok()) {
            return Part::Follows(next.clone());
        }
        let (report, answer) = watch::channel(None);
        line.next = Some(answer);
        Part::Leads(Lead { reads: self, key: key.clone(), turn: Arc::clone(&line.turn), report })
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<K, Line<V>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who reads for others. Leaves nothing behind, however it ends.
struct Lead<'a, K: Eq + Hash + Clone, V> {
    reads: &'a GroupedReads<K, V>,
    key: K,
    turn: Arc<tokio::sync::Mutex<()>>,
    report: watch::Sender<Option<Arc<V>>>,
}

impl<K: Eq + Hash + Clone, V> Lead<'_, K, V> {
    /// Who asks in this moment still gets along. (Handing a read to the database's thread wakes that at once, and where
    /// processors are few it goes first: without a pause, everybody would read alone.)
    async fn takes_turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        let turn = self.turn.lock().await;
        tokio::task::yield_now().await;
        turn
    }

    /// Who comes from now on waits for the next read.
    fn closes(&self) {
        if let Some(line) = self.reads.locked().get_mut(&self.key) {
            line.next = None;
        }
    }
}

impl<K: Eq + Hash + Clone, V> Drop for Lead<'_, K, V> {
    fn drop(&mut self) {
        let mut lines = self.reads.locked();
        if let Entry::Occupied(line) = lines.entry(self.key.clone()) {
            // The map's and this one: nobody else leads here.
            if Arc::strong_count(&line.get().turn) == 2 {
                line.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures_util::future::{join_all, poll_immediate};
    use tokio::sync::Semaphore;

    use super::*;

    /// A source whose reads end when they are let, and which counts them.
    struct Source {
        begun: AtomicU32,
        ends: Semaphore,
        fails: bool,
    }

    impl Source {
        fn new() -> Self {
            Self { begun: AtomicU32::new(0), ends: Semaphore::new(0), fails: false }
        }

        /// Its answer is its number.
        async fn read(&self) -> Result<u32, u32> {
            let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
            self.ends.acquire().await.unwrap().forget();
            if self.fails { Err(number) } else { Ok(number) }
        }

        fn begun(&self) -> u32 {
            self.begun.load(Ordering::SeqCst)
        }
    }

    /// Lets a read begin that nobody else's holds up.
    async fn begins<T>(read: &mut (impl Future<Output = T> + Unpin)) {
        assert!(poll_immediate(&mut *read).await.is_none(), "first runs what is ready to run");
        assert!(poll_immediate(read).await.is_none());
    }

    #[tokio::test]
    async fn who_asks_in_the_same_moment_shares_the_first_read() {
        let (source, reads) = (Source::new(), GroupedReads::default());
        source.ends.add_permits(50);
        let asked = (0..50).map(|_| reads.read(&"worker", || source.read()));
        let answers: Vec<u32> = join_all(asked).await.into_iter().map(|found| *found.unwrap()).collect();
        assert_eq!((answers, source.begun()), (vec![1; 50], 1));
    }

    #[tokio::test]
    async fn who_asks_during_a_read_shares_the_next_and_never_has_the_one_under_way() {
        let (source, reads) = (Source::new(), GroupedReads::default());
        let ask = || Box::pin(reads.read(&"worker", || source.read()));
        let mut first = ask();
        begins(&mut first).await;
        let mut later: Vec<_> = (0..50).map(|_| ask()).collect();
        for one in &mut later {
            assert!(poll_immediate(one).await.is_none());
        }
        assert_eq!(source.begun(), 1, "the next begins when the first has ended");
        source.ends.add_permits(2);
        assert_eq!(*first.await.unwrap(), 1);
        let answers: Vec<u32> = join_all(later).await.into_iter().map(|found| *found.unwrap()).collect();
        assert_eq!(answers, [2; 50]);
        assert_eq!(source.begun(), 2);
        assert!(reads.locked().is_empty(), "nothing is left behind");
    }

    #[tokio::test]
    async fn other_keys_wait_for_nobody() {
        let (source, reads) = (Source::new(), GroupedReads::default());
        let mut one = Box::pin(reads.read(&"a", || source.read()));
        begins(&mut one).await;
        source.ends.add_permits(1);
        let other = reads.read(&"b", || async { Ok::<_, u32>(7) }).await;
        assert_eq!(*other.unwrap(), 7);
        assert_eq!(*one.await.unwrap(), 1);
    }

    #[tokio::test]
    async fn followers_of_a_leader_that_goes_away_read_alone() {
        let (source, reads) = (Source::new(), GroupedReads::default());
        let ask = || Box::pin(reads.read(&"worker", || source.read()));
        let mut first = ask();
        begins(&mut first).await;
        let (mut leader, mut follower) = (ask(), ask());
        assert!(poll_immediate(&mut leader).await.is_none());
        assert!(poll_immediate(&mut follower).await.is_none());
        drop(leader);
        source.ends.add_permits(2);
        assert_eq!(*follower.await.unwrap() + *first.await.unwrap(), 3);
        assert!(reads.locked().is_empty());
        source.ends.add_permits(1);
        assert_eq!(*ask().await.unwrap(), 3);
    }

    #[tokio::test]
    async fn a_read_that_hangs_is_nobody_elses_trouble() {
        let (source, reads) = (Source::new(), GroupedReads::default());
        let hangs = || std::future::pending::<Result<u32, u32>>();
        let mut hanging = Box::pin(reads.read(&"worker", hangs));
        begins(&mut hanging).await;
        source.ends.add_permits(2);
        let ask = || reads.read(&"worker", || source.read());
        let (leader, follower) = futures_util::join!(ask(), ask());
        assert_eq!(*leader.unwrap() + *follower.unwrap(), 3, "each its own");
        drop(hanging);
        assert!(reads.locked().is_empty());
    }

    #[tokio::test]
    async fn a_failed_read_fails_for_its_leader_only() {
        let (mut source, reads) = (Source::new(), GroupedReads::default());
        source.fails = true;
        let ask = || Box::pin(reads.read(&"worker", || source.read()));
        let mut first = ask();
        begins(&mut first).await;
        let (mut leader, mut follower) = (ask(), ask());
        assert!(poll_immediate(&mut leader).await.is_none());
        assert!(poll_immediate(&mut follower).await.is_none());
        source.ends.add_permits(3);
        assert_eq!(first.await.unwrap_err(), 1);
        assert_eq!(leader.await.unwrap_err(), 2);
        assert_eq!(follower.await.unwrap_err(), 3, "its own");
        assert!(reads.locked().is_empty());
        let found: Result<_, Infallible> = reads.read(&"worker", || async { Ok(9) }).await;
        assert_eq!(*found.unwrap(), 9);
    }
}
