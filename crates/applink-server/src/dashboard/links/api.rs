//! What the CLI calls to open the dashboard in a browser: `POST /addons/{addon}/sign-in-links`.
//!
//! | who calls | what the session may do | when it ends early |
//! |---|---|---|
//! | an API key with scope `manage` | what the key may do | when the key is revoked or ends |
//! | the add-on's token alone | look at what the token may read | when the app is detached |
//!
//! `x-addon-sso` adds nothing here: whom Heroku signs on, it signs on in the browser too.

use applink_api::sign_in::SignInLink;
use axum::extract::State;
use http::StatusCode;

use super::{LIFETIME, Visitor, make};
use crate::addons::Attachment;
use crate::app::App;
use crate::audit::Entry;
use crate::dashboard::session::Basis;
use crate::error::ApiError;
use crate::web::Json;
use crate::web::auth::RequireReader;

/// Makes a link that signs a browser in to the dashboard: one use, sixty seconds.
///
/// With an API key the session may do what the key may do; with the add-on's token alone it shows what the token may
/// read.
#[utoipa::path(
    post,
    path = "/addons/{addon}/sign-in-links",
    tag = "sign-in links",
    responses((status = 201, description = "The only time the link is shown", body = SignInLink)),
    security(("addon_token" = []), ("api_key" = []))
)]
pub async fn create_sign_in_link(
    State(app): State<App>,
    reader: RequireReader,
) -> Result<(StatusCode, Json<SignInLink>), ApiError> {
    let visitor = visitor(&app, &reader)?;
    let mut tx = app.store.begin().await?;
    let made = make(&app, &tx, &visitor, LIFETIME).await?;
    let entry = Entry::new(&reader.actor, "sign_in_link.created", visitor.addon, visitor.addon.0);
    tx.audit(entry.with_detail(if visitor.may_change { "to change things" } else { "to look" }));
    tx.commit().await?;
    let (url, expires_at) = (made.url(&app), made.expires_at);
    Ok((StatusCode::CREATED, Json(SignInLink { url, expires_at, may_change: visitor.may_change })))
}

fn visitor(app: &App, reader: &RequireReader) -> Result<Visitor, ApiError> {
    let addon = reader.addon.id;
    match (&reader.attachment, reader.key) {
        (Some(attachment), _) => {
            let person = shown(attachment);
            let may_change = app.config.access.allow_token_management;
            Ok(Visitor { addon, person, basis: Basis::Attachment(attachment.id), may_change })
        }
        (None, Some(key)) => {
            let person = reader.actor.name.clone();
            Ok(Visitor { addon, person, basis: Basis::Key(key), may_change: true })
        }
        (None, None) => Err(ApiError::not_found()),
    }
}

fn shown(attachment: &Attachment) -> String {
    format!("{} ({})", attachment.app.name, attachment.prefix)
}
