//! Data Cloud, second step: the app is called when clicks arrive in Data Cloud.
//!
//! 1. A data action target at the app's `/clicks`, and in the org a data action that tells it of new clicks.
//! 2. A visitor clicks three times; the app sends the clicks to Data Cloud.
//! 3. Data Cloud applies them and calls the app, signed; the mesh lets only that through; the app reacts.

use std::time::Duration;

use applink_api::data_action_target::{CreateDataActionTarget, DataActionTargetStatus};
use serde_json::{Value, json};

use super::lake::LAKE;
use super::{Failure, Seen, ensure};
use crate::dev::stack::Stack;

/// The data action target, and its label.
const TARGET: (&str, &str) = ("ClickEvents", "Click events");
/// How long each part may take.
const PATIENCE: Duration = Duration::from_secs(15);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

pub(super) async fn walk(stack: &Stack, broken: bool) -> Result<Seen, Failure> {
    let endpoint = target(stack).await?;
    act(stack).await?;
    if broken {
        replace_key(stack).await?;
    }
    let visitor = format!("visitor-{}", applink_api::entropy::Entropy::system().uuid().simple());
    for number in 1..=3 {
        click(stack, &visitor, number).await?;
    }
    let looks = interest_of(stack, &visitor).await?;
    Ok(Seen {
        headline: format!("{visitor} looked {looks} times at EDGE-GW-100, says the app"),
        details: vec![
            format!("Data Cloud calls {endpoint}"),
            format!("a call with a wrong signature is refused: {}", wrongly_signed(stack).await?),
        ],
    })
}

async fn target(stack: &Stack) -> Result<String, Failure> {
    let client = stack.client()?;
    let targets = client.data_action_targets(LAKE);
    let found = match targets.get(TARGET.0).await {
        Ok(found) => found,
        Err(error) if error.is_not_found() => {
            let request = CreateDataActionTarget {
                api_name: Some(TARGET.0.to_owned()),
                label: TARGET.1.to_owned(),
                target_endpoint: "/clicks".to_owned(),
                kind: Some("webhook".to_owned()),
            };
            targets.create(&request).await?
        }
        Err(error) => return Err(error.into()),
    };
    let settled = within("the data action target is not created", async || {
        let target = targets.get(&found.api_name).await?;
        Ok(target.status.is_settled().then_some(target))
    });
    let target = settled.await?;
    ensure(target.status == DataActionTargetStatus::Created, || {
        target.error.as_ref().map_or_else(|| target.status.as_str().to_owned(), |error| error.message.clone())
    })?;
    let (endpoint, mesh) = (target.endpoint_url.unwrap_or_default(), &stack.facts.mesh_url);
    ensure(endpoint.starts_with(mesh.as_str()), || {
        format!(
            "Data Cloud calls {endpoint} since an earlier start, and the mesh is at {mesh} now: give it its former --mesh-port, or start over with --fresh"
        )
    })?;
    Ok(endpoint)
}

/// The data action, as an admin of the org makes it in Setup; one that is there stays.
async fn act(stack: &Stack) -> Result<(), Failure> {
    let body = json!({
        "developerName": "OnClick",
        "dataActionTargetNames": [TARGET.0],
        "dataActionSources": [{"sourceName": "ClickEvent__dlm", "sourceCdcSubscriptions": ["INSERT"]}],
    });
    match stack.sim.post::<Value>("data-cloud/actions", &body).await {
        Ok(_) => Ok(()),
        Err(crate::sim::SimError::Refused { message, .. }) if message.contains("already") => Ok(()),
        Err(error) => Err(error.into()),
    }
}

async fn replace_key(stack: &Stack) -> Result<(), Failure> {
    stack.sim.post::<Value>(&format!("data-cloud/targets/{}/key", TARGET.0), &json!({})).await?;
    Ok(())
}

async fn click(stack: &Stack, visitor: &str, number: u32) -> Result<(), Failure> {
    let body = json!({
        "eventId": format!("{visitor}-{number}"), "visitor": visitor, "page": "/products/edge-gw-100", "action": "view",
        "product": "EDGE-GW-100", "quantity": 1, "occurredAt": "2026-01-01T00:00:00Z",
    });
    let answer = stack.http.post(format!("{}/api/clicks", stack.facts.mesh_url)).json(&body).send().await?;
    let status = answer.status();
    let text = answer.text().await?;
    ensure(status.as_u16() == 202, || format!("the app answered {status} to a click: {text}"))
}

async fn interest_of(stack: &Stack, visitor: &str) -> Result<u64, Failure> {
    let url = format!("{}/api/interested", stack.facts.mesh_url);
    let told = within("the app was not told of the clicks by Data Cloud", async || {
        let all: Value = stack.http.get(&url).send().await?.json().await?;
        let found = all.as_array().into_iter().flatten().find(|one| one["visitor"] == visitor);
        Ok(found.and_then(|one| one["looks"].as_u64()))
    });
    match told.await {
        Err(failure) => Err(Failure::new(format!("{failure}: {}", last_delivery(stack).await?))),
        looks => looks,
    }
}

/// What became of the newest call.
async fn last_delivery(stack: &Stack) -> Result<String, Failure> {
    let all: Value = stack.sim.get("data-cloud/deliveries").await?;
    Ok(match all.get(0) {
        None => "it called nobody".to_owned(),
        Some(newest) => {
            let text = |name: &str| newest[name].as_str().unwrap_or("no trouble").to_owned();
            format!(
                "its newest call is {} after {} tries ({}); GET {}/_sim/data-cloud/deliveries shows all",
                text("state"),
                newest["attempts"],
                text("trouble"),
                stack.facts.org_url
            )
        }
    })
}

async fn wrongly_signed(stack: &Stack) -> Result<u16, Failure> {
    let url = format!("{}/clicks?apiName={}&orgId={}", stack.facts.mesh_url, TARGET.0, stack.facts.org_id);
    let answer = stack
        .http
        .post(url)
        .header("x-signature", "bm9uc2Vuc2U=")
        .json(&json!({"events": []}))
        .send()
        .await?;
    let status = answer.status().as_u16();
    ensure(status == 403, || format!("a call with a wrong signature is answered {status}"))?;
    Ok(status)
}

/// Looks until there is something, for a while.
async fn within<T>(
    otherwise: &'static str,
    mut look: impl AsyncFnMut() -> Result<Option<T>, Failure>,
) -> Result<T, Failure> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        if tokio::time::Instant::now() >= deadline {
            return Err(Failure::new(otherwise));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
