//! What an org needs before it can be called: database, sample data, keys, passwords, its own clients.
//!
//! Making the signing key takes a tenth of a second, so it is made beside the rest.

use std::sync::{Arc, Mutex};

use reqwest::redirect::Policy;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};
use url::Url;
use zeroize::Zeroizing;

use super::state_dir::StateDir;
use super::{OLDEST_API_VERSION, OrgConfig, OrgKind, SampleUser};
use crate::data_cloud::{self, DataCloudWork};
use crate::db::Database;
use crate::entropy::Entropy;
use crate::error::OrgsimError;
use crate::failure::Failure;
use crate::keys::SigningKey;
use crate::oauth::clients::{self, Client, Permitted};
use crate::oauth::faults::TokenDesk;
use crate::rest::{ApiVersion, BulkWork};
use crate::seed::{self, OrgFacts, SeededOrg};
use crate::state::{Identity, Limits, OrgState, Shared};
use crate::{secrets, users};

const CREDENTIALS_FILE: &str = "credentials.json";
const KEY_FILE: &str = "signing-key.pk8";
const DATABASE_FILE: &str = "org.db";

/// API name and label of the seeded clients.
const CONTROL_PLANE: (&str, &str) = ("AppLink_Control_Plane", "AppLink Control Plane");
const JWT: (&str, &str) = ("AppLink_JWT", "AppLink JWT");

/// Where `applink serve` and `applink dev` receive codes, on whatever port.
const LOOPBACK_CALLBACKS: [&str; 2] =
    ["http://127.0.0.1:*/oauth/callback", "http://localhost:*/oauth/callback"];

/// What the owner of a running org may hand out.
#[derive(Debug)]
pub(super) struct SetUp {
    pub(super) users: Vec<SampleUser>,
    pub(super) control_plane_key: String,
    pub(super) control_plane_secret: SecretString,
    pub(super) jwt_key: String,
    /// Held as long as the org runs.
    _state_dir: Option<Arc<StateDir>>,
}

/// Secrets made once per org. This is the only place that keeps them in the clear.
#[derive(Serialize, Deserialize)]
struct Credentials {
    control_plane_key: String,
    control_plane_secret: String,
    jwt_key: String,
    users: Vec<Password>,
}

#[derive(Serialize, Deserialize)]
struct Password {
    role: String,
    username: String,
    password: String,
}

/// What the blocking half of the start answers.
struct Prepared {
    db: Database,
    seeded: SeededOrg,
    credentials: Credentials,
}

pub(super) async fn set_up(config: OrgConfig, base_url: Url) -> Result<(OrgState, SetUp), OrgsimError> {
    let state_dir = config.state_dir.as_deref().map(StateDir::open).transpose()?.map(Arc::new);
    let key = tokio::task::spawn_blocking({
        let state_dir = state_dir.clone();
        move || signing_key(state_dir.as_deref())
    });
    let prepared = tokio::task::spawn_blocking({
        let (config, state_dir) = (config.clone(), state_dir.clone());
        move || prepare(&config, state_dir.as_deref())
    });
    let prepared = prepared.await.map_err(OrgsimError::Interrupted)??;
    let pkcs8 = key.await.map_err(OrgsimError::Interrupted)??;
    let setup = SetUp {
        users: sample_users(&prepared),
        control_plane_key: prepared.credentials.control_plane_key.clone(),
        control_plane_secret: prepared.credentials.control_plane_secret.clone().into(),
        jwt_key: prepared.credentials.jwt_key.clone(),
        _state_dir: state_dir,
    };
    Ok((state(config, base_url, prepared, &pkcs8)?, setup))
}

