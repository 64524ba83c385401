//! The transitions of a target, and whether a text is the signature of some bytes. Pure.

use std::borrow::Cow;
use std::time::Duration;

use applink_api::data_action_target::DataActionTargetStatus;
use applink_api::error::{ResourceError, error_id};
use applink_api::ids::{AddonId, AppUuid};
use applink_api::time::Timestamp;
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use url::Url;
use uuid::Uuid;

use crate::vault::hex;

/// Due whatever a database's clock says that differs from ours.
pub const AT_ONCE: Timestamp = Timestamp::from_micros(0);
/// The longest signature that is read: base64 of 32 bytes is 44 characters.
const LONGEST: usize = 64;
/// A path of the app may have this many characters.
const LONGEST_PATH: usize = 500;
/// How long a former signing key counts beside a new one: an org takes a quarter of an hour to sign with that, and tries
/// what was not delivered again.
pub const FORMER_KEY_COUNTS: Duration = Duration::from_secs(3600);
/// An org that is still at it is asked again after this.
pub const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// How long an org may take to set a target up.
pub const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// Tries of one step before it is given up, with pauses of 2, 4, 8, … 128 s.
pub const TRIES: u32 = 8;

/// Where a target stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Asked for.
    Pending,
    /// The org is making it.
    Creating,
    /// The org is to make a signing key.
    GeneratingSigningKey,
    /// Usable.
    Created,
    /// It did not come about.
    CreationFailed(ResourceError),
    /// To be removed from the org.
    Deleting,
}

impl State {
    /// The official word, and the one that is stored.
    pub fn word(&self) -> &'static str {
        self.status().as_str()
    }

    /// The same, typed.
    pub fn status(&self) -> DataActionTargetStatus {
        match self {
            Self::Pending => DataActionTargetStatus::Pending,
            Self::Creating => DataActionTargetStatus::Creating,
            Self::GeneratingSigningKey => DataActionTargetStatus::GeneratingSigningKey,
            Self::Created => DataActionTargetStatus::Created,
            Self::CreationFailed(_) => DataActionTargetStatus::CreationFailed,
            Self::Deleting => DataActionTargetStatus::Deleting,
        }
    }
}

/// A target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its uuid.
    pub id: Uuid,
    /// The tenant.
    pub addon: AddonId,
    /// The connection whose org has it.
    pub connection: Uuid,
    /// The app it points at.
    pub app: AppUuid,
    /// That app's name.
    pub app_name: String,
    /// That app's URL when the target was made.
    pub app_url: Option<String>,
    /// The org.
    pub org_id: String,
    /// Its name there.
    pub api_name: String,
    /// Its label there.
    pub label: String,
    /// The app's path, as asked for.
    pub path: String,
    /// What the org calls.
    pub endpoint: String,
    /// Where it stands.
    pub state: State,
    /// What is to be known of one that is created: why the org keeps it although it was to be removed, or that nobody knows
    /// which key the org signs with. The latter is carried through the states to which it matters.
    pub kept: Option<ResourceError>,
    /// When its newest signing key was made.
    pub key_made_at: Option<Timestamp>,
    /// How often the present step failed.
    pub failures: u32,
    /// When the reconciler is to look at it.
    pub due_at: Option<Timestamp>,
    /// Since when it is in its state.
    pub state_since: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// When it last changed.
    pub last_modified_at: Timestamp,
}

impl Target {
    /// Why it did not come about, did not go, or may not work.
    pub fn error(&self) -> Option<&ResourceError> {
        match &self.state {
            State::CreationFailed(error) => Some(error),
            State::Created => self.kept.as_ref(),
            _ => None,
        }
    }

    /// The same, also in a state that does not tell it.
    pub fn noted(&self) -> Option<&ResourceError> {
        self.error().or(self.kept.as_ref())
    }

    /// Whether the org was asked for another key and the answer is not known.
    pub fn is_key_in_doubt(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| kept.message.starts_with(ANOTHER_KEY))
    }

    /// Whether this is what the org is to call for it, however the org writes the URL.
    pub fn is_called_at(&self, endpoint: &str) -> bool {
        Url::parse(endpoint).is_ok_and(|url| url.as_str() == self.endpoint)
    }
}

