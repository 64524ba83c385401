//! `x-client-context` as it came: what the mesh knows of it, and everything else an org may have put in.
//!
//! The header is not signed, so the app gets it only with its known fields checked ([`crate::bind`]); fields that
//! only the org and the app know are handed on untouched.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use applink_api::context::{ContextError, MAX_ENCODED};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

const FIELDS: [&str; 7] =
    ["requestId", "accessToken", "apiVersion", "orgId", ORG_DOMAIN_URL, "namespace", "userContext"];
/// How many of [`FIELDS`], from the first, are texts that must be there.
const TEXTS: usize = 5;
const NAMESPACE: usize = 5;
const USER_FIELDS: [&str; 2] = ["userId", "username"];
const ORG_DOMAIN_URL: &str = "orgDomainUrl";

/// The header, decoded.
pub struct SentClientContext {
    /// The request it says it belongs to.
    pub request_id: String,
    /// The org it says it comes from.
    pub org_id: String,
    /// The user it says calls.
    pub user_id: String,
    all: All,
}

/// Everything in it.
enum All {
    /// As it came, and where the org's address is, with its quotes: one copy, however much an org sends.
    Json(Vec<u8>, Range<usize>),
    /// Taken apart, for an address that is written with escapes.
    Tree(Map<String, Value>),
}

impl fmt::Debug for SentClientContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SentClientContext")
            .field("request_id", &self.request_id)
            .field("org_id", &self.org_id)
            .field("user_id", &self.user_id)
            .finish_non_exhaustive()
    }
}

impl SentClientContext {
    /// Reads the header. A known field that comes twice, or one whose name differs from a known one in letter case
    /// only, is refused: some JSON readers would take it for the known one.
    ///
    /// # Errors
    /// [`ContextError`].
    pub fn decode(encoded: &[u8]) -> Result<Self, ContextError> {
        if encoded.len() > MAX_ENCODED {
            return Err(ContextError::TooLong);
        }
        let json = STANDARD.decode(encoded).map_err(ContextError::Base64)?;
        let fields: Fields<'_> = serde_json::from_slice(&json).map_err(ContextError::Json)?;
        let [request_id, org_id, user_id] =
            [fields.request_id, fields.org_id, fields.user_id].map(Cow::into_owned);
        let all = match place_of(&fields.org_domain_url, &json) {
            Some(place) => All::Json(json, place),
            None => All::Tree(serde_json::from_slice(&json).map_err(ContextError::Json)?),
        };
        Ok(Self { request_id, org_id, user_id, all })
    }

    /// The same with the org's address set to the one that was verified.
    pub(crate) fn set_org_domain_url(&mut self, url: &str) {
        let url = Value::from(url);
        match &mut self.all {
            All::Json(json, place) => {
                let text = url.to_string();
                let end = place.start + text.len();
                json.splice(place.clone(), text.into_bytes());
                *place = place.start..end;
            }
            All::Tree(all) => {
                all.insert(ORG_DOMAIN_URL.to_owned(), url);
            }
        }
    }

    /// The header value.
    pub(crate) fn encode(&self) -> Result<String, ContextError> {
        match &self.all {
            All::Json(json, _) => Ok(STANDARD.encode(json)),
            All::Tree(all) => {
                serde_json::to_vec(all).map(|json| STANDARD.encode(json)).map_err(ContextError::Json)
            }
        }
    }
}

/// Where in `json` this text is, with its quotes, if it is a part of it and no copy.
fn place_of(text: &str, json: &[u8]) -> Option<Range<usize>> {
    let start = text.as_ptr().addr().checked_sub(json.as_ptr().addr())?.checked_sub(1)?;
    let place = start..start + text.len() + 2;
    let quoted = json.get(place.clone())?;
    (quoted.starts_with(b"\"") && quoted.ends_with(b"\"") && quoted.get(1..=text.len())? == text.as_bytes())
        .then_some(place)
}

/// What the mesh checks, and what it overwrites.
struct Fields<'j> {
    request_id: Cow<'j, str>,
    org_id: Cow<'j, str>,
    org_domain_url: Cow<'j, str>,
    user_id: Cow<'j, str>,
}

