//! Data actions: Data Cloud signs the body, so it must be read before anything can be said about it.
//!
//! 1. A declared length over the limit is refused unread; an undeclared one as soon as it passes the limit.
//! 2. All bodies that are held share a budget of memory, and each must be there in time; who comes when the budget
//!    is used up is told to come again. In how many pieces a body comes makes no difference.
//! 3. The control plane, which alone has the signing keys, verifies the raw bytes:
//!    `POST {API_URL}/data_action_targets/authenticate`.
//! 4. The same bytes are forwarded.
//! 5. While the app has it, another delivery of the same event is told to come again ([`deliveries`](super::deliveries)).
//! 6. When the app has taken them (2xx), the control plane is told before the sender is answered. It remembers the event
//!    for five minutes, and says of another delivery, at whichever mesh, that there was one: 409. After any other answer
//!    the sender may try again.

use std::sync::Arc;
use std::time::Duration;

use applink_api::clock::Clock;
use applink_api::error::{ErrorBody, error_id};
use applink_api::invocation::DataActionVerdict;
use applink_api::mesh_report::TokenUse;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::Body;
use secrecy::ExposeSecret as _;
use serde::Serialize;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::authenticate::control_plane::is_overload;
use crate::authenticate::deliveries::{Deliveries, Delivery};
use crate::classify::DataActionCall;
use crate::control_plane::{ControlPlane, ControlPlaneError};
use crate::forward::body::RequestBody;
use crate::respond::{BoxError, MeshError, Refusal};

const PATH: &str = "/data_action_targets/authenticate";
const DELIVERED: &str = "/invocations/tokens";

/// How long a delivered event is remembered; the control plane adds a minute for clocks that differ.
const REMEMBERED: Duration = Duration::from_secs(4 * 60);
const NOT_REMEMBERED: &str = "a delivered data action could not be noted: it would be passed on again";
/// The sender waits for its answer meanwhile.
const TELLING: Duration = Duration::from_secs(3);

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
    deliveries: Arc<Deliveries>,
    clock: Clock,
}

