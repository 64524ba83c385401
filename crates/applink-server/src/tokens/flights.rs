//! Step 3: in one process, one renewal per grant at a time; everyone else waits for its end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tracing::Instrument as _;
use uuid::Uuid;

use super::{TokenError, renew, store};
use crate::app::App;

type Outcome = Option<Result<(), Arc<TokenError>>>;
type UnderWay = HashMap<Uuid, watch::Receiver<Outcome>>;

/// The renewals under way in this process.
#[derive(Debug, Default)]
pub struct Flights {
    under_way: Mutex<UnderWay>,
}

/// One renewal, to be waited for or not.
#[derive(Clone, Debug)]
pub struct Flight(watch::Receiver<Outcome>);

impl Flight {
    /// Waits for the end of the renewal.
    ///
    /// # Errors
    /// [`TokenError::Renewal`].
    pub async fn wait(mut self) -> Result<(), TokenError> {
        match self.0.wait_for(Option::is_some).await {
            Ok(outcome) => match outcome.as_ref() {
                Some(Err(error)) => Err(TokenError::Renewal(Arc::clone(error))),
                Some(Ok(())) | None => Ok(()),
            },
            // The task ended without a word (the process is stopping): the row tells.
            Err(_) => Ok(()),
        }
    }
}

impl Flights {
    /// Joins the renewal of this grant, or starts one as a task of its own, so that it is finished even when every
    /// caller goes away.
    pub fn start(&self, app: &App, grant: &store::Model, rejected: Option<i64>) -> Flight {
        let mut under_way = self.locked();
        if let Some(flight) = living(&under_way, grant.id.0) {
            return flight;
        }
        let (report, flight) = watch::channel(None);
        under_way.insert(grant.id.0, flight.clone());
        let (app, grant) = (app.clone(), grant.clone());
        let tasks = app.tasks.clone();
        let renewal = async move {
            let outcome = renew::renew(&app, &grant, rejected).await.map_err(Arc::new);
            app.flights.landed(grant.id.0);
            // Nobody may be waiting.
            let _ = report.send(Some(outcome));
        };
        tasks.spawn(renewal.in_current_span());
        Flight(flight)
    }

    /// The renewal of this grant that is under way in this process.
    pub(super) fn under_way(&self, grant: Uuid) -> Option<Flight> {
        living(&self.locked(), grant)
    }

    fn landed(&self, grant: Uuid) {
        self.locked().remove(&grant);
    }

    fn locked(&self) -> MutexGuard<'_, UnderWay> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One whose task is gone without a word (it panicked) is not under way any more.
fn living(under_way: &UnderWay, grant: Uuid) -> Option<Flight> {
    under_way.get(&grant).filter(|flight| flight.has_changed().is_ok()).cloned().map(Flight)
}
