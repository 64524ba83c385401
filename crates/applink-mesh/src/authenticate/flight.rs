//! Single flight: while one question is on its way, the same question waits for the same answer.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

type Flights<K, V> = HashMap<K, Arc<OnceCell<V>>>;

/// Questions that are on their way.
#[derive(Debug)]
pub(crate) struct SingleFlight<K, V> {
    flights: Mutex<Flights<K, V>>,
}

impl<K: Eq + Hash + Copy, V: Clone> SingleFlight<K, V> {
    pub(crate) fn new() -> Self {
        Self { flights: Mutex::default() }
    }

    /// Asks, or joins whoever is asking. When the one who asks goes away, the next in line asks again.
    pub(crate) async fn ask<F: Future<Output = V>>(&self, key: K, question: impl FnOnce() -> F) -> V {
        let seat = self.join(key);
        seat.cell.get_or_init(question).await.clone()
    }

    fn join(&self, key: K) -> Seat<'_, K, V> {
        let cell = Arc::clone(self.lock().entry(key).or_default());
        Seat { flight: self, key, cell }
    }

    fn lock(&self) -> MutexGuard<'_, Flights<K, V>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who waits. The flight ends when it is answered or nobody waits any more.
struct Seat<'f, K: Eq + Hash + Copy, V: Clone> {
    flight: &'f SingleFlight<K, V>,
    key: K,
    cell: Arc<OnceCell<V>>,
}

impl<K: Eq + Hash + Copy, V: Clone> Drop for Seat<'_, K, V> {
    fn drop(&mut self) {
        let mut flights = self.flight.lock();
        // Two hold the cell when this is the last seat: the map and this seat.
        let over = self.cell.initialized() || Arc::strong_count(&self.cell) == 2;
        let current = flights.get(&self.key).is_some_and(|cell| Arc::ptr_eq(cell, &self.cell));
        if over && current {
            flights.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Notify;

    #[tokio::test]
    async fn many_ask_once_and_nothing_is_kept() {
        let flight = Arc::new(SingleFlight::<u8, usize>::new());
        let asked = Arc::new(AtomicUsize::new(0));
        let answer = Arc::new(Notify::new());
        let waiting: Vec<_> = (0..10)
            .map(|_| {
                let (flight, asked, answer) = (Arc::clone(&flight), Arc::clone(&asked), Arc::clone(&answer));
                tokio::spawn(async move {
                    let question = || async {
                        asked.fetch_add(1, Ordering::SeqCst);
                        answer.notified().await;
                        7
                    };
                    flight.ask(1, question).await
                })
            })
            .collect();
        while asked.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        tokio::task::yield_now().await;
        answer.notify_one();
        for task in waiting {
            assert_eq!(task.await.unwrap(), 7);
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        assert!(flight.lock().is_empty());
    }

    #[tokio::test]
    async fn an_abandoned_question_leaves_nothing_behind() {
        let flight = SingleFlight::<u8, ()>::new();
        {
            let mut asking = Box::pin(flight.ask(1, std::future::pending));
            assert!(futures_now(asking.as_mut()).await.is_none());
        }
        assert!(flight.lock().is_empty());
        flight.ask(1, || async {}).await;
    }

    async fn futures_now<F: Future + Unpin>(future: F) -> Option<F::Output> {
        tokio::select! { biased; output = future => Some(output), () = std::future::ready(()) => None }
    }
}
