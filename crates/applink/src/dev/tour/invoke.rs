//! Step 5: the org calls the app as a sales user. The app sees that user's own opportunities and, only while the
//! call runs, the custom metadata that user-plus mode opens.

use serde_json::{Value, json};

use super::{Failure, Seen, ensure};
use crate::dev::stack::{PERMISSION_SET, SERVICE, Stack};
use crate::sim::{Invoke, Invoked, Mode, SimError};

const ALL_OPPORTUNITIES: &str = "SELECT Id FROM Opportunity ORDER BY Name";
const PARAMETERS: &str = "SELECT Name__c, Value__c FROM ProvisioningParameter__mdt";

pub(super) async fn walk(stack: &Stack, broken: bool) -> Result<Seen, Failure> {
    let sales = stack.username("sales");
    if broken {
        stack.sim.unassign(PERMISSION_SET, sales).await?;
    }
    let all = ids(&stack.sim.query_as(stack.username("admin"), ALL_OPPORTUNITIES).await?);
    let own = ids(&stack.sim.query_as(sales, ALL_OPPORTUNITIES).await?);
    ensure(!own.is_empty() && own.len() < all.len(), || {
        format!("sales sees {} of {} opportunities, so nothing would be shown", own.len(), all.len())
    })?;
    let invoked = call(stack, "sales", Mode::Flow, &all).await?;
    ensure(invoked.status == 201, || format!("the app answered {}: {}", invoked.status, invoked.body))?;
    let job = job_id(&invoked)?;
    let visible = number(&invoked.body, "opportunitiesVisible")?;
    ensure(visible == own.len() as u64, || {
        format!("the app saw {visible} opportunities, the user has {}", own.len())
    })?;
    let parameters = number(&invoked.body, "parametersRead")?;
    ensure(parameters > 0, || "the app read no custom metadata in user-plus mode".to_owned())?;
    let refusal = refused_after_the_call(stack, &invoked, sales).await?;
    Ok(Seen {
        headline: format!("201, job {job}"),
        details: vec![
            format!("{visible} of {} opportunities seen: only the user's own", all.len()),
            format!("{parameters} custom metadata rows read in user-plus mode"),
            format!("and refused again after the call: {refusal}"),
        ],
    })
}

/// Has the org call the sample's one operation for these opportunities.
pub(super) async fn call(
    stack: &Stack,
    role: &str,
    mode: Mode,
    opportunities: &[String],
) -> Result<Invoked, SimError> {
    let invoke = Invoke {
        service: SERVICE.to_owned(),
        operation: "provisionServices".to_owned(),
        username: stack.username(role).to_owned(),
        body: Some(json!({"opportunityIds": opportunities})),
        parameters: None,
        mode,
        callback_timeout_minutes: None,
    };
    stack.sim.invoke(&invoke).await
}

/// The user's own opportunities.
pub(super) async fn own_opportunities(stack: &Stack, role: &str) -> Result<Vec<String>, Failure> {
    Ok(ids(&stack.sim.query_as(stack.username(role), ALL_OPPORTUNITIES).await?))
}

pub(super) fn job_id(invoked: &Invoked) -> Result<&str, Failure> {
    let id = invoked.body.get("jobId").and_then(Value::as_str);
    id.ok_or_else(|| Failure::new("the app's answer holds no jobId"))
}

fn ids(answer: &Value) -> Vec<String> {
    let records = answer.get("records").and_then(Value::as_array).into_iter().flatten();
    records.filter_map(|record| Some(record.get("Id")?.as_str()?.to_owned())).collect()
}

fn number(body: &Value, field: &str) -> Result<u64, Failure> {
    let number = body.get(field).and_then(Value::as_u64);
    number.ok_or_else(|| Failure::new(format!("the app's answer holds no {field}")))
}

/// Both doors must be shut: the session the call ran in, and a new session of the same user.
async fn refused_after_the_call(stack: &Stack, invoked: &Invoked, sales: &str) -> Result<String, Failure> {
    let old_session = stack.sim.query_in(&invoked.session_id, PARAMETERS).await;
    ensure(matches!(old_session, Err(SimError::Refused { .. })), || {
        "the session of the call still works after it".to_owned()
    })?;
    match stack.sim.query_as(sales, PARAMETERS).await {
        Err(SimError::Refused { message, .. }) => Ok(first_sentence(&message)),
        Err(other) => Err(other.into()),
        Ok(_) => Err(Failure::new("the user still reads custom metadata after the call")),
    }
}

/// The org's sentence, without the query it is about and without the advice that follows.
fn first_sentence(text: &str) -> String {
    let last_line = text.trim().lines().last().unwrap_or_default();
    last_line.split(". ").next().unwrap_or_default().to_owned()
}
