//! Step 3: an integration user is authorized under a developer name, and the app reads campaigns as that user.

use applink_api::authorization::{AuthorizationStatus, AuthorizeRequest};
use serde_json::Value;

use super::connect::log_in;
use super::{Failure, Seen, ensure};
use crate::dev::stack::{AUTHORIZATION, Stack};
use crate::dev::visitor::Decision;

pub(super) async fn walk(stack: &Stack, broken: bool) -> Result<Seen, Failure> {
    let since = authorize(stack, broken).await?;
    let campaigns = campaigns_of_the_app(stack).await?;
    ensure(!campaigns.is_empty(), || "the app read no campaigns".to_owned())?;
    Ok(Seen {
        headline: format!("{AUTHORIZATION} is {}{since}", stack.username("integration")),
        details: vec![format!("{} campaigns read by the app in authorized-user mode", campaigns.len())],
    })
}

async fn authorize(stack: &Stack, broken: bool) -> Result<&'static str, Failure> {
    let client = stack.client()?;
    let known = client.authorizations().list().await?;
    let alive = known.iter().any(|authorization| {
        authorization.org.developer_name.as_deref() == Some(AUTHORIZATION)
            && authorization.status == AuthorizationStatus::Authorized
    });
    if alive {
        return Ok(", since an earlier start");
    }
    let request =
        AuthorizeRequest { developer_name: AUTHORIZATION.to_owned(), login_url: None, force: false };
    let begun = client.authorizations().add(&request).await?;
    let decision = if broken { Decision::Deny } else { Decision::Allow };
    let person = stack.person("integration", decision)?;
    let arrival = log_in(begun.redirect_uri.as_deref(), &person).await?;
    let authorization = client.authorizations().get(&begun.id.to_string()).await?;
    ensure(authorization.status == AuthorizationStatus::Authorized, || {
        let error = authorization.error.as_ref().map(|error| error.message.as_str());
        error.unwrap_or(&arrival.title).to_owned()
    })?;
    Ok("")
}

/// What the app's public page lists, fetched through the mesh as a visitor of the page would.
async fn campaigns_of_the_app(stack: &Stack) -> Result<Vec<Value>, Failure> {
    let url = format!("{}/api/campaigns", stack.facts.mesh_url);
    let response = stack.http.get(url).send().await?;
    let status = response.status();
    let body: Value = response.json().await?;
    ensure(status.is_success(), || format!("the app answered {status} to GET /api/campaigns: {body}"))?;
    let campaigns = body.get("campaigns").or(Some(&body)).and_then(Value::as_array).cloned();
    campaigns.ok_or_else(|| Failure::new("the app's answer holds no list of campaigns"))
}
