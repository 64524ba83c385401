//! How fast a fresh token is handed out, on one core, beside a bare handler that does one read.
//!
//! `cargo run --release -p applink-server --example fresh_token_read [seconds]`, or `cargo xtask figures credentials`.
//! It starts itself again: once as the control plane, once as the bare handler (each pinned to the first core), and once
//! as the load (pinned to the second). Linux with `taskset` only.
//!
//! All connections ask for the same authorization, as the dynos of a busy app do, or each for another; once as fast as they are
//! answered, and once at the promised rate, where an answer's time counts from when its request was due.

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
/// Every connection asks again as soon as it is answered.
const AT_ONCE: &str = "at-once";
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
        ["load", seconds, target, rows, pace] => load::run(target, seconds, rows, pace).map(|()| true),
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
    let at_rate = PROMISED_RATE.to_string();
    let bare = measure("bare", seconds, ONE, AT_ONCE)?;
    let paced = measure("control-plane", seconds, ONE, &at_rate)?;
    let paced_many = measure("control-plane", seconds, MANY, &at_rate)?;
    let full = measure("control-plane", seconds, ONE, AT_ONCE)?;
    let full_many = measure("control-plane", seconds, MANY, AT_ONCE)?;
    let rows = [
        ("bare axum + SeaORM read, full", &bare),
        ("one authorization, at the rate", &paced),
        ("one for each, at the rate", &paced_many),
        ("one authorization, full", &full),
        ("one for each, full", &full_many),
    ];
    for (name, measured) in rows {
        let Measured { rate, p50, p99, failed } = measured;
        println!("{name:<32} {rate:>8.0} requests/s  p50 {p50:.2} ms  p99 {p99:.2} ms  {failed} failed");
    }
    let promised = format!("≥ {PROMISED_RATE:.0}, p99 ≤ {PROMISED_P99} ms, 0");
    let what = format!(
        "fresh tokens of one authorization read on one core over {CONNECTIONS} connections as fast as they are answered, grouped audit included"
    );
    figure(what, said(&full), promised.clone(), keeps(&full));
    let what = format!("the same, asked for {PROMISED_RATE:.0} times a second");
    figure(what, said(&paced), promised, keeps(&paced));
    let ratio = full.rate / bare.rate;
    let beside = format!(
        "the first beside a bare axum handler that does one SeaORM read ({:.0} requests/s)",
        bare.rate
    );
    let below = if ratio >= AIMED_RATIO { "" } else { ", below the aim" };
    figure(beside, format!("{ratio:.2}{below}"), format!("an aim: ≥ {AIMED_RATIO}"), true);
    let each = "as fast as they are answered, another authorization on each connection, so that no two reads can be one";
    figure(each.to_owned(), said(&full_many), "nothing".to_owned(), full_many.failed == 0);
    let each = "those, asked for at the promised rate";
    figure(each.to_owned(), said(&paced_many), "nothing".to_owned(), paced_many.failed == 0);
    Ok(keeps(&full) && keeps(&paced) && full_many.failed == 0 && paced_many.failed == 0)
}

/// What was asked for came, and in time. A load that stops after so many seconds may lack the last answers.
fn keeps(measured: &Measured) -> bool {
    measured.rate >= PROMISED_RATE * 0.999 && measured.p99 <= PROMISED_P99 && measured.failed == 0
}

fn said(measured: &Measured) -> String {
    let Measured { rate, p50, p99, failed } = measured;
    format!("{rate:.0} requests/s, p50 {p50:.2} ms, p99 {p99:.2} ms, {failed} failed")
}

fn figure(what: String, measured: String, promised: String, kept: bool) {
    Figure { promise: "read", what, measured, promised, kept, seed: None }.print();
}

fn measure(server: &str, seconds: &str, rows: &str, pace: &str) -> Result<Measured> {
    let folder = std::env::temp_dir().join(format!("applink-figure-{server}-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let mut serving = pinned(0, &[server, &folder.display().to_string()])?;
    let measured = (|| {
        let target = first_line(&mut serving)?;
        let mut load = pinned(1, &["load", seconds, &target, rows, pace])?;
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
