//! Step 5, second half: the person presses *Connect*, or doesn't.

use applink_salesforce::oauth::Refusal;
use axum::Form;
use axum::extract::State;
use axum::extract::rejection::FormRejection;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use secrecy::SecretString;
use serde::Deserialize;

use super::complete::{self, Flow};
use super::pages::Trouble;
use super::start::is_same_browser;
use super::store::{self, RETURNED};
use crate::app::App;
use crate::dashboard::back;
use crate::error::ApiError;
use crate::web::auth::hash_of;

/// The form.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub struct Decision {
    /// Random, in the page only: nobody can make this browser send it.
    #[serde(with = "applink_api::secret::wire")]
    #[schema(value_type = String, format = Password)]
    ticket: SecretString,
    /// `connect` or `cancel`.
    decision: String,
}

/// A person agrees to what is about to be connected.
#[utoipa::path(
    post,
    path = "/oauth/confirm",
    tag = "browser",
    request_body(content = Decision, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "Connected, or not and why", body = String, content_type = "text/html"), (status = 400, description = "Not a log-in of this browser", body = String, content_type = "text/html")),
    security(())
)]
pub async fn confirm(
    State(app): State<App>,
    headers: HeaderMap,
    form: Result<Form<Decision>, FormRejection>,
) -> Response {
    let Ok(Form(decision)) = form else { return Trouble::unknown_state().into_response() };
    match go_on(&app, &headers, decision).await {
        Ok(response) => response,
        Err(error) => Trouble::of(error).into_response(),
    }
}

async fn go_on(app: &App, headers: &HeaderMap, decision: Decision) -> Result<Response, ApiError> {
    let flow = store::by_ticket(app.store.reader(), &hash_of(&decision.ticket)).await?;
    let Some(flow) = flow.filter(|flow| is_same_browser(app, flow, headers)) else {
        return Ok(Trouble::unknown_state().into_response());
    };
    let tx = app.store.begin().await?;
    let taken = store::take(&*tx, flow.id, RETURNED, app.clock.now()).await?;
    tx.commit().await?;
    let Some(flow) = taken else { return Ok(Trouble::unknown_state().into_response()) };
    if decision.decision != "connect" {
        let refusal = Refusal::at_authorize("access_denied", Some("cancelled on the confirmation page"));
        let id = flow.credential_id.0;
        return Ok(back::or(app, headers, id, complete::refused(app, flow, refusal).await));
    }
    let Some(sealed) = &flow.code else { return Ok(Trouble::unknown_state().into_response()) };
    let code = app.vault.open_sealed(flow.place("code"), sealed).await?;
    let id = flow.credential_id.0;
    Ok(back::or(app, headers, id, complete::run(app, Flow { row: flow, code }).await))
}
