//! Where a renewal can be held or killed by a test. Elsewhere nothing is set, and each point is one comparison.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use uuid::Uuid;

/// A moment between two steps of a renewal, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Point {
    /// Nothing has been done yet.
    Wanting,
    /// The lease was claimed and the intent written, not yet committed.
    Claiming,
    /// Lease and intent are committed.
    Claimed,
    /// Everything is opened; the request goes out next.
    Sending,
    /// The outcome is here and nothing of it recorded.
    Answered,
    /// The new tokens are written, not yet committed.
    Committing,
    /// They are committed, and nobody has them yet.
    Committed,
}

/// Every point.
pub const ALL: [Point; 7] = [
    Point::Wanting,
    Point::Claiming,
    Point::Claimed,
    Point::Sending,
    Point::Answered,
    Point::Committing,
    Point::Committed,
];

type Hook = dyn Fn(Point, Uuid) -> BoxFuture<'static, ()> + Send + Sync;

/// What happens at the points. Nothing, unless a test says otherwise.
#[derive(Clone, Default)]
pub struct Points(Option<Arc<Hook>>);

impl Points {
    /// Runs `hook` at each point, with the grant's id; the renewal waits for it.
    pub fn hook(hook: impl Fn(Point, Uuid) -> BoxFuture<'static, ()> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(hook)))
    }

    pub(super) async fn reached(&self, point: Point, grant: Uuid) {
        if let Some(hook) = &self.0 {
            hook(point, grant).await;
        }
    }
}

impl fmt::Debug for Points {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Points(hooked)" } else { "Points" })
    }
}
