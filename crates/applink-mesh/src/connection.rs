//! One client connection: its time limits, and a side door for interim responses.
//!
//! hyper serves requests on top of [`GuardedStream`], which
//!
//! * closes a connection whose request headers take too long ([`Limits::header`](crate::config::Limits)) or that
//!   has been without a request too long (`idle`);
//! * lets a request in progress send an interim response (103 Early Hints, RFC 8297) ahead of its final one, which
//!   hyper's server has no way to do. It is written only while hyper has nothing of its own unwritten.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use crate::config::Limits;

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
    interim: Mutex<Interim>,
}

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
            interim: Mutex::new(interim),
        })
    }

    /// A request begins.
    pub(crate) fn begin(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.started.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }

    /// Sends an encoded interim response. Must be called while the request's own future is polled: hyper flushes
    /// right after that. Dropped when an earlier response is not flushed yet (they are optional).
    pub(crate) fn send_interim(&self, encoded: &[u8]) {
        let mut interim = self.lock();
        if interim.flushed {
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
}

impl GuardedStream {
    pub(crate) fn new(tcp: TcpStream, state: Arc<ConnectionState>, limits: &Limits) -> Self {
        Self { tcp, state, patience: Patience::new(limits) }
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
        let before = buffer.filled().len();
        if Pin::new(&mut this.tcp).poll_read(cx, buffer)?.is_pending() {
            return this.patience.poll_expired(cx, &this.state);
        }
        let read = buffer.filled().get(before..).unwrap_or_default();
        this.patience.saw(read);
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
        Pin::new(&mut self.get_mut().tcp).poll_shutdown(cx)
    }
}

/// How long the connection may stay silent, depending on what it is doing.
#[derive(Debug)]
struct Patience {
    header: Duration,
    idle: Duration,
    phase: Phase,
    http2: Option<bool>,
    started_seen: usize,
    /// When the current phase has lasted too long.
    deadline: Option<Instant>,
    /// Set once and moved only when it goes off too early: phases change with every request.
    timer: Option<Pin<Box<Sleep>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Part of a request's head is awaited.
    Head,
    /// Nothing is awaited.
    Idle,
    /// A request is in progress; other limits apply.
    Busy,
}

impl Patience {
    fn new(limits: &Limits) -> Self {
        Self {
            header: limits.header,
            idle: limits.idle,
            phase: Phase::Head,
            http2: None,
            started_seen: 0,
            deadline: None,
            timer: None,
        }
    }

    /// Bytes came while no request was in progress: the head of the next one, or a frame of HTTP/2.
    fn saw(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let http2 = *self.http2.get_or_insert_with(|| bytes.starts_with(b"PRI"));
        match (http2, self.phase) {
            (true, _) => self.enter(Phase::Idle),
            (false, Phase::Idle) => self.enter(Phase::Head),
            (false, Phase::Head | Phase::Busy) => {}
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.deadline = None;
    }

    /// Pending until the limit of the current phase has passed.
    fn poll_expired(&mut self, cx: &mut Context<'_>, state: &ConnectionState) -> Poll<io::Result<()>> {
        let started = state.started.load(Ordering::Relaxed);
        if state.in_flight.load(Ordering::Relaxed) > 0 {
            self.started_seen = started;
            self.enter(Phase::Busy);
            return Poll::Pending;
        }
        if self.phase == Phase::Busy || self.started_seen != started {
            self.started_seen = started;
            self.enter(Phase::Idle);
        }
        let limit = if self.phase == Phase::Head { self.header } else { self.idle };
        let deadline = *self.deadline.get_or_insert_with(|| Instant::now() + limit);
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() == deadline {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            timer.as_mut().reset(deadline);
        }
    }
}
