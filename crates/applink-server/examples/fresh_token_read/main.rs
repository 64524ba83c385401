//! How fast a fresh token is handed out, on one core, beside a bare handler that does one read.
//!
//! `cargo run --release -p applink-server --example fresh_token_read [seconds]`, or `cargo xtask figures credentials`.
//! It starts itself again: once as the control plane, once as the bare handler (each pinned to the first core), and once
//! as the load (pinned to the second). Once all connections ask for the same authorization, as the dynos of a busy app
//! do, and once each for another. Linux with `taskset` only.

#![expect(clippy::print_stdout, reason = "a measurement talks on its terminal")]

mod load;
mod servers;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};

use applink_testkit::figures::Figure;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Connections at once.
const CONNECTIONS: usize = 32;
/// Every connection asks for the same row.
const ONE: &str = "one";
/// Every connection asks for a row of its own.
const MANY: &str = "many";
/// Hand-outs per second that are promised, on one core.
const PROMISED_RATE: f64 = 5000.0;
/// The latency that 99 of 100 hand-outs keep, in milliseconds.
const PROMISED_P99: f64 = 5.0;
/// What is aimed at, as a part of the bare handler's rate.
const AIMED_RATIO: f64 = 0.6;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["control-plane", folder] => servers::run(servers::control_plane(folder)).map(|()| true),
        ["bare", folder] => servers::run(servers::bare(folder)).map(|()| true),
        ["load", seconds, target, rows] => load::run(target, seconds, rows, CONNECTIONS).map(|()| true),
        [] => compare("10"),
        [seconds] => compare(seconds),
        _ => Err("usage: fresh_token_read [seconds]".into()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("{error}");
            ExitCode::from(2)
        }
    }
}

/// What a load measured.
struct Measured {
    rate: f64,
    p50: f64,
    p99: f64,
    failed: u64,
}

fn compare(seconds: &str) -> Result<bool> {
    let bare = measure("bare", seconds, ONE)?;
    let ours = measure("control-plane", seconds, ONE)?;
    let spread = measure("control-plane", seconds, MANY)?;
    let rows = [
        ("bare axum + SeaORM read", &bare),
        ("GET /authorizations/{name}, one", &ours),
        ("… another on each connection", &spread),
    ];
    for (name, measured) in rows {
        let Measured { rate, p50, p99, failed } = measured;
        println!("{name:<32} {rate:>8.0} requests/s  p50 {p50:.2} ms  p99 {p99:.2} ms  {failed} failed");
    }
    let kept = ours.rate >= PROMISED_RATE && ours.p99 <= PROMISED_P99 && ours.failed == 0;
    let promised = format!("≥ {PROMISED_RATE:.0}, ≤ {PROMISED_P99} ms, 0");
    let what =
        format!("fresh tokens read on one core over {CONNECTIONS} connections, grouped audit included");
    figure(what, said(&ours), promised, kept);
    let ratio = ours.rate / bare.rate;
    let bare = format!(
        "the same beside a bare axum handler that does one SeaORM read ({:.0} requests/s)",
        bare.rate
    );
    let below = if ratio >= AIMED_RATIO { "" } else { ", below the aim" };
    figure(bare, format!("{ratio:.2}{below}"), format!("an aim: ≥ {AIMED_RATIO}"), true);
    let each = "the same with another authorization on each connection, so that no two reads can be one";
    figure(each.to_owned(), said(&spread), "nothing".to_owned(), spread.failed == 0);
    Ok(kept && spread.failed == 0)
}

fn said(measured: &Measured) -> String {
    let Measured { rate, p99, failed, .. } = measured;
    format!("{rate:.0} requests/s, p99 {p99:.2} ms, {failed} failed")
}

fn figure(what: String, measured: String, promised: String, kept: bool) {
    Figure { promise: "read", what, measured, promised, kept, seed: None }.print();
}

fn measure(server: &str, seconds: &str, rows: &str) -> Result<Measured> {
    let folder = std::env::temp_dir().join(format!("applink-figure-{server}-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let mut serving = pinned(0, &[server, &folder.display().to_string()])?;
    let measured = (|| {
        let target = first_line(&mut serving)?;
        let mut load = pinned(1, &["load", seconds, &target, rows])?;
        let line = first_line(&mut load)?;
        load.wait()?;
        parse(&line)
    })();
    serving.kill()?;
    serving.wait()?;
    let _ = std::fs::remove_dir_all(&folder);
    measured
}

fn pinned(core: u32, arguments: &[&str]) -> Result<Child> {
    let program = std::env::current_exe()?;
    let child = Command::new("taskset")
        .args(["-c", &core.to_string()])
        .arg(program)
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("`taskset` pins processes to a core, and can't be run: {error}"))?;
    Ok(child)
}

fn first_line(child: &mut Child) -> Result<String> {
    let output = child.stdout.take().ok_or("no output")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    if line.trim().is_empty() { Err("a process ended early".into()) } else { Ok(line.trim().to_owned()) }
}

fn parse(line: &str) -> Result<Measured> {
    let numbers: Vec<f64> = line.split(' ').map(str::parse).collect::<std::result::Result<_, _>>()?;
    let [rate, p50, p99, failed] = numbers[..] else {
        return Err(format!("not a measurement: {line}").into());
    };
    Ok(Measured { rate, p50, p99, failed: failed as u64 })
}
