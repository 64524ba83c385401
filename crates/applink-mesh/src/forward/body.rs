//! Bodies on their way through. Nothing is kept: a piece is read only when the other side takes one.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep};

use crate::connection::{ConnectionState, InFlight};
use crate::readiness::AtApp;
use crate::respond::BoxError;
use crate::sanitize;

/// The caller went silent in the middle of its body.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the caller sent nothing more of its body for {0:?}")]
pub(crate) struct BodyStalled(Duration);

/// When the last piece of a request's body went through.
#[derive(Clone, Debug)]
pub(crate) struct Activity {
    begin: Instant,
    last_millis: Arc<AtomicU64>,
}

impl Activity {
    fn new() -> Self {
        Self { begin: Instant::now(), last_millis: Arc::default() }
    }

    fn touch(&self) {
        let millis = u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_millis.store(millis, Ordering::Relaxed);
    }

    pub(crate) fn last(&self) -> Instant {
        self.begin + Duration::from_millis(self.last_millis.load(Ordering::Relaxed))
    }
}

/// A request's body: fails when the caller stalls longer than it may, and ends without a trailer the app could take
/// for one of the mesh's headers.
#[derive(Debug)]
pub(crate) struct RequestBody {
    incoming: Incoming,
    limit: Duration,
    stall: Option<Pin<Box<Sleep>>>,
    activity: Activity,
    /// As long as it is not read to its end.
    unread: Option<Arc<ConnectionState>>,
}

impl RequestBody {
    pub(crate) fn new(incoming: Incoming, limit: Duration, connection: &Arc<ConnectionState>) -> Self {
        let unread = (!incoming.is_end_stream()).then(|| Arc::clone(connection));
        unread.iter().for_each(|connection| connection.body_begins());
        Self { incoming, limit, stall: None, activity: Activity::new(), unread }
    }

    pub(crate) fn activity(&self) -> Activity {
        self.activity.clone()
    }

    /// The wait counts only while somebody wants a piece and none is there.
    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let limit = self.limit;
        let stall = self.stall.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        ready!(stall.as_mut().poll(cx));
        Poll::Ready(Some(Err(BodyStalled(limit).into())))
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        match Pin::new(&mut this.incoming).poll_frame(cx) {
            Poll::Ready(frame) => {
                this.stall = None;
                this.activity.touch();
                if frame.is_none() || this.incoming.is_end_stream() {
                    this.unread.take().iter().for_each(|connection| connection.body_ends());
                }
                Poll::Ready(frame.map(|frame| frame.map(sanitized).map_err(BoxError::from)))
            }
            Poll::Pending => this.poll_stalled(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// The phase *sanitize* for trailers, which come long after the head.
fn sanitized(mut frame: Frame<Bytes>) -> Frame<Bytes> {
    if let Some(trailers) = frame.trailers_mut() {
        sanitize::strip_trailers(trailers);
    }
    frame
}

/// A response's body, which keeps the connection and the app marked as busy until it is through.
#[derive(Debug)]
pub(crate) struct ResponseBody<B> {
    inner: B,
    _in_flight: InFlight,
    _at_app: AtApp,
}

impl<B> ResponseBody<B> {
    pub(crate) fn new(inner: B, in_flight: InFlight, at_app: AtApp) -> Self {
        Self { inner, _in_flight: in_flight, _at_app: at_app }
    }
}

impl<B: HttpBody<Data = Bytes> + Unpin> HttpBody for ResponseBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        Pin::new(&mut self.get_mut().inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
