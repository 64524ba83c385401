//! What the mesh holds, and how soon it is there.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::Workshop;
use super::peers::{self, MESH, Peers, Target};
use super::process::Running;

const MEBIBYTE: usize = 1024 * 1024;
const GIGABYTE: usize = 1024 * MEBIBYTE;
/// Until connections are taken to be at rest.
const SETTLED: Duration = Duration::from_secs(1);
/// Starts measured.
const STARTS: usize = 20;

/// MiB, but for the start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    pub(crate) start_millis: f64,
    pub(crate) idle: f64,
    /// With open connections that had one request each.
    pub(crate) thousand: f64,
    pub(crate) ten_thousand: f64,
    /// With open connections on which nothing ever came.
    pub(crate) ten_thousand_silent: f64,
    pub(crate) download: f64,
    pub(crate) upload: f64,
    pub(crate) stranger: f64,
}

pub(crate) fn measure(workshop: &Workshop, _: &Peers) -> Result<Memory> {
    println!("memory and start …");
    Ok(Memory {
        start_millis: start(workshop)?,
        idle: idle(workshop)?,
        thousand: open(workshop, 1_000, true)?,
        ten_thousand: open(workshop, 10_000, true)?,
        ten_thousand_silent: open(workshop, 10_000, false)?,
        download: growth(workshop, Target::Bypass, download)?,
        upload: growth(workshop, Target::Bypass, upload)?,
        stranger: growth(workshop, Target::Verifying, stranger)?,
    })
}

/// From the start of the process to the first accepted connection; median.
fn start(workshop: &Workshop) -> Result<f64> {
    let mut millis = Vec::new();
    for _ in 0..STARTS {
        let begin = Instant::now();
        let running = peers::mesh(workshop, false)?;
        while TcpStream::connect(("127.0.0.1", MESH)).is_err() {
            if begin.elapsed() > Duration::from_secs(10) {
                bail!("the mesh does not listen");
            }
            std::thread::sleep(Duration::from_micros(50));
        }
        millis.push(begin.elapsed().as_secs_f64() * 1e3);
        drop(running);
    }
    Ok(super::report::median(&millis))
}

fn idle(workshop: &Workshop) -> Result<f64> {
    let running = started(workshop, Target::Verifying)?;
    std::thread::sleep(Duration::from_secs(1));
    Ok(running.resident().0)
}

fn started(workshop: &Workshop, target: Target) -> Result<Running> {
    target.start(workshop)?.context("the mesh is a process")
}

/// Connections that stay open, each after one request when they are to ask, and then are left alone for a moment.
fn open(workshop: &Workshop, count: usize, ask: bool) -> Result<f64> {
    raise_limit();
    let running = started(workshop, Target::Bypass)?;
    let mut open = Vec::with_capacity(count);
    for _ in 0..count {
        let mut stream = TcpStream::connect(("127.0.0.1", MESH)).context("opening a connection")?;
        if !ask {
            open.push(stream);
            continue;
        }
        stream.write_all(b"GET /small HTTP/1.1\r\nHost: bench\r\n\r\n")?;
        let mut answer = [0; 1024];
        let read = stream.read(&mut answer)?;
        if !answer.get(..read).unwrap_or_default().starts_with(b"HTTP/1.1 200") {
            bail!("a connection was not served");
        }
        open.push(stream);
    }
    std::thread::sleep(SETTLED);
    Ok(running.resident().0)
}

/// So that ten thousand connections fit; the mesh inherits it.
fn raise_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
}

/// How much more the mesh ever held than before.
fn growth(workshop: &Workshop, target: Target, traffic: fn() -> Result<()>) -> Result<f64> {
    let running = started(workshop, target)?;
    std::thread::sleep(Duration::from_millis(300));
    let before = running.resident().0;
    traffic()?;
    Ok((running.resident().1 - before).max(0.0))
}

fn download() -> Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", MESH))?;
    stream.write_all(b"GET /gigabyte HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")?;
    let (mut piece, mut total) = (vec![0; 256 * 1024], 0);
    loop {
        match stream.read(&mut piece)? {
            0 if total >= GIGABYTE => return Ok(()),
            0 => bail!("only {total} bytes came"),
            read => total += read,
        }
    }
}

fn upload() -> Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", MESH))?;
    write!(
        stream,
        "POST /upload HTTP/1.1\r\nHost: bench\r\nConnection: close\r\nContent-Length: {GIGABYTE}\r\n\r\n"
    )?;
    let piece = vec![b'x'; 256 * 1024];
    for _ in 0..GIGABYTE / piece.len() {
        stream.write_all(&piece)?;
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if answer.starts_with("HTTP/1.1 200") { Ok(()) } else { bail!("the upload was not taken: {answer}") }
}

/// 200 MiB without any header of an org; the mesh may close before it has all.
fn stranger() -> Result<()> {
    let size = 200 * MEBIBYTE;
    let mut stream = TcpStream::connect(("127.0.0.1", MESH))?;
    write!(stream, "POST /upload HTTP/1.1\r\nHost: bench\r\nContent-Length: {size}\r\n\r\n")?;
    let piece = vec![b'x'; 256 * 1024];
    for _ in 0..size / piece.len() {
        if stream.write_all(&piece).is_err() {
            break;
        }
    }
    let mut answer = [0; 64];
    let read = stream.read(&mut answer).unwrap_or_default();
    let answer = String::from_utf8_lossy(answer.get(..read).unwrap_or_default()).into_owned();
    if read == 0 || answer.starts_with("HTTP/1.1 401") { Ok(()) } else { bail!("answered {answer}") }
}
