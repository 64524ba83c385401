//! A mesh with its neighbours, and the calls an org makes.

use std::net::SocketAddr;

use applink_api::clock::{Clock, MockClock};
use applink_api::time::Timestamp;
use applink_mesh::config::{AppAddress, MeshConfig, VerifyRule};
use applink_mesh::{Mesh, RunningMesh};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::integration::app::App;
use crate::integration::control_plane::{Asked, Bundle, ControlPlane, Says};
use crate::integration::raw::{Raw, send};

pub(crate) const ORG: &str = "00DSB00000VAyPF2A1";
pub(crate) const USER: &str = "005DS00000yYLD1YAO";
pub(crate) const INSTANCE_URL: &str = "https://acme.my.salesforce.com";
pub(crate) const APP_UUID: &str = "8a5c2c11-6f0b-4f3b-9d53-111111111111";
pub(crate) const TOKEN: &str = "addon-token-canary";
pub(crate) const ORG_JWT: &str = "org-jwt-canary";
pub(crate) const SESSION: &str = "session-canary";
pub(crate) const NOW: i64 = 1_750_000_000;

pub(crate) struct Stack {
    pub(crate) mesh: RunningMesh,
    pub(crate) app: App,
    pub(crate) control_plane: ControlPlane,
    pub(crate) clock: MockClock,
}

impl Stack {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(adjust: impl FnOnce(&mut MeshConfig)) -> Self {
        Self::before(App::start().await, adjust).await
    }

    /// A mesh in front of `app`.
    pub(crate) async fn before(app: App, adjust: impl FnOnce(&mut MeshConfig)) -> Self {
        Self::beside(app, Bundle::None, adjust).await
    }

    /// A mesh in front of `app`, whose control plane has this trust bundle.
    pub(crate) async fn beside(app: App, bundle: Bundle, adjust: impl FnOnce(&mut MeshConfig)) -> Self {
        let control_plane = ControlPlane::start(Says::Yes(verdict())).await;
        control_plane.serve(bundle);
        let (mut config, clock) = config(&control_plane.url(), app.address);
        adjust(&mut config);
        let mesh = Mesh::start(config).await.unwrap();
        Self { mesh, app, control_plane, clock }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.mesh.addr()
    }

    pub(crate) async fn send(&self, start: &str, lines: &[String], body: &[u8]) -> Raw {
        send(self.address(), start, lines, body).await
    }

    pub(crate) async fn call(&self, call: &Call) -> Raw {
        self.send("POST /api/act", &call.lines(), b"{}").await
    }

    pub(crate) fn only_question(&self) -> Asked {
        let asked = self.control_plane.asked();
        assert_eq!(asked.len(), 1, "{asked:?}");
        asked.into_iter().next().unwrap()
    }
}

/// In front of an app at `app`, with the time standing still.
pub(crate) fn config(api_url: &str, app: SocketAddr) -> (MeshConfig, MockClock) {
    let (clock, hand) = Clock::mock(Timestamp::from_seconds(NOW));
    let mut config = MeshConfig::new(api_url, SecretString::from(TOKEN));
    config.app = AppAddress::loopback(app.port());
    config.mesh_secret = Some(SecretString::from("mesh-secret"));
    config.app_uuid = Some(APP_UUID.parse().unwrap());
    config.clock = clock;
    // What the trust bundle is for is tested with one; the rest is about what the control plane says.
    config.trust.verify = VerifyRule::Ask;
    config.report_every = None;
    (config, hand)
}

/// What the control plane says of a good token that may be used again.
pub(crate) fn verdict() -> Value {
    json!({
        "org_id": ORG, "user_id": USER, "instance_url": INSTANCE_URL, "connection_name": "acme",
        "expires_at": Timestamp::from_seconds(NOW + 300).to_string(),
    })
}

pub(crate) fn verdict_with(key: &str, value: Value) -> Says {
    let mut verdict = verdict();
    verdict[key] = value;
    Says::Yes(verdict)
}

/// The headers of an org's call.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) request_id: Option<String>,
    pub(crate) request_context: Value,
    pub(crate) client_context: Value,
}

impl Call {
    pub(crate) fn new(request_id: &str) -> Self {
        Self {
            request_id: Some(request_id.to_owned()),
            request_context: json!({
                "id": request_id, "auth": ORG_JWT, "loginUrl": "https://login.salesforce.com",
                "orgDomainUrl": "https://claimed.example", "orgId": ORG, "resource": "acts/1", "type": "apex",
                "appUuid": APP_UUID,
            }),
            client_context: json!({
                "requestId": request_id, "accessToken": SESSION, "apiVersion": "66.0", "namespace": "",
                "orgId": ORG, "orgDomainUrl": "https://claimed.example",
                "userContext": {"userId": USER, "username": "sales@acme.example"},
            }),
        }
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = vec![
            format!("x-request-context: {}", encode(&self.request_context)),
            format!("x-client-context: {}", encode(&self.client_context)),
        ];
        lines.extend(self.request_id.iter().map(|id| format!("x-request-id: {id}")));
        lines
    }
}

pub(crate) fn encode(value: &Value) -> String {
    STANDARD.encode(value.to_string())
}

pub(crate) fn decode(header: &str) -> Value {
    serde_json::from_slice(&STANDARD.decode(header).unwrap()).unwrap()
}
