//! Phase *classify*: what kind of call the headers claim this is, and can it be read at all?

use applink_api::context::RequestContext;
use applink_api::headers;
use http::header::HeaderMap;
use secrecy::SecretString;

use crate::client_context::SentClientContext;
use crate::config::RequestIdRule;
use crate::path::RequestPath;
use crate::respond::MeshError;

/// A call that claims to be allowed. Nothing in it is verified yet.
#[derive(Debug)]
pub enum Call {
    /// A user of an org calls, through Flow, Apex or an agent.
    Salesforce(Box<SalesforceCall>),
    /// Data Cloud delivers a data action.
    DataAction(DataActionCall),
}

/// Both context headers, decoded.
#[derive(Debug)]
pub struct SalesforceCall {
    /// Who vouches.
    pub request_context: RequestContext,
    /// Who calls.
    pub client_context: SentClientContext,
}

/// A signed webhook; the signature is over the body, which is not read yet.
#[derive(Debug)]
pub struct DataActionCall {
    /// Header `x-signature`, as sent.
    pub signature: SecretString,
    /// Query parameter `orgId`, or empty.
    pub org_id: String,
    /// Query parameter `apiName`, or empty.
    pub api_name: String,
}

/// Reads the headers that make a call. An empty header counts as absent, as in the public mesh.
///
/// # Errors
/// [`MeshError`] as in the public mesh: nothing there, one half there, or unreadable.
pub fn classify(
    headers: &HeaderMap,
    path: &RequestPath,
    request_id: &str,
    rule: RequestIdRule,
) -> Result<Call, MeshError> {
    let context = present(headers, headers::REQUEST_CONTEXT);
    let client = present(headers, headers::CLIENT_CONTEXT);
    let signature = present(headers, headers::SIGNATURE);
    match (context, client, signature) {
        (Some(context), Some(client), _) => salesforce(context, client, request_id, rule),
        (None, None, Some(signature)) => data_action(signature, path),
        (None, None, None) => Err(MeshError::NoCredentials),
        _ => Err(MeshError::HalfCredentials),
    }
}

fn present<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h [u8]> {
    headers.get(name).map(http::HeaderValue::as_bytes).filter(|value| !value.is_empty())
}

fn salesforce(
    context: &[u8],
    client: &[u8],
    request_id: &str,
    rule: RequestIdRule,
) -> Result<Call, MeshError> {
    let request_context = RequestContext::decode(context).map_err(MeshError::RequestContext)?;
    if !rule.accepts(&request_context.id, request_id) {
        return Err(MeshError::RequestContextId);
    }
    let client_context = SentClientContext::decode(client).map_err(MeshError::ClientContext)?;
    Ok(Call::Salesforce(Box::new(SalesforceCall { request_context, client_context })))
}

fn data_action(signature: &[u8], path: &RequestPath) -> Result<Call, MeshError> {
    let signature = std::str::from_utf8(signature).map_err(|_| MeshError::NoCredentials)?.into();
    let query: Vec<(String, String)> =
        serde_urlencoded::from_str(path.query().unwrap_or_default()).unwrap_or_default();
    let parameter =
        |name| query.iter().find(|(key, _)| key == name).map_or_else(String::new, |(_, value)| value.clone());
    Ok(Call::DataAction(DataActionCall {
        signature,
        org_id: parameter("orgId"),
        api_name: parameter("apiName"),
    }))
}
