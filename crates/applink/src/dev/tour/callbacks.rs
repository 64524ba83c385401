//! Step 6: the app answers 201 at once and reports later, twice, as the same user.

use std::time::Duration;

use serde_json::Value;

use super::invoke::{call, job_id, own_opportunities};
use super::{Failure, Seen, ensure};
use crate::dev::stack::Stack;
use crate::sim::{Callback, Mode};

/// How long the tour waits for both callbacks.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn walk(stack: &Stack, broken: bool) -> Result<Seen, Failure> {
    let sales = stack.username("sales");
    let mode = if broken { Mode::Flow } else { Mode::Apex };
    let opportunities = own_opportunities(stack, "sales").await?;
    let invoked = call(stack, "sales", mode, &opportunities).await?;
    ensure(invoked.status == 201, || format!("the app answered {}: {}", invoked.status, invoked.body))?;
    ensure(invoked.callbacks_expected, || {
        "the call was made as Flow, which has no callbacks, so none will come".to_owned()
    })?;
    let job = job_id(&invoked)?;
    let callbacks = stack.sim.callbacks(&invoked.invocation_id, 2, PATIENCE).await?;
    stack.sim.end(&invoked.invocation_id).await?;
    let statuses: Vec<&str> = callbacks.iter().map(status).collect();
    ensure(statuses.first() == Some(&"started") && statuses.last() == Some(&"completed"), || {
        format!("within {} s these came: [{}]", PATIENCE.as_secs(), statuses.join(", "))
    })?;
    ensure(callbacks.iter().all(|callback| is_from(callback, sales, job)), || {
        format!("a callback did not come as {sales} for job {job}")
    })?;
    Ok(Seen::of(format!("{} for job {job}", statuses.join(", "))))
}

fn status(callback: &Callback) -> &str {
    callback.body.get("status").and_then(Value::as_str).unwrap_or("?")
}

fn is_from(callback: &Callback, username: &str, job: &str) -> bool {
    callback.session_ok
        && callback.username.as_deref() == Some(username)
        && callback.body.get("jobId").and_then(Value::as_str) == Some(job)
}