fn state(
    config: OrgConfig,
    base_url: Url,
    prepared: Prepared,
    pkcs8: &[u8],
) -> Result<OrgState, OrgsimError> {
    let org_id = prepared.seeded.org_id;
    let signing_key = SigningKey::from_pkcs8(pkcs8, &org_id)?;
    let http = reqwest::Client::builder()
        .redirect(Policy::none())
        .timeout(config.callout_timeout)
        .no_proxy()
        .build()
        .map_err(OrgsimError::HttpClient)?;
    Ok(OrgState::new(Shared {
        db: prepared.db,
        clock: config.clock,
        entropy: config.entropy,
        identity: Identity {
            org_id,
            name: config.name,
            kind: config.kind,
            base_url,
            api_version: config.api_version,
            api_versions: ApiVersion::range(OLDEST_API_VERSION.min(config.api_version), config.api_version),
        },
        signing_key,
        sim_key: config.sim_key,
        limits: Limits {
            session_timeout_seconds: i64::try_from(config.session_timeout.as_secs())
                .unwrap_or(i64::from(u32::MAX)),
            callout_timeout: config.callout_timeout,
            deploy_mode: config.deploy_mode,
            data_cloud: config.data_cloud,
        },
        http,
        deploy_nudge: Notify::new(),
        deploy_lock: Mutex::new(()),
        bulk_work: BulkWork::default(),
        data_cloud: DataCloudWork::default(),
        token_desk: TokenDesk::default(),
        callbacks_seen: watch::Sender::new(0),
    }))
}

/// The stored key, or a new one that is then stored.
fn signing_key(state_dir: Option<&StateDir>) -> Result<Zeroizing<Vec<u8>>, OrgsimError> {
    let stored = state_dir.map(|directory| directory.read(KEY_FILE)).transpose()?.flatten();
    if let Some(pkcs8) = stored {
        return Ok(Zeroizing::new(pkcs8));
    }
    let pkcs8 = SigningKey::generate()?;
    if let Some(directory) = state_dir {
        directory.write(KEY_FILE, &pkcs8)?;
    }
    Ok(pkcs8)
}

fn prepare(config: &OrgConfig, state_dir: Option<&StateDir>) -> Result<Prepared, OrgsimError> {
    let path = state_dir.map(|directory| directory.prepare_file(DATABASE_FILE)).transpose()?;
    let instance = match config.kind {
        OrgKind::Production => "Prd",
        OrgKind::Sandbox => "Sbx",
    };
    let db = Database::open(path.as_deref(), config.clock.clone(), config.entropy.clone(), instance)?;
    let facts = OrgFacts {
        name: config.name.clone(),
        is_sandbox: config.kind == OrgKind::Sandbox,
        username_domain: config.username_domain.clone(),
    };
    let seeded = seed::seed(&db, &facts).map_err(|error| OrgsimError::Seed(Box::new(error)))?;
    data_cloud::seed(&db).map_err(|error| OrgsimError::DataCloud(error.into()))?;
    let credentials = credentials(state_dir, &seeded, &config.entropy)?;
    let signed_in = write_sign_in(&db, config, &seeded, &credentials);
    signed_in.map_err(|failure| OrgsimError::SignIn(Box::new(failure)))?;
    Ok(Prepared { db, seeded, credentials })
}

fn credentials(
    state_dir: Option<&StateDir>,
    seeded: &SeededOrg,
    entropy: &Entropy,
) -> Result<Credentials, OrgsimError> {
    let stored = state_dir.map(|directory| directory.read(CREDENTIALS_FILE)).transpose()?.flatten();
    if let (Some(directory), Some(stored)) = (state_dir, stored) {
        return serde_json::from_slice(&stored)
            .map_err(|source| OrgsimError::Damaged { path: directory.file(CREDENTIALS_FILE), source });
    }
    let password = |user: &seed::SeededUser| Password {
        role: user.role.to_owned(),
        username: user.username.clone(),
        password: secrets::password(entropy).expose_secret().to_owned(),
    };
    let made = Credentials {
        control_plane_key: secrets::consumer_key(entropy),
        control_plane_secret: secrets::consumer_secret(entropy).expose_secret().to_owned(),
        jwt_key: secrets::consumer_key(entropy),
        users: seeded.users.iter().map(password).collect(),
    };
    if let Some(directory) = state_dir {
        let text = serde_json::to_vec_pretty(&made)
            .map_err(|source| OrgsimError::Damaged { path: directory.file(CREDENTIALS_FILE), source })?;
        directory.write(CREDENTIALS_FILE, &text)?;
    }
    Ok(made)
}

