//! A proxy for the few names the stock CLI needs. `CONNECT` to one of them leads to the TLS port; everything else is
//! 403, so that nothing a person runs in that shell goes astray through us.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::tunnel::{Listening, PATIENCE, lead, listen};

/// Largest request head; a `CONNECT` has a few hundred bytes.
const LARGEST_HEAD: usize = 8 * 1024;
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// Opens it for `hosts`, on port 443 each.
pub(super) fn open(listener: TcpListener, hosts: &[String], target: SocketAddr) -> Listening {
    let hosts: Arc<[String]> = hosts.into();
    listen(listener, move |stream| serve(stream, Arc::clone(&hosts), target))
}

async fn serve(mut client: TcpStream, hosts: Arc<[String]>, target: SocketAddr) {
    let Ok(Some(head)) = tokio::time::timeout(PATIENCE, read_head(&mut client)).await else { return };
    if let Err(refusal) = examine(&head, &hosts) {
        let _ = client.write_all(refusal.answer(&hosts).as_bytes()).await;
        return;
    }
    let Ok(target) = TcpStream::connect(target).await else { return };
    if client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.is_ok() {
        lead(client, target).await;
    }
}

/// The request up to its empty line. A client says nothing more before it is answered.
async fn read_head(client: &mut TcpStream) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(END_OF_HEAD) {
        if head.len() >= LARGEST_HEAD || client.read_buf(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    Some(head)
}

/// Why a request leads nowhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Refusal {
    /// It is not HTTP.
    Malformed,
    /// It asks for something else than one of our names.
    Elsewhere,
}

impl Refusal {
    fn answer(self, hosts: &[String]) -> String {
        let (status, text) = match self {
            Self::Malformed => ("400 Bad Request", "This is no request to a proxy.\n".to_owned()),
            Self::Elsewhere => {
                let names = hosts.join(", ");
                let text = format!(
                    "This proxy of `applink dev --tls` leads the heroku CLI to the local stack and nothing anywhere else. \
                     It knows {names}, on port 443.\n"
                );
                ("403 Forbidden", text)
            }
        };
        let length = text.len();
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{text}"
        )
    }
}

fn examine(head: &[u8], hosts: &[String]) -> Result<(), Refusal> {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = std::str::from_utf8(line).map_err(|_| Refusal::Malformed)?;
    let [method, target, version] = line.split(' ').collect::<Vec<_>>()[..] else {
        return Err(Refusal::Malformed);
    };
    if !version.starts_with("HTTP/1.") {
        return Err(Refusal::Malformed);
    }
    let known = |host: &str| hosts.iter().any(|known| known.eq_ignore_ascii_case(host));
    match target.rsplit_once(':') {
        Some((host, "443")) if method == "CONNECT" && known(host) => Ok(()),
        _ => Err(Refusal::Elsewhere),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(line: &str) -> Result<(), Refusal> {
        let hosts = ["api.heroku.com".to_owned(), "127.0.0.1".to_owned()];
        examine(format!("{line}\r\nHost: x\r\n\r\n").as_bytes(), &hosts)
    }

    #[test]
    fn only_the_known_names_are_led_anywhere() {
        assert_eq!(asked("CONNECT api.heroku.com:443 HTTP/1.1"), Ok(()));
        assert_eq!(asked("CONNECT API.Heroku.com:443 HTTP/1.0"), Ok(()));
        assert_eq!(asked("CONNECT 127.0.0.1:443 HTTP/1.1"), Ok(()));
        for line in [
            "CONNECT example.com:443 HTTP/1.1",
            "CONNECT api.heroku.com:22 HTTP/1.1",
            "CONNECT api.heroku.com.evil.example:443 HTTP/1.1",
            "CONNECT evil.example/api.heroku.com:443 HTTP/1.1",
            "CONNECT user@api.heroku.com:443 HTTP/1.1",
            "CONNECT 127.0.0.1:5432 HTTP/1.1",
            "CONNECT api.heroku.com HTTP/1.1",
            "GET http://api.heroku.com:443 HTTP/1.1",
            "GET / HTTP/1.1",
        ] {
            assert_eq!(asked(line), Err(Refusal::Elsewhere), "{line}");
        }
        for line in
            ["", "CONNECT", "CONNECT api.heroku.com:443", "CONNECT  api.heroku.com:443 HTTP/1.1", "\u{1}"]
        {
            assert_eq!(asked(line), Err(Refusal::Malformed), "{line}");
        }
    }
}
