//! Bodies flow as they come, both ways, and what breaks is seen to break.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use applink_mesh::bypass::BypassRoute;
use applink_mesh::config::MeshConfig;
use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};

use crate::integration::app::{App, AppBody, text};
use crate::integration::raw::{Wire, find};
use crate::integration::stack::{Call, Stack};

fn open(config: &mut MeshConfig) {
    config.bypass.routes = vec![BypassRoute::parse("/*").unwrap()];
}

/// A body that is fed from outside.
fn fed() -> (mpsc::Sender<Bytes>, AppBody) {
    let (sender, mut receiver) = mpsc::channel::<Bytes>(1);
    let stream = futures_stream(move |cx| receiver.poll_recv(cx));
    (sender, StreamBody::new(stream).boxed_unsync())
}

type Piece = Result<Frame<Bytes>, Box<dyn std::error::Error + Send + Sync>>;

fn futures_stream(
    mut poll: impl FnMut(&mut std::task::Context<'_>) -> std::task::Poll<Option<Bytes>> + Send + 'static,
) -> impl futures_util::Stream<Item = Piece> + Send {
    futures_util::stream::poll_fn(move |cx| poll(cx).map(|piece| piece.map(|bytes| Ok(Frame::data(bytes)))))
}

#[tokio::test]
async fn each_event_arrives_before_the_next_is_sent() {
    let (events, body) = fed();
    let body = Arc::new(std::sync::Mutex::new(Some(body)));
    let app = App::answering(move |_| {
        let body = body.lock().unwrap().take().unwrap();
        async move { Response::builder().header("content-type", "text/event-stream").body(body).unwrap() }
    })
    .await;
    let stack = Stack::before(app, open).await;
    let mut wire = Wire::open(stack.address()).await;
    wire.write("GET /events HTTP/1.1\r\nHost: app.example\r\n\r\n").await;
    for number in 0..4 {
        let event = format!("data: {number}\n\n");
        events.send(event.clone().into()).await.unwrap();
        // The next event is not even made before this one is here: nothing waits for the end.
        wire.read_until(&event).await;
    }
    drop(events);
    wire.read_until("0\r\n\r\n").await;
}

#[tokio::test]
async fn a_request_body_reaches_the_app_while_it_is_being_sent() {
    let first = Arc::new(Notify::new());
    let told = Arc::clone(&first);
    let app = App::answering(move |request| {
        let told = Arc::clone(&told);
        async move {
            let mut body = request.into_body();
            let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
            told.notify_one();
            let rest = body.collect().await.unwrap().to_bytes();
            text(&format!("{}+{}", String::from_utf8_lossy(&piece), String::from_utf8_lossy(&rest)))
        }
    })
    .await;
    let stack = Stack::before(app, open).await;
    let mut wire = Wire::open(stack.address()).await;
    wire.write("POST /up HTTP/1.1\r\nHost: app.example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        .await;
    first.notified().await;
    wire.write("4\r\nrest\r\n0\r\n\r\n").await;
    wire.read_until("first+rest").await;
}

/// An app that reads `total` bytes and counts them, piece by piece as `taken` allows.
async fn counting_app(taken: Arc<AtomicUsize>, go: Arc<Notify>) -> App {
    App::answering(move |request| {
        let (taken, go) = (Arc::clone(&taken), Arc::clone(&go));
        async move {
            go.notified().await;
            let mut body = request.into_body();
            while let Some(Ok(frame)) = body.frame().await {
                taken.fetch_add(frame.into_data().map_or(0, |data| data.len()), Ordering::SeqCst);
            }
            text(&taken.load(Ordering::SeqCst).to_string())
        }
    })
    .await
}

const BIG: usize = 64 * 1024 * 1024;

#[tokio::test]
async fn sixty_four_megabytes_up_are_never_held() {
    let (taken, go) = (Arc::<AtomicUsize>::default(), Arc::<Notify>::default());
    let stack = Stack::before(counting_app(Arc::clone(&taken), Arc::clone(&go)).await, open).await;
    let stream = TcpStream::connect(stack.address()).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let sent = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&sent);
    let sending = tokio::spawn(async move {
        let head =
            format!("POST /up HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {BIG}\r\n\r\n");
        writer.write_all(head.as_bytes()).await.unwrap();
        let piece = vec![7u8; 64 * 1024];
        for _ in 0..BIG / piece.len() {
            writer.write_all(&piece).await.unwrap();
            counted.fetch_add(piece.len(), Ordering::SeqCst);
        }
        writer
    });
    // The app reads nothing yet, so the sender must get stuck: what it could send sits in socket buffers and a few
    // buffers of the mesh, never the whole body.
    let stuck = wait_until_it_stops(&sent).await;
    assert!(stuck < BIG / 2, "{stuck} bytes were taken from the sender while the app read none");
    go.notify_one();
    let mut answer = Vec::new();
    reader.read_to_end(&mut answer).await.unwrap();
    drop(sending.await.unwrap());
    assert!(find(&answer, BIG.to_string().as_bytes()).is_some());
}

/// Lets everything run until the counter has not moved for a hundred turns of one millisecond.
async fn wait_until_it_stops(counter: &AtomicUsize) -> usize {
    let (mut last, mut still) = (0, 0);
    while still < 100 {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        let now = counter.load(Ordering::SeqCst);
        still = if now == last && now > 0 { still + 1 } else { 0 };
        last = now;
    }
    last
}

#[tokio::test]
async fn sixty_four_megabytes_down_are_never_held() {
    let made = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&made);
    let app = App::answering(move |_| {
        let counted = Arc::clone(&counted);
        async move {
            let piece = Bytes::from(vec![7u8; 64 * 1024]);
            let stream = futures_stream(move |_| {
                let before = counted.fetch_add(piece.len(), Ordering::SeqCst);
                std::task::Poll::Ready((before < BIG).then(|| piece.clone()))
            });
            Response::new(StreamBody::new(stream).boxed_unsync())
        }
    })
    .await;
    let stack = Stack::before(app, open).await;
    let mut wire = Wire::open(stack.address()).await;
    wire.write("GET /down HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n\r\n").await;
    let stuck = wait_until_it_stops(&made).await;
    assert!(stuck < BIG / 2, "{stuck} bytes were taken from the app while the client read none");
    assert!(wire.read_rest().await.len() >= BIG);
}

