//! Single sign-on: what `GET /apps/{app}/addons/{addon}/sso` answers and the CLI sends back as `x-addon-sso`.
//!
//! `resource_token` is Heroku's digest, which does not cover the person. Ours adds `applink_person_mac`
//! ([`crate::web::auth::sso::person_mac`]), which does.

use applink_api::ids::AddonId;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::addons::PlatformAddon;
use super::apps::PlatformApp;
use super::error::PlatformError;
use super::people::Person;
use crate::app::App;
use crate::dashboard::links::{self, Visitor};
use crate::dashboard::session::Basis;
use crate::db::StoreError;
use crate::error::ApiError;
use crate::web::auth::sso::{Claim, person_mac, resource_token};

/// Says who the person is to an add-on of the app; good for five minutes.
///
/// # Errors
/// 422 when this server has nothing to sign with.
pub fn sign(
    app: &App,
    person: &Person,
    on: &PlatformApp,
    addon: &PlatformAddon,
) -> Result<Value, PlatformError> {
    let salt = app.config.access.sso_salt.as_ref().ok_or_else(|| {
        ApiError::validation("This server signs nobody on: the operator sets APPLINK_SSO_SALT.")
    })?;
    let resource = addon.addon.id.to_string();
    let timestamp = app.clock.now().as_seconds();
    let user_id = person.id.to_string();
    let token = resource_token(&resource, salt, timestamp);
    let claim = Claim { resource: &resource, timestamp, user_id: &user_id, email: &person.email };
    Ok(json!({
        "action": format!("{}/sso/login", app.urls.base()),
        "method": "post",
        "params": {
            "app": on.app.name,
            "context_app": on.app.name,
            "email": person.email,
            "id": resource,
            "nav-data": STANDARD.encode(json!({"app": on.app.name}).to_string()),
            "resource_id": resource,
            "resource_token": token,
            "timestamp": timestamp.to_string(),
            "token": token,
            "user_id": user_id,
            "applink_person_mac": person_mac(claim, salt),
        },
    }))
}

/// Where `heroku addons:open` leads the person's browser: good for a minute and one use.
///
/// # Errors
/// Those of the database.
pub async fn sign_in_link(app: &App, person: &Person, addon: AddonId) -> Result<SecretString, StoreError> {
    let basis = Basis::SignOn(Some(person.id));
    let visitor = Visitor { addon, person: person.email.clone(), basis, may_change: true };
    let tx = app.store.begin().await?;
    let made = links::make(app, &tx, &visitor, links::LIFETIME).await?;
    tx.commit().await?;
    Ok(made.url(app))
}