/// Goes on to a state, due at once.
pub fn enter(target: &mut Target, state: State, now: Timestamp) {
    let settled = matches!(state, State::Created | State::CreationFailed(_));
    // Neither a rotation nor a removal that fails tells which key the org signs with.
    if settled || !target.is_key_in_doubt() {
        target.kept = None;
    }
    target.state = state;
    target.failures = 0;
    target.due_at = (!settled).then_some(AT_ONCE);
    target.state_since = now;
    target.last_modified_at = now;
}

/// Begins what all sentences have in common that tell of a key in doubt.
const ANOTHER_KEY: &str = "The org may sign with another key now";

/// The org was asked for another key, and what became of that is not known.
pub fn key_in_doubt() -> ResourceError {
    let message = format!(
        "{ANOTHER_KEY}: it was asked for a new one, and its answer got lost. What it signs so is refused. Rotate the key again (datacloud:data-action-target:rotate)."
    );
    ResourceError { id: error_id::ORG_CONNECTION_FAILED.into(), message }
}

/// It did not come about, for this reason. A target that has a key stays as it is: only its new key did not come. Whether
/// the org made that one is another question.
pub fn fail(target: &mut Target, reason: &str, now: Timestamp) {
    if target.key_made_at.is_some() {
        let doubt = target.kept.take().filter(|_| target.state == State::GeneratingSigningKey);
        enter(target, State::Created, now);
        target.kept = doubt;
        return;
    }
    let message = format!(
        "The org could not make the data action target ({}). Mend that, remove the target and create it again.",
        reason.trim_end_matches('.')
    );
    enter(
        target,
        State::CreationFailed(ResourceError { id: error_id::ORG_CONNECTION_FAILED.into(), message }),
        now,
    );
}

/// The org keeps it although it was to be removed alone: it stays what it was, with the reason.
pub fn keep(target: &mut Target, reason: &str, now: Timestamp) {
    let in_doubt = target.is_key_in_doubt();
    enter(target, State::Created, now);
    let kept = format!(
        "The org keeps the data action target ({}). Mend that, then remove it again.",
        reason.trim_end_matches('.')
    );
    // The doubt comes first: that is how it is known again.
    let message = if in_doubt { format!("{} {kept}", key_in_doubt().message) } else { kept };
    target.kept = Some(ResourceError { id: error_id::ORG_CONNECTION_FAILED.into(), message });
}

/// A step failed for a passing reason. `false` when it failed often enough.
pub fn retry(target: &mut Target, now: Timestamp) -> bool {
    target.failures = target.failures.saturating_add(1);
    target.due_at = Some(now.plus(pause_after(target.failures)));
    target.failures < TRIES
}

/// How long a step rests that failed so often.
pub fn pause_after(failures: u32) -> Duration {
    Duration::from_secs(2_u64.saturating_pow(failures.min(7)))
}

/// The org is still at it. `false` when it takes too long.
pub fn wait(target: &mut Target, now: Timestamp) -> bool {
    target.due_at = Some(now.plus(LOOK_AGAIN));
    now.since(target.state_since) < PATIENCE
}

/// The API name that is made from a label: words joined by `_`.
pub fn api_name_of(label: &str) -> String {
    label.trim().replace([' ', '-'], "_")
}

/// The rule an API name breaks.
pub fn broken_name_rule(name: &str) -> Option<&'static str> {
    if !(3..=30).contains(&name.len()) {
        return Some("it must have 3 to 30 characters");
    }
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Some("only letters, digits and `_` are allowed");
    }
    if !name.starts_with(|first: char| first.is_ascii_alphabetic()) {
        return Some("it must start with a letter");
    }
    if name.ends_with('_') || name.contains("__") {
        return Some("`_` must stand alone between letters or digits");
    }
    None
}

/// What the org is to call: the app's URL, the path, and by which name and org the call is recognised.
///
/// # Errors
/// The rule that the path, or the app's URL, breaks.
pub fn endpoint(app_url: &str, path: &str, api_name: &str, org_id: &str) -> Result<String, &'static str> {
    if !path.starts_with('/') || path.starts_with("//") {
        return Err("it must be a path of the app and start with one `/`");
    }
    if path.len() > LONGEST_PATH {
        return Err("it must have 500 characters at most");
    }
    if path.contains(['?', '#', '\\']) || path.contains(|letter: char| letter.is_control() || letter == ' ') {
        return Err("it must be a path alone: no query, fragment, backslash or space");
    }
    if path.split('/').any(|part| part == "." || part == "..") {
        return Err("`.` and `..` can't be parts of it");
    }
    let base =
        Url::parse(app_url).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let base = base.ok_or("the app's own URL can't be read")?;
    let joined = format!("{}{path}", base.as_str().trim_end_matches('/'));
    let mut url = Url::parse(&joined).map_err(|_| "it can't be part of a URL")?;
    if url.origin() != base.origin() {
        return Err("it must stay on the app's host");
    }
    url.query_pairs_mut().append_pair("apiName", api_name).append_pair("orgId", org_id);
    Ok(url.into())
}

