//! The two context headers of an invocation, both standard base64 (RFC 4648 §4, padded) of a JSON object.
//!
//! 1. The org sends `x-request-context` ([`RequestContext`]) with its signed token, for the mesh.
//! 2. It sends `x-client-context` ([`ClientContext`]) with the calling user's session, for the app.
//! 3. The mesh verifies the first, binds the second to it, and forwards only the second.
//!
//! The keys are those the official mesh and SDKs read.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::secret::{SecretString, wire};

/// The largest context header that is read: 16 KiB of base64, the size of a whole header block at Salesforce.
pub const MAX_ENCODED: usize = 16 * 1024;

/// A context header can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// Longer than [`MAX_ENCODED`].
    #[error("the header is longer than {MAX_ENCODED} characters")]
    TooLong,
    /// Not standard, padded base64.
    #[error("the header is not padded standard base64")]
    Base64(#[source] base64::DecodeError),
    /// Not a JSON object of the expected shape.
    #[error("the header does not hold the JSON object it should")]
    Json(#[source] serde_json::Error),
    /// A field is missing, empty or not a string. The name is the one the official mesh reports.
    #[error("the field {0} is missing or empty")]
    Field(&'static str),
}

/// `x-request-context`: who vouches for this call.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestContext {
    /// The request id this context belongs to.
    pub id: String,
    /// The org-signed token.
    #[serde(with = "wire")]
    pub auth: SecretString,
    /// Where the org's users log in.
    pub login_url: String,
    /// The org's My Domain URL.
    pub org_domain_url: String,
    /// The org's id.
    pub org_id: String,
    /// What is called.
    pub resource: String,
    /// What kind of call it is.
    #[serde(rename = "type")]
    pub kind: String,
    /// The app that is called.
    pub app_uuid: String,
}

/// Keys of [`RequestContext`] in the order the official mesh checks them, with the names it reports.
const REQUEST_FIELDS: [(&str, &str); 8] = [
    ("id", "ID"),
    ("auth", "Auth"),
    ("loginUrl", "LoginUrl"),
    ("orgDomainUrl", "OrgDomainUrl"),
    ("orgId", "OrgID"),
    ("resource", "Resource"),
    ("type", "Type"),
    ("appUuid", "AppUUID"),
];

impl RequestContext {
    /// Reads the header. Every field must be a non-empty string; unknown keys are ignored, and keys match
    /// without regard to case, as in the official mesh.
    ///
    /// # Errors
    /// [`ContextError`], with [`ContextError::Field`] naming the first field that is missing or empty.
    pub fn decode(encoded: &[u8]) -> Result<Self, ContextError> {
        let json = decode_base64(encoded)?;
        let Fields(fields) = serde_json::from_slice(&json).map_err(ContextError::Json)?;
        let mut values: [String; REQUEST_FIELDS.len()] = Default::default();
        for ((value, field), (_, reported)) in values.iter_mut().zip(fields).zip(REQUEST_FIELDS) {
            *value = required_text(field, reported)?;
        }
        let mut values = values.into_iter();
        let mut next = || values.next().unwrap_or_default();
        Ok(Self {
            id: next(),
            auth: next().into(),
            login_url: next(),
            org_domain_url: next(),
            org_id: next(),
            resource: next(),
            kind: next(),
            app_uuid: next(),
        })
    }

    /// The header value.
    ///
    /// # Errors
    /// Never in practice: every field is a string.
    pub fn encode(&self) -> Result<String, ContextError> {
        encode(self)
    }
}

/// The values of [`REQUEST_FIELDS`], in their order; of a key that comes twice the last.
struct Fields<'j>([Field<'j>; REQUEST_FIELDS.len()]);

/// A value. Borrowed where it has no escapes.
#[derive(Default)]
enum Field<'j> {
    #[default]
    Missing,
    Text(Cow<'j, str>),
    /// Anything but a text or `null`.
    Other,
}

/// A key, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Key<'j>(#[serde(borrow)] Cow<'j, str>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Fields<'de>, M::Error> {
        let mut fields = Fields(Default::default());
        while let Some(Key(key)) = map.next_key()? {
            let known = REQUEST_FIELDS.iter().position(|(name, _)| name.eq_ignore_ascii_case(&key));
            match known.and_then(|at| fields.0.get_mut(at)) {
                Some(field) => *field = map.next_value()?,
                None => {
                    let _: IgnoredAny = map.next_value()?;
                }
            }
        }
        Ok(fields)
    }
}

impl<'de> Deserialize<'de> for Field<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldVisitor)
    }
}

struct FieldVisitor;

impl<'de> Visitor<'de> for FieldVisitor {
    type Value = Field<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Field<'de>, E> {
        Ok(Field::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Field<'de>, E> {
        Ok(Field::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Field<'de>, E> {
        Ok(Field::Missing)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Field<'de>, E> {
        Ok(Field::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Field<'de>, E> {
        Ok(Field::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Field<'de>, E> {
        Ok(Field::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Field<'de>, E> {
        Ok(Field::Other)
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut items: S) -> Result<Field<'de>, S::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Field::Other)
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Field<'de>, M::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Field::Other)
    }
}

fn required_text(field: Field<'_>, reported: &'static str) -> Result<String, ContextError> {
    match field {
        Field::Text(text) if !text.is_empty() => Ok(text.into_owned()),
        Field::Missing | Field::Text(_) => Err(ContextError::Field(reported)),
        Field::Other => Err(ContextError::Json(serde::de::Error::custom("a field is not a string"))),
    }
}

impl fmt::Debug for RequestContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestContext")
            .field("id", &self.id)
            .field("org_id", &self.org_id)
            .field("app_uuid", &self.app_uuid)
            .finish_non_exhaustive()
    }
}

/// `x-client-context`: the calling user and a session that acts as that user.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientContext {
    /// The request this belongs to; equal to `x-request-id`.
    pub request_id: String,
    /// The user's session in the org.
    #[serde(with = "wire")]
    pub access_token: SecretString,
    /// `66.0`; a leading `v` is tolerated on reading.
    #[serde(deserialize_with = "without_v")]
    pub api_version: String,
    /// The org's namespace, `""` when it has none (`null` and `"null"` are read as none).
    #[serde(default, deserialize_with = "namespace")]
    pub namespace: String,
    /// The org's id.
    pub org_id: String,
    /// The org's My Domain URL, always with a scheme after reading.
    #[serde(deserialize_with = "with_scheme")]
    pub org_domain_url: String,
    /// Who calls.
    pub user_context: UserContext,
}

