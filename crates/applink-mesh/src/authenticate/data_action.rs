//! Data actions: Data Cloud signs the body, so it must be read before anything can be said about it.
//!
//! 1. A declared length over the limit is refused unread; an undeclared one as soon as it passes the limit.
//! 2. Only so many bodies are held at a time; the rest wait, and the sender with them.
//! 3. The control plane, which alone has the signing keys, verifies the raw bytes:
//!    `POST {API_URL}/data_action_targets/authenticate`.
//! 4. The same bytes are forwarded.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt as _;
use serde::Serialize;
use tokio::sync::Semaphore;

use crate::authenticate::control_plane::is_overload;
use crate::classify::DataActionCall;
use crate::control_plane::{ControlPlane, ControlPlaneError};
use crate::respond::{Body, BoxError, MeshError, Refusal};

const PATH: &str = "/data_action_targets/authenticate";

/// With the default limit of 1 MiB this bounds what unauthenticated senders can make the mesh hold.
const BODIES_HELD: usize = 16;

/// Body of the question. `payload_base64` is ours: JSON text can't carry bytes that are not UTF-8, and the
/// signature is over the bytes.
#[derive(Serialize)]
struct Question<'a> {
    api_name: &'a str,
    org_id: &'a str,
    signature: &'a str,
    payload: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_base64: Option<String>,
}

/// Verifies data actions.
pub(crate) struct DataActionVerifier {
    control_plane: ControlPlane,
    limit: usize,
    held: Semaphore,
}

impl DataActionVerifier {
    pub(crate) fn new(control_plane: ControlPlane, limit: usize) -> Self {
        Self { control_plane, limit, held: Semaphore::new(BODIES_HELD) }
    }

    /// Step 1, before the body is touched.
    pub(crate) fn ensure_declared_length(&self, headers: &HeaderMap) -> Result<(), MeshError> {
        let declared = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.parse::<usize>().ok());
        match declared {
            Some(length) if length > self.limit => Err(MeshError::BodyTooLarge(self.limit)),
            _ => Ok(()),
        }
    }

    /// Steps 2 to 4: the body, verified.
    pub(crate) async fn verify(
        &self,
        call: &DataActionCall,
        body: Body,
        request_id: &str,
    ) -> Result<Bytes, MeshError> {
        let _held = self.held.acquire().await.map_err(|error| MeshError::BodyUnreadable(error.into()))?;
        let payload = self.read(body).await?;
        self.ask(call, &payload, request_id).await?;
        Ok(payload)
    }

    async fn read(&self, mut body: Body) -> Result<Bytes, MeshError> {
        let mut payload = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(MeshError::BodyUnreadable)?;
            let Ok(data) = frame.into_data() else { continue };
            if payload.len() + data.len() > self.limit {
                return Err(MeshError::BodyTooLarge(self.limit));
            }
            payload.extend_from_slice(&data);
        }
        Ok(payload.freeze())
    }

    async fn ask(&self, call: &DataActionCall, payload: &[u8], request_id: &str) -> Result<(), MeshError> {
        let text = String::from_utf8_lossy(payload);
        let question = Question {
            api_name: &call.api_name,
            org_id: &call.org_id,
            signature: &call.signature,
            payload: &text,
            payload_base64: std::str::from_utf8(payload).is_err().then(|| STANDARD.encode(payload)),
        };
        let answer = self.control_plane.post(PATH, request_id, &question).await;
        let (status, _) = answer.map_err(|error| MeshError::ControlPlaneAway(Box::new(error)))?;
        match status {
            StatusCode::OK => Ok(()),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(MeshError::Refused(Refusal::NotVouchedFor))
            }
            status if is_overload(status) => {
                Err(MeshError::ControlPlaneAway(Box::new(ControlPlaneError::Overloaded(status)) as BoxError))
            }
            status => Err(MeshError::ControlPlaneAnswer(status)),
        }
    }
}
