//! Heroku, which calls with the manifest's id and password (HTTP basic authentication).

use axum::extract::FromRequestParts;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use secrecy::{ExposeSecret as _, SecretString};

use super::ProviderConfig;
use crate::app::App;
use crate::audit::{Actor, ActorKind};
use crate::error::ApiError;
use crate::web::auth::{hash_of, same};

/// Heroku itself.
#[derive(Clone, Debug)]
pub struct RequireHeroku {
    /// For the audit log.
    pub actor: Actor,
}

impl FromRequestParts<App> for RequireHeroku {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let refused = || ApiError::unauthorized("Send the add-on manifest's id and password.");
        let config = app.config.provider.as_ref().ok_or_else(ApiError::not_found)?;
        let given = basic(&parts.headers).ok_or_else(refused)?;
        if same(&hash_of(&expected(config)), &hash_of(&given)) {
            return Ok(Self { actor: Actor::new(ActorKind::Operator, "Heroku") });
        }
        Err(refused())
    }
}

/// `id:password`, as it travels.
fn expected(config: &ProviderConfig) -> SecretString {
    format!("{}:{}", config.slug, config.password.expose_secret()).into()
}

fn basic(headers: &HeaderMap) -> Option<SecretString> {
    let (scheme, encoded) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = STANDARD.decode(encoded.trim()).ok()?;
    String::from_utf8(decoded).ok().map(SecretString::from)
}
