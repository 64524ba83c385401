//! A closed loop of requests over connections that stay open.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Result;

/// Before anything counts.
const WARM_UP: Duration = Duration::from_secs(2);

/// `target` is address, path (where `{}` is the number of a row) and token. Prints rate, p50, p99 (in ms) and how many requests failed.
pub(super) fn run(target: &str, seconds: &str, rows: &str, connections: usize) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let length = Duration::from_secs(seconds.parse()?);
    let (mut times, failed) = runtime.block_on(all(target, length, rows == super::MANY, connections))?;
    times.sort_unstable();
    let at = |part: f64| {
        let index = (times.len() as f64 * part) as usize;
        times.get(index).map_or(0.0, |micros| f64::from(*micros) / 1000.0)
    };
    let rate = times.len() as f64 / length.as_secs_f64();
    println!("{rate} {} {} {failed}", at(0.5), at(0.99));
    Ok(())
}

async fn all(target: &str, length: Duration, spread: bool, connections: usize) -> Result<(Vec<u32>, u64)> {
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
    for connection in 0..connections {
        let (address, request) = (address.to_owned(), request(if spread { connection } else { 0 }));
        loops.spawn(async move { one(&address, request.as_bytes(), from, from + length).await });
    }
    let (mut times, mut failed) = (Vec::new(), 0);
    for outcome in loops.join_all().await {
        let (some, bad) = outcome?;
        times.extend(some);
        failed += bad;
    }
    Ok((times, failed))
}

async fn one(address: &str, request: &[u8], from: Instant, until: Instant) -> Result<(Vec<u32>, u64)> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut times, mut failed, mut buffer) = (Vec::new(), 0, Vec::with_capacity(8192));
    loop {
        let started = Instant::now();
        if started >= until {
            return Ok((times, failed));
        }
        stream.write_all(request).await?;
        let good = answered(&mut stream, &mut buffer).await?;
        if started >= from {
            times.push(u32::try_from(started.elapsed().as_micros()).unwrap_or(u32::MAX));
            failed += u64::from(!good);
        }
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
