//! Connections to the app, byte by byte: kept between requests, and never trusted to be still there.

use std::time::Duration;

use applink_mesh::bypass::BypassRoute;
use applink_mesh::config::AppAddress;
use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::integration::raw::{Wire, send};
use crate::integration::stack::Stack;

/// More than sockets and HTTP's buffers hold together.
const BIG: usize = 24 * 1024 * 1024;

async fn before(listener: &TcpListener) -> Stack {
    let port = listener.local_addr().unwrap().port();
    Stack::with(|config| {
        config.bypass.routes = vec![BypassRoute::parse("/*").unwrap()];
        config.app = AppAddress::loopback(port);
    })
    .await
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

async fn answer(stream: &mut TcpStream) {
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
}

#[tokio::test]
async fn a_request_goes_out_on_another_connection_when_the_app_closed_the_kept_one() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stack = before(&listener).await;
    let app = tokio::spawn(async move {
        let mut heads = Vec::new();
        for _ in 0..3 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let head = read_head(&mut stream).await;
            let length = if head.starts_with("POST") { 4 } else { 0 };
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await.unwrap();
            heads.push((head, body));
            answer(&mut stream).await;
            // Nothing in the answer says that this is the end.
        }
        heads
    });
    for (start, body) in [("GET /1", ""), ("POST /2", "two!"), ("POST /3", "3333")] {
        let raw = send(stack.address(), start, &[], body.as_bytes()).await;
        assert_eq!((raw.status, raw.text().as_str()), (200, "ok"), "{start}");
    }
    let heads = app.await.unwrap();
    let starts: Vec<&str> = heads.iter().map(|(head, _)| &head[..7]).collect();
    assert_eq!(starts, ["GET /1 ", "POST /2", "POST /3"], "each once");
    assert_eq!(heads[1].1, b"two!");
}

#[tokio::test]
async fn one_connection_carries_one_request_after_another() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stack = before(&listener).await;
    let app = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        for number in 0..5 {
            let head = read_head(&mut stream).await;
            assert!(head.starts_with(&format!("GET /{number} HTTP/1.1\r\n")), "{head}");
            answer(&mut stream).await;
        }
    });
    for number in 0..5 {
        // Each from a client of its own.
        assert_eq!(send(stack.address(), &format!("GET /{number}"), &[], b"").await.status, 200);
    }
    app.await.unwrap();
}

/// The app answers while it still reads, and far more than fits anywhere; the caller reads nothing until it has sent
/// everything. Neither may wait for the other.
#[tokio::test]
async fn a_caller_that_sends_everything_before_it_reads_is_not_stuck() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stack = before(&listener).await;
    let app = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_head(&mut stream).await;
        let (mut reader, mut writer) = stream.split();
        let reading = async {
            let mut body = vec![0; BIG];
            reader.read_exact(&mut body).await.unwrap();
        };
        let writing = async {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {BIG}\r\n\r\n");
            writer.write_all(head.as_bytes()).await.unwrap();
            writer.write_all(&vec![b'a'; BIG]).await.unwrap();
        };
        tokio::join!(reading, writing);
    });
    let mut wire = Wire::open(stack.address()).await;
    wire.write(&format!(
        "POST /both HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {BIG}\r\n\r\n"
    ))
    .await;
    let piece = "b".repeat(1024 * 1024);
    for _ in 0..BIG / piece.len() {
        wire.write(&piece).await;
    }
    assert!(wire.read_rest().await.len() > BIG);
    app.await.unwrap();
}

/// Far longer than anything here takes that does not hang.
const PATIENCE: Duration = Duration::from_secs(20);
/// What is still not written then waits for the app to read.
const FULL: Duration = Duration::from_secs(1);

/// The app answers as soon as the caller has sent what goes in, and reads it when the caller has the answer. How much of it
/// came, and how much after it: nothing, when the connection was closed.
async fn answer_then_read(
    listener: TcpListener,
    length: usize,
    sent: oneshot::Receiver<()>,
    answered: oneshot::Receiver<()>,
) -> (usize, usize) {
    let (mut stream, _) = listener.accept().await.unwrap();
    read_head(&mut stream).await;
    let _ = timeout(FULL, sent).await;
    // The mesh runs in this runtime too: it reads all that it has room for.
    for _ in 0..10_000 {
        tokio::task::yield_now().await;
    }
    answer(&mut stream).await;
    answered.await.unwrap();
    let (mut came, mut piece) = (0, vec![0; 64 * 1024]);
    while came < length {
        let read = stream.read(&mut piece).await.unwrap();
        if read == 0 {
            return (came, 0);
        }
        came += read;
    }
    let after =
        timeout(PATIENCE, stream.read(&mut piece)).await.expect("nobody needs the connection any more");
    (came, after.unwrap())
}

async fn answered_before_it_is_read(length: usize) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stack = before(&listener).await;
    let ((tell_sent, sent), (tell_answered, answered)) = (oneshot::channel(), oneshot::channel());
    let app = tokio::spawn(answer_then_read(listener, length, sent, answered));
    let (mut reader, mut writer) = TcpStream::connect(stack.address()).await.unwrap().into_split();
    let sending = tokio::spawn(async move {
        let head = format!("POST /later HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
        writer.write_all(head.as_bytes()).await.unwrap();
        writer.write_all(&vec![b'a'; length]).await.unwrap();
        // Who no longer waits has answered already.
        let _ = tell_sent.send(());
        writer
    });
    let mut came = Vec::new();
    while !came.ends_with(b"\r\n\r\nok") {
        came.push(reader.read_u8().await.unwrap());
    }
    tell_answered.send(()).unwrap();
    assert_eq!(app.await.unwrap(), (length, 0), "all of it, and then the end");
    sending.await.unwrap();
}

/// Of sizes that every buffer takes, to such that no buffer does: in between, the mesh has read all and still holds some.
#[tokio::test]
async fn an_app_that_answers_first_gets_the_whole_upload_and_its_connection_ends_in_time() {
    join_all((1..=24).map(|size| answered_before_it_is_read(size * 256 * 1024))).await;
}

#[tokio::test]
async fn trailers_end_a_body_so_that_the_connection_carries_the_next_request() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stack = before(&listener).await;
    let app = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        for _ in 0..3 {
            read_head(&mut stream).await;
            let body = read_head(&mut stream).await;
            assert!(body.ends_with("0\r\nx-sum: 42\r\n\r\n"), "{body}");
            let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n\
                           2\r\nok\r\n0\r\nx-sum: 1\r\n\r\n";
            stream.write_all(chunked.as_bytes()).await.unwrap();
        }
    });
    let mut wire = Wire::open(stack.address()).await;
    for _ in 0..3 {
        wire.write(
            "POST /sum HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n\
             4\r\nbody\r\n0\r\nx-sum: 42\r\n\r\n",
        )
        .await;
        timeout(PATIENCE, wire.read_until("0\r\nx-sum: 1\r\n\r\n")).await.expect("an answer");
    }
    app.await.unwrap();
}
