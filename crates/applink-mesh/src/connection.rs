//! One client connection: its time limits, and a side door for interim responses.
//!
//! hyper serves requests on top of [`GuardedStream`], which
//!
//! * closes a connection whose request headers take too long ([`Limits::header`](crate::config::Limits)) or that
//!   has been without a request too long (`idle`);
//! * lets a request in progress send an interim response (103 Early Hints, RFC 8297) ahead of its final one, which
//!   hyper's server has no way to do. It is written only while hyper has nothing of its own unwritten;
//! * can be taken back from hyper between two requests ([`ConnectionState::wants_rest`]), so that a connection on which
//!   nothing happens costs a socket and not hyper's buffers.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use self::patience::{Expired, Patience};
use crate::config::Limits;

mod patience;

/// How a connection of HTTP/2 begins (RFC 9113 §3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Client connections, counted.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    open: AtomicUsize,
    total: AtomicUsize,
}

/// One of them, while it is open.
#[derive(Debug)]
pub(crate) struct Open<'c>(&'c Connections);

impl Connections {
    pub(crate) fn open(&self) -> Open<'_> {
        self.open.fetch_add(1, Ordering::Relaxed);
        self.total.fetch_add(1, Ordering::Relaxed);
        Open(self)
    }

    /// Those that are open, and all that ever were.
    pub(crate) fn numbers(&self) -> (u64, u64) {
        let read = |number: &AtomicUsize| u64::try_from(number.load(Ordering::Relaxed)).unwrap_or(u64::MAX);
        (read(&self.open), read(&self.total))
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
}

/// What stream and requests of one connection share.
#[derive(Debug)]
pub(crate) struct ConnectionState {
    pub(crate) peer: Peer,
    in_flight: AtomicUsize,
    started: AtomicUsize,
    /// Request bodies that were not read to their end. One that is given up early stays counted.
    unread_bodies: AtomicUsize,
    /// Nothing happens: the stream would like to rest.
    wants_rest: AtomicBool,
    /// hyper is asked to end here so that the stream can be taken back: its end is not the connection's.
    resting: AtomicBool,
    interim: Mutex<Interim>,
}

/// Bytes of interim responses that wait for a client.
const MOST_INTERIM: usize = 64 * 1024;

#[derive(Debug)]
struct Interim {
    queue: BytesMut,
    /// Everything hyper wrote so far has been flushed, so a response in progress has not begun.
    flushed: bool,
}

