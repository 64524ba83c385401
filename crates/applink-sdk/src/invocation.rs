//! A call from an org: who called, and the org as that user. See [`docs::invocations`](crate::docs::invocations).
//!
//! 1. The mesh secret: when the app was started by a mesh, the request must carry it.
//! 2. The context header, exactly once.
//! 3. Its content: base64 of a JSON object.
//! 4. The org it names, as the user it names.

#[cfg(feature = "axum")]
mod extract;

use std::fmt;
use std::sync::{Arc, OnceLock};

use applink_api::context::{ClientContext, ContextError};
use applink_api::headers::{CLIENT_CONTEXT, MESH_SECRET};
use applink_salesforce::OrgEgress;
use http::{HeaderMap, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use crate::config::ConfigError;
use crate::env::{Env, ProcessEnv};
use crate::error::Error;
use crate::org::{Org, User};
use crate::session::{CallerSession, Session, egress, org_client};

/// The variable in which the mesh gives its secret to the app it starts.
pub const MESH_SECRET_VAR: &str = "APPLINK_MESH_SECRET";

/// A call from an org. An axum extractor (feature `axum`), or [`Invocation::from_headers`].
#[derive(Clone)]
pub struct Invocation {
    context: Arc<ClientContext>,
    org: Org,
    user: User,
}

/// What reading an invocation needs to know. Made once from the process's environment unless a router carries
/// another one as an extension (`axum::Extension`).
#[derive(Clone)]
pub struct InvocationSettings {
    mesh_secret: Option<SecretString>,
    egress: OrgEgress,
}

/// A request is not an invocation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvocationError {
    /// There is no context: the request did not come from an org.
    #[error("the request has no x-client-context: call this through the org, or through the mesh")]
    NoContext,
    /// The mesh secret is missing or wrong: the request did not come through the mesh.
    #[error("the request did not come through the mesh")]
    NotFromMesh,
    /// The context header appears more than once.
    #[error("the request has more than one x-client-context")]
    Repeated,
    /// The context can't be read.
    #[error("the x-client-context can't be read")]
    Context(#[source] ContextError),
    /// The context names an org that can't be called.
    #[error("the x-client-context names an org that can't be called")]
    Org(#[source] Box<Error>),
    /// The app itself is not set up.
    #[error("the app's environment can't be used")]
    Settings(#[source] Arc<Error>),
}

impl InvocationSettings {
    /// Reads `APPLINK_MESH_SECRET`.
    ///
    /// # Errors
    /// [`Error::Config`] when it is set to nothing; [`Error::Setup`].
    pub fn from_env(env: &impl Env) -> Result<Self, Error> {
        let mesh_secret = env.var(MESH_SECRET_VAR).map(SecretString::from);
        if mesh_secret.as_ref().is_some_and(|secret| secret.expose_secret().is_empty()) {
            return Err(ConfigError::EmptyMeshSecret.into());
        }
        Ok(Self { mesh_secret, egress: egress()? })
    }

    /// The process's own, read once.
    ///
    /// # Errors
    /// [`InvocationError::Settings`], the same every time.
    pub fn of_process() -> Result<&'static Self, InvocationError> {
        static SETTINGS: OnceLock<Result<InvocationSettings, Arc<Error>>> = OnceLock::new();
        let settings = SETTINGS.get_or_init(|| Self::from_env(&ProcessEnv).map_err(Arc::new));
        settings.as_ref().map_err(|error| InvocationError::Settings(error.clone()))
    }

    /// Whether the app was started by a mesh and the request came through it; an error when it was and the request did
    /// not.
    #[cfg(feature = "axum")]
    pub(crate) fn is_from_mesh(&self, headers: &HeaderMap) -> Result<bool, InvocationError> {
        self.ensure_from_mesh(headers)?;
        Ok(self.mesh_secret.is_some())
    }

    /// Step 1, in constant time.
    fn ensure_from_mesh(&self, headers: &HeaderMap) -> Result<(), InvocationError> {
        let Some(secret) = &self.mesh_secret else { return Ok(()) };
        let given = headers.get(MESH_SECRET).map(|value| value.as_bytes()).unwrap_or_default();
        let fits = bool::from(given.ct_eq(secret.expose_secret().as_bytes()));
        if fits { Ok(()) } else { Err(InvocationError::NotFromMesh) }
    }
}

impl Invocation {
    /// Steps 1 to 4.
    ///
    /// # Errors
    /// [`InvocationError`].
    pub fn from_headers(headers: &HeaderMap, settings: &InvocationSettings) -> Result<Self, InvocationError> {
        settings.ensure_from_mesh(headers)?;
        let mut values = headers.get_all(CLIENT_CONTEXT).iter();
        let header = values.next().ok_or(InvocationError::NoContext)?;
        if values.next().is_some() {
            return Err(InvocationError::Repeated);
        }
        let context = ClientContext::decode(header.as_bytes()).map_err(InvocationError::Context)?;
        Self::of(context, &settings.egress)
    }

    fn of(context: ClientContext, egress: &OrgEgress) -> Result<Self, InvocationError> {
        let token = context.access_token.clone();
        let org = org_client(egress, &context.org_domain_url, &context.api_version, token)
            .map_err(|error| InvocationError::Org(Box::new(error)))?;
        let user = User {
            id: context.user_context.user_id.clone(),
            username: context.user_context.username.clone(),
        };
        let session = CallerSession { org, org_id: context.org_id.clone(), user: user.clone() };
        let org = Org::of(Session::Caller(Arc::new(session))).with_request_id(context.request_id.clone());
        Ok(Self { context: Arc::new(context), org, user })
    }

    /// The id of this call, the same in the org's, the mesh's and the app's logs.
    pub fn request_id(&self) -> &str {
        &self.context.request_id
    }

    /// The org, as the user who called.
    pub fn org(&self) -> &Org {
        &self.org
    }

    /// Who called.
    pub fn user(&self) -> &User {
        &self.user
    }

    /// The org's id (`00D…`).
    pub fn org_id(&self) -> &str {
        &self.context.org_id
    }

    /// The org's namespace, empty when it has none.
    pub fn namespace(&self) -> &str {
        &self.context.namespace
    }
}

impl InvocationError {
    /// The status to answer with: 401 without a context, 403 past the mesh, 400 for one that can't be read, 500
    /// when the app itself is not set up.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NoContext => StatusCode::UNAUTHORIZED,
            Self::NotFromMesh => StatusCode::FORBIDDEN,
            Self::Repeated | Self::Context(_) | Self::Org(_) => StatusCode::BAD_REQUEST,
            Self::Settings(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl fmt::Debug for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invocation")
            .field("request_id", &self.request_id())
            .field("org_id", &self.org_id())
            .field("user", &self.user.username)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for InvocationSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secret = self.mesh_secret.as_ref().map(|_| "set");
        f.debug_struct("InvocationSettings").field("mesh_secret", &secret).finish_non_exhaustive()
    }
}
