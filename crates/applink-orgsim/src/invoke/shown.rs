//! What an app was sent, for people to look at: decoded, and without what would let them act with it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use serde_json::Value;
use url::form_urlencoded;

use super::arguments::Outgoing;
use crate::services::Operation;

/// What stands for a secret.
const MASK: &str = "•••";
/// Where secrets are in the context headers.
const SECRETS: [&str; 2] = ["/auth", "/accessToken"];

/// A request to an app.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shown {
    pub(crate) method: String,
    pub(crate) url: String,
    /// In the order of their names; the context headers as the JSON they hold.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<String>,
}

/// The request the org is about to send.
pub(super) fn of(endpoint: &str, operation: &Operation, outgoing: &Outgoing, headers: &HeaderMap) -> Shown {
    let mut url = format!("{endpoint}{}", outgoing.path);
    if !outgoing.query.is_empty() {
        url.push('?');
        url += &form_urlencoded::Serializer::new(String::new()).extend_pairs(&outgoing.query).finish();
    }
    let mut lines: Vec<(String, String)> =
        headers.iter().map(|(name, value)| (name.to_string(), readable(value.as_bytes()))).collect();
    lines.extend(outgoing.headers.iter().cloned());
    if let (Some(_), Some(declared)) = (&outgoing.body, &operation.body) {
        lines.push(("content-type".to_owned(), declared.media_type.clone()));
    }
    lines.sort();
    let body = outgoing.body.as_ref().map(|body| serde_json::to_string_pretty(body).unwrap_or_default());
    let mut shown = Shown { method: operation.method.to_string(), url, headers: lines, body };
    for callback in &outgoing.callbacks {
        let hide = |text: &mut String| *text = text.replace(&callback.handle, MASK);
        hide(&mut shown.url);
        shown.headers.iter_mut().for_each(|(_, value)| hide(value));
        shown.body.iter_mut().for_each(hide);
    }
    shown
}

/// A header's value; base64 of JSON as that JSON, its secrets masked.
fn readable(value: &[u8]) -> String {
    let decoded = STANDARD.decode(value).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    let Some(mut json) = decoded.filter(Value::is_object) else {
        return String::from_utf8_lossy(value).into_owned();
    };
    for pointer in SECRETS {
        if let Some(secret) = json.pointer_mut(pointer) {
            *secret = MASK.into();
        }
    }
    serde_json::to_string_pretty(&json).unwrap_or_default()
}
