//! API keys of the add-on: made by the person who is signed in, for themselves, and revoked by whoever may change it.

use applink_api::operator::CreateOwnApiKey;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use secrecy::ExposeSecret as _;

use super::{Secret, again_with};
use crate::api_keys;
use crate::app::App;
use crate::dashboard::form::Posted;
use crate::dashboard::notice::Notice;
use crate::dashboard::shell::{Section, go_to};
use crate::error::ApiError;
use crate::web::ApiPath;

/// Where the list is.
const SETTINGS: &str = "/dashboard/settings";

/// Makes one; it is on the answer, and on no other.
pub async fn create(State(app): State<App>, posted: Posted) -> Response {
    let created = async {
        let days = posted.fields.given("expires_in_days").map(str::parse::<u16>).transpose();
        let days = days.map_err(|_| ApiError::validation("Say after how many days it ends, in digits."))?;
        api_keys::create_own(&app, &posted.manager, CreateOwnApiKey { expires_in_days: days }).await
    };
    match created.await {
        Ok(created) => {
            let page = Secret {
                shell: posted.shell(&app, Section::Settings),
                title: "The new token",
                about: "Set it as APPLINK_API_KEY where applink runs, or send it as Authorization: Bearer."
                    .to_owned(),
                secret: created.key.expose_secret().to_owned(),
                path: SETTINGS.to_owned(),
                former_until: None,
            };
            page.page()
        }
        Err(error) => again_with(&app, &posted, &error).await,
    }
}

/// Makes one void.
pub async fn revoke(State(app): State<App>, ApiPath(id): ApiPath<String>, posted: Posted) -> Response {
    let revoked = async {
        let id = id.parse().map_err(|_| ApiError::not_found())?;
        api_keys::revoke_of_addon(&app, &posted.manager, id).await
    };
    match revoked.await {
        Ok(()) => go_to(&app, SETTINGS, Some(Notice::Revoked)),
        Err(error) if error.status() == StatusCode::NOT_FOUND => {
            posted.shell(&app, Section::Settings).refused(&error)
        }
        Err(error) => again_with(&app, &posted, &error).await,
    }
}