/// What the signature, base64 of an HMAC-SHA256, is of: the raw bytes, or else the same JSON further escaped, which
/// Salesforce's guide speaks of without saying how. None when it is of neither. Compares in constant time.
pub fn signed_form<'p>(key: &[u8], payload: &'p [u8], signature: &str) -> Option<Cow<'p, [u8]>> {
    if key.is_empty() || signature.len() > LONGEST {
        return None;
    }
    let signature = STANDARD.decode(signature.trim()).ok()?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let fits = |message: &[u8]| hmac::verify(&key, message, &signature).is_ok();
    if fits(payload) {
        return Some(Cow::Borrowed(payload));
    }
    escaped(payload).into_iter().map(String::into_bytes).find(|message| fits(message)).map(Cow::Owned)
}

/// How the digits of `\uXXXX` are written.
#[derive(Clone, Copy)]
enum Hex {
    /// `\u00e9`, as JavaScript and Jackson write it.
    Lower,
    /// `\u00E9`, as the usual libraries of Java write it.
    Upper,
}

/// The same JSON with `/` as `\/`, with everything but ASCII as `\uXXXX`, in small and in capital digits, and with both.
/// Only texts are changed, so that each form says what the payload says; what is no JSON has none.
fn escaped(payload: &[u8]) -> Vec<String> {
    let Ok(text) = std::str::from_utf8(payload) else { return Vec::new() };
    if serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() {
        return Vec::new();
    }
    let others = [None, Some(Hex::Lower), Some(Hex::Upper)];
    let mut forms: Vec<String> = others
        .into_iter()
        .flat_map(|others| [true, false].map(|slashes| escape(text, slashes, others)))
        .collect();
    forms.retain(|form| form != text);
    forms.sort_unstable();
    forms.dedup();
    forms
}

fn escape(json: &str, slashes: bool, others: Option<Hex>) -> String {
    let mut escaped = String::with_capacity(json.len() + json.len() / 8);
    let mut after_backslash = false;
    for letter in json.chars() {
        match letter {
            '/' if slashes && !after_backslash => escaped.push_str("\\/"),
            letter => match others.filter(|_| !letter.is_ascii()) {
                Some(hex) => escaped.extend(letter.encode_utf16(&mut [0; 2]).iter().map(|unit| match hex {
                    Hex::Lower => format!("\\u{unit:04x}"),
                    Hex::Upper => format!("\\u{unit:04X}"),
                })),
                None => escaped.push(letter),
            },
        }
        after_backslash = letter == '\\' && !after_backslash;
    }
    escaped
}

/// The part of a payload that names its events.
#[derive(Deserialize)]
struct Named {
    events: Vec<NamedEvent>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NamedEvent {
    event_uuid: String,
    #[serde(default)]
    action_developer_name: String,
}

/// Names what a delivery tells among all deliveries of its org: by the uuids of its events, which stay when it is tried
/// again, whatever else of it is written anew; by all of `signed` when they have none. That is what was signed, not what
/// came: a body that was escaped otherwise on its way is the same delivery.
pub fn event_id(api_name: &str, signed: &[u8]) -> String {
    let mut event = digest::Context::new(&digest::SHA256);
    event.update(api_name.as_bytes());
    event.update(&[0]);
    match serde_json::from_slice::<Named>(signed) {
        Ok(Named { events }) if !events.is_empty() && events.iter().all(|one| !one.event_uuid.is_empty()) => {
            let mut names: Vec<(&str, &str)> = events
                .iter()
                .map(|one| (one.event_uuid.as_str(), one.action_developer_name.as_str()))
                .collect();
            names.sort_unstable();
            // As JSON the parts of a name can't run into each other.
            event.update(serde_json::json!(names).to_string().as_bytes());
        }
        _ => event.update(signed),
    }
    format!("data-action:{}", hex(event.finish().as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign(key: &[u8], payload: &[u8]) -> String {
        STANDARD.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), payload))
    }