/// The calling user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserContext {
    /// `005…`.
    pub user_id: String,
    /// The user's name in the org.
    pub username: String,
}

impl ClientContext {
    /// Reads the header.
    ///
    /// # Errors
    /// [`ContextError`] when it is not padded base64 of such an object.
    pub fn decode(encoded: &[u8]) -> Result<Self, ContextError> {
        Self::from_json(&decode_base64(encoded)?)
    }

    /// Reads what the header holds, its base64 undone.
    ///
    /// # Errors
    /// [`ContextError::Json`].
    pub fn from_json(json: &[u8]) -> Result<Self, ContextError> {
        serde_json::from_slice(json).map_err(ContextError::Json)
    }

    /// The header value.
    ///
    /// # Errors
    /// Never in practice: every field is a string.
    pub fn encode(&self) -> Result<String, ContextError> {
        encode(self)
    }
}

fn without_v<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok(text.strip_prefix('v').map(str::to_owned).unwrap_or(text))
}

fn with_scheme<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok(if text.contains("://") { text } else { format!("https://{text}") })
}

fn namespace<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
    Ok(if text == "null" { String::new() } else { text })
}

fn decode_base64(encoded: &[u8]) -> Result<Vec<u8>, ContextError> {
    if encoded.len() > MAX_ENCODED {
        return Err(ContextError::TooLong);
    }
    STANDARD.decode(encoded).map_err(ContextError::Base64)
}

fn encode<T: Serialize>(value: &T) -> Result<String, ContextError> {
    serde_json::to_vec(value).map(|json| STANDARD.encode(json)).map_err(ContextError::Json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;
    use serde_json::Value;

    fn encoded(value: &Value) -> String {
        STANDARD.encode(value.to_string())
    }

    fn request() -> Value {
        serde_json::json!({"id": "r1", "auth": "jwt", "loginUrl": "https://l", "orgDomainUrl": "https://o",
            "orgId": "00D", "resource": "x", "type": "y", "appUuid": "u", "extra": 1})
    }

    #[test]
    fn reads_a_request_context_and_ignores_unknown_keys() {
        let context = RequestContext::decode(encoded(&request()).as_bytes()).unwrap();
        assert_eq!(context.auth.expose_secret(), "jwt");
        assert_eq!((context.kind.as_str(), context.app_uuid.as_str()), ("y", "u"));
        assert!(!format!("{context:?}").contains("jwt"));
    }

    #[test]
    fn names_the_first_bad_field_in_the_official_order() {
        for (key, reported) in REQUEST_FIELDS {
            for bad in [Value::Null, Value::String(String::new())] {
                let mut value = request();
                value[key] = bad;
                let error = RequestContext::decode(encoded(&value).as_bytes()).unwrap_err();
                assert!(matches!(error, ContextError::Field(name) if name == reported), "{key}: {error:?}");
            }
        }
    }

    #[test]
    fn a_field_of_the_wrong_type_is_not_json_of_the_right_shape() {
        for wrong in ["7", "-7", "1.5", "true", "[\"00D\"]", "{\"a\":\"00D\"}"] {
            let mut value = request();
            value["orgId"] = serde_json::from_str(wrong).unwrap();
            let error = RequestContext::decode(encoded(&value).as_bytes()).unwrap_err();
            assert!(matches!(error, ContextError::Json(_)), "{wrong}");
        }
    }

    #[test]
    fn reads_a_client_context_as_lenient_as_the_sdks() {
        let header =
            encoded(&serde_json::json!({"requestId": "r", "accessToken": "t", "apiVersion": "v62.0",
            "namespace": "null", "orgId": "00D", "orgDomainUrl": "acme.my.salesforce.com",
            "userContext": {"userId": "005", "username": "a@b.c"}}));
        let context = ClientContext::decode(header.as_bytes()).unwrap();
        assert_eq!(context.api_version, "62.0");
        assert_eq!(context.namespace, "");
        assert_eq!(context.org_domain_url, "https://acme.my.salesforce.com");
        let again = ClientContext::decode(context.encode().unwrap().as_bytes()).unwrap();
        assert_eq!(again.user_context, context.user_context);
    }

    #[test]
    fn refuses_what_is_not_padded_standard_base64() {
        for bad in ["e30", "e30-", "!!!!", "e30=\n"] {
            assert!(matches!(ClientContext::decode(bad.as_bytes()), Err(ContextError::Base64(_))), "{bad}");
        }
        let long = "A".repeat(MAX_ENCODED + 4);
        assert!(matches!(ClientContext::decode(long.as_bytes()), Err(ContextError::TooLong)));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            let _ = RequestContext::decode(&bytes);
            let _ = ClientContext::decode(&bytes);
            let wrapped = STANDARD.encode(&bytes);
            let _ = RequestContext::decode(wrapped.as_bytes());
            let _ = ClientContext::decode(wrapped.as_bytes());
        }
    }
}
