//! What an OAuth endpoint's error means, and the one sentence that mends it.

use std::fmt;

use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;

use crate::error::{clipped, errors_in};

/// An OAuth error as the org sent it, with its meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status; 302 for one that came back through the browser.
    pub status: StatusCode,
    /// The org's code, `invalid_grant` for example.
    pub error: String,
    /// The org's sentence.
    pub description: String,
    /// What it means.
    pub class: RefusalClass,
    /// The time by the org's clock, where the answer told it.
    pub org_time: Option<Timestamp>,
}

/// What an OAuth error means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusalClass {
    /// JWT: nobody has approved the app for this user.
    NotApproved,
    /// An admin has switched the app off in this org.
    AppBlocked,
    /// The app admits only users an admin chose, and this one isn't among them.
    NotAdminApproved,
    /// JWT: `aud` is not a host of this org.
    WrongAudience,
    /// The refresh token (or session) is revoked, rotated away or too old.
    DeadGrant,
    /// The authorization code was used before or is too old.
    SpentCode,
    /// Wrong user name or password.
    WrongPassword,
    /// The PKCE verifier is missing or doesn't fit.
    WrongVerifier,
    /// The consumer key is unknown here.
    UnknownApp,
    /// The consumer secret is wrong.
    WrongSecret,
    /// JWT: signature, key or times are not accepted.
    BadAssertion,
    /// The user is inactive.
    InactiveUser,
    /// The org is locked, expired or being moved.
    InactiveOrg,
    /// The external client app is not installed in this org.
    AppNotInstalled,
    /// The callback URL is not one the app registered.
    RedirectUriMismatch,
    /// A scope the app does not have.
    WrongScope,
    /// The app is not set up for this kind of grant.
    GrantNotAllowed,
    /// The address the call comes from is not allowed.
    IpRefused,
    /// The person said no.
    Denied,
    /// The same refresh is being handled already.
    InProgress,
    /// Too many calls.
    RateLimited,
    /// The endpoint redirected instead of answering: this is not the host for it.
    Redirected,
    /// The org could not do it now.
    Unavailable,
    /// None of these.
    Other,
}

impl RefusalClass {
    /// Whether the same call may work later, without anybody doing anything.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::InProgress | Self::RateLimited | Self::Unavailable)
    }

    /// What to do about it, in one sentence. Steps are those of `docs/external-client-app.md`.
    pub fn hint(self) -> &'static str {
        match self {
            Self::NotApproved => {
                "Pre-authorize the user: in the external client app's policies choose \"Admin approved users are pre-authorized\" and give the user a selected permission set or profile (step 4 of the guide to the external client app)."
            }
            Self::NotAdminApproved => {
                "Assign the user a profile or permission set that the external client app's policies list (step 4 of the guide to the external client app)."
            }
            Self::AppBlocked => {
                "Have the org's admin unblock the external client app, or enable it under Policies (step 4 of the guide to the external client app)."
            }
            Self::WrongAudience => {
                "Pass the login URL of this kind of org: https://test.salesforce.com for a sandbox or scratch org, https://login.salesforce.com otherwise, or its My Domain URL."
            }
            Self::DeadGrant => "The grant is gone: connect or authorize again.",
            Self::SpentCode => "The authorization code was used or is too old: start the log-in again.",
            Self::WrongPassword => {
                "Check the user name and the password, and that the login URL is of the right org."
            }
            Self::WrongVerifier => {
                "The log-in was started elsewhere: start it again and finish it in the same browser."
            }
            Self::UnknownApp => {
                "Check the consumer key, and that the login URL is of the org that has the app; a new app takes up to ten minutes to be known."
            }
            Self::WrongSecret => {
                "Copy the consumer secret again from the external client app's OAuth settings."
            }
            Self::BadAssertion => {
                "Upload the certificate of this very private key to the external client app, and check this machine's clock."
            }
            Self::InactiveUser => "Have an admin activate the user, or use another one.",
            Self::InactiveOrg => "The org is locked or expired: have its admin or Salesforce bring it back.",
            Self::AppNotInstalled => {
                "Install the external client app in this org (step 1 of the guide to the external client app), then try again."
            }
            Self::RedirectUriMismatch => {
                "Add this service's callback URL to the external client app, character by character (step 2 of the guide to the external client app)."
            }
            Self::WrongScope => {
                "Add the scopes to the external client app: api, id (profile, email) and refresh_token (step 2 of the guide to the external client app)."
            }
            Self::GrantNotAllowed => {
                "Enable this flow in the external client app's OAuth settings (step 2 of the guide to the external client app)."
            }
            Self::IpRefused => {
                "Allow this service's address in the org: set the external client app's IP Relaxation to \"Relax IP restrictions\" or add a trusted range (step 3 of the guide to the external client app)."
            }
            Self::Denied => "Consent was refused: start again and choose Allow.",
            Self::InProgress => "The same request is being handled: it is tried again shortly.",
            Self::RateLimited => "The org's limit is reached: it is tried again later.",
            Self::Redirected => "Use the org's current My Domain URL as login URL.",
            Self::Unavailable => "The org can't answer now: it is tried again later.",
            Self::Other => "See the org's own message; the user's Login History in Setup has the details.",
        }
    }
}

