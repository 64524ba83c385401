//! Requests and responses byte by byte.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A response as it came over the wire.
#[derive(Clone, Debug)]
pub(crate) struct Raw {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Raw {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends `request` as it is and reads until the connection is closed.
pub(crate) async fn send_bytes(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut all = Vec::new();
    // A reset after the response is as good as an orderly end.
    let _ = stream.read_to_end(&mut all).await;
    all
}

/// A request with `Connection: close`; `lines` are header lines.
pub(crate) async fn send(address: SocketAddr, start: &str, lines: &[String], body: &[u8]) -> Raw {
    let mut request = format!("{start} HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n").into_bytes();
    for line in lines {
        request.extend_from_slice(format!("{line}\r\n").as_bytes());
    }
    if !body.is_empty() {
        request.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
    }
    request.extend_from_slice(b"\r\n");
    request.extend_from_slice(body);
    parse(&send_bytes(address, &request).await)
}

/// Reads one response from the start of `bytes`; a chunked body is joined.
pub(crate) fn parse(bytes: &[u8]) -> Raw {
    let end =
        find(bytes, b"\r\n\r\n").unwrap_or_else(|| panic!("no head in {:?}", String::from_utf8_lossy(bytes)));
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers: Vec<(String, String)> = lines
        .map(|line| line.split_once(':').unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut raw = Raw { status, headers, body: bytes[end + 4..].to_vec() };
    if raw.header("transfer-encoding") == Some("chunked") {
        raw.body = join_chunks(&raw.body);
    }
    raw
}

fn join_chunks(mut bytes: &[u8]) -> Vec<u8> {
    let mut joined = Vec::new();
    while let Some(end) = find(bytes, b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).unwrap(), 16).unwrap();
        if size == 0 {
            break;
        }
        joined.extend_from_slice(&bytes[end + 2..end + 2 + size]);
        bytes = &bytes[end + 4 + size..];
    }
    joined
}

pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// A connection that is read piece by piece.
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    read: Vec<u8>,
}

impl Wire {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), read: Vec::new() }
    }

    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Reads until `text` has come; gives everything before and with it.
    pub(crate) async fn read_until(&mut self, text: &str) -> String {
        loop {
            if let Some(at) = find(&self.read, text.as_bytes()) {
                let taken: Vec<u8> = self.read.drain(..at + text.len()).collect();
                return String::from_utf8_lossy(&taken).into_owned();
            }
            let got = self.stream.read_buf(&mut self.read).await.unwrap();
            assert!(got > 0, "closed before {text:?}; got {:?}", String::from_utf8_lossy(&self.read));
        }
    }

    /// The next `length` bytes.
    pub(crate) async fn read_exactly(&mut self, length: usize) -> String {
        while self.read.len() < length {
            assert!(self.stream.read_buf(&mut self.read).await.unwrap() > 0, "closed too early");
        }
        String::from_utf8_lossy(&self.read.drain(..length).collect::<Vec<u8>>()).into_owned()
    }

    /// What is left until the connection ends, in whatever way.
    pub(crate) async fn read_rest(mut self) -> Vec<u8> {
        while matches!(self.stream.read_buf(&mut self.read).await, Ok(got) if got > 0) {}
        self.read
    }
}