/// Borrowed where it has no escapes.
#[derive(Deserialize)]
struct Text<'j>(#[serde(borrow)] Cow<'j, str>);

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
        let mut texts: [Option<Cow<'de, str>>; TEXTS] = Default::default();
        let (mut namespace, mut user) = (None, None);
        while let Some(Text(name)) = map.next_key()? {
            match known(&FIELDS, &name)? {
                Some((at, name)) if at < TEXTS => {
                    set(texts.get_mut(at), name, map.next_value::<Text<'de>>()?.0)?
                }
                Some((NAMESPACE, name)) => {
                    set(Some(&mut namespace), name, map.next_value::<Option<Text<'de>>>()?.is_some())?;
                }
                Some((_, name)) => set(Some(&mut user), name, map.next_value::<User<'de>>()?)?,
                // Read to its last byte, because the app gets it.
                None => drop(map.next_value::<Value>()?),
            }
        }
        let [request_id, access_token, api_version, org_id, org_domain_url] = texts;
        let [request_id, _, _, org_id, org_domain_url] =
            all([request_id, access_token, api_version, org_id, org_domain_url], FIELDS)?;
        let User(user_id) = user.ok_or_else(|| M::Error::missing_field("userContext"))?;
        Ok(Fields { request_id, org_id, org_domain_url, user_id })
    }
}

/// The id of the user; there must be a name too.
struct User<'j>(Cow<'j, str>);

impl<'de> Deserialize<'de> for User<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(UserVisitor)
    }
}

struct UserVisitor;

impl<'de> Visitor<'de> for UserVisitor {
    type Value = User<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<User<'de>, M::Error> {
        let mut texts: [Option<Cow<'de, str>>; USER_FIELDS.len()] = Default::default();
        while let Some(Text(name)) = map.next_key()? {
            match known(&USER_FIELDS, &name)? {
                Some((at, name)) => set(texts.get_mut(at), name, map.next_value::<Text<'de>>()?.0)?,
                None => drop(map.next_value::<Value>()?),
            }
        }
        let [user_id, _] = all(texts, USER_FIELDS)?;
        Ok(User(user_id))
    }
}

/// Which of the known fields this is.
fn known<E: Error>(fields: &[&'static str], name: &str) -> Result<Option<(usize, &'static str)>, E> {
    let found = fields.iter().enumerate().find(|(_, known)| known.eq_ignore_ascii_case(name));
    match found {
        Some((_, known)) if *known != name => Err(E::custom("a field is there in two spellings")),
        found => Ok(found.map(|(at, known)| (at, *known))),
    }
}

fn set<T, E: Error>(field: Option<&mut Option<T>>, name: &'static str, value: T) -> Result<(), E> {
    match field {
        Some(field @ None) => {
            *field = Some(value);
            Ok(())
        }
        _ => Err(E::duplicate_field(name)),
    }
}

/// All of them, or an error about the first that is not there.
fn all<'j, const N: usize, const M: usize, E: Error>(
    texts: [Option<Cow<'j, str>>; N],
    names: [&'static str; M],
) -> Result<[Cow<'j, str>; N], E> {
    if let Some((_, name)) = texts.iter().zip(names).find(|(text, _)| text.is_none()) {
        return Err(E::missing_field(name));
    }
    Ok(texts.map(Option::unwrap_or_default))
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
        let escaped = sent().to_string().replacen('{', "{\"org\\u0049d\":\"other\",", 1);
        assert!(SentClientContext::decode(STANDARD.encode(escaped).as_bytes()).is_err());
    }

    #[test]
    fn an_address_is_replaced_however_it_is_written() {
        let plain = sent().to_string();
        for (address, verified) in [
            ("https://claimed", "https://verified.and.longer.than.claimed"),
            ("https:\\/\\/claimed", "https://v"),
            ("https://cl\\u0061imed", "https://v"),
            ("", "https://v"),
            ("a\\\"b", "c\"d"),
        ] {
            let json = plain.replace("https://claimed", address);
            let mut context = SentClientContext::decode(STANDARD.encode(&json).as_bytes()).unwrap();
            context.set_org_domain_url("https://first");
            context.set_org_domain_url(verified);
            let again: Value =
                serde_json::from_slice(&STANDARD.decode(context.encode().unwrap()).unwrap()).unwrap();
            let mut expected: Value = serde_json::from_str(&json).unwrap();
            expected["orgDomainUrl"] = json!(verified);
            assert_eq!(again, expected, "{address}");
        }
    }

    #[test]
    fn what_is_missing_or_no_text_is_refused() {
        for field in FIELDS.into_iter().filter(|field| *field != "namespace") {
            let mut missing = sent();
            missing.as_object_mut().unwrap().remove(field);
            assert!(decode(&missing).is_err(), "{field}");
            for wrong in [json!(null), json!(7), json!(["x"])] {
                let mut value = sent();
                value[field] = wrong;
                assert!(decode(&value).is_err(), "{field}");
            }
        }
        for field in USER_FIELDS {
            let mut missing = sent();
            missing["userContext"].as_object_mut().unwrap().remove(field);
            assert!(decode(&missing).is_err(), "{field}");
        }
        let mut without = sent();
        without.as_object_mut().unwrap().remove("namespace");
        assert!(decode(&without).is_ok());
        for json in ["{}{}", "[]", "{\"x\":1e999}", "{\"x\":\"\\ud800\"}"] {
            let whole = sent().to_string().replacen('{', &json.replacen('}', ",", 1), 1);
            assert!(SentClientContext::decode(STANDARD.encode(whole).as_bytes()).is_err(), "{json}");
        }
    }
}
