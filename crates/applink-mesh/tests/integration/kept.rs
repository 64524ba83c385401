//! Connections to the app that it closes when it hurts, and such that nobody waits for any more.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use applink_mesh::bypass::BypassRoute;
use applink_mesh::config::AppAddress;
use futures_util::future::join_all;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

use crate::integration::raw::{Wire, send};
use crate::integration::stack::Stack;

/// Far longer than anything here takes that does not hang.
const PATIENCE: Duration = Duration::from_secs(60);

async fn before(listener: &TcpListener, threads: usize) -> Stack {
    let port = listener.local_addr().unwrap().port();
    Stack::with(|config| {
        config.bypass.routes = vec![BypassRoute::parse("/*").unwrap()];
        config.app = AppAddress::loopback(port);
        config.threads = threads;
    })
    .await
}

/// `None` when the connection ends before.
async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

async fn answer(stream: &mut TcpStream) -> Option<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.ok()
}

/// Some requests after another on one connection; how many were answered with 200, and the heads of the others.
async fn ask(address: SocketAddr, requests: usize) -> (usize, Vec<String>) {
    let (mut good, mut bad) = (0, Vec::new());
    let mut wire = Wire::open(address).await;
    for _ in 0..requests {
        wire.write("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let head = wire.read_until("\r\n\r\n").await;
        if head.starts_with("HTTP/1.1 200 ") {
            assert_eq!(wire.read_exactly(2).await, "ok");
            good += 1;
        } else {
            bad.push(head);
            wire = Wire::open(address).await;
        }
    }
    (good, bad)
}

/// A connection that ends after a few answers, and never says so: right behind the last one, or when the next request is
/// there, in order or as a machine does that was switched off.
async fn awkward(mut stream: TcpStream, number: usize, unanswered: Arc<AtomicUsize>) -> Option<()> {
    for _ in 0..=number % 4 {
        read_head(&mut stream).await?;
        answer(&mut stream).await?;
    }
    if !number.is_multiple_of(3) {
        read_head(&mut stream).await?;
        unanswered.fetch_add(1, Ordering::Relaxed);
    }
    if number % 3 == 2 {
        stream.set_zero_linger().unwrap();
    }
    Some(())
}

#[tokio::test]
async fn an_app_that_closes_kept_connections_at_awkward_moments_costs_no_request() {
    const CLIENTS: usize = 24;
    const REQUESTS: usize = 100;
    for threads in [0, 2] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stack = before(&listener, threads).await;
        let unanswered = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&unanswered);
        let app = tokio::spawn(async move {
            for number in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(awkward(stream, number, Arc::clone(&counted)));
            }
        });
        let asked = join_all((0..CLIENTS).map(|_| ask(stack.address(), REQUESTS)));
        let answers = timeout(PATIENCE, asked).await.unwrap();
        let good: usize = answers.iter().map(|(good, _)| good).sum();
        let bad: Vec<&String> = answers.iter().flat_map(|(_, bad)| bad).collect();
        assert!(bad.is_empty(), "{} of {} failed: {}", bad.len(), CLIENTS * REQUESTS, bad[0]);
        assert_eq!(good, CLIENTS * REQUESTS);
        let unanswered = unanswered.load(Ordering::Relaxed);
        println!("{good} requests, {unanswered} connections closed instead of an answer");
        assert!(unanswered > CLIENTS, "{unanswered} is too few to tell");
        app.abort();
    }
}

/// What the app does with a request.
#[derive(Clone, Copy)]
enum Does {
    Answers,
    Closes,
    Begins,
}
use Does::{Answers, Begins, Closes};

/// One connection after another, and what happens on each. Gives what the app saw while `requests` were made one after
/// another, and their statuses.
async fn scripted(connections: &'static [&'static [Does]], requests: &[&str]) -> (Vec<String>, Vec<u16>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stack = before(&listener, 0).await;
    let seen = Arc::<Mutex<Vec<String>>>::default();
    let kept = Arc::clone(&seen);
    let app = tokio::spawn(async move {
        for does in connections {
            let (mut stream, _) = listener.accept().await.unwrap();
            for does in *does {
                let Some(head) = read_head(&mut stream).await else { break };
                kept.lock().unwrap().push(head[..head.find(" HTTP").unwrap()].to_owned());
                match does {
                    Answers => answer(&mut stream).await.unwrap(),
                    Begins => stream.write_all(b"HTTP/1.1 200").await.unwrap(),
                    Closes => {}
                }
            }
        }
        // One connection more than there should be is seen, and not refused.
        let (mut stream, _) = listener.accept().await.unwrap();
        kept.lock().unwrap().push("one more".to_owned());
        answer(&mut stream).await.unwrap();
    });
    let mut statuses = Vec::new();
    for start in requests {
        let raw = timeout(PATIENCE, send(stack.address(), start, &["x-a: b".to_owned()], b"")).await.unwrap();
        statuses.push(raw.status);
    }
    app.abort();
    let seen = seen.lock().unwrap().clone();
    (seen, statuses)
}