    fn is_signed(key: &[u8], payload: &[u8], signature: &str) -> bool {
        signed_form(key, payload, signature).is_some()
    }

    #[test]
    fn the_published_example_is_signed() {
        // RFC 4231 §4.3.
        let tag = "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=";
        assert!(is_signed(b"Jefe", b"what do ya want for nothing?", tag));
    }

    #[test]
    fn one_flipped_bit_anywhere_is_noticed() {
        let (key, payload) = (b"signing-key".to_vec(), b"{\"a\":\"\xff\"}".to_vec());
        let good = sign(&key, &payload);
        assert!(is_signed(&key, &payload, &good));
        for bit in 0..payload.len() * 8 {
            let mut flipped = payload.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_signed(&key, &flipped, &good), "bit {bit} of the body");
        }
        let tag = STANDARD.decode(&good).unwrap();
        for bit in 0..tag.len() * 8 {
            let mut flipped = tag.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_signed(&key, &payload, &STANDARD.encode(flipped)), "bit {bit} of the signature");
        }
        for wrong in ["", "x", &good[..40], &good.repeat(2), &format!("{good}=")] {
            assert!(!is_signed(&key, &payload, wrong), "{wrong}");
        }
        assert!(!is_signed(b"", &payload, &sign(b"", &payload)), "no key is no key");
    }

    #[test]
    fn json_that_was_escaped_before_it_was_signed_is_signed() {
        let key = b"signing-key";
        let sent = r#"{"page":"/café","say":"\\\/ 😀\n"}"#;
        let slashes = r#"{"page":"\/café","say":"\\\/ 😀\n"}"#;
        let others = r#"{"page":"/caf\u00e9","say":"\\\/ \ud83d\ude00\n"}"#;
        let both = r#"{"page":"\/caf\u00e9","say":"\\\/ \ud83d\ude00\n"}"#;
        let others_upper = r#"{"page":"/caf\u00E9","say":"\\\/ \uD83D\uDE00\n"}"#;
        let both_upper = r#"{"page":"\/caf\u00E9","say":"\\\/ \uD83D\uDE00\n"}"#;
        for signed in [sent, slashes, others, both, others_upper, both_upper] {
            assert!(is_signed(key, sent.as_bytes(), &sign(key, signed.as_bytes())), "{signed}");
        }
        let another = both.replace("caf", "cav");
        assert!(!is_signed(key, sent.as_bytes(), &sign(key, another.as_bytes())));
        assert!(
            !is_signed(key, b"no/json", &sign(key, br"no\/json")),
            "only JSON says the same when escaped"
        );
        assert_eq!(escaped(br#"{"a":1}"#), Vec::<String>::new());
    }

    #[test]
    fn a_body_that_is_escaped_otherwise_on_its_way_is_the_same_delivery() {
        let key = b"signing-key";
        let id = |body: &str, signature: &str| {
            event_id("Clicks", &signed_form(key, body.as_bytes(), signature).expect("signed"))
        };
        let signed = r#"{"page":"\/caf\u00e9"}"#;
        let signature = sign(key, signed.as_bytes());
        for sent in [signed, r#"{"page":"/caf\u00e9"}"#, r#"{"page":"\/café"}"#, r#"{"page":"/café"}"#] {
            assert_eq!(id(sent, &signature), id(signed, &signature), "{sent}");
        }
    }

    #[test]
    fn events_are_named_by_their_uuids_and_else_by_all_that_is_there() {
        let body = |uuids: &[&str], action: &str, at: u32| {
            let events: Vec<_> = uuids
                .iter()
                .map(|uuid| serde_json::json!({"EventUuid": uuid, "ActionDeveloperName": action}))
                .collect();
            serde_json::json!({"creationDateTime": at, "events": events}).to_string()
        };
        let id = |body: &str| event_id("Clicks", body.as_bytes());
        let first = id(&body(&["a", "b"], "OnClick", 1));
        assert_eq!(first, id(&body(&["a", "b"], "OnClick", 2)), "written anew");
        assert_eq!(first, id(&body(&["b", "a"], "OnClick", 1)));
        assert_ne!(first, event_id("Others", body(&["a", "b"], "OnClick", 1).as_bytes()));
        for other in [
            body(&["a"], "OnClick", 1),
            body(&["a", "b", "c"], "OnClick", 1),
            body(&["a", "c"], "OnClick", 1),
            body(&["a", "b"], "OnOther", 1),
            body(&["ab"], "OnClick", 1),
        ] {
            assert_ne!(first, id(&other), "{other}");
        }
        for unnamed in
            [r#"{"events":[]}"#, "{}", "no JSON", r#"{"events":[{"EventUuid":""}]}"#, r#"{"events":[{}]}"#]
        {
            assert_ne!(id(unnamed), id(&format!("{unnamed} ")), "{unnamed}");
        }
    }

    const NOW: Timestamp = Timestamp::from_seconds(1_000);

    fn target(state: State) -> Target {
        Target {
            id: Uuid::nil(),
            addon: Uuid::nil().into(),
            connection: Uuid::nil(),
            app: Uuid::nil().into(),
            app_name: "a".into(),
            app_url: None,
            org_id: "00D".into(),
            api_name: "T".into(),
            label: "T".into(),
            path: "/".into(),
            endpoint: "https://a.example/".into(),
            state,
            kept: None,
            key_made_at: None,
            failures: 0,
            due_at: None,
            state_since: NOW,
            created_at: NOW,
            created_by: "a@b.c".into(),
            last_modified_at: NOW,
        }
    }

    #[test]
    fn a_step_is_tried_eight_times_with_growing_pauses() {
        let mut row = target(State::Creating);
        let mut pauses = Vec::new();
        while retry(&mut row, NOW) {
            pauses.push(row.due_at.unwrap().since(NOW).as_secs());
        }
        assert_eq!(pauses, [2, 4, 8, 16, 32, 64, 128]);
        enter(&mut row, State::GeneratingSigningKey, NOW);
        assert_eq!((row.failures, row.due_at), (0, Some(AT_ONCE)));
        enter(&mut row, State::Created, NOW);
        assert_eq!(row.due_at, None);
    }

    #[test]
    fn a_key_that_does_not_come_leaves_a_target_with_a_key_as_it_is() {
        let mut new = target(State::GeneratingSigningKey);
        fail(&mut new, "no.", NOW);
        assert!(new.error().unwrap().message.contains("(no)"), "{:?}", new.error());
        let mut rotated = target(State::GeneratingSigningKey);
        rotated.key_made_at = Some(NOW);
        fail(&mut rotated, "no", NOW);
        assert_eq!((rotated.state.clone(), rotated.error()), (State::Created, None));
    }

    #[test]
    fn a_key_in_doubt_is_told_until_another_one_came() {
        let mut row = target(State::GeneratingSigningKey);
        row.key_made_at = Some(NOW);
        row.kept = Some(key_in_doubt());
        assert_eq!(row.error(), None, "it may come yet");
        fail(&mut row, "no", NOW);
        assert!(row.error().unwrap().message.contains("Rotate the key again"), "{:?}", row.error());
        // Neither another rotation that makes nothing nor a removal that the org refuses makes it any better.
        enter(&mut row, State::GeneratingSigningKey, NOW);
        fail(&mut row, "no", NOW);
        assert!(row.is_key_in_doubt() && row.error().is_some());
        enter(&mut row, State::Deleting, NOW);
        keep(&mut row, "OnClick uses it.", NOW);
        let message = &row.error().unwrap().message;
        assert!(row.is_key_in_doubt() && message.contains("(OnClick uses it)"), "{message}");
        enter(&mut row, State::GeneratingSigningKey, NOW);
        enter(&mut row, State::Created, NOW);
        assert_eq!(row.error(), None, "a new key came");
    }

    #[test]
    fn what_an_org_keeps_is_what_it_was_and_says_why_until_something_else_happens() {
        let mut row = target(State::Deleting);
        keep(&mut row, "OnClick uses it.", NOW);
        assert_eq!((row.state.clone(), row.due_at), (State::Created, None));
        assert!(row.error().unwrap().message.contains("(OnClick uses it)"), "{:?}", row.error());
        enter(&mut row, State::Deleting, NOW);
        assert_eq!(row.error(), None);
    }

    #[test]
    fn the_org_may_write_the_url_in_its_own_way_and_must_not_call_another() {
        let mut row = target(State::Deleting);
        row.endpoint = endpoint("https://a.example", "/x", "T", "00D").unwrap();
        assert!(row.is_called_at("HTTPS://A.example:443/x?apiName=T&orgId=00D"));
        for other in
            ["https://b.example/x?apiName=T&orgId=00D", "https://a.example/y?apiName=T&orgId=00D", "", "x"]
        {
            assert!(!row.is_called_at(other), "{other}");
        }
    }

    #[test]
    fn an_org_is_not_waited_for_for_ever() {
        let mut row = target(State::Creating);
        assert!(wait(&mut row, NOW.plus(Duration::from_secs(14 * 60))));
        assert!(!wait(&mut row, NOW.plus(PATIENCE)));
    }

    #[test]
    fn what_the_org_calls_is_the_apps_url_the_path_and_who_is_meant() {
        let long = format!("/{}", "a".repeat(500));
        let made = |url, path| endpoint(url, path, "Clicks", "00DSB00000VAyPF2A1");
        let query = "?apiName=Clicks&orgId=00DSB00000VAyPF2A1";
        for (url, path, expected) in [
            ("https://a.example", "/clicks", "https://a.example/clicks"),
            ("https://a.example/", "/a%20b/c", "https://a.example/a%20b/c"),
            ("http://127.0.0.1:8070/base/", "/", "http://127.0.0.1:8070/base/"),
        ] {
            assert_eq!(made(url, path).unwrap(), format!("{expected}{query}"), "{url} {path}");
        }
        for path in
            ["", "clicks", "//evil.example/x", "/a?b=1", "/a#b", "/../x", "/a b", "/a\\b", "/\n", &long]
        {
            assert!(made("https://a.example", path).is_err(), "{path}");
        }
        assert!(made("ftp://a.example", "/x").is_err() && made("nonsense", "/x").is_err());
    }

    #[test]
    fn a_name_is_made_from_a_label() {
        assert_eq!(api_name_of("My Data Action Target"), "My_Data_Action_Target");
        for good in ["Clicks", "a1b", "My_Data_Action_Target"] {
            assert_eq!(broken_name_rule(good), None, "{good}");
        }
        for bad in ["", "ab", "1ab", "a-b", "ab_", "a__b", "a b", "\u{fc}ber", &"a".repeat(31)] {
            assert!(broken_name_rule(bad).is_some(), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_path_stays_on_the_apps_host(path in "\\PC{0,40}", name in "\\PC{0,40}") {
            if let Ok(url) = endpoint("https://a.example:8443/base", &path, &name, "00D") {
                let url = Url::parse(&url).unwrap();
                proptest::prop_assert_eq!((url.host_str(), url.port()), (Some("a.example"), Some(8443)));
                proptest::prop_assert!(url.path().starts_with("/base/"));
            }
            let _ = broken_name_rule(&name);
        }

        /// Nothing but a signature of the body, or of what says the same, is one, whatever the header and the body.
        #[test]
        fn no_body_and_no_header_break_the_judgement(value in json(), header in "\\PC{0,70}", flip in 0_usize..256) {
            let body = value.to_string();
            for form in escaped(body.as_bytes()) {
                proptest::prop_assert_eq!(&serde_json::from_str::<serde_json::Value>(&form).unwrap(), &value);
                let signature = sign(b"key", form.as_bytes());
                let id = |sent: &str| signed_form(b"key", sent.as_bytes(), &signature).map(|signed| event_id("T", &signed));
                proptest::prop_assert!(id(&body).is_some());
                proptest::prop_assert_eq!(id(&body), id(&form), "whichever form comes is the same delivery");
            }
            proptest::prop_assert!(!is_signed(b"key", body.as_bytes(), &header));
            let good = sign(b"key", body.as_bytes());
            proptest::prop_assert!(is_signed(b"key", body.as_bytes(), &good));
            let mut tag = STANDARD.decode(&good).unwrap();
            tag[flip / 8] ^= 1 << (flip % 8);
            proptest::prop_assert!(!is_signed(b"key", body.as_bytes(), &STANDARD.encode(tag)));
        }
    }

    fn json() -> impl proptest::strategy::Strategy<Value = serde_json::Value> {
        use proptest::prelude::*;
        let leaf = prop_oneof![
            "[ -~/\\\\é😀]{0,12}".prop_map(serde_json::Value::from),
            any::<i64>().prop_map(serde_json::Value::from)
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            proptest::collection::btree_map("[a-z/é]{0,6}", inner, 0..4)
                .prop_map(|fields| serde_json::Value::Object(fields.into_iter().collect()))
        })
    }
}
