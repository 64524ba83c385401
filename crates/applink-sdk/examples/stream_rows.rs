//! Rows into Data Cloud and out of it again, measured: `stream_rows load COUNT` or `stream_rows read COUNT`.
#![expect(clippy::print_stdout, reason = "what it measured is its output")]
#![expect(clippy::disallowed_methods, reason = "the machine's clock is what it measures with")]

use std::time::Instant;

use applink_sdk::AppLink;
use serde_json::json;

type Failure = Box<dyn std::error::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let mut words = std::env::args().skip(1);
    let verb = words.next().ok_or("load or read?")?;
    let count: u64 = words.next().ok_or("how many?")?.parse()?;
    let name = std::env::var("CONFORMANCE_LAKE")?;
    let org = AppLink::from_env()?.authorization(&name).await?.org();
    let started = Instant::now();
    let rows = match verb.as_str() {
        "load" => load(&org, count).await?,
        _ => read(&org, count).await?,
    };
    let seconds = started.elapsed().as_secs_f64();
    println!("{}", json!({"rows": rows, "seconds": seconds, "peak_kib": peak_kib()?}));
    Ok(())
}

/// A thousand at a time: the SDK makes requests of the right size of them.
async fn load(org: &applink_sdk::Org, count: u64) -> Result<u64, Failure> {
    let mut sent = 0;
    while sent < count {
        let some = (sent..count.min(sent + 1_000)).map(|number| {
            json!({
                "eventId": format!("bench-{number:07}"), "visitor": format!("visitor-{}", number % 997),
                "page": format!("/products/{}", number % 89), "action": "view", "product": "EDGE-GW-100",
                "quantity": number % 7, "occurredAt": "2026-01-01T00:00:00Z",
            })
        });
        sent += u64::try_from(org.data_cloud().upsert("AcmeWeb", "ClickEvent").rows(some).send().await?)?;
    }
    Ok(sent)
}

async fn read(org: &applink_sdk::Org, count: u64) -> Result<u64, Failure> {
    let sql = format!(
        "SELECT eventId__c, visitor__c, page__c, quantity__c FROM ClickEvent__dlm WHERE eventId__c LIKE 'bench-%' LIMIT {count}"
    );
    let mut rows = org.data_cloud().query(sql).rows();
    let (mut read, mut letters) = (0, 0);
    while let Some(row) = rows.next().await? {
        letters += row.text("page__c").map_or(0, str::len);
        read += 1;
    }
    assert!(letters > 0 || read == 0);
    Ok(read)
}

/// The most memory this process had at once.
fn peak_kib() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.split_whitespace().nth(1).ok_or("no number")?.parse()?)
}
