use std::io::{Read, Write};
use std::net::TcpStream;

/// The status line of a GET.
async fn get(path: &'static str) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app::app()).await });
    let asked = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: app\r\nconnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text.lines().next().unwrap().to_owned()
    });
    asked.await.unwrap()
}

#[tokio::test]
async fn a_call_that_no_org_made_is_refused() {
    assert!(get("/accounts").await.contains(" 40"), "no context, no answer");
}

#[tokio::test]
async fn a_path_that_is_none() {
    assert!(get("/nothing").await.contains(" 404"));
}
