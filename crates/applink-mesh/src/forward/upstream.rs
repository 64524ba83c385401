//! Connections to the app, kept between requests.
//!
//! 1. Every thread has a pool of its own: a request takes the connection that was used last, or makes one. While it is made,
//!    it waits in line for one that comes back; then the one it was making is finished for those who come later, unless
//!    there are [`SPARE`] already.
//! 2. There is no task for a connection. Whoever has it polls it in the task of its own request, so that neither the
//!    request nor its answer has to be handed from task to task; that was a fifth of what forwarding cost.
//! 3. A connection comes back when the answer is through and nothing is left on the wire, and is not kept for longer
//!    than [`IDLE`]. Nobody polls it meanwhile: that the app has closed it, the next request mostly finds out before its
//!    first byte is written, and takes another one. When the app closes it in just that moment, not a byte comes back: what
//!    may arrive twice (a GET, no POST) is then sent once more, on a new connection ([`Draft`]). Nothing else is, nor
//!    anything that failed on a connection's first request, which the app had no reason to close.
//! 4. A connection goes on in a task while the request's body is still on its way when the answer begins (a caller that
//!    reads nothing of the answer must not stop it) or is through (the app may read it at leisure), and then comes back
//!    too; and one that changed its protocol, to its end.

use std::collections::VecDeque;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use http::uri::Authority;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::coop::unconstrained;
use tokio::time::{Instant, Sleep};

use crate::forward::body::AppBody;
use crate::forward::draft::Draft;
use crate::forward::heard::{Heard, HeardStream};
use crate::readiness::AtApp;
use crate::respond::BoxError;

/// The app is on this machine, or next to it.
const CONNECT: Duration = Duration::from_secs(5);
/// Less than the keep-alive of the common servers (Node 5 s, uvicorn 5 s, gunicorn 2 s), so that a request is not
/// sent on a connection that the app is just closing.
const IDLE: Duration = Duration::from_millis(1_500);

/// Above so many connections that have nothing to do, one that is no longer needed is not finished. The app is slow to accept
/// where this happens, mostly because it has enough to do: hundreds more would keep it from it, and some are worth it.
const SPARE: usize = 8;

/// The part of a connection that moves bytes. `None` when it has ended.
type Driver = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

/// The connections of one thread that have nothing to do.
#[derive(Debug)]
pub(crate) struct Pool {
    app: Authority,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// In the order they came back.
    idle: Vec<(Instant, Box<Upstream>)>,
    /// Requests that get those that come back, first come, first served.
    waiting: VecDeque<oneshot::Sender<Box<Upstream>>>,
    /// Tasks that make connections nobody waits for any more.
    finishing: usize,
    /// A task looks after those that nobody takes.
    swept: bool,
}

/// A connection to the app. It does something only while it is polled.
pub(crate) struct Upstream {
    sender: SendRequest<AppBody>,
    driver: Option<Driver>,
    /// It was kept, so the app may have closed it since.
    used: bool,
    heard: Heard,
    /// The request that is on its way.
    draft: Draft,
    /// Set once, and moved only when it goes off too early: requests come and go faster.
    timer: Pin<Box<Sleep>>,
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream").field("used", &self.used).finish_non_exhaustive()
    }
}

/// No answer.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// The connection had ended before: the app has seen nothing of the request.
    Unsent(Box<Request<AppBody>>),
    /// A kept connection ended before a byte of the answer came, and the request may arrive twice.
    Unanswered(Box<Request<AppBody>>),
    /// It did not begin in time.
    TimedOut,
    /// The connection broke, or brought no HTTP.
    Broken(BoxError),
}

impl Pool {
    pub(crate) fn new(app: Authority) -> Arc<Self> {
        Arc::new(Self { app, kept: Mutex::default() })
    }

    /// One that is kept, or a new one; of an app that is slow to accept, whichever is there first.
    pub(crate) async fn connection(self: &Arc<Self>) -> Result<Box<Upstream>, BoxError> {
        match self.take() {
            Some(kept) => Ok(kept),
            None => Box::pin(self.connect_or_take()).await,
        }
    }

    /// A new one.
    pub(crate) async fn fresh(&self) -> Result<Box<Upstream>, BoxError> {
        connect(self.app.clone()).await
    }

