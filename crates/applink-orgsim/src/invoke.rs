//! The org calls a published app, as Flow or Apex would.
//!
//! 1. User, service and operation are looked up; the operation must be active ([`prepare`]).
//! 2. The user must hold the service's credential, and the permission set the operation names must be
//!    assigned to them: holding is not enough to use it, the org activates it for this call ([`rights_of`]).
//! 3. The arguments are checked against the operation's schema, the callback URLs filled in ([`arguments`]).
//! 4. A session is opened for this invocation alone, the permission set activated in it, and both written down
//!    with their expiry, so that a crash leaves nothing behind ([`store`]).
//! 5. A token is signed ([`token`]), the three headers are built ([`headers`]), the app is called ([`send`]).
//! 6. Without callbacks the session ends with the answer. With callbacks it lives until the declared time-out
//!    or an explicit end; [`sweep`] ends what is over, also after a restart.

pub(crate) mod store;
pub(crate) mod sweep;
pub(crate) mod vouch;

mod arguments;
mod headers;
mod refusal;
mod rights_of;
mod send;
mod shown;
mod token;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

pub(crate) use refusal::{Refusal, not_an_input, not_for_the_person, unknown_action, unknown_service};
pub(crate) use shown::Shown;

use self::arguments::Outgoing;
use self::store::NewInvocation;
use crate::clock::MICROS_PER_SECOND;
use crate::db::Tx;
use crate::failure::Failure;
use crate::metadata::component::ExternalServiceRegistration;
use crate::metadata::components;
use crate::services::{Operation, Service};
use crate::state::OrgState;
use crate::users::{self, User};

/// How long callbacks are waited for unless the caller says otherwise, in minutes.
const DEFAULT_CALLBACK_MINUTES: u32 = 60;
/// The platform's longest window for callbacks: a day.
const MAX_CALLBACK_MINUTES: u32 = 24 * 60;
/// Added to the callout's time-out for the life of a session without callbacks.
const GRACE_SECONDS: i64 = 30;

/// Who calls the operation: Apex can take callbacks, Flow can't.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    #[default]
    Apex,
    Flow,
}

impl Mode {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Apex => "apex",
            Self::Flow => "flow",
        }
    }
}

/// A request to invoke an operation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Call {
    pub(crate) service: String,
    pub(crate) operation: String,
    /// The username of the invoking user.
    #[serde(rename = "as")]
    pub(crate) username: String,
    #[serde(default)]
    pub(crate) body: Value,
    #[serde(default)]
    pub(crate) parameters: Map<String, Value>,
    #[serde(default)]
    pub(crate) mode: Mode,
    #[serde(default)]
    pub(crate) callback_timeout_minutes: Option<u32>,
}

/// What came of an invocation that reached the app.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    pub(crate) invocation_id: String,
    pub(crate) request_id: String,
    /// The app's status.
    pub(crate) status: u16,
    pub(crate) headers: Map<String, Value>,
    /// The app's body: JSON when it is, else text.
    pub(crate) body: Value,
    /// Always null here: refusals of the org are answered as errors.
    pub(crate) refused: Option<Value>,
    pub(crate) session_id: String,
    pub(crate) callbacks_expected: bool,
    /// `ended`, or `waiting` for callbacks.
    pub(crate) state: &'static str,
    /// What the app was sent; for the org's pages.
    #[serde(skip)]
    pub(crate) sent: Shown,
}

/// Everything about an invocation before its session exists.
struct Prepared {
    user: User,
    service_name: String,
    registration: ExternalServiceRegistration,
    operation: Operation,
    endpoint: String,
    outgoing: Outgoing,
    /// The session-based permission set to activate.
    permission_set_id: Option<String>,
    request_id: String,
    callback_seconds: i64,
}

/// Invokes an operation.
///
/// # Errors
/// A [`Refusal`] by the org, an unreachable app, or the org's own failure.
pub(crate) async fn invoke(state: &OrgState, call: Call) -> Result<Answer, Refusal> {
    let started = state.call(move |state| {
        let prepared = prepare(state, &call)?;
        let opened = open(state, &call, &prepared)?;
        Ok::<_, Refusal>((prepared, opened))
    });
    let (prepared, (invocation_id, session_id, session_token)) = started.await?;
    let expects_callbacks = !prepared.outgoing.callbacks.is_empty();
    let sent = send_as(state, &prepared, &session_token).await;
    let (answer, sent) = match sent {
        Ok(answered) => answered,
        Err(refusal) => {
            state.db().call(move |db| db.write(|tx| store::end(tx, &invocation_id))).await?;
            return Err(refusal);
        }
    };
    let waits = expects_callbacks && answer.status < 400;
    let (id, status) = (invocation_id.clone(), answer.status);
    state.db().call(move |db| db.write(|tx| store::answered(tx, &id, status, waits))).await?;
    Ok(Answer {
        invocation_id,
        request_id: prepared.request_id,
        status: answer.status,
        headers: answer.headers,
        body: answer.body,
        refused: None,
        session_id,
        callbacks_expected: expects_callbacks,
        state: if waits { "waiting" } else { "ended" },
        sent,
    })
}