impl DataActionVerifier {
    /// `limit` is the largest body in bytes, `time` how long the whole of it may take to arrive.
    pub(crate) fn new(control_plane: ControlPlane, limit: usize, time: Duration, clock: Clock) -> Self {
        let budget = Semaphore::new(BUDGET.max(limit));
        Self { control_plane, limit, time, budget, deliveries: Deliveries::new(clock.clone()), clock }
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

    /// Steps 2, 3 and 5: the body, verified, and the only delivery of its event.
    pub(crate) async fn verify(
        &self,
        call: &DataActionCall,
        body: Option<RequestBody>,
        request_id: &str,
    ) -> Result<(Bytes, Option<Delivery>), MeshError> {
        let reading = tokio::time::timeout(self.time, read(&self.budget, self.limit, body)).await;
        let (payload, _held) = reading.map_err(|slow| MeshError::BodyUnreadable(slow.into()))??;
        let event_id = self.ask(call, &payload, request_id).await?;
        let delivery =
            event_id.map(|event_id| self.deliveries.begin(call.org_id.clone(), event_id)).transpose()?;
        Ok((payload, delivery))
    }

    /// Step 6. When it fails, the sender still has its answer: the app did take the delivery.
    pub(crate) async fn delivered(&self, delivery: Delivery, request_id: &str) {
        delivery.taken();
        let expires_at = self.clock.now().plus(REMEMBERED);
        let (org_id, token_id) = (delivery.org_id.clone(), delivery.event_id.clone());
        let used = TokenUse { org_id, token_id, expires_at };
        let told = tokio::time::timeout(TELLING, self.control_plane.post(DELIVERED, request_id, &used)).await;
        // 409: two deliveries at once at two meshes, and the other was first.
        match told {
            Ok(Ok((StatusCode::NO_CONTENT | StatusCode::CONFLICT, _))) => {}
            Ok(Ok((status, _))) => tracing::warn!(request_id, %status, "{NOT_REMEMBERED}"),
            Ok(Err(error)) => tracing::warn!(request_id, %error, "{NOT_REMEMBERED}"),
            Err(_) => tracing::warn!(request_id, "{NOT_REMEMBERED}"),
        }
    }

    /// The event's id, from a control plane that remembers deliveries.
    async fn ask(
        &self,
        call: &DataActionCall,
        payload: &[u8],
        request_id: &str,
    ) -> Result<Option<String>, MeshError> {
        let text = String::from_utf8_lossy(payload);
        let question = Question {
            api_name: &call.api_name,
            org_id: &call.org_id,
            signature: call.signature.expose_secret(),
            payload: &text,
            payload_base64: std::str::from_utf8(payload).is_err().then(|| STANDARD.encode(payload)),
        };
        let answer = self.control_plane.post(PATH, request_id, &question).await;
        let (status, body) = answer.map_err(|error| MeshError::ControlPlaneAway(Box::new(error)))?;
        match status {
            // The official service's body is not known; the status alone is its yes.
            StatusCode::OK => {
                Ok(serde_json::from_slice::<DataActionVerdict>(&body).unwrap_or_default().event_id)
            }
            StatusCode::CONFLICT => Err(MeshError::AlreadyDelivered),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(MeshError::Refused(refusal(&body))),
            status if is_overload(status) => {
                Err(MeshError::ControlPlaneAway(Box::new(ControlPlaneError::Overloaded(status)) as BoxError))
            }
            status => Err(MeshError::ControlPlaneAnswer(status)),
        }
    }
}

/// The whole body, with its part of the budget: one permit, which grows with every piece.
async fn read<B>(
    budget: &Semaphore,
    limit: usize,
    mut body: Option<B>,
) -> Result<(Bytes, Option<SemaphorePermit<'_>>), MeshError>
where
    B: Body<Data = Bytes, Error = BoxError> + Unpin,
{
    let (mut payload, mut held) = (BytesMut::new(), None::<SemaphorePermit<'_>>);
    while let Some(body) = &mut body
        && let Some(frame) = body.frame().await
    {
        let frame = frame.map_err(MeshError::BodyUnreadable)?;
        let Ok(data) = frame.into_data() else { continue };
        if payload.len() + data.len() > limit {
            return Err(MeshError::BodyTooLarge(limit));
        }
        let more = hold(budget, data.len())?;
        match &mut held {
            Some(held) => held.merge(more),
            None => held = Some(more),
        }
        payload.extend_from_slice(&data);
    }
    Ok((payload.freeze(), held))
}

fn hold(budget: &Semaphore, bytes: usize) -> Result<SemaphorePermit<'_>, MeshError> {
    let bytes = u32::try_from(bytes).map_err(|_| MeshError::Crowded)?;
    budget.try_acquire_many(bytes).map_err(|_| MeshError::Crowded)
}

/// The control plane says which no it is; the official service's body is not known.
fn refusal(body: &[u8]) -> Refusal {
    match serde_json::from_slice::<ErrorBody>(body) {
        Ok(said) if said.id == error_id::SIGNING_KEY_NOT_FOUND => Refusal::NoSigningKey,
        _ => Refusal::NotVouchedFor,
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use hyper::body::Frame;

    use super::*;

    /// A body of so many pieces of one byte each.
    struct Dribble(usize);

    impl Body for Dribble {
        type Data = Bytes;
        type Error = BoxError;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            let piece = self.0.checked_sub(1).map(|left| {
                self.0 = left;
                Ok(Frame::data(Bytes::from_static(b"x")))
            });
            Poll::Ready(piece)
        }
    }

    #[tokio::test]
    async fn a_body_in_pieces_of_one_byte_holds_one_permit_of_its_size() {
        const SIZE: usize = 100_000;
        let budget = Semaphore::new(SIZE + 10);
        let (payload, held) = read(&budget, SIZE, Some(Dribble(SIZE))).await.unwrap();
        assert_eq!((payload.len(), budget.available_permits()), (SIZE, 10));
        // One, however many pieces there were: each of its own would be of many times a piece's size.
        let permit: Option<SemaphorePermit<'_>> = held;
        assert_eq!(permit.as_ref().map(SemaphorePermit::num_permits), Some(SIZE));
        let crowded = read(&budget, SIZE, Some(Dribble(11))).await.unwrap_err();
        assert!(matches!(crowded, MeshError::Crowded), "{crowded:?}");
        assert_eq!(budget.available_permits(), 10, "what was held of it is free again");
        drop(permit);
        assert_eq!(budget.available_permits(), SIZE + 10);
        let large = read(&budget, SIZE, Some(Dribble(SIZE + 1))).await.unwrap_err();
        assert!(matches!(large, MeshError::BodyTooLarge(SIZE)), "{large:?}");
        assert_eq!(budget.available_permits(), SIZE + 10);
    }
}
