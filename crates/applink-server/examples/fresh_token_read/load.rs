//! Requests over connections that stay open, in two ways:
//!
//! - **As fast as it goes**: each connection asks again as soon as it has its answer.
//! - **At a rate**: each connection asks when its next request is due, the connections one after another. An answer's time
//!   counts from when its request was due, so that a server that stops for a while is charged with all that waited.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{CONNECTIONS, Result};

/// Before anything counts.
const WARM_UP: Duration = Duration::from_secs(2);

/// When a connection asks again.
#[derive(Clone, Copy)]
enum Pace {
    AtOnce,
    /// All connections together, per second.
    PerSecond(f64),
}

impl Pace {
    fn parse(word: &str) -> Result<Self> {
        if word == super::AT_ONCE { Ok(Self::AtOnce) } else { Ok(Self::PerSecond(word.parse()?)) }
    }

    /// When the request with this number is due on a connection.
    fn due(self, begun: Instant, connection: usize, number: u32) -> Option<Instant> {
        let Self::PerSecond(rate) = self else { return None };
        let place = f64::from(number) * CONNECTIONS as f64 + connection as f64;
        Some(begun + Duration::from_secs_f64(place / rate))
    }
}

/// `target` is address, path (where `{}` is the number of a row) and token. Prints rate, p50, p99 (in ms) and how many requests failed.
pub(super) fn run(target: &str, seconds: &str, rows: &str, pace: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let length = Duration::from_secs(seconds.parse()?);
    let pace = Pace::parse(pace)?;
    let (mut times, failed) = runtime.block_on(all(target, length, rows == super::MANY, pace))?;
    times.sort_unstable();
    let at = |part: f64| {
        let index = (times.len() as f64 * part) as usize;
        times.get(index).map_or(0.0, |micros| f64::from(*micros) / 1000.0)
    };
    let rate = times.len() as f64 / length.as_secs_f64();
    println!("{rate} {} {} {failed}", at(0.5), at(0.99));
    Ok(())
}

async fn all(target: &str, length: Duration, spread: bool, pace: Pace) -> Result<(Vec<u32>, u64)> {
    let mut words = target.split(' ');
    let (Some(address), Some(path), Some(token)) = (words.next(), words.next(), words.next()) else {
        return Err("a target is address, path and token".into());
    };
    let request = |row: usize| {
        let path = path.replace("{}", &row.to_string());
        format!(
            "GET {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\naccept: */*\r\n\r\n"
        )
    };
    let from = Instant::now() + WARM_UP;
    let mut loops = JoinSet::new();
    for number in 0..CONNECTIONS {
        let asks = Asks { number, pace, from, until: from + length };
        let (address, request) = (address.to_owned(), request(if spread { number } else { 0 }));
        loops.spawn(async move { asks.over(&address, request.as_bytes()).await });
    }
    let (mut times, mut failed) = (Vec::new(), 0);
    for outcome in loops.join_all().await {
        let (some, bad) = outcome?;
        times.extend(some);
        failed += bad;
    }
    Ok((times, failed))
}

/// What one connection does.
struct Asks {
    number: usize,
    pace: Pace,
    from: Instant,
    until: Instant,
}

impl Asks {
    /// The microseconds of each answer that counts, and how many of them were not good.
    async fn over(&self, address: &str, request: &[u8]) -> Result<(Vec<u32>, u64)> {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (mut times, mut failed, mut buffer) = (Vec::new(), 0, Vec::with_capacity(8192));
        for number in 0.. {
            let due = self.turn(number).await;
            if due >= self.until {
                break;
            }
            stream.write_all(request).await?;
            let good = answered(&mut stream, &mut buffer).await?;
            if due >= self.from {
                times.push(u32::try_from(due.elapsed().as_micros()).unwrap_or(u32::MAX));
                failed += u64::from(!good);
            }
        }
        Ok((times, failed))
    }

    /// Waits until a request is due, and says since when it is. The runtime's timer is a millisecond coarse, and the load has
    /// a core of its own, so it looks at the clock again and again.
    async fn turn(&self, number: u32) -> Instant {
        let Some(due) = self.pace.due(self.from - WARM_UP, self.number, number) else {
            return Instant::now();
        };
        while Instant::now() < due {
            tokio::task::yield_now().await;
        }
        due
    }
}

/// Reads one answer whole; whether it is a 200.
async fn answered(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<bool> {
    buffer.clear();
    loop {
        if stream.read_buf(buffer).await? == 0 {
            return Err("the server closed the connection".into());
        }
        let Some(head) = buffer.windows(4).position(|part| part == b"\r\n\r\n") else { continue };
        let text = std::str::from_utf8(buffer.get(..head).unwrap_or_default())?;
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.ok_or("no content-length")?.parse()?;
        if buffer.len() >= head + 4 + length {
            return Ok(text.starts_with("HTTP/1.1 200"));
        }
    }
}