/// Descriptions decide before codes: `invalid_grant` alone stands for a dozen different things. Lower case.
const BY_DESCRIPTION: [(&str, RefusalClass); 26] = [
    ("already being processed", RefusalClass::InProgress),
    ("retry your request", RefusalClass::Unavailable),
    ("hasn't approved this consumer", RefusalClass::NotApproved),
    ("hasn\u{2019}t approved this consumer", RefusalClass::NotApproved),
    ("not admin approved", RefusalClass::NotAdminApproved),
    ("audience", RefusalClass::WrongAudience),
    ("authorization code", RefusalClass::SpentCode),
    ("access/refresh token", RefusalClass::DeadGrant),
    ("refresh token", RefusalClass::DeadGrant),
    ("token has been revoked", RefusalClass::DeadGrant),
    ("code verifier", RefusalClass::WrongVerifier),
    ("code_verifier", RefusalClass::WrongVerifier),
    ("code challenge", RefusalClass::WrongVerifier),
    ("authentication failure", RefusalClass::WrongPassword),
    ("invalid assertion", RefusalClass::BadAssertion),
    ("assertion", RefusalClass::BadAssertion),
    ("client identifier invalid", RefusalClass::UnknownApp),
    ("invalid client credentials", RefusalClass::WrongSecret),
    ("invalid consumer", RefusalClass::UnknownApp),
    ("app is not installed", RefusalClass::AppNotInstalled),
    ("blocked by admin", RefusalClass::AppBlocked),
    ("no client credentials user", RefusalClass::GrantNotAllowed),
    ("user is inactive", RefusalClass::InactiveUser),
    ("redirect_uri", RefusalClass::RedirectUriMismatch),
    ("ip restricted", RefusalClass::IpRefused),
    ("ip not allowed", RefusalClass::IpRefused),
];

const BY_CODE: [(&str, RefusalClass); 21] = [
    ("invalid_client_id", RefusalClass::UnknownApp),
    ("invalid_client", RefusalClass::WrongSecret),
    ("invalid_client_credentials", RefusalClass::WrongSecret),
    ("invalid_app_access", RefusalClass::NotAdminApproved),
    ("oauth_app_access_denied", RefusalClass::NotAdminApproved),
    ("oauth_app_blocked", RefusalClass::AppBlocked),
    ("access_denied", RefusalClass::Denied),
    ("access-denied", RefusalClass::Denied),
    ("inactive_user", RefusalClass::InactiveUser),
    ("inactive_org", RefusalClass::InactiveOrg),
    ("invalid_assertion_type", RefusalClass::BadAssertion),
    ("invalid_scope", RefusalClass::WrongScope),
    ("oauth_ec_app_not_found", RefusalClass::AppNotInstalled),
    ("redirect_uri_mismatch", RefusalClass::RedirectUriMismatch),
    ("redirect_uri_missing", RefusalClass::RedirectUriMismatch),
    ("unauthorized_client", RefusalClass::GrantNotAllowed),
    ("unsupported_grant_type", RefusalClass::GrantNotAllowed),
    ("rate_limit_exceeded", RefusalClass::RateLimited),
    ("server_error", RefusalClass::Unavailable),
    ("temporarily_unavailable", RefusalClass::Unavailable),
    ("unknown_error", RefusalClass::Unavailable),
];

