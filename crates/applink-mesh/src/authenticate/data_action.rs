//! Data actions: Data Cloud signs the body, so it must be read before anything can be said about it.
//!
//! 1. A declared length over the limit is refused unread; an undeclared one as soon as it passes the limit.
//! 2. All bodies that are held share a budget of memory, and each must be there in time; who comes when the budget
//!    is used up is told to come again.
//! 3. The control plane, which alone has the signing keys, verifies the raw bytes:
//!    `POST {API_URL}/data_action_targets/authenticate`.
//! 4. The same bytes are forwarded.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt as _;
use secrecy::ExposeSecret as _;
use serde::Serialize;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::authenticate::control_plane::is_overload;
use crate::classify::DataActionCall;
use crate::control_plane::{ControlPlane, ControlPlaneError};
use crate::respond::{Body, BoxError, MeshError, Refusal};

const PATH: &str = "/data_action_targets/authenticate";

/// What senders whose signature is not verified yet can make the mesh hold, all together. Counted in bytes that
/// came, not in senders, so that many slow ones can't keep the honest out.
const BUDGET: usize = 32 * 1024 * 1024;

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
    time: Duration,
    budget: Semaphore,
}

impl DataActionVerifier {
    /// `limit` is the largest body in bytes, `time` how long the whole of it may take to arrive.
    pub(crate) fn new(control_plane: ControlPlane, limit: usize, time: Duration) -> Self {
        Self { control_plane, limit, time, budget: Semaphore::new(BUDGET.max(limit)) }
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
        let reading = tokio::time::timeout(self.time, self.read(body)).await;
        let (payload, _held) = reading.map_err(|slow| MeshError::BodyUnreadable(slow.into()))??;
        self.ask(call, &payload, request_id).await?;
        Ok(payload)
    }

    async fn read(&self, mut body: Body) -> Result<(Bytes, Vec<SemaphorePermit<'_>>), MeshError> {
        let (mut payload, mut held) = (BytesMut::new(), Vec::new());
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(MeshError::BodyUnreadable)?;
            let Ok(data) = frame.into_data() else { continue };
            if payload.len() + data.len() > self.limit {
                return Err(MeshError::BodyTooLarge(self.limit));
            }
            held.push(self.hold(data.len())?);
            payload.extend_from_slice(&data);
        }
        Ok((payload.freeze(), held))
    }

    fn hold(&self, bytes: usize) -> Result<SemaphorePermit<'_>, MeshError> {
        let bytes = u32::try_from(bytes).map_err(|_| MeshError::Crowded)?;
        self.budget.try_acquire_many(bytes).map_err(|_| MeshError::Crowded)
    }

    async fn ask(&self, call: &DataActionCall, payload: &[u8], request_id: &str) -> Result<(), MeshError> {
        let text = String::from_utf8_lossy(payload);
        let question = Question {
            api_name: &call.api_name,
            org_id: &call.org_id,
            signature: call.signature.expose_secret(),
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