    async fn connect_or_take(self: &Arc<Self>) -> Result<Box<Upstream>, BoxError> {
        let mut returned = self.wait_in_line();
        let mut making = Box::pin(connect(self.app.clone()));
        tokio::select! {
            biased;
            Ok(kept) = &mut returned => {
                self.finish(making);
                Ok(kept)
            }
            made = &mut making => made,
        }
    }

    /// Makes a connection that nobody waits for any more.
    fn finish(
        self: &Arc<Self>,
        making: impl Future<Output = Result<Box<Upstream>, BoxError>> + Send + 'static,
    ) {
        {
            let mut kept = self.lock();
            if kept.idle.len() + kept.finishing >= SPARE {
                return;
            }
            kept.finishing += 1;
        }
        let pool = Arc::clone(self);
        tokio::spawn(async move {
            let made = making.await;
            pool.lock().finishing -= 1;
            match made {
                Ok(upstream) => upstream.settle(pool, None).await,
                Err(error) => {
                    tracing::debug!(%error, "a connection to the app that nobody waited for was not made")
                }
            }
        });
    }

    fn wait_in_line(&self) -> oneshot::Receiver<Box<Upstream>> {
        let (hands_over, returned) = oneshot::channel();
        let mut kept = self.lock();
        // Who has made one meanwhile waits no more.
        kept.waiting.retain(|waiting| !waiting.is_closed());
        kept.waiting.push_back(hands_over);
        returned
    }

    fn take(&self) -> Option<Box<Upstream>> {
        let mut kept = self.lock();
        while let Some((since, upstream)) = kept.idle.pop() {
            if since.elapsed() > IDLE {
                // Those below came back earlier.
                let old = std::mem::take(&mut kept.idle);
                drop(kept);
                drop(old);
                return None;
            }
            if upstream.sender.is_ready() {
                return Some(upstream);
            }
        }
        None
    }

    /// Keeps a connection for the next request; if it has not sent all of the one `at_app` yet, when it has.
    pub(crate) fn keep(self: &Arc<Self>, mut upstream: Box<Upstream>, at_app: Option<&AtApp>) {
        upstream.poll_for_nobody();
        if upstream.driver.is_none() {
            return;
        }
        if !upstream.sender.is_ready() {
            upstream.detach(Arc::clone(self), at_app.cloned());
            return;
        }
        upstream.used = true;
        let mut kept = self.lock();
        while let Some(waiting) = kept.waiting.pop_front() {
            match waiting.send(upstream) {
                Ok(()) => return,
                Err(back) => upstream = back,
            }
        }
        if !kept.swept {
            // Without a runtime everything ends, and so does this connection.
            let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
            runtime.spawn(sweep(Arc::downgrade(self)));
            kept.swept = true;
        }
        kept.idle.push((Instant::now(), upstream));
    }

    /// Closes what was not taken for too long. True when nothing is left.
    fn close_idle(&self) -> bool {
        let mut kept = self.lock();
        let old = kept.idle.partition_point(|(since, _)| since.elapsed() > IDLE);
        let old: Vec<_> = kept.idle.drain(..old).collect();
        kept.swept = !kept.idle.is_empty();
        let empty = !kept.swept;
        if empty {
            kept.idle.shrink_to_fit();
        }
        drop(kept);
        drop(old);
        empty
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn connect(app: Authority) -> Result<Box<Upstream>, BoxError> {
    let tcp = tokio::time::timeout(CONNECT, TcpStream::connect(app.as_str())).await??;
    tcp.set_nodelay(true)?;
    let heard = Heard::default();
    let stream = HeardStream { tcp, heard: heard.clone() };
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let driver: Driver = Box::pin(connection.with_upgrades());
    let timer = Box::pin(tokio::time::sleep(CONNECT));
    Ok(Box::new(Upstream {
        sender,
        driver: Some(driver),
        used: false,
        heard,
        draft: Draft::default(),
        timer,
    }))
}

fn no_answer(mut error: TrySendError<Request<AppBody>>, used: bool) -> NoAnswer {
    match error.take_message().filter(|_| used) {
        Some(request) => NoAnswer::Unsent(Box::new(request)),
        None => NoAnswer::Broken(error.into_error().into()),
    }
}

async fn sweep(pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(IDLE).await;
        if pool.upgrade().is_none_or(|pool| pool.close_idle()) {
            return;
        }
    }
}

impl Upstream {
    /// Moves what can be moved. Ready when the connection has ended, with the error that nobody was told of.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<hyper::Error>> {
        let Some(driver) = &mut self.driver else { return Poll::Ready(None) };
        let ended = ready!(driver.as_mut().poll(cx));
        self.driver = None;
        Poll::Ready(ended.err())
    }

