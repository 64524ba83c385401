//! [`DataActions`] as an argument of axum handlers: only of bodies that are signed.
//!
//! 1. Behind our mesh (it gave the app its secret): the request carries that secret, and the mesh has verified the
//!    `x-signature` that it left on it.
//! 2. Otherwise the control plane is asked, as a mesh would ask it, with the add-on's token.

use applink_api::client::ClientError;
use applink_api::error::{ErrorBody, error_id};
use applink_api::headers::SIGNATURE;
use applink_api::invocation::DataActionAuthRequest;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, StatusCode, Uri};

use super::DataActions;
use crate::applink::AppLink;
use crate::error::Error;
use crate::invocation::{InvocationError, InvocationSettings};

/// A request is not a signed data action.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataActionError {
    /// There is no signature, or more than one.
    #[error("the request has no x-signature: only Data Cloud calls this")]
    NoSignature,
    /// It came past the mesh, or the app's settings can't be used.
    #[error(transparent)]
    Mesh(#[from] InvocationError),
    /// The signature is not right.
    #[error("the signature is not that of a data action target of this add-on")]
    NotSigned,
    /// The org has not made the target's signing key yet, so nothing can be said of its signature.
    #[error("the data action target has no signing key yet: wait until it is created")]
    NoSigningKey,
    /// An app has taken this very event within the last minutes.
    #[error("the data action was delivered already")]
    Delivered,
    /// Nobody could say whether it is right: Data Cloud will try again.
    #[error("the signature could not be verified")]
    Unverified(#[source] Box<Error>),
    /// The body is too large or broke off.
    #[error("the body could not be read")]
    Unreadable,
    /// The body is signed, and not what a data action is.
    #[error("the data action can't be read")]
    Body(#[source] Box<Error>),
}

impl DataActionError {
    /// The status to answer with. 5xx is tried again.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NoSignature => StatusCode::UNAUTHORIZED,
            Self::Mesh(error) => error.status(),
            Self::NotSigned | Self::NoSigningKey => StatusCode::FORBIDDEN,
            Self::Delivered => StatusCode::CONFLICT,
            Self::Unverified(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unreadable => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Body(_) => StatusCode::BAD_REQUEST,
        }
    }
}

impl<S: Send + Sync> FromRequest<S> for DataActions {
    type Rejection = DataActionError;

    async fn from_request(request: Request, state: &S) -> Result<Self, DataActionError> {
        let (headers, uri) = (request.headers().clone(), request.uri().clone());
        let applink = request.extensions().get::<AppLink>().cloned();
        let from_mesh = match request.extensions().get::<InvocationSettings>() {
            Some(settings) => settings.is_from_mesh(&headers)?,
            None => InvocationSettings::of_process()?.is_from_mesh(&headers)?,
        };
        let signature = one_signature(&headers)?;
        let body = Bytes::from_request(request, state).await.map_err(|_| DataActionError::Unreadable)?;
        if !from_mesh {
            ask(applink, &uri, signature, &body).await?;
        }
        Self::from_json(&body).map_err(|error| DataActionError::Body(Box::new(error)))
    }
}

fn one_signature(headers: &HeaderMap) -> Result<String, DataActionError> {
    let mut values = headers.get_all(SIGNATURE).iter();
    match (values.next().and_then(|value| value.to_str().ok()), values.next()) {
        (Some(signature), None) if !signature.is_empty() => Ok(signature.to_owned()),
        _ => Err(DataActionError::NoSignature),
    }
}

/// Step 2.
async fn ask(
    applink: Option<AppLink>,
    uri: &Uri,
    signature: String,
    body: &[u8],
) -> Result<(), DataActionError> {
    let unverified = |error: Error| DataActionError::Unverified(Box::new(error));
    let applink = match applink {
        Some(applink) => applink,
        None => AppLink::from_env().map_err(unverified)?,
    };
    let query = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let parameter = |name: &str| {
        query.clone().find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
    };
    let question = DataActionAuthRequest {
        api_name: parameter("apiName"),
        org_id: parameter("orgId"),
        signature: signature.into(),
        payload: String::from_utf8_lossy(body).into_owned(),
        payload_base64: std::str::from_utf8(body).is_err().then(|| STANDARD.encode(body)),
    };
    match applink.client().map_err(unverified)?.invocations().authenticate_data_action(&question).await {
        Ok(()) => Ok(()),
        Err(ClientError::Api { body, .. }) if body.id == error_id::SIGNING_KEY_NOT_FOUND => {
            Err(DataActionError::NoSigningKey)
        }
        Err(error) if error.status() == Some(403) => Err(DataActionError::NotSigned),
        Err(error) if error.status() == Some(409) => Err(DataActionError::Delivered),
        Err(source) => Err(unverified(Error::AppLink { name: question.api_name, source: Box::new(source) })),
    }
}

impl IntoResponse for DataActionError {
    fn into_response(self) -> Response {
        let status = self.status();
        let id = match status {
            _ if matches!(self, Self::NoSigningKey) => error_id::SIGNING_KEY_NOT_FOUND,
            StatusCode::UNAUTHORIZED => error_id::UNAUTHORIZED,
            StatusCode::FORBIDDEN => error_id::FORBIDDEN,
            StatusCode::CONFLICT => error_id::CONFLICT,
            StatusCode::SERVICE_UNAVAILABLE => error_id::UNAVAILABLE,
            StatusCode::INTERNAL_SERVER_ERROR => error_id::SERVER_ERROR,
            _ => error_id::BAD_REQUEST,
        };
        (status, Json(ErrorBody::new(status.as_u16(), id, self.to_string()))).into_response()
    }
}
