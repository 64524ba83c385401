//! The calls to an org's OAuth endpoints.

use http::header::ACCEPT;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::egress::{OrgEgress, RawAnswer, Traffic};
use crate::hosts::OrgOrigin;
use crate::oauth::assertion::Assertion;
use crate::oauth::authorize::PkceVerifier;
use crate::oauth::failure::TokenFailure;
use crate::oauth::tokens::{Tokens, WireTokens};

/// Our side's identity towards the org: an external client app (or connected app).
#[derive(Clone, Debug)]
pub struct OAuthClient {
    /// The consumer key (`3MVG…`), not a secret.
    pub consumer_key: String,
    /// The consumer secret; an app may be set up to need none.
    pub consumer_secret: Option<SecretString>,
}

/// What the org says about a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introspection {
    /// Whether it is good now.
    pub active: bool,
    /// When it ends; an inactivity time-out moves it.
    pub expires_at: Option<Timestamp>,
    /// When it was issued.
    pub issued_at: Option<Timestamp>,
    /// The user it belongs to.
    pub username: Option<String>,
}

/// Speaks OAuth. Cheap to clone.
#[derive(Clone, Debug)]
pub struct OAuth {
    egress: OrgEgress,
}

type Form<'a> = Vec<(&'a str, &'a str)>;

impl OAuth {
    /// Speaks through this client.
    pub fn new(egress: OrgEgress) -> Self {
        Self { egress }
    }

    /// Step 4 of the web-server flow: exchanges the code at the host the browser was sent to.
    ///
    /// # Errors
    /// [`TokenFailure`]. After [`TokenFailure::Unknown`] the code may be spent: start the flow again.
    pub async fn exchange_code(
        &self,
        login: &OrgOrigin,
        client: &OAuthClient,
        redirect_uri: &str,
        code: &SecretString,
        verifier: &PkceVerifier,
    ) -> Result<Tokens, TokenFailure> {
        let mut form: Form<'_> = vec![
            ("grant_type", "authorization_code"),
            ("code", code.expose_secret()),
            ("redirect_uri", redirect_uri),
            ("code_verifier", verifier.secret().expose_secret()),
        ];
        identify(&mut form, client);
        self.tokens(login, &form).await
    }

    /// A new access token for a refresh token. `at` is the login host or the org's own URL.
    ///
    /// # Errors
    /// [`TokenFailure`]. After [`TokenFailure::Unknown`] a rotating refresh token may be used up: sending it
    /// again can end the grant.
    pub async fn refresh(
        &self,
        at: &OrgOrigin,
        client: &OAuthClient,
        refresh_token: &SecretString,
    ) -> Result<Tokens, TokenFailure> {
        let mut form: Form<'_> =
            vec![("grant_type", "refresh_token"), ("refresh_token", refresh_token.expose_secret())];
        identify(&mut form, client);
        self.tokens(at, &form).await
    }

    /// Step 3 of JWT bearer: sends the assertion to the host its audience names.
    ///
    /// # Errors
    /// [`TokenFailure`]. A fresh assertion may always be sent.
    pub async fn jwt_bearer(&self, assertion: &Assertion) -> Result<Tokens, TokenFailure> {
        let form: Form<'_> = vec![
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", assertion.jwt().expose_secret()),
        ];
        self.tokens(assertion.audience(), &form).await
    }

    /// Ends a refresh token and its sessions, or one session. A token the org no longer knows counts as revoked.
    ///
    /// # Errors
    /// [`TokenFailure`]; trying again does no harm.
    pub async fn revoke(&self, at: &OrgOrigin, token: &SecretString) -> Result<(), TokenFailure> {
        let answer =
            self.post(at, "/services/oauth2/revoke", &vec![("token", token.expose_secret())]).await?;
        if answer.status.is_success() {
            return Ok(());
        }
        let failure = TokenFailure::of_answer(at.authority(), &answer);
        let gone = ["invalid_token", "unsupported_token_type"];
        match failure.refusal() {
            Some(refusal) if gone.contains(&refusal.error.as_str()) => Ok(()),
            _ => Err(failure),
        }
    }

    /// Asks how long an access token lives.
    ///
    /// # Errors
    /// [`TokenFailure`]; not every app may introspect, so treat it as best effort.
    pub async fn introspect(
        &self,
        at: &OrgOrigin,
        client: &OAuthClient,
        access_token: &SecretString,
    ) -> Result<Introspection, TokenFailure> {
        self.introspect_as(at, client, access_token, "access_token").await
    }

    /// Asks whether a refresh token is good. Asking uses nothing up, also where refresh tokens rotate.
    ///
    /// # Errors
    /// [`TokenFailure`]; not every app may introspect, so treat it as best effort.
    pub async fn introspect_refresh_token(
        &self,
        at: &OrgOrigin,
        client: &OAuthClient,
        refresh_token: &SecretString,
    ) -> Result<Introspection, TokenFailure> {
        self.introspect_as(at, client, refresh_token, "refresh_token").await
    }

    async fn introspect_as(
        &self,
        at: &OrgOrigin,
        client: &OAuthClient,
        token: &SecretString,
        hint: &'static str,
    ) -> Result<Introspection, TokenFailure> {
        let mut form: Form<'_> = vec![("token", token.expose_secret()), ("token_type_hint", hint)];
        identify(&mut form, client);
        let answer = self.post(at, "/services/oauth2/introspect", &form).await?;
        let wire: WireIntrospection = success(at, &answer)?;
        Ok(wire.into())
    }

    async fn tokens(&self, at: &OrgOrigin, form: &Form<'_>) -> Result<Tokens, TokenFailure> {
        let answer = self.post(at, "/services/oauth2/token", form).await?;
        success::<WireTokens>(at, &answer).map(Tokens::from)
    }

    pub(super) async fn post(
        &self,
        at: &OrgOrigin,
        path: &str,
        form: &Form<'_>,
    ) -> Result<RawAnswer, TokenFailure> {
        let client = self.egress.client(at, Traffic::Token);
        let request = client.post(at.at(path)).header(ACCEPT, "application/json").form(form);
        self.egress.send(at.authority(), Traffic::Token, request).await.map_err(TokenFailure::of_send)
    }
}

fn identify<'a>(form: &mut Form<'a>, client: &'a OAuthClient) {
    form.push(("client_id", &client.consumer_key));
    if let Some(secret) = &client.consumer_secret {
        form.push(("client_secret", secret.expose_secret()));
    }
}

pub(super) fn success<T: DeserializeOwned>(at: &OrgOrigin, answer: &RawAnswer) -> Result<T, TokenFailure> {
    if !answer.status.is_success() {
        return Err(TokenFailure::of_answer(at.authority(), answer));
    }
    // serde_json's message may quote a value; the category and position are enough.
    serde_json::from_slice(&answer.body).map_err(|error| {
        let place =
            format!("{:?} error at line {} column {}", error.classify(), error.line(), error.column());
        TokenFailure::unreadable(at.authority(), Some(place.into()))
    })
}

#[derive(Deserialize)]
struct WireIntrospection {
    active: bool,
    #[serde(default)]
    exp: Option<i64>,
    #[serde(default)]
    iat: Option<i64>,
    #[serde(default)]
    username: Option<String>,
}

impl From<WireIntrospection> for Introspection {
    fn from(wire: WireIntrospection) -> Self {
        let time = |seconds: Option<i64>| seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
        Self {
            active: wire.active,
            expires_at: time(wire.exp),
            issued_at: time(wire.iat),
            username: wire.username,
        }
    }
}