    /// From here on it wakes no task of a request that is over.
    fn poll_for_nobody(&mut self) {
        let polled = pin!(unconstrained(std::future::poll_fn(|cx| self.poll(cx))));
        let _ = polled.poll(&mut Context::from_waker(Waker::noop()));
    }

    /// Sends a request and waits for the head of its answer, as long as `due` says whenever it is asked.
    pub(crate) async fn send(
        &mut self,
        request: Request<AppBody>,
        due: impl Fn() -> Instant,
    ) -> Result<Response<Incoming>, NoAnswer> {
        let used = self.used;
        if used {
            self.draft.write(&request);
            self.heard.take();
        }
        // What this waits for is only ever brought by polling the connection, here and before it: it needs no waker, and
        // must not be held back by the task's budget, since nothing would wake it then.
        let mut answer = pin!(unconstrained(self.sender.try_send_request(request)));
        let answered = std::future::poll_fn(|cx| {
            let ended = self.poll(cx);
            let mut nobody = Context::from_waker(Waker::noop());
            match (answer.as_mut().poll(&mut nobody), ended) {
                (Poll::Ready(answer), _) => Poll::Ready(answer.map_err(|error| no_answer(error, used))),
                (Poll::Pending, Poll::Ready(_)) => {
                    Poll::Ready(Err(NoAnswer::Broken("the connection to the app ended".into())))
                }
                (Poll::Pending, Poll::Pending) => self.poll_late(cx, &due).map(|()| Err(NoAnswer::TimedOut)),
            }
        });
        let answered = answered.await.map_err(|failure| self.may_be_sent_again(failure));
        self.draft.forget();
        answered
    }

    /// Not when any of an answer came: the app was at it.
    fn may_be_sent_again(&self, failure: NoAnswer) -> NoAnswer {
        match failure {
            NoAnswer::Broken(error) if !self.heard.take() => match self.draft.read() {
                Some(again) => {
                    tracing::debug!(%error, "the app closed a kept connection: the request is sent again");
                    NoAnswer::Unanswered(Box::new(again))
                }
                None => NoAnswer::Broken(error),
            },
            failure => failure,
        }
    }

    fn poll_late(&mut self, cx: &mut Context<'_>, due: &impl Fn() -> Instant) -> Poll<()> {
        loop {
            let due = due();
            if self.timer.deadline() > due {
                self.timer.as_mut().reset(due);
            }
            ready!(self.timer.as_mut().poll(cx));
            if Instant::now() >= due {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(due);
        }
    }

    /// Lets it go on in a task of its own, until the next request may have it, or to its end.
    pub(crate) fn detach(self: Box<Self>, pool: Arc<Pool>, at_app: Option<AtApp>) {
        // Without a runtime everything ends, and so does this connection.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(self.settle(pool, at_app));
    }

    /// Until it is through with the request `at_app`, if it has one.
    async fn settle(mut self: Box<Self>, pool: Arc<Pool>, at_app: Option<AtApp>) {
        match std::future::poll_fn(|cx| self.poll_through(cx)).await {
            Some(error) => tracing::debug!(%error, "a connection to the app ended early"),
            None => pool.keep(self, at_app.as_ref()),
        }
    }

    /// Ready when nothing is left to send and to read, or the connection has ended. Polled twice: hyper asks for the next
    /// request before it flushes, and the flush of the last byte wakes nobody.
    fn poll_through(&mut self, cx: &mut Context<'_>) -> Poll<Option<hyper::Error>> {
        for _ in 0..2 {
            if let Poll::Ready(ended) = self.poll(cx) {
                return Poll::Ready(ended);
            }
            if self.sender.is_ready() {
                return Poll::Ready(None);
            }
        }
        Poll::Pending
    }
}
