//! Polls the control plane for its bundle, for as long as the mesh lives.

use std::sync::Arc;
use std::time::Duration;

use applink_api::trust::TrustBundle;
use http::StatusCode;
use http::header::ETAG;

use crate::control_plane::ControlPlane;
use crate::record::chain;
use crate::trust::bundle::Bundle;
use crate::trust::{Polled, Trust};

const PATH: &str = "/trust-bundle";

/// Between two polls, however many calls wait for one.
const SHORTEST_PAUSE: Duration = Duration::from_millis(250);
/// A control plane without bundles is asked for one this often: it may be replaced by one that has them.
const WITHOUT_BUNDLES: Duration = Duration::from_secs(60);
/// Ten thousand orgs with two keys each.
const MAX_BUNDLE: usize = 16 * 1024 * 1024;

/// Polls for ever.
pub(crate) async fn run(trust: Trust, control_plane: ControlPlane, every: Duration) {
    let mut log = Log::default();
    loop {
        trust.begin();
        let (polled, note) = poll(&trust, &control_plane).await;
        log.note(note);
        let every = if matches!(polled, Polled::None) { every.max(WITHOUT_BUNDLES) } else { every };
        trust.finish(polled);
        let shortest = SHORTEST_PAUSE.min(every);
        tokio::time::sleep(shortest).await;
        tokio::select! {
            () = tokio::time::sleep(every - shortest) => {}
            () = trust.wanted() => {}
        }
    }
}

async fn poll(trust: &Trust, control_plane: &ControlPlane) -> (Polled, String) {
    let known = trust.version();
    let etag = known.as_ref().map(|bundle| format!("\"{}\"", bundle.version));
    let answer = match control_plane.get(PATH, etag.as_deref(), MAX_BUNDLE).await {
        Ok(answer) => answer,
        Err(error) => return (Polled::Away, format!("the trust bundle can't be polled: {}", chain(&error))),
    };
    match answer.status {
        StatusCode::NOT_MODIFIED if known.is_some() => (Polled::Same, String::new()),
        StatusCode::OK => match serde_json::from_slice::<TrustBundle>(&answer.body) {
            Ok(bundle) => (Polled::New(Arc::new(Bundle::compile(bundle))), String::new()),
            Err(_) if answer.headers.contains_key(ETAG) => {
                (Polled::Away, "the trust bundle can't be read; is this mesh too old?".to_owned())
            }
            Err(_) => (Polled::None, WITHOUT.to_owned()),
        },
        status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            (Polled::Away, format!("the control plane answered {status} to the poll of the trust bundle"))
        }
        _ => (Polled::None, WITHOUT.to_owned()),
    }
}

const WITHOUT: &str = "the control plane gives no trust bundle: it is asked about every call instead";

/// Says what changed, not what is so every two seconds.
#[derive(Default)]
struct Log {
    last: Option<String>,
}

impl Log {
    fn note(&mut self, note: String) {
        if self.last.as_ref() == Some(&note) {
            return;
        }
        match (note.as_str(), &self.last) {
            ("", Some(_)) => tracing::info!("the trust bundle is there again"),
            ("", None) => {}
            (note, _) if note == WITHOUT => tracing::info!("{note}"),
            (note, _) => tracing::warn!("{note}"),
        }
        self.last = Some(note);
    }
}