#[derive(Deserialize)]
struct WireRefusal {
    error: String,
    #[serde(default)]
    error_description: Option<String>,
}

impl Refusal {
    /// The error an authorize page sent back through the browser (`error` and `error_description`).
    pub fn at_authorize(error: &str, description: Option<&str>) -> Self {
        Self::new(StatusCode::FOUND, error, description.unwrap_or_default())
    }

    /// Whether the refresh token that was sent is of no use any more: the org said so, or it said `invalid_grant`
    /// for no reason we know. What somebody can mend (the address that is refused, an approval, an inactive user or
    /// org, the app's key or secret) leaves the grant as it is, and so does what passes.
    pub fn ends_grant(&self) -> bool {
        match self.class {
            RefusalClass::DeadGrant => true,
            RefusalClass::Other => self.error == "invalid_grant",
            _ => false,
        }
    }

    /// See [`RefusalClass::hint`].
    pub fn hint(&self) -> &'static str {
        self.class.hint()
    }

    /// An error answer's body: OAuth's JSON object, the REST API's array, or (revoke) a form.
    pub(super) fn in_answer(status: StatusCode, body: &[u8]) -> Option<Self> {
        if status.is_redirection() {
            let redirected = Self { class: RefusalClass::Redirected, ..Self::new(status, "redirected", "") };
            return Some(redirected);
        }
        if let Ok(wire) = serde_json::from_slice::<WireRefusal>(body) {
            return Some(Self::new(status, &wire.error, &wire.error_description.unwrap_or_default()));
        }
        if let Some(api) = errors_in(body).into_iter().next() {
            return Some(Self::new(status, &api.code, &api.message));
        }
        let form = url::form_urlencoded::parse(body);
        let fields: Vec<(String, String)> = form.into_owned().collect();
        let field = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        field("error").map(|error| Self::new(status, error, field("error_description").unwrap_or_default()))
    }

    /// A 4xx whose body says nothing.
    pub(super) fn silent(status: StatusCode) -> Self {
        Self::new(status, "", "")
    }

    fn new(status: StatusCode, error: &str, description: &str) -> Self {
        let class = classify(status, error, description);
        Self { status, error: clipped(error), description: clipped(description), class, org_time: None }
    }
}

