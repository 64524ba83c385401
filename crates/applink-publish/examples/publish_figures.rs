//! Reads, checks and packages one generated document and says how long that took: `cargo xtask bench publish` runs it
//! once per size, so that each has a peak of memory of its own.
//!
//! `publish_figures <ours|openapiv3> <operations> <properties of each>` prints one line of JSON. Steps are told in
//! milliseconds of the processor, which other programs on the machine hardly change, and the whole by the clock too.
#![expect(clippy::print_stdout, reason = "the figures are its output")]
#![expect(clippy::disallowed_methods, reason = "elapsed time is what it measures")]
#![expect(clippy::unwrap_used, reason = "a measurement that can't be made ends here")]

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use applink_api::ids::{AddonId, AppUuid, PublicationId};
use applink_publish::Release;
use applink_publish::metadata::{self, OrgProfile, Subject, Wishes, archive, authorization};
use applink_publish::spec::{self, Format, Spec};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [who, operations, properties] = arguments.as_slice() else {
        println!("publish_figures <ours|openapiv3> <operations> <properties of each>");
        return;
    };
    let text = document(operations.parse().unwrap(), properties.parse().unwrap());
    let bytes = text.len();
    // The system counts a processor's time in steps of milliseconds.
    let times = (1_000 / operations.parse::<u32>().unwrap()).max(1);
    let start = Instant::now();
    let steps = if who == "ours" { ours(text.as_bytes(), times) } else { openapiv3(&text) };
    let wall = start.elapsed() / if who == "ours" { times } else { 1 };
    let answer = serde_json::json!({
        "who": who,
        "operations": operations.parse::<usize>().unwrap(),
        "bytes": bytes,
        "steps": steps,
        "wall_ms": milliseconds(wall),
        "peak_kib": peak_kib(),
    });
    println!("{answer}");
}

/// Milliseconds of each step, done so many times.
fn ours(bytes: &[u8], times: u32) -> serde_json::Value {
    let mut spec = None;
    let read = each(times, || spec = Some(spec::read(Format::Yaml, bytes).unwrap()));
    let spec = spec.unwrap();
    let package = each(times, || package(&spec));
    serde_json::json!({"read_and_check_ms": milliseconds(read), "package_ms": milliseconds(package)})
}

/// The processor's time for one of so many.
fn each(times: u32, mut run: impl FnMut()) -> Duration {
    let start = processor_time();
    for _ in 0..times {
        run();
    }
    processor_time().saturating_sub(start) / times
}

fn package(spec: &Spec) {
    let plan = authorization::plan(spec, &Wishes::default(), "Figures").unwrap();
    let subject = Subject {
        publication: PublicationId(uuid::Uuid::nil()),
        addon: AddonId(uuid::Uuid::nil()),
        app: AppUuid(uuid::Uuid::nil()),
        app_name: "figures".to_owned(),
        app_url: "https://app.example".parse().unwrap(),
        client: "Figures".parse().unwrap(),
        contact_email: "figures@example.com".to_owned(),
    };
    let package = metadata::build(spec, &subject, &plan, &OrgProfile::empty(Release::new(67))).unwrap();
    archive::zip(&package.files()).unwrap();
}

fn openapiv3(text: &str) -> serde_json::Value {
    let start = processor_time();
    let api: openapiv3::OpenAPI = serde_saphyr::from_str(text).unwrap();
    let read = processor_time().saturating_sub(start);
    assert!(!api.paths.paths.is_empty());
    serde_json::json!({"read_ms": milliseconds(read)})
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// How long a processor has worked for this program, which has one thread.
fn processor_time() -> Duration {
    let told = std::fs::read_to_string("/proc/self/schedstat").unwrap();
    Duration::from_nanos(told.split_whitespace().next().unwrap().parse().unwrap())
}

/// The most memory this process had, from `/proc`.
fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// A document with that many operations, each with that many parameters and a response of that many properties: one
/// object type each, since an org takes as many of them as operations.
fn document(operations: usize, properties: usize) -> String {
    let mut text = String::from("openapi: 3.0.3\ninfo: {title: Figures, version: 1.0.0}\npaths:\n");
    for operation in 0..operations {
        write!(
            text,
            "  /things/{operation}/{{id}}:\n    post:\n      operationId: change{operation}\n      description: Changes thing \
             number {operation} and answers what it is afterwards.\n      parameters:\n      - name: id\n        in: path\n        \
             required: true\n        schema: {{type: string}}\n"
        )
        .unwrap();
        for property in 0..properties {
            writeln!(
                text,
                "      - name: field{property}\n        in: query\n        description: Field {property} of it.\n        \
                 schema: {{type: string}}"
            )
            .unwrap();
        }
        text.push_str(
            "      responses:\n        \"200\":\n          description: The thing.\n          content:\n            application/json:\n              \
             schema:\n                type: object\n                properties:\n",
        );
        for property in 0..properties {
            writeln!(
                text,
                "                  field{property}:\n                    type: string\n                    description: Field \
                 {property} of it."
            )
            .unwrap();
        }
    }
    text
}
