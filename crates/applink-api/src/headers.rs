//! Header names of the AppLink API and of an invocation, in lower case.

/// Correlates one call across org, mesh, control plane and app.
pub const REQUEST_ID: &str = "x-request-id";
/// From the org: base64 JSON with the org's signed token; consumed by the mesh. See [`crate::context`].
pub const REQUEST_CONTEXT: &str = "x-request-context";
/// From the org to the app: base64 JSON with the caller's session. See [`crate::context`].
pub const CLIENT_CONTEXT: &str = "x-client-context";
/// From Data Cloud: the signature of a data action's body.
pub const SIGNATURE: &str = "x-signature";
/// Names the app (its uuid) on calls to the AppLink API.
pub const APP_UUID: &str = "x-app-uuid";
/// Heroku's single sign-on answer, base64, on management calls.
pub const ADDON_SSO: &str = "x-addon-sso";
/// How the public mesh passes the request id to the service (an underscore, as on its wire).
pub const MESH_REQUEST_ID: &str = "request_id";
/// From the mesh to the app: proves that the request came through the mesh (`APPLINK_MESH_SECRET`).
pub const MESH_SECRET: &str = "x-applink-mesh-secret";
/// On every response the mesh made itself; its value names the reason.
pub const MESH_MARKER: &str = "x-applink-mesh";

/// Headers only the mesh may set on a request to the app: removed from every request as it arrives.
pub const TRUSTED: [&str; 4] = [REQUEST_CONTEXT, CLIENT_CONTEXT, SIGNATURE, MESH_SECRET];
