//! What the client sends, repeats and makes of answers, seen from a raw TCP server.

#![expect(clippy::unwrap_used, reason = "a test ends where its own set-up fails")]

use std::time::Duration;

use applink_api::client::{Client, ClientBuilder, ClientError, Package};
use applink_api::connection::ConnectRequest;
use applink_api::publication::PublishRequest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What the server does with one connection.
#[derive(Clone, Copy)]
enum Act {
    /// Reads the request and hangs up.
    Cut,
    /// Answers with this status line, headers and body.
    Answer(&'static str, &'static str),
    /// Reads the request and never answers.
    Silence,
}

/// Serves one connection per act; the requests it read come back from the task.
async fn serve(acts: Vec<Act>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/addons/a", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        let mut requests = Vec::new();
        for act in acts {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = vec![0; 64 * 1024];
            let count = stream.read(&mut buffer).await.unwrap();
            requests.push(String::from_utf8_lossy(&buffer[..count]).into_owned());
            match act {
                Act::Cut => drop(stream),
                Act::Silence => std::mem::forget(stream),
                Act::Answer(head, body) => {
                    let text = format!(
                        "HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                        body.len()
                    );
                    stream.write_all(text.as_bytes()).await.unwrap();
                }
            }
        }
        requests
    });
    (url, task)
}

fn client(url: &str) -> ClientBuilder {
    Client::builder(url).token("token".to_owned().into()).api_key("alk_key".to_owned().into())
}

fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    request.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")))
}

const OK: Act = Act::Answer("200 OK\r\ncontent-type: application/json", "[]");

#[tokio::test]
async fn a_read_that_was_cut_is_sent_again_under_the_same_request_id() {
    let (url, server) = serve(vec![Act::Cut, Act::Cut, OK]).await;
    let connections = client(&url).build().unwrap().connections().list().await.unwrap();
    assert!(connections.is_empty());
    let requests = server.await.unwrap();
    assert_eq!(requests.len(), 3);
    let ids: Vec<_> = requests.iter().map(|request| header(request, "x-request-id").unwrap()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(header(&requests[0], "authorization"), Some("Bearer token"));
}

#[tokio::test]
async fn it_gives_up_after_three_tries() {
    let (url, server) = serve(vec![Act::Cut, Act::Cut, Act::Cut]).await;
    let error = client(&url).build().unwrap().connections().list().await.unwrap_err();
    assert!(matches!(error, ClientError::Interrupted { .. }), "{error:?}");
    assert_eq!(server.await.unwrap().len(), 3);
}

#[tokio::test]
async fn starting_to_connect_may_be_repeated() {
    const ROW: &str = r#"{"id":"792fb84d-9c0a-4e28-bee9-754bbfe1c100","status":"connecting","redirect_uri":"http://h/",
        "org":{"id":"","instance_url":"","type":"SalesforceOrg","connection_name":"org1"},
        "created_at":"2025-05-30T18:55:42.863808Z","created_by":"me","last_modified_at":"2025-05-30T18:55:42.863808Z"}"#;
    let (url, server) =
        serve(vec![Act::Cut, Act::Answer("202 Accepted\r\ncontent-type: application/json", ROW)]).await;
    let request = ConnectRequest { connection_name: "org1".to_owned(), login_url: None, force: false };
    let started = client(&url).build().unwrap().connections().connect(&request).await.unwrap();
    assert_eq!(started.redirect_uri.as_deref(), Some("http://h/"));
    let requests = server.await.unwrap();
    assert_eq!(header(&requests[1], "authorization"), Some("Bearer alk_key"), "a change carries the key");
}

#[tokio::test]
async fn a_publish_that_may_have_arrived_is_not_repeated() {
    let (url, server) = serve(vec![Act::Cut]).await;
    let package = Package { request: PublishRequest::default(), zip: b"PK".to_vec() };
    let error = client(&url).build().unwrap().publications().publish("org1", &package).await.unwrap_err();
    assert!(matches!(error, ClientError::Interrupted { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("look before you repeat"));
    assert_eq!(server.await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_service_that_is_not_there_is_unreachable() {
    let error = client("http://127.0.0.1:1/addons/a")
        .attempts(1)
        .build()
        .unwrap()
        .connections()
        .list()
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "can't reach 127.0.0.1:1");
    assert!(matches!(error, ClientError::Unreachable { .. }) && error.is_transient());
}

#[tokio::test]
async fn silence_ends_at_the_deadline() {
    let (url, _server) = serve(vec![Act::Silence]).await;
    let client = client(&url).timeout(Duration::from_millis(50)).build().unwrap();
    let error = client.connections().list().await.unwrap_err();
    assert!(matches!(error, ClientError::TimedOut { .. }), "{error:?}");
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_the_token_stays() {
    let (url, server) = serve(vec![Act::Answer("302 Found\r\nlocation: http://127.0.0.1:1/steal", "")]).await;
    let error = client(&url).build().unwrap().connections().list().await.unwrap_err();
    assert!(matches!(error, ClientError::NotAppLink { status: 302, .. }), "{error:?}");
    assert_eq!(server.await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_refusal_keeps_id_message_and_patience() {
    let head = "503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 7";
    let (url, _server) =
        serve(vec![Act::Answer(head, r#"{"id":"unavailable","message":"try later"}"#)]).await;
    let error = client(&url).build().unwrap().connections().list().await.unwrap_err();
    assert_eq!(
        (error.id(), error.status(), error.to_string().as_str()),
        (Some("unavailable"), Some(503), "try later")
    );
    assert!(
        matches!(error, ClientError::Api { retry_after: Some(wait), .. } if wait == Duration::from_secs(7))
    );
}

#[tokio::test]
async fn an_answer_that_can_not_be_read_names_the_place() {
    let body = r#"[{"id":"792fb84d-9c0a-4e28-bee9-754bbfe1c100","status":"connected","org":{"id":7}}]"#;
    let (url, _server) = serve(vec![Act::Answer("200 OK\r\ncontent-type: application/json", body)]).await;
    let error = client(&url).build().unwrap().connections().list().await.unwrap_err();
    assert!(matches!(&error, ClientError::Decode { path, .. } if path == "[0].org.id"), "{error:?}");
}

#[tokio::test]
async fn warnings_of_the_service_are_passed_on() {
    let (url, _server) = serve(vec![Act::Answer("200 OK\r\nx-heroku-warning: mind the gap", "[]")]).await;
    let (sender, receiver) = std::sync::mpsc::channel();
    let client = client(&url).on_warning(move |text| sender.send(text.to_owned()).unwrap()).build().unwrap();
    client.connections().list().await.unwrap();
    assert_eq!(receiver.try_recv().unwrap(), "mind the gap");
}

#[tokio::test]
async fn credentials_are_in_no_debug_output() {
    let client = client("http://127.0.0.1:1/addons/a").attempts(1).build().unwrap();
    let error = client.connections().list().await.unwrap_err();
    let debug = format!("{client:?} {error:?} {:?}", client.connections());
    assert!(
        !debug.contains("alk_key") && !debug.contains("Bearer") && !debug.contains("addons/a"),
        "{debug}"
    );
}