#[tokio::test]
async fn what_may_arrive_twice_is_sent_once_more_when_a_kept_connection_closes_unanswered() {
    for method in ["GET", "PUT", "DELETE", "OPTIONS"] {
        let second = format!("{method} /2?q=1");
        let (seen, statuses) =
            scripted(&[&[Answers, Closes], &[Answers, Answers]], &["GET /1", &second, "GET /3"]).await;
        assert_eq!(statuses, [200, 200, 200]);
        assert_eq!(seen, ["GET /1", &second, &second, "GET /3"]);
    }
}

#[tokio::test]
async fn what_may_not_arrive_twice_is_never_sent_again() {
    for method in ["POST", "PATCH"] {
        let second = format!("{method} /2");
        let (seen, statuses) = scripted(&[&[Answers, Closes]], &["GET /1", &second]).await;
        assert_eq!(statuses, [200, 502]);
        assert_eq!(seen, ["GET /1", &second]);
    }
}

#[tokio::test]
async fn a_request_is_sent_once_more_and_not_again() {
    let (seen, statuses) = scripted(&[&[Answers, Closes], &[Closes]], &["GET /1", "GET /2"]).await;
    assert_eq!((statuses, seen.len()), (vec![200, 502], 3), "{seen:?}");
}

#[tokio::test]
async fn an_answer_that_began_and_a_first_request_that_failed_are_failures() {
    let (seen, statuses) = scripted(&[&[Answers, Begins]], &["GET /1", "GET /2"]).await;
    assert_eq!((statuses, seen.len()), (vec![200, 502], 2), "{seen:?}");
    let (seen, statuses) = scripted(&[&[Closes]], &["GET /1"]).await;
    assert_eq!((statuses, seen.len()), (vec![502], 1), "{seen:?}");
}

/// Listens, and lets no more than a few wait to be accepted.
fn listening(backlog: u32) -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    socket.listen(backlog).unwrap()
}

/// Mesh and app run in this runtime: until they have done what they can.
async fn everybody_has_had_a_turn() {
    for _ in 0..10_000 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_connection_that_nobody_waits_for_any_more_serves_a_later_request() {
    let listener = listening(1);
    let stack = before(&listener, 0).await;
    let address = stack.address();
    let first = tokio::spawn(async move { send(address, "GET /1", &[], b"").await });
    let (mut kept, _) = listener.accept().await.unwrap();
    read_head(&mut kept).await.unwrap();
    let mut crowd = Vec::new();
    let app = listener.local_addr().unwrap();
    while let Ok(one) = timeout(Duration::from_millis(200), TcpStream::connect(app)).await {
        crowd.push(one.unwrap());
    }
    // Can't be accepted, and so waits for the first.
    let second = tokio::spawn(async move { send(address, "GET /2", &[], b"").await });
    everybody_has_had_a_turn().await;
    answer(&mut kept).await.unwrap();
    assert!(read_head(&mut kept).await.unwrap().starts_with("GET /2 "));
    for _ in &crowd {
        listener.accept().await.unwrap();
    }
    let (mut spare, _) =
        timeout(PATIENCE, listener.accept()).await.expect("it is made all the same").unwrap();
    everybody_has_had_a_turn().await;
    let third = tokio::spawn(async move { send(address, "GET /3", &[], b"").await });
    assert!(timeout(PATIENCE, read_head(&mut spare)).await.unwrap().unwrap().starts_with("GET /3 "));
    for (stream, request) in [(&mut kept, second), (&mut spare, third)] {
        answer(stream).await.unwrap();
        assert_eq!(request.await.unwrap().status, 200);
    }
    assert_eq!(first.await.unwrap().status, 200);
}

/// Far more callers at once than the app accepts or is quick enough for.
#[tokio::test]
async fn a_burst_of_connections_past_the_apps_backlog_costs_no_request() {
    const REQUESTS: usize = 4;
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
    let files = getrlimit(Resource::RLIMIT_NOFILE).unwrap().0;
    // Four ends for each caller, all in this process, and what other tests need beside it.
    let callers = usize::try_from(files / 2 / 4).unwrap_or(usize::MAX).min(500);
    let listener = listening(16);
    let stack = before(&listener, 2).await;
    let app = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                while read_head(&mut stream).await.is_some() {
                    sleep(Duration::from_millis(2)).await;
                    if answer(&mut stream).await.is_none() {
                        return;
                    }
                }
            });
        }
    });
    let answers =
        timeout(PATIENCE, join_all((0..callers).map(|_| ask(stack.address(), REQUESTS)))).await.unwrap();
    let bad: Vec<&String> = answers.iter().flat_map(|(_, bad)| bad).collect();
    assert!(bad.is_empty(), "{} of {} failed: {}", bad.len(), callers * REQUESTS, bad[0]);
    println!("{callers} callers at once, {REQUESTS} requests each");
    app.abort();
}
