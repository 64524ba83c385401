//! `x-client-context` as it came: what the mesh knows of it, and everything else an org may have put in.
//!
//! The header is not signed, so the app gets it only with its known fields checked ([`crate::bind`]); fields that
//! only the org and the app know are handed on untouched.

use std::fmt;

use applink_api::context::{ClientContext, ContextError, MAX_ENCODED};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error as _;
use serde_json::{Map, Value};

const FIELDS: [&str; 7] =
    ["requestId", "accessToken", "apiVersion", "namespace", "orgId", "orgDomainUrl", USER_CONTEXT];
const USER_CONTEXT: &str = "userContext";
const USER_FIELDS: [&str; 2] = ["userId", "username"];
const ORG_DOMAIN_URL: &str = "orgDomainUrl";

/// The header, decoded.
pub struct SentClientContext {
    /// The fields the mesh checks.
    pub known: ClientContext,
    all: Map<String, Value>,
}

impl fmt::Debug for SentClientContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SentClientContext").field("known", &self.known).finish_non_exhaustive()
    }
}

impl SentClientContext {
    /// Reads the header. A field whose name differs from a known one in letter case only is refused: some JSON
    /// readers would take it for the known one.
    ///
    /// # Errors
    /// [`ContextError`].
    pub fn decode(encoded: &[u8]) -> Result<Self, ContextError> {
        if encoded.len() > MAX_ENCODED {
            return Err(ContextError::TooLong);
        }
        let json = STANDARD.decode(encoded).map_err(ContextError::Base64)?;
        // A known field that comes twice is refused here.
        let known = ClientContext::from_json(&json)?;
        let all: Map<String, Value> = serde_json::from_slice(&json).map_err(ContextError::Json)?;
        ensure_no_twin(&all, &FIELDS)?;
        if let Some(Value::Object(user)) = all.get(USER_CONTEXT) {
            ensure_no_twin(user, &USER_FIELDS)?;
        }
        Ok(Self { known, all })
    }

    /// The same with the org's address set to the one that was verified.
    pub(crate) fn set_org_domain_url(&mut self, url: &str) {
        self.all.insert(ORG_DOMAIN_URL.to_owned(), Value::from(url));
    }

    /// The header value.
    pub(crate) fn encode(&self) -> Result<String, ContextError> {
        serde_json::to_vec(&self.all).map(|json| STANDARD.encode(json)).map_err(ContextError::Json)
    }
}

fn ensure_no_twin(fields: &Map<String, Value>, known: &[&str]) -> Result<(), ContextError> {
    let twin = |name: &String| known.iter().any(|known| name != known && name.eq_ignore_ascii_case(known));
    if fields.keys().any(twin) {
        return Err(ContextError::Json(serde_json::Error::custom("a field is there in two spellings")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sent() -> Value {
        json!({"requestId": "r", "accessToken": "canary", "apiVersion": "v66.0", "namespace": null, "orgId": "00D",
            "orgDomainUrl": "https://claimed", "userContext": {"userId": "005", "username": "a", "more": [1]},
            "newField": {"a": 1}})
    }

    fn decode(value: &Value) -> Result<SentClientContext, ContextError> {
        SentClientContext::decode(STANDARD.encode(value.to_string()).as_bytes())
    }

    #[test]
    fn unknown_fields_survive_and_the_address_is_replaced() {
        let mut context = decode(&sent()).unwrap();
        context.set_org_domain_url("https://verified");
        let again: Value =
            serde_json::from_slice(&STANDARD.decode(context.encode().unwrap()).unwrap()).unwrap();
        let mut expected = sent();
        expected["orgDomainUrl"] = json!("https://verified");
        assert_eq!(again, expected);
        assert!(!format!("{context:?}").contains("canary"));
    }

    #[test]
    fn twins_of_known_fields_are_refused() {
        for (place, name) in [("", "OrgId"), ("", "ORGDOMAINURL"), ("userContext", "userid")] {
            let mut value = sent();
            let target = if place.is_empty() { &mut value } else { &mut value[place] };
            target[name] = json!("other");
            assert!(decode(&value).is_err(), "{place} {name}");
        }
        let doubled = sent().to_string().replacen('{', "{\"orgId\":\"other\",", 1);
        assert!(SentClientContext::decode(STANDARD.encode(doubled).as_bytes()).is_err());
    }
}