fn classify(status: StatusCode, error: &str, description: &str) -> RefusalClass {
    let (code, text) = (error.to_lowercase(), description.to_lowercase());
    if status == StatusCode::TOO_MANY_REQUESTS || code == "request_limit_exceeded" {
        return RefusalClass::RateLimited;
    }
    let by_description = BY_DESCRIPTION.iter().find(|(known, _)| text.contains(known));
    let by_code = || BY_CODE.iter().find(|(known, _)| *known == code);
    by_description.or_else(by_code).map_or(RefusalClass::Other, |(_, class)| *class)
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.error.as_str(), self.description.as_str()) {
            ("", _) => write!(f, "status {}", self.status.as_u16()),
            (error, "") => f.write_str(error),
            (error, description) => write!(f, "{error}: {description}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, body: &str) -> Refusal {
        Refusal::in_answer(StatusCode::from_u16(status).unwrap(), body.as_bytes()).unwrap()
    }

    #[test]
    fn every_documented_error_has_its_class() {
        for (error, description, class) in [
            ("invalid_grant", "user hasn't approved this consumer", RefusalClass::NotApproved),
            (
                "invalid_app_access",
                "user is not admin approved to access this app",
                RefusalClass::NotAdminApproved,
            ),
            ("invalid_grant", "Audience validation failed", RefusalClass::WrongAudience),
            ("invalid_grant", "audience is invalid", RefusalClass::WrongAudience),
            ("invalid_grant", "expired access/refresh token", RefusalClass::DeadGrant),
            ("invalid_grant", "expired authorization code", RefusalClass::SpentCode),
            ("invalid_grant", "invalid authorization code", RefusalClass::SpentCode),
            ("invalid_grant", "authentication failure", RefusalClass::WrongPassword),
            ("invalid_client_id", "client identifier invalid", RefusalClass::UnknownApp),
            ("invalid_client", "invalid client credentials", RefusalClass::WrongSecret),
            ("invalid_grant", "invalid assertion", RefusalClass::BadAssertion),
            ("inactive_user", "user is inactive", RefusalClass::InactiveUser),
            ("inactive_org", "org is inactive", RefusalClass::InactiveOrg),
            (
                "redirect_uri_mismatch",
                "redirect_uri must match configuration",
                RefusalClass::RedirectUriMismatch,
            ),
            ("invalid_scope", "the requested scope is not allowed", RefusalClass::WrongScope),
            ("unsupported_grant_type", "grant type not supported", RefusalClass::GrantNotAllowed),
            ("rate_limit_exceeded", "login rate exceeded", RefusalClass::RateLimited),
            (
                "invalid_request",
                "External client app is not installed in this org",
                RefusalClass::AppNotInstalled,
            ),
            ("invalid_grant", "no client credentials user enabled", RefusalClass::GrantNotAllowed),
            ("invalid_grant", "token request is already being processed", RefusalClass::InProgress),
            ("invalid_grant", "invalid code verifier", RefusalClass::WrongVerifier),
            ("invalid_grant", "ip restricted", RefusalClass::IpRefused),
            ("OAUTH_APP_BLOCKED", "this app is blocked by admin", RefusalClass::AppBlocked),
            ("something_new", "never seen", RefusalClass::Other),
        ] {
            let body = serde_json::json!({"error": error, "error_description": description}).to_string();
            let refusal = read(400, &body);
            assert_eq!(refusal.class, class, "{error}: {description}");
            assert!(refusal.hint().ends_with('.'), "{class:?} has no sentence");
            assert_eq!(refusal.to_string(), format!("{error}: {description}"));
        }
    }

    #[test]
    fn reads_the_array_and_the_form_body_too() {
        let limit = read(
            403,
            r#"[{"errorCode":"REQUEST_LIMIT_EXCEEDED","message":"TotalRequests Limit exceeded."}]"#,
        );
        assert_eq!(limit.class, RefusalClass::RateLimited);
        let revoke = read(400, "error=unsupported_token_type&error_description=this+token+is+not+supported");
        assert_eq!(revoke.error, "unsupported_token_type");
        assert_eq!(Refusal::in_answer(StatusCode::BAD_REQUEST, b"<html>oops</html>"), None);
    }

    #[test]
    fn only_errors_about_the_grant_end_it() {
        let ends = |error: &str, description: &str| {
            read(400, &serde_json::json!({"error": error, "error_description": description}).to_string())
                .ends_grant()
        };
        assert!(ends("invalid_grant", "expired access/refresh token"));
        assert!(ends("invalid_grant", "something new"));
        for (error, description) in [
            ("invalid_grant", "token request is already being processed"),
            ("invalid_grant", "ip restricted"),
            ("invalid_grant", "invalid assertion"),
            ("invalid_grant", "audience is invalid"),
            ("invalid_grant", "user hasn't approved this consumer"),
            ("invalid_grant", "user is inactive"),
            ("inactive_org", "org is inactive"),
            ("invalid_client_id", "client identifier invalid"),
            ("invalid_client", "invalid client credentials"),
            ("rate_limit_exceeded", ""),
        ] {
            assert!(!ends(error, description), "{error}: {description}");
        }
    }

    #[test]
    fn reads_what_the_browser_brings_back() {
        let refusal = Refusal::at_authorize("access_denied", Some("end-user denied authorization"));
        assert_eq!(refusal.class, RefusalClass::Denied);
        assert_eq!(Refusal::at_authorize("access-denied", None).class, RefusalClass::Denied);
        let blocked = Refusal::at_authorize(
            "OAUTH_APP_ACCESS_DENIED",
            Some("user is not admin approved to access this app"),
        );
        assert_eq!(blocked.class, RefusalClass::NotAdminApproved);
    }

    proptest::proptest! {
        #[test]
        fn any_body_is_read_without_panic(status in 200_u16..600, body in proptest::collection::vec(0_u8..255, 0..200)) {
            let _ = Refusal::in_answer(StatusCode::from_u16(status).unwrap(), &body);
        }
    }
}
