//! Add-ons and single sign-on into them.

use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;

use super::{Answer, Created};
use crate::app::App;
use crate::platform::addons::{self, Asked, State as AddonState};
use crate::platform::caller::RequirePerson;
use crate::platform::error::PlatformError;
use crate::platform::{sso, wire};
use crate::web::{ApiJson, ApiPath, Json};

/// `GET /apps/{app}/addons`
pub async fn list_of_app(
    State(app): State<App>,
    caller: RequirePerson,
    ApiPath(named): ApiPath<String>,
) -> Answer {
    let on = caller.app(&app, &named).await?;
    Ok(Json(addons::list_of_app(&app, &on).await?.iter().map(wire::addon).collect()))
}

/// Body of `POST /apps/{app}/addons`.
#[derive(Debug, Deserialize)]
pub struct CreateAddon {
    plan: Named,
    name: Option<String>,
    attachment: Option<Attachment>,
}

/// `{"name": …}`, or the name itself.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Named {
    /// `"heroku-applink"`
    Bare(String),
    /// `{"name": "heroku-applink"}`
    Object {
        /// The name.
        name: String,
    },
}

impl Named {
    /// The name.
    pub fn into_name(self) -> String {
        match self {
            Self::Bare(name) | Self::Object { name } => name,
        }
    }
}

/// How the first attachment is to be named.
#[derive(Debug, Deserialize)]
pub struct Attachment {
    name: Option<String>,
}

/// `POST /apps/{app}/addons`
pub async fn create_addon(
    State(app): State<App>,
    caller: RequirePerson,
    ApiPath(named): ApiPath<String>,
    ApiJson(body): ApiJson<CreateAddon>,
) -> Created {
    let on = caller.app(&app, &named).await?;
    let attachment = body.attachment.and_then(|attachment| attachment.name);
    let asked = Asked { plan: body.plan.into_name(), name: body.name, attachment };
    let made = addons::create(&app, &caller, &on, asked).await?;
    Ok((StatusCode::CREATED, Json(wire::addon(&made))))
}

/// `GET /apps/{app}/addons/{addon}`
pub async fn show_of_app(
    State(app): State<App>,
    caller: RequirePerson,
    ApiPath((named, addon)): ApiPath<(String, String)>,
) -> Answer {
    let on = caller.app(&app, &named).await?;
    Ok(Json(wire::addon(&addons::find_on_app(&app, &on, &addon).await?)))
}

/// `GET /addons/{addon}`
pub async fn show_addon(
    State(app): State<App>,
    caller: RequirePerson,
    ApiPath(named): ApiPath<String>,
) -> Answer {
    Ok(Json(wire::addon(&caller.addon(&app, &named).await?)))
}

/// `DELETE /apps/{app}/addons/{addon}`
pub async fn destroy_addon(
    State(app): State<App>,
    caller: RequirePerson,
    ApiPath((named, addon)): ApiPath<(String, String)>,
) -> Answer {
    let on = caller.app(&app, &named).await?;
    let addon = addons::find_on_app(&app, &on, &addon).await?;
    Ok(Json(wire::addon(&addons::destroy(&app, &caller, &on, addon).await?)))
}

/// `GET /apps/{app}/addons/{addon}/sso`
pub async fn sign_on(
    State(app): State<App>,
    caller: RequirePerson,
    ApiPath((named, addon)): ApiPath<(String, String)>,
) -> Answer {
    let on = caller.app(&app, &named).await?;
    let addon = addons::find_on_app(&app, &on, &addon).await?;
    if addon.state != AddonState::Provisioned || !addon.is_attached_to(&on) {
        let message = format!("{} is not provisioned on {}.", addon.addon.name, on.app.name);
        return Err(PlatformError::invalid(message));
    }
    Ok(Json(sso::sign(&app, &caller.person, &on, &addon)?))
}

/// Body of `POST /actions/addons/resolve`.
#[derive(Debug, Deserialize)]
pub struct Resolve {
    addon: String,
    app: Option<String>,
}

/// `POST /actions/addons/resolve`
pub async fn resolve(
    State(app): State<App>,
    caller: RequirePerson,
    ApiJson(body): ApiJson<Resolve>,
) -> Answer {
    let found = addons::resolve(&app, &caller, &body.addon, body.app.as_deref()).await?;
    Ok(Json(found.iter().map(wire::addon).collect()))
}
