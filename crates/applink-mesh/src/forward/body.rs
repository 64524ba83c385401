//! Bodies on their way through. Nothing is kept: a piece is read only when the other side takes one.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep};

use crate::connection::{ConnectionState, InFlight};
use crate::forward::upstream::{Pool, Upstream};
use crate::readiness::AtApp;
use crate::respond::BoxError;
use crate::sanitize;

/// The caller went silent in the middle of its body.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the caller sent nothing more of its body for {0:?}")]
pub(crate) struct BodyStalled(Duration);

/// How far a request's body is.
#[derive(Clone, Debug)]
pub(crate) struct Activity {
    begin: Instant,
    progress: Arc<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    /// When the last piece went through.
    last_millis: AtomicU64,
    ended: AtomicBool,
}

impl Activity {
    fn new() -> Self {
        Self { begin: Instant::now(), progress: Arc::default() }
    }

    fn touch(&self) {
        let millis = u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.progress.last_millis.store(millis, Ordering::Relaxed);
    }

    fn end(&self) {
        self.progress.ended.store(true, Ordering::Relaxed);
    }

    /// When the last piece went through.
    pub(crate) fn last(&self) -> Instant {
        self.begin + Duration::from_millis(self.progress.last_millis.load(Ordering::Relaxed))
    }

    /// Was it read to its end?
    pub(crate) fn is_over(&self) -> bool {
        self.progress.ended.load(Ordering::Relaxed)
    }
}

/// A request's body: fails when the caller stalls longer than it may, and ends without a trailer the app could take
/// for one of the mesh's headers.
#[derive(Debug)]
pub(crate) struct RequestBody {
    incoming: Incoming,
    limit: Duration,
    stall: Option<Pin<Box<Sleep>>>,
    /// As long as it is not read to its end.
    unread: Option<(Activity, Arc<ConnectionState>)>,
}

impl RequestBody {
    pub(crate) fn new(incoming: Incoming, limit: Duration, connection: &Arc<ConnectionState>) -> Self {
        let unread = (!incoming.is_end_stream()).then(|| (Activity::new(), Arc::clone(connection)));
        unread.iter().for_each(|(_, connection)| connection.body_begins());
        Self { incoming, limit, stall: None, unread }
    }

    /// `None` when there is nothing to come.
    pub(crate) fn activity(&self) -> Option<Activity> {
        self.unread.as_ref().map(|(activity, _)| activity.clone())
    }

    /// The wait counts only while somebody wants a piece and none is there.
    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let limit = self.limit;
        let stall = self.stall.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        ready!(stall.as_mut().poll(cx));
        Poll::Ready(Some(Err(BodyStalled(limit).into())))
    }

    fn moved(&mut self, ended: bool) {
        self.stall = None;
        if let Some((activity, _)) = &self.unread {
            activity.touch();
        }
        if ended && let Some((activity, connection)) = self.unread.take() {
            activity.end();
            connection.body_ends();
        }
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
                this.moved(is_last(frame.as_ref()) || this.incoming.is_end_stream());
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

/// Nothing comes after trailers, and nobody asks for more.
fn is_last<E>(frame: Option<&Result<Frame<Bytes>, E>>) -> bool {
    frame.is_none_or(|frame| frame.as_ref().is_ok_and(Frame::is_trailers))
}

/// The phase *sanitize* for trailers, which come long after the head.
fn sanitized(mut frame: Frame<Bytes>) -> Frame<Bytes> {
    if let Some(trailers) = frame.trailers_mut() {
        sanitize::strip_trailers(trailers);
    }
    frame
}

/// What the app gets.
#[derive(Debug)]
pub(crate) enum AppBody {
    /// The caller's body, piece by piece.
    Streamed(RequestBody),
    /// One that was read and verified before.
    Held(Full<Bytes>),
}

impl HttpBody for AppBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Self::Streamed(body) => Pin::new(body).poll_frame(cx),
            Self::Held(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Streamed(body) => body.is_end_stream(),
            Self::Held(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Streamed(body) => body.size_hint(),
            Self::Held(body) => body.size_hint(),
        }
    }
}

/// A response's body, which keeps the connection and the app marked as busy until it is through.
#[derive(Debug)]
pub(crate) struct ResponseBody {
    incoming: Incoming,
    /// Where it comes from, unless that moves on its own.
    source: Option<(Box<Upstream>, Arc<Pool>)>,
    ended: bool,
    /// The app broke off, and the caller is about to learn it.
    broken: Option<hyper::Error>,
    _in_flight: InFlight,
    at_app: AtApp,
}

impl ResponseBody {
    pub(crate) fn new(
        incoming: Incoming,
        source: Option<(Box<Upstream>, Arc<Pool>)>,
        in_flight: InFlight,
        at_app: AtApp,
    ) -> Self {
        Self { incoming, source, ended: false, broken: None, _in_flight: in_flight, at_app }
    }

    /// What has come is taken before the connection is asked for more, and again after that: what it is woken by is
    /// the wire, so the channel between them needs no waker.
    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let Some((upstream, _)) = &mut self.source else {
            return Pin::new(&mut self.incoming).poll_frame(cx);
        };
        let mut nobody = Context::from_waker(Waker::noop());
        if let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(&mut nobody) {
            return Poll::Ready(frame);
        }
        // Its end tells the body why.
        let _ = upstream.poll(cx);
        Pin::new(&mut self.incoming).poll_frame(&mut nobody)
    }
}

impl HttpBody for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        if let Some(error) = this.broken.take() {
            return Poll::Ready(Some(Err(error.into())));
        }
        match ready!(this.poll_incoming(cx)) {
            Some(Ok(frame)) => {
                this.ended |= frame.is_trailers();
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => {
                // What came before it is sent first: with an error hyper throws away what it has not sent yet.
                this.broken = Some(error);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            None => {
                this.ended = true;
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for ResponseBody {
    /// Nothing is left on the wire: the next request may have the connection. Otherwise it ends here, and the app learns
    /// that nobody reads it any more.
    fn drop(&mut self) {
        if (self.ended || self.incoming.is_end_stream())
            && let Some((upstream, pool)) = self.source.take()
        {
            pool.keep(upstream, Some(&self.at_app));
        }
    }
}
