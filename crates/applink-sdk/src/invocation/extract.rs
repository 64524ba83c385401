//! [`Invocation`] as an argument of axum handlers.

use applink_api::error::{ErrorBody, error_id};
use applink_api::headers::CLIENT_CONTEXT;
use axum::Json;
use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;

use super::{Invocation, InvocationError, InvocationSettings};

impl<S: Sync> FromRequestParts<S> for Invocation {
    type Rejection = InvocationError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, InvocationError> {
        read(parts)
    }
}

/// `Option<Invocation>`: none when the request has no context; a context that is there must be good.
impl<S: Sync> OptionalFromRequestParts<S> for Invocation {
    type Rejection = InvocationError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Option<Self>, InvocationError> {
        if parts.headers.contains_key(CLIENT_CONTEXT) { read(parts).map(Some) } else { Ok(None) }
    }
}

fn read(parts: &Parts) -> Result<Invocation, InvocationError> {
    match parts.extensions.get::<InvocationSettings>() {
        Some(settings) => Invocation::from_headers(&parts.headers, settings),
        None => Invocation::from_headers(&parts.headers, InvocationSettings::of_process()?),
    }
}

impl IntoResponse for InvocationError {
    fn into_response(self) -> Response {
        let status = self.status();
        let id = match status {
            StatusCode::UNAUTHORIZED => error_id::UNAUTHORIZED,
            StatusCode::FORBIDDEN => error_id::FORBIDDEN,
            StatusCode::BAD_REQUEST => error_id::BAD_REQUEST,
            _ => error_id::SERVER_ERROR,
        };
        (status, Json(ErrorBody::new(status.as_u16(), id, self.to_string()))).into_response()
    }
}