/// Passwords and seeded clients as rows. Written at every start: the file is the truth about both.
fn write_sign_in(
    db: &Database,
    config: &OrgConfig,
    seeded: &SeededOrg,
    credentials: &Credentials,
) -> Result<(), Failure> {
    let mut hashes = Vec::new();
    for user in &seeded.users {
        if let Some(known) = credentials.users.iter().find(|known| known.username == user.username) {
            let hash = secrets::hash_password(&known.password.clone().into(), &config.entropy);
            hashes.push((user.user_id.clone(), hash));
        }
    }
    db.write(|tx| {
        for (user_id, hash) in &hashes {
            users::set_password(tx, user_id, hash)?;
        }
        // What was changed through the control API stays, such as a registered key.
        let control_plane = control_plane_client(config, credentials);
        let known = clients::find(tx, &control_plane.consumer_key)?;
        clients::save(
            tx,
            &match known {
                Some(known) => Client {
                    callbacks: control_plane.callbacks,
                    scopes: with_data_cloud(known.scopes),
                    ..known
                },
                None => control_plane,
            },
        )?;
        let jwt = match clients::find(tx, &credentials.jwt_key)? {
            Some(known) => Client { scopes: with_data_cloud(known.scopes), ..known },
            None => jwt_client(credentials),
        };
        clients::save(tx, &jwt)?;
        Ok(())
    })
}

/// The scopes of the seeded clients, those for Data Cloud left out.
const CONTROL_PLANE_SCOPES: [&str; 5] = ["api", "id", "profile", "email", "refresh_token"];
const JWT_SCOPES: [&str; 4] = ["api", "id", "profile", "email"];
const DATA_CLOUD_SCOPES: [&str; 3] = ["cdp_query_api", "cdp_ingest_api", "cdp_profile_api"];

/// Clients that were seeded before there was a Data Cloud get its scopes; those somebody has changed stay as they are.
fn with_data_cloud(scopes: Vec<String>) -> Vec<String> {
    let as_seeded = |seeded: &[&str]| scopes.iter().map(String::as_str).eq(seeded.iter().copied());
    if as_seeded(&CONTROL_PLANE_SCOPES) || as_seeded(&JWT_SCOPES) {
        return scopes.into_iter().chain(DATA_CLOUD_SCOPES.map(str::to_owned)).collect();
    }
    scopes
}

fn control_plane_client(config: &OrgConfig, credentials: &Credentials) -> Client {
    let callbacks = LOOPBACK_CALLBACKS.iter().map(|callback| (*callback).to_owned());
    Client {
        name: CONTROL_PLANE.0.to_owned(),
        label: CONTROL_PLANE.1.to_owned(),
        consumer_key: credentials.control_plane_key.clone(),
        secret_fingerprint: Some(secrets::fingerprint_text(&credentials.control_plane_secret)),
        callbacks: callbacks.chain(config.callbacks.iter().cloned()).collect(),
        scopes: with_data_cloud(CONTROL_PLANE_SCOPES.map(str::to_owned).to_vec()),
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

fn jwt_client(credentials: &Credentials) -> Client {
    Client {
        name: JWT.0.to_owned(),
        label: JWT.1.to_owned(),
        consumer_key: credentials.jwt_key.clone(),
        secret_fingerprint: None,
        callbacks: Vec::new(),
        scopes: with_data_cloud(JWT_SCOPES.map(str::to_owned).to_vec()),
        enabled: true,
        pkce_required: true,
        secret_required: false,
        secret_required_for_refresh: false,
        rotates_refresh_tokens: false,
        keeps_grant_on_replay: false,
        introspects_all_tokens: false,
        public_key: None,
        permitted: Permitted::AdminApproved {
            profiles: ["System Administrator", "Integration User"].map(str::to_owned).to_vec(),
            permission_sets: Vec::new(),
        },
        session_timeout_minutes: None,
        client_credentials_user: None,
        refresh_tokens_last_seconds: None,
        ip_restricted: false,
        withheld_scopes: Vec::new(),
    }
}

fn sample_users(prepared: &Prepared) -> Vec<SampleUser> {
    let known = |user: &seed::SeededUser| {
        let password = prepared.credentials.users.iter().find(|known| known.username == user.username)?;
        Some(SampleUser {
            role: user.role.to_owned(),
            username: user.username.clone(),
            password: password.password.clone().into(),
            user_id: user.user_id.clone(),
        })
    };
    prepared.seeded.users.iter().filter_map(known).collect()
}
