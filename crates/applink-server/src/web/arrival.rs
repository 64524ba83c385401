//! What surrounds every request, in one layer: its id and a span with it, what its caller's limits are, and its line in
//! the log.

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument as _;

use super::access_log::Line;
use super::limits::Counted;
use super::request_id::RequestId;
use crate::app::App;

/// Does all that around the request.
pub(crate) async fn layer(
    State(app): State<App>,
    matched: Option<MatchedPath>,
    mut request: Request,
    next: Next,
) -> Response {
    let id = RequestId::of(&mut request, &app.entropy);
    let counted = Counted::within(&mut request);
    let line = Line::begin(&request, matched);
    // Every line says which request it is of.
    let span = tracing::info_span!("request", request_id = %id);
    let answered = async {
        let response = next.run(request).await;
        line.end(&response, &id);
        response
    };
    let mut response = answered.instrument(span).await;
    counted.tell(response.headers_mut());
    id.tell(&mut response);
    response
}