/// Held as long as a request, its response body or its tunnel is in progress.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<ConnectionState>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl ConnectionState {
    pub(crate) fn new(peer: Peer) -> Arc<Self> {
        let interim = Interim { queue: BytesMut::new(), flushed: true };
        Arc::new(Self {
            peer,
            in_flight: AtomicUsize::new(0),
            started: AtomicUsize::new(0),
            unread_bodies: AtomicUsize::new(0),
            wants_rest: AtomicBool::new(false),
            resting: AtomicBool::new(false),
            interim: Mutex::new(interim),
        })
    }

    /// A body begins to be read.
    pub(crate) fn body_begins(&self) {
        self.unread_bodies.fetch_add(1, Ordering::Relaxed);
    }

    /// A body was read to its end: what follows on the wire is the next request.
    pub(crate) fn body_ends(&self) {
        self.unread_bodies.fetch_sub(1, Ordering::Relaxed);
    }

    /// Has nothing happened for a while, and is the connection between two requests? Answers yes once.
    pub(crate) fn wants_rest(&self) -> bool {
        // Asked again, because more may have come since the stream wished for it.
        self.wants_rest.swap(false, Ordering::Relaxed) && self.is_between_requests()
    }

    /// From here on, hyper's end of the connection leaves the stream open; or no longer.
    pub(crate) fn set_resting(&self, resting: bool) {
        self.resting.store(resting, Ordering::Relaxed);
    }

    /// Every request is answered, every answer is with the system, every body was read: the next byte is the first of
    /// a request, or belongs to one that came in part. Anything less, and what is left of a body would be taken for a
    /// request.
    fn is_between_requests(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) == 0
            && self.unread_bodies.load(Ordering::Relaxed) == 0
            && self.lock().flushed
    }

    /// A request begins.
    pub(crate) fn begin(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.started.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }

    /// Sends an encoded interim response. Must be called while the request's own future is polled: hyper flushes
    /// right after that. Dropped when an earlier response is not flushed yet, or when the client reads none of them (they are
    /// optional).
    pub(crate) fn send_interim(&self, encoded: &[u8]) {
        let mut interim = self.lock();
        if interim.flushed && interim.queue.len() < MOST_INTERIM {
            interim.queue.extend_from_slice(encoded);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Interim> {
        self.interim.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The client's TCP stream.
#[derive(Debug)]
pub(crate) struct GuardedStream {
    tcp: TcpStream,
    state: Arc<ConnectionState>,
    patience: Patience,
    /// What was read ahead of hyper.
    ahead: Bytes,
}

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/1.
    Http1,
    /// HTTP/2 by prior knowledge.
    Http2,
}

impl GuardedStream {
    pub(crate) fn new(tcp: TcpStream, state: Arc<ConnectionState>, limits: &Limits) -> Self {
        Self { tcp, state, patience: Patience::new(limits), ahead: Bytes::new() }
    }

    /// Waits until the client speaks, without a buffer to read into. `None` when it ends the connection instead.
    ///
    /// # Errors
    /// The system's, and `TimedOut` when it is silent too long.
    pub(crate) async fn speaks(&mut self) -> io::Result<Option<Protocol>> {
        let (mut first, mut filled) = ([0; PREFACE.len()], 0);
        let rest = std::mem::take(&mut self.ahead);
        // What hyper left over is part of a request; more of it has to come.
        let whole = if rest.is_empty() { PREFACE.len() } else { 1 };
        let protocol = loop {
            let unread = first.get_mut(filled..whole).unwrap_or_default();
            let read = std::future::poll_fn(|cx| self.poll_some(cx, &mut *unread)).await?;
            filled += read;
            let heard = first.get(..filled).unwrap_or_default();
            match (read, rest.is_empty() && PREFACE.starts_with(heard)) {
                (0, _) if heard.is_empty() => return Ok(None),
                (_, true) if filled == PREFACE.len() => break Protocol::Http2,
                (1.., true) => {}
                _ => break Protocol::Http1,
            }
        };
        let mut ahead = BytesMut::from(rest);
        ahead.extend_from_slice(first.get(..filled).unwrap_or_default());
        self.ahead = ahead.freeze();
        self.patience.speaks(protocol);
        Ok(Some(protocol))
    }

    fn poll_some(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(into);
        ready!(self.poll_tcp(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// Back from hyper, which has read `left` of the next request.
    pub(crate) fn rested(mut self, left: Bytes) -> Self {
        self.state.set_resting(false);
        self.patience.rested(&left);
        // A copy, because even when nothing is left it would hold all of hyper's buffer.
        self.ahead = Bytes::copy_from_slice(&left);
        self
    }

    fn poll_tcp(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if Pin::new(&mut self.tcp).poll_read(cx, buffer)?.is_ready() {
            let read = buffer.filled().get(before..).unwrap_or_default();
            self.patience.saw(read);
            return Poll::Ready(Ok(()));
        }
        match ready!(self.patience.poll_expired(cx, &self.state)) {
            Expired::Silence => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Expired::Pause => {
                self.state.wants_rest.store(true, Ordering::Relaxed);
                // Whoever polls hyper looks at that at once; nobody has to be woken.
                Poll::Pending
            }
        }
    }

    fn poll_interim(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut interim = self.state.lock();
        while !interim.queue.is_empty() {
            let written = ready!(Pin::new(&mut self.tcp).poll_write(cx, &interim.queue))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            interim.queue.advance(written);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for GuardedStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.ahead.is_empty() {
            return this.poll_tcp(cx, buffer);
        }
        let first = this.ahead.split_to(this.ahead.len().min(buffer.remaining()));
        buffer.put_slice(&first);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for GuardedStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_interim(cx))?;
        this.state.lock().flushed = false;
        Pin::new(&mut this.tcp).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    /// hyper calls this only when all its buffered bytes are written.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_interim(cx))?;
        ready!(Pin::new(&mut this.tcp).poll_flush(cx))?;
        this.state.lock().flushed = true;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.state.resting.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.get_mut().tcp).poll_shutdown(cx)
    }
}
