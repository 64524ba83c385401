//! Steps 1 and 2 of the web-server flow.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use url::Url;
use zeroize::Zeroize;

use crate::hosts::OrgOrigin;

/// Step 1: the secret half of PKCE, kept until the code is exchanged.
#[derive(Clone, Debug)]
pub struct PkceVerifier(SecretString);

impl PkceVerifier {
    /// 43 characters out of 256 random bits (RFC 7636 §4.1).
    pub fn from_random(mut random: [u8; 32]) -> Self {
        let verifier = Self(SecretString::from(URL_SAFE_NO_PAD.encode(random)));
        random.zeroize();
        verifier
    }

    /// A verifier that was kept with the state.
    pub fn restore(verifier: SecretString) -> Self {
        Self(verifier)
    }

    /// To be kept with the state.
    pub fn secret(&self) -> &SecretString {
        &self.0
    }

    /// The half that travels: base64url of its SHA-256 (method `S256`).
    pub fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.0.expose_secret()))
    }
}

/// What the authorize URL says.
#[derive(Clone, Copy, Debug)]
pub struct AuthorizeRequest<'a> {
    /// The consumer key of our external client app.
    pub consumer_key: &'a str,
    /// Where the org sends the browser back; registered with the app, character by character.
    pub redirect_uri: &'a str,
    /// What the grant is for, such as `["api", "id", "refresh_token"]`; all registered ones when empty.
    pub scopes: &'a [&'a str],
    /// Comes back with the code; at least 256 random bits, used once.
    pub state: &'a str,
    /// [`PkceVerifier::challenge`].
    pub challenge: &'a str,
    /// `login`, `consent` or `select_account`: whether a live browser session may skip a page.
    pub prompt: Option<&'a str>,
}

/// Step 2: where to send the browser.
pub fn authorize_url(login: &OrgOrigin, request: &AuthorizeRequest<'_>) -> Url {
    let mut url = login.at("/services/oauth2/authorize");
    let scopes = request.scopes.join(" ");
    let mut query = url.query_pairs_mut();
    query
        .append_pair("response_type", "code")
        .append_pair("client_id", request.consumer_key)
        .append_pair("redirect_uri", request.redirect_uri)
        .append_pair("state", request.state)
        .append_pair("code_challenge", request.challenge)
        .append_pair("code_challenge_method", "S256");
    if !scopes.is_empty() {
        query.append_pair("scope", &scopes);
    }
    if let Some(prompt) = request.prompt {
        query.append_pair("prompt", prompt);
    }
    drop(query);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_rfc_7636_appendix_b() {
        let verifier = PkceVerifier::restore("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned().into());
        assert_eq!(verifier.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn a_verifier_is_long_enough_and_does_not_print() {
        let verifier = PkceVerifier::from_random([7; 32]);
        let text = verifier.secret().expose_secret();
        assert_eq!(text.len(), 43);
        assert!(!format!("{verifier:?}").contains(text));
        assert_ne!(text, PkceVerifier::from_random([8; 32]).secret().expose_secret());
    }

    #[test]
    fn the_url_carries_the_challenge_and_no_secret() {
        let login = OrgOrigin::vouched_for("https://login.salesforce.com").unwrap();
        let verifier = PkceVerifier::from_random([7; 32]);
        let url = authorize_url(
            &login,
            &AuthorizeRequest {
                consumer_key: "3MVG9",
                redirect_uri: "https://applink.example/oauth/callback",
                scopes: &["api", "refresh_token"],
                state: "s&t",
                challenge: &verifier.challenge(),
                prompt: Some("login"),
            },
        );
        assert_eq!(url.host_str(), Some("login.salesforce.com"));
        let query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let value = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        assert_eq!(value("state"), Some("s&t"));
        assert_eq!(value("scope"), Some("api refresh_token"));
        assert_eq!(value("code_challenge_method"), Some("S256"));
        assert!(!url.as_str().contains(verifier.secret().expose_secret()));
    }
}
