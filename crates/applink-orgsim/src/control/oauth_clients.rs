//! OAuth clients: listing them, making one, giving one a key.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use super::problem::{Body, Problem};
use crate::failure::Failure;
use crate::oauth::clients::{self, Client, Permitted};
use crate::oauth::scopes;
use crate::state::OrgState;
use crate::{keys, secrets};

/// A client to be made, or what to change of the one of that name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClientForm {
    name: String,
    label: Option<String>,
    certificate_pem: Option<String>,
    public_key_pem: Option<String>,
    callbacks: Option<Vec<String>>,
    scopes: Option<Vec<String>>,
    pkce_required: Option<bool>,
    secret_required: Option<bool>,
    /// Another consumer secret; the one before is of no use any more.
    consumer_secret: Option<SecretString>,
    rotates_refresh_tokens: Option<bool>,
    keeps_grant_on_replay: Option<bool>,
    session_timeout_minutes: Option<u32>,
    /// Profiles whose users may use it without approving it.
    admin_approved_profiles: Option<Vec<String>>,
    /// `true` makes users approve it themselves.
    self_authorized: Option<bool>,
    client_credentials_user: Option<String>,
    enabled: Option<bool>,
    refresh_tokens_last_seconds: Option<u32>,
    ip_restricted: Option<bool>,
    withheld_scopes: Option<Vec<String>>,
}

pub(super) async fn list(State(state): State<OrgState>) -> Result<Json<Value>, Problem> {
    let all = state.db().read(clients::all)?;
    Ok(Json(all.iter().map(describe).collect()))
}

fn describe(client: &Client) -> Value {
    let permitted = match &client.permitted {
        Permitted::SelfAuthorized => json!({"policy": "self_authorized"}),
        Permitted::AdminApproved { profiles, permission_sets } => {
            json!({"policy": "admin_approved", "profiles": profiles, "permission_sets": permission_sets})
        }
    };
    json!({
        "name": client.name,
        "label": client.label,
        "consumer_key": client.consumer_key,
        "callbacks": client.callbacks,
        "scopes": client.scopes,
        "enabled": client.enabled,
        "pkce_required": client.pkce_required,
        "has_secret": client.secret_fingerprint.is_some(),
        "has_public_key": client.public_key.is_some(),
        "rotates_refresh_tokens": client.rotates_refresh_tokens,
        "keeps_grant_on_replay": client.keeps_grant_on_replay,
        "session_timeout_minutes": client.session_timeout_minutes,
        "permitted": permitted,
        "refresh_tokens_last_seconds": client.refresh_tokens_last_seconds,
        "ip_restricted": client.ip_restricted,
        "withheld_scopes": client.withheld_scopes,
    })
}

/// Makes or changes a client. A new one's secret is in the answer, this once.
pub(super) async fn save(
    State(state): State<OrgState>,
    Body(form): Body<ClientForm>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let public_key = public_key(&form)?;
    if let Some(unknown) = form.scopes.iter().flatten().find(|scope| scopes::by_name(scope).is_none()) {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "invalid_scope",
            format!("scopes: {unknown:?} is no OAuth scope"),
            "Scopes are such as api, refresh_token, id",
        ));
    }
    let (client, secret) = state.db().write(|tx| {
        let existing = clients::find_by_name(tx, &form.name)?
            .or(clients::all(tx)?.into_iter().find(|client| client.label == form.name));
        let (mut client, secret) = match existing {
            Some(client) => (client, None),
            None => {
                let secret = secrets::consumer_secret(tx.entropy());
                (
                    new_client(&form.name, secrets::consumer_key(tx.entropy()), secret.expose_secret()),
                    Some(secret),
                )
            }
        };
        change(&mut client, form, public_key);
        clients::save(tx, &client)?;
        Ok::<_, Failure>((client, secret))
    })?;
    let mut answer = describe(&client);
    let status = if secret.is_some() { StatusCode::CREATED } else { StatusCode::OK };
    if let Some(secret) = secret {
        answer["consumer_secret"] = secret.expose_secret().into();
    }
    Ok((status, Json(answer)))
}

fn public_key(form: &ClientForm) -> Result<Option<String>, Problem> {
    let Some(pem) = form.certificate_pem.as_ref().or(form.public_key_pem.as_ref()) else { return Ok(None) };
    let field = if form.certificate_pem.is_some() { "certificate_pem" } else { "public_key_pem" };
    keys::public_key_from_pem(pem).map(Some).map_err(|error| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "invalid_key",
            format!("{field}: {error}"),
            "Pass the PEM text as it is in the file",
        )
    })
}

fn new_client(name: &str, consumer_key: String, secret: &str) -> Client {
    Client {
        name: name.to_owned(),
        label: name.to_owned(),
        consumer_key,
        secret_fingerprint: Some(secrets::fingerprint_text(secret)),
        callbacks: Vec::new(),
        scopes: ["api", "id", "refresh_token"].map(str::to_owned).to_vec(),
        enabled: true,
        pkce_required: true,
        secret_required: true,
        secret_required_for_refresh: true,
        rotates_refresh_tokens: false,
        keeps_grant_on_replay: false,
        introspects_all_tokens: false,
        public_key: None,
        permitted: Permitted::SelfAuthorized,
        session_timeout_minutes: None,
        client_credentials_user: None,
        refresh_tokens_last_seconds: None,
        ip_restricted: false,
        withheld_scopes: Vec::new(),
    }
}

fn change(client: &mut Client, form: ClientForm, public_key: Option<String>) {
    fn set<T>(target: &mut T, value: Option<T>) {
        if let Some(value) = value {
            *target = value;
        }
    }
    set(&mut client.label, form.label);
    set(&mut client.callbacks, form.callbacks);
    set(&mut client.scopes, form.scopes);
    set(&mut client.pkce_required, form.pkce_required);
    set(&mut client.secret_required, form.secret_required);
    set(&mut client.secret_required_for_refresh, form.secret_required);
    let fingerprint = form.consumer_secret.map(|secret| secrets::fingerprint_text(secret.expose_secret()));
    set(&mut client.secret_fingerprint, fingerprint.map(Some));
    set(&mut client.rotates_refresh_tokens, form.rotates_refresh_tokens);
    set(&mut client.keeps_grant_on_replay, form.keeps_grant_on_replay);
    set(&mut client.session_timeout_minutes, form.session_timeout_minutes.map(Some));
    set(&mut client.client_credentials_user, form.client_credentials_user.map(Some));
    set(&mut client.public_key, public_key.map(Some));
    set(&mut client.enabled, form.enabled);
    set(&mut client.refresh_tokens_last_seconds, form.refresh_tokens_last_seconds.map(Some));
    set(&mut client.ip_restricted, form.ip_restricted);
    set(&mut client.withheld_scopes, form.withheld_scopes);
    let approved = form
        .admin_approved_profiles
        .map(|profiles| Permitted::AdminApproved { profiles, permission_sets: Vec::new() });
    set(&mut client.permitted, approved);
    if form.self_authorized == Some(true) {
        client.permitted = Permitted::SelfAuthorized;
    }
}