/// Steps 1 to 3. The database is asked twice and briefly: reading a long schema and checking arguments against
/// it keeps nobody else waiting.
fn prepare(state: &OrgState, call: &Call) -> Result<Prepared, Refusal> {
    let minutes = call.callback_timeout_minutes.unwrap_or(DEFAULT_CALLBACK_MINUTES);
    if minutes == 0 || minutes > MAX_CALLBACK_MINUTES {
        return Err(refusal::invalid_arguments(format!(
            "callback_timeout_minutes: expected 1 to {MAX_CALLBACK_MINUTES}, found {minutes}"
        )));
    }
    let (user, service_name, registration) = state.db().read(|tx| look_up(tx, call))?;
    let service = read_service(&service_name, &registration)?;
    let operation = callable_operation(&registration, &service, &call.operation)?;
    let (endpoint, permission_set_id) = state.db().read(|tx| {
        let endpoint = rights_of::check(tx, &user, &service_name, &registration)?;
        Ok::<_, Refusal>((endpoint, rights_of::elevation(tx, &user, &operation)?))
    })?;
    let outgoing = arguments::check(state, call, &operation, &service.document)?;
    Ok(Prepared {
        user,
        service_name,
        registration,
        operation,
        endpoint,
        outgoing,
        permission_set_id,
        request_id: headers::request_id(state, &Uuid::from_bytes(state.entropy().bytes())),
        callback_seconds: i64::from(minutes) * 60,
    })
}

/// The user, the service's name and what is registered under it.
fn look_up(tx: &Tx<'_>, call: &Call) -> Result<(User, String, ExternalServiceRegistration), Refusal> {
    let user = users::by_username(tx, &call.username)?.filter(|user| user.is_active);
    let user = user.ok_or_else(|| refusal::unknown("user", &call.username))?;
    let (name, registration) = components::registration(tx, &call.service)?
        .ok_or_else(|| refusal::unknown("service", &call.service))?;
    Ok((user, name, registration))
}

pub(crate) fn read_service(
    name: &str,
    registration: &ExternalServiceRegistration,
) -> Result<Service, Refusal> {
    let complete = registration.status.eq_ignore_ascii_case("Complete");
    let schema = registration.schema.as_deref().filter(|_| complete);
    let schema = schema.ok_or_else(|| {
        refusal::not_callable(format!("The service {name} is not complete (status {})", registration.status))
    })?;
    Service::read(schema)
        .map_err(|error| refusal::not_callable(format!("The schema of {name} can't be used: {error}")))
}

/// The operation, when the registration lists it as active or lists none at all.
fn callable_operation(
    registration: &ExternalServiceRegistration,
    service: &Service,
    name: &str,
) -> Result<Operation, Refusal> {
    let operation = service.operation(name).ok_or_else(|| refusal::unknown("operation", name))?;
    if registration.is_active(&operation.name) {
        Ok(operation.clone())
    } else {
        Err(refusal::not_callable(format!("The operation {} is not active", operation.name)))
    }
}

/// Step 4.
fn open(
    state: &OrgState,
    call: &Call,
    prepared: &Prepared,
) -> Result<(String, String, SecretString), Refusal> {
    let callout =
        i64::try_from(state.limits().callout_timeout.as_secs()).unwrap_or(i64::MAX / MICROS_PER_SECOND);
    let lifetime = if prepared.outgoing.callbacks.is_empty() {
        callout.saturating_add(GRACE_SECONDS)
    } else {
        prepared.callback_seconds
    };
    let opened = state.db().write(|tx| {
        store::open(
            tx,
            &NewInvocation {
                org_id: state.org_id(),
                request_id: &prepared.request_id,
                service: &prepared.service_name,
                operation: &prepared.operation.name,
                user_id: &prepared.user.id,
                mode: call.mode,
                permission_set_id: prepared.permission_set_id.as_deref(),
                callbacks: &prepared.outgoing.callbacks,
                lifetime_seconds: lifetime,
            },
        )
    })?;
    Ok(opened)
}

/// Step 5.
async fn send_as(
    state: &OrgState,
    prepared: &Prepared,
    session_token: &SecretString,
) -> Result<(send::AppAnswer, Shown), Refusal> {
    let app_uuid = prepared.registration.provider_asset.clone().unwrap_or_default();
    let auth = token::sign(state, &prepared.user.id, &app_uuid)?;
    let built = headers::Built {
        request_id: &prepared.request_id,
        auth: &auth,
        session_token,
        user: &prepared.user,
        app_uuid: &app_uuid,
        addon_uuid: prepared.registration.provider.as_deref().unwrap_or_default(),
        resource: &format!("{}.{}", prepared.service_name, prepared.operation.name),
        callbacks_expected: !prepared.outgoing.callbacks.is_empty(),
    };
    let headers = headers::build(state, &built);
    let (endpoint, operation, outgoing) = (&prepared.endpoint, &prepared.operation, &prepared.outgoing);
    let shown = shown::of(endpoint, operation, outgoing, &headers);
    Ok((send::send(state, endpoint, operation, outgoing, headers).await?, shown))
}

impl From<crate::db::DbError> for Refusal {
    fn from(error: crate::db::DbError) -> Self {
        Self::Failed(Failure::from(error))
    }
}
