//! `cargo xtask …`: what a person runs while developing, with nothing installed but cargo.
#![expect(clippy::print_stdout, reason = "a developer's tool talks on its terminal")]
#![expect(clippy::disallowed_methods, reason = "wall-clock time of each step is what this tool reports")]

mod artifacts;
mod bench;
mod bench_cli;
mod bench_dashboard;
mod bench_publish;
mod conformance;
mod figures;
mod fuzz;
mod openbao;
mod part;
mod postgres;
mod suites;
mod tools;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask <command>

  test [NAME …]   install what the tests need, run every suite (or the named ones), one line each
  suites          list the suites
  figures [--debug] [--short] [--rows N,N] [NAME …]
                  measure what we promise in numbers: dev, credentials, mesh (release build; not part of the tests)
  bench mesh [--quick]
                  the mesh beside its peers; writes docs/performance.md (with --quick: one round, writes nothing)
  bench publish   reading, checking and packaging of large documents; writes its part of docs/performance.md
  bench dashboard
                  the dashboard's pages with 10,000 connections; writes its part of docs/performance.md
  bench cli       our CLI beside the official one, against the same local server; writes its part of docs/performance.md
  bench data-cloud
                  100,000 rows streamed through our SDK, beside the Node SDK; writes its part of docs/data-cloud.md
  fuzz [SECONDS]  the fuzz targets, optimised, for longer than the tests run them (default 60)
  conformance-table [NAME …]
                  run the official clients (or the named suites of them) and write the tables in docs/ from that
  help            this text
";

/// Exit code 2: a tool is missing and only a person can install it.
const CANNOT_RUN: u8 = 2;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["test", names @ ..] => test(names),
        ["figures", names @ ..] => outcome(figures::run(names)),
        ["bench", "mesh"] => outcome(bench::mesh(false)),
        ["bench", "mesh", "--quick"] => outcome(bench::mesh(true)),
        ["bench", "cli"] => outcome(bench_cli::cli()),
        ["measure", command @ ..] => outcome(bench_cli::measure(command)),
        ["bench", "dashboard"] => outcome(bench_dashboard::dashboard()),
        ["bench", "publish"] => outcome(bench_publish::publish()),
        ["bench", "data-cloud"] => outcome(conformance::data_cloud::bench()),
        ["fuzz"] => outcome(fuzz::run(None)),
        ["fuzz", seconds] => outcome(fuzz::run(Some(seconds))),
        ["suites"] => {
            for suite in suites::all() {
                println!("{:<14} {}", suite.name, suite.about);
            }
            ExitCode::SUCCESS
        }
        ["conformance-table", names @ ..] => conformance_table(names),
        [] | ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            ExitCode::SUCCESS
        }
        [unknown, ..] => {
            print!("no such command: {unknown}\n\n{USAGE}");
            ExitCode::from(CANNOT_RUN)
        }
    }
}

fn test(names: &[&str]) -> ExitCode {
    let chosen = match suites::choose(names) {
        Ok(chosen) => chosen,
        Err(error) => {
            println!("{error}");
            return ExitCode::from(CANNOT_RUN);
        }
    };
    if let Err(error) = tools::ensure(&chosen) {
        println!("{error:#}");
        return ExitCode::from(CANNOT_RUN);
    }
    outcome(suites::run(&chosen))
}

fn outcome(result: anyhow::Result<bool>) -> ExitCode {
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn conformance_table(names: &[&str]) -> ExitCode {
    let written = suites::choose(names).and_then(|chosen| {
        let suites: Vec<_> = chosen.into_iter().filter(|suite| !suite.clients().is_empty()).collect();
        tools::ensure(&suites)?;
        let clients: Vec<_> = suites.iter().flat_map(suites::Suite::clients).copied().collect();
        conformance::write_tables(&clients)
    });
    match written {
        Ok(files) => {
            for file in files {
                println!("written: {}", file.display());
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
