//! Attachments.

use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::addons::Named;
use super::{Answer, Created};
use crate::addons::{AttachedApp, Attachment};
use crate::app::App;
use crate::platform::apps::PlatformApp;
use crate::platform::attachments::Asked;
use crate::platform::caller::RequirePerson;
use crate::platform::error::PlatformError;
use crate::platform::{attachments, sso, store, wire};
use crate::web::{ApiJson, ApiPath, Json};

const MISSING: PlatformError = PlatformError::Missing("add_on attachment");

/// `GET /apps/{app}/addon-attachments`
pub async fn list_of_app(
    State(app): State<App>,
    caller: RequirePerson,
    ApiPath(named): ApiPath<String>,
) -> Answer {
    let on = caller.app(&app, &named).await?;
    shown(&app, &caller, of_app(&app, &on).await?).await
}

/// `GET /apps/{app}/addon-attachments/{attachment}`
pub async fn show_of_app(
    State(app): State<App>,
    caller: RequirePerson,
    ApiPath((named, attachment)): ApiPath<(String, String)>,
) -> Answer {
    let on = caller.app(&app, &named).await?;
    let all = of_app(&app, &on).await?;
    let found = all.into_iter().find(|found| is_meant(found, &attachment)).ok_or(MISSING)?;
    Ok(Json(in_full(&app, &caller, &found).await?))
}

/// `GET /addon-attachments`
pub async fn list_all(State(app): State<App>, caller: RequirePerson) -> Answer {
    let mut all = Vec::new();
    for on in caller.apps(&app).await? {
        all.extend(of_app(&app, &on).await?);
    }
    shown(&app, &caller, all).await
}

/// `GET /addons/{addon}/addon-attachments`
pub async fn list_of_addon(
    State(app): State<App>,
    caller: RequirePerson,
    ApiPath(named): ApiPath<String>,
) -> Answer {
    let addon = caller.addon(&app, &named).await?;
    shown(&app, &caller, addon.attachments).await
}

/// `GET /addon-attachments/{attachment}`
pub async fn show_attachment(
    State(app): State<App>,
    caller: RequirePerson,
    ApiPath(id): ApiPath<String>,
) -> Answer {
    let found = caller.attachment(&app, &id).await?;
    Ok(Json(in_full(&app, &caller, &found).await?))
}

/// Body of `POST /addon-attachments`.
#[derive(Debug, Deserialize)]
pub struct CreateAttachment {
    addon: Named,
    app: Named,
    name: Option<String>,
    confirm: Option<String>,
}

/// `POST /addon-attachments`
pub async fn create_attachment(
    State(app): State<App>,
    caller: RequirePerson,
    ApiJson(body): ApiJson<CreateAttachment>,
) -> Created {
    let addon = caller.addon(&app, &body.addon.into_name()).await?;
    let on = caller.app(&app, &body.app.into_name()).await?;
    let asked = Asked { name: body.name, confirm: body.confirm };
    let made = attachments::create(&app, &caller, &addon, &on, asked).await?;
    Ok((StatusCode::CREATED, Json(in_full(&app, &caller, &made).await?)))
}

/// `DELETE /addon-attachments/{attachment}`
pub async fn destroy_attachment(
    State(app): State<App>,
    caller: RequirePerson,
    ApiPath(id): ApiPath<String>,
) -> Answer {
    let found = caller.attachment(&app, &id).await?;
    let was = in_full(&app, &caller, &found).await?;
    attachments::destroy(&app, &caller, &found).await?;
    Ok(Json(was))
}

/// Body of `POST /actions/addon-attachments/resolve`.
#[derive(Debug, Deserialize)]
pub struct Resolve {
    addon_attachment: String,
    app: Option<String>,
}

/// `POST /actions/addon-attachments/resolve`
pub async fn resolve(
    State(app): State<App>,
    caller: RequirePerson,
    ApiJson(body): ApiJson<Resolve>,
) -> Answer {
    let (on, named) = match body.addon_attachment.split_once("::") {
        Some((on, named)) => (Some(on.to_owned()), named.to_owned()),
        None => (body.app, body.addon_attachment),
    };
    let apps = match on {
        Some(on) => vec![caller.app(&app, &on).await?],
        None => caller.apps(&app).await?,
    };
    let mut found = Vec::new();
    for on in apps {
        found.extend(of_app(&app, &on).await?.into_iter().filter(|found| is_meant(found, &named)));
    }
    if found.is_empty() { Err(MISSING) } else { shown(&app, &caller, found).await }
}

fn is_meant(attachment: &Attachment, named: &str) -> bool {
    attachment.prefix == named || attachment.id.to_string() == named
}

async fn of_app(app: &App, on: &PlatformApp) -> Result<Vec<Attachment>, PlatformError> {
    Ok(store::addons::attachments_of_app(app.store.reader(), on.app.id).await?)
}

async fn shown(app: &App, caller: &RequirePerson, found: Vec<Attachment>) -> Answer {
    let mut list = Vec::with_capacity(found.len());
    for attachment in &found {
        list.push(in_full(app, caller, attachment).await?);
    }
    Ok(Json(Value::Array(list)))
}

async fn in_full(app: &App, caller: &RequirePerson, found: &Attachment) -> Result<Value, PlatformError> {
    let reader = app.store.reader();
    let owner: Option<AttachedApp> =
        store::addons::of(reader, found.addon.clone()).await?.map(|addon| addon.app);
    let created_at = store::addons::attached_at(reader, found.id).await?;
    let web_url = sso::sign_in_link(app, &caller.person, found.addon.id).await?;
    Ok(wire::attachment(found, owner.as_ref().unwrap_or(&found.app), created_at, &web_url))
}