#[tokio::test]
async fn trailers_cross_both_ways() {
    let app = App::answering(|request| async move {
        let trailers = request.into_body().collect().await.unwrap().trailers().cloned().unwrap_or_default();
        let mut back = http::HeaderMap::new();
        back.insert("x-sum", format!("got-{}", trailers["x-sum"].to_str().unwrap()).parse().unwrap());
        let frames: Vec<Piece> =
            vec![Ok(Frame::data(Bytes::from_static(b"body"))), Ok(Frame::trailers(back))];
        let body = StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync();
        Response::builder().header("trailer", "x-sum").body(body).unwrap()
    })
    .await;
    let stack = Stack::before(app, open).await;
    let mut wire = Wire::open(stack.address()).await;
    wire.write(
        "POST /t HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTrailer: x-sum\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nx-sum: 42\r\n\r\n",
    )
    .await;
    let answer = wire.read_until("0\r\nx-sum: got-42\r\n\r\n").await;
    assert!(answer.contains("4\r\nbody\r\n"));
}

/// An app that writes `bytes` as its response and closes.
async fn answer_once(listener: TcpListener, bytes: &'static str) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut head = [0; 4096];
    let _ = stream.read(&mut head).await;
    stream.write_all(bytes.as_bytes()).await.unwrap();
}

/// What a client gets of that app.
async fn through(bytes: &'static str) -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let stack = Stack::with(|config| {
        open(config);
        config.app = applink_mesh::config::AppAddress::loopback(port);
    })
    .await;
    let serving = tokio::spawn(answer_once(listener, bytes));
    let mut wire = Wire::open(stack.address()).await;
    wire.write("GET /x HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n\r\n").await;
    let all = wire.read_rest().await;
    serving.await.unwrap();
    all
}

#[tokio::test]
async fn a_truncated_chunked_response_is_not_completed() {
    let all = through("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n").await;
    let text = String::from_utf8_lossy(&all).into_owned();
    assert!(text.starts_with("HTTP/1.1 200 OK") && text.contains("hello"), "{text}");
    assert!(!text.contains("\r\n0\r\n"), "{text}");
}

#[tokio::test]
async fn a_truncated_response_with_a_length_stays_short() {
    let all = through("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello").await;
    let text = String::from_utf8_lossy(&all).into_owned();
    assert!(text.contains("content-length: 10") && text.ends_with("hello"), "{text}");
}

#[tokio::test]
async fn garbage_of_the_app_is_a_bad_gateway() {
    let all = through("not http at all\r\n\r\n").await;
    let text = String::from_utf8_lossy(&all).into_owned();
    assert!(text.starts_with("HTTP/1.1 502 ") && text.contains("Failed to forward request"), "{text}");
}

#[tokio::test]
async fn a_client_that_goes_away_takes_its_request_along() {
    let gone = Arc::<Notify>::default();
    let begun = Arc::<Notify>::default();
    let (told, started) = (Arc::clone(&gone), Arc::clone(&begun));
    struct Tell(Arc<Notify>);
    impl Drop for Tell {
        fn drop(&mut self) {
            self.0.notify_one();
        }
    }
    let app = App::answering(move |_| {
        let (tell, started) = (Tell(Arc::clone(&told)), Arc::clone(&started));
        async move {
            let _tell = tell;
            started.notify_one();
            std::future::pending().await
        }
    })
    .await;
    let stack = Stack::before(app, open).await;
    let mut wire = Wire::open(stack.address()).await;
    wire.write("GET /slow HTTP/1.1\r\nHost: app.example\r\n\r\n").await;
    begun.notified().await;
    drop(wire);
    gone.notified().await;
}

#[tokio::test]
async fn verified_calls_stream_too() {
    let stack = Stack::start().await;
    let mut wire = Wire::open(stack.address()).await;
    let lines = Call::new("r-1").lines().join("\r\n");
    wire.write(format!(
        "POST /api HTTP/1.1\r\nHost: a\r\n{lines}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"
    ))
    .await;
    wire.read_until("ok").await;
    assert_eq!(stack.app.only().body, "abcdef");
}
