//! All that is asked of the provider.

use std::collections::HashMap;
use std::fmt;

use futures_util::future::BoxFuture;
use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreClientAuthMethod, CoreErrorResponseType,
    CoreGenderClaim, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm,
    CoreProviderMetadata, CoreRevocableToken, CoreRevocationErrorResponse, CoreTokenIntrospectionResponse,
    CoreTokenType,
};
use openidconnect::{
    AccessTokenHash, AdditionalClaims, AuthType, AuthorizationCode, Client, ClientId, ClientSecret,
    CsrfToken, EmptyExtraTokenFields, EndpointMaybeSet, EndpointNotSet, EndpointSet, HttpRequest,
    HttpResponse, IdTokenFields, IssuerUrl, Nonce, OAuth2TokenResponse as _, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, Scope, StandardErrorResponse, StandardTokenResponse, TokenResponse as _,
    UserInfoClaims,
};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::OpenIdConfig;
use super::flow::{Begun, Person};
use crate::app::App;
use crate::egress::{OperatorEgress, OperatorEgressError};

/// The largest answer that is read.
const ANSWER_LIMIT: usize = 1 << 20;

/// Signatures that count: those that only the provider can make.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// The provider as it is configured. Its keys and endpoints are asked for with every sign-in.
#[derive(Clone)]
pub struct Provider {
    config: OpenIdConfig,
    issuer: IssuerUrl,
    /// Its host, for people.
    name: String,
    egress: OperatorEgress,
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Why nobody was signed in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenIdError {
    /// It can't be asked, or answers what is no answer.
    #[error("the OpenID provider can't be asked: {0}")]
    Unreachable(String),
    /// It does not take the code, or us.
    #[error("the OpenID provider refuses the sign-in: {0}")]
    Refused(String),
    /// What it says of the person does not count.
    #[error("the OpenID provider's token does not count: {0}")]
    Token(String),
}

/// A call failed.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error(transparent)]
    Host(#[from] OperatorEgressError),
    #[error("its address is no URL")]
    Url,
    #[error("the call failed")]
    Call(#[from] reqwest::Error),
    #[error("its answer is too large")]
    TooLarge,
    #[error("its answer can't be read")]
    Answer(#[from] http::Error),
}

/// Every claim that has no meaning to the protocol.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(transparent)]
struct More(HashMap<String, Value>);

impl fmt::Debug for More {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

impl AdditionalClaims for More {}

type Fields = IdTokenFields<
    More,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;

/// The provider's endpoints and keys, and who we are there.
type Discovered = Client<
    More,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    StandardTokenResponse<Fields, CoreTokenType>,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

type Tokens = StandardTokenResponse<Fields, CoreTokenType>;

impl Provider {
    /// With a client that calls its origin and those that are configured beside it.
    ///
    /// # Errors
    /// [`OperatorEgressError`] when the HTTP client can't be set up.
    pub fn new(config: &OpenIdConfig) -> Result<Self, OperatorEgressError> {
        let no_url = || OperatorEgressError::NotConfigured(config.issuer.clone());
        let issuer = IssuerUrl::new(config.issuer.clone()).map_err(|_| no_url())?;
        let url = Url::parse(&config.issuer).map_err(|_| no_url())?;
        let name = url.host_str().unwrap_or_default().to_owned();
        let origins: Vec<Url> = [url].into_iter().chain(config.origins.iter().cloned()).collect();
        Ok(Self { config: config.clone(), issuer, name, egress: OperatorEgress::new(&origins)? })
    }

    /// Its host, for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its settings.
    pub fn config(&self) -> &OpenIdConfig {
        &self.config
    }

    /// Whether it is the issuer that an answer names.
    pub fn is_issuer(&self, named: &str) -> bool {
        named == self.config.issuer
    }

    /// Where the browser goes (step 1).
    ///
    /// # Errors
    /// [`OpenIdError::Unreachable`].
    pub async fn authorize_url(&self, app: &App, begun: &Begun) -> Result<Url, OpenIdError> {
        let client = self.discover(app).await?;
        let (state, nonce) = (begun.state(), begun.nonce());
        let verifier = PkceCodeVerifier::new(begun.verifier().expose_secret().to_owned());
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&verifier);
        let scopes = self.config.scopes.iter().cloned().map(Scope::new);
        let flow = CoreAuthenticationFlow::AuthorizationCode;
        let asked = client.authorize_url(flow, || CsrfToken::new(state), || Nonce::new(nonce));
        let (url, ..) = asked.add_scopes(scopes).set_pkce_challenge(challenge).url();
        Ok(url)
    }

    /// Who has come back (step 3).
    ///
    /// # Errors
    /// [`OpenIdError`].
    pub async fn identify(&self, app: &App, begun: &Begun, code: String) -> Result<Person, OpenIdError> {
        let client = self.discover(app).await?;
        let verifier = PkceCodeVerifier::new(begun.verifier().expose_secret().to_owned());
        let fetch = self.fetch();
        let exchange = client.exchange_code(AuthorizationCode::new(code));
        let exchange = exchange.map_err(|_| unreachable("it names no token endpoint"))?;
        let tokens = exchange.set_pkce_verifier(verifier).request_async(&fetch).await.map_err(refused)?;
        let person = self.read_token(app, &client, &tokens, begun)?;
        if person.email.is_some() && !person.groups.is_empty() {
            return Ok(person);
        }
        self.ask_more(&client, &tokens, person).await
    }

    fn read_token(
        &self,
        app: &App,
        client: &Discovered,
        tokens: &Tokens,
        begun: &Begun,
    ) -> Result<Person, OpenIdError> {
        let token = tokens.id_token().ok_or_else(|| wrong("there is none"))?;
        let now = chrono::DateTime::from_timestamp_micros(app.clock.now().as_micros());
        let now = now.ok_or_else(|| wrong("our clock is out of range"))?;
        let verifier = client.id_token_verifier().set_allowed_algs(ALGORITHMS).set_time_fn(move || now);
        let claims = token.claims(&verifier, &Nonce::new(begun.nonce())).map_err(wrong)?;
        if let Some(expected) = claims.access_token_hash() {
            let algorithm = token.signing_alg().map_err(wrong)?;
            let key = token.signing_key(&verifier).map_err(wrong)?;
            let actual = AccessTokenHash::from_token(tokens.access_token(), algorithm, key).map_err(wrong)?;
            if actual != *expected {
                return Err(wrong("it belongs to another access token"));
            }
        }
        let is_verified = claims.email_verified() == Some(true);
        Ok(Person {
            subject: claims.subject().to_string(),
            email: claims.email().filter(|_| is_verified).map(|email| email.to_string()),
            groups: self.groups(claims.additional_claims()),
        })
    }

    /// Providers may leave out of the token what the userinfo endpoint says. Its subject must be the token's.
    async fn ask_more(
        &self,
        client: &Discovered,
        tokens: &Tokens,
        person: Person,
    ) -> Result<Person, OpenIdError> {
        let subject = openidconnect::SubjectIdentifier::new(person.subject.clone());
        let Ok(request) = client.user_info(tokens.access_token().to_owned(), Some(subject)) else {
            return Ok(person);
        };
        let fetch = self.fetch();
        let more: UserInfoClaims<More, CoreGenderClaim> =
            request.request_async(&fetch).await.map_err(|error| unreachable(told(&error)))?;
        let is_verified = more.email_verified() == Some(true);
        let email = more.email().filter(|_| is_verified).map(|email| email.to_string());
        let groups =
            if person.groups.is_empty() { self.groups(more.additional_claims()) } else { person.groups };
        Ok(Person { email: person.email.or(email), groups, ..person })
    }

    /// One word, or a list of them.
    fn groups(&self, claims: &More) -> Vec<String> {
        match claims.0.get(&self.config.groups_claim) {
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        }
    }

    async fn discover(&self, app: &App) -> Result<Discovered, OpenIdError> {
        let fetch = self.fetch();
        let metadata = CoreProviderMetadata::discover_async(self.issuer.clone(), &fetch).await;
        let metadata = metadata.map_err(|error| unreachable(told(&error)))?;
        let in_body = wants_secret_in_body(&metadata);
        let id = ClientId::new(self.config.client_id.clone());
        let secret = self.config.client_secret.as_ref();
        let secret = secret.map(|secret| ClientSecret::new(secret.expose_secret().to_owned()));
        let back = RedirectUrl::new(app.urls.openid_callback()).map_err(|error| unreachable(told(&error)))?;
        let client = Discovered::from_provider_metadata(metadata, id, secret).set_redirect_uri(back);
        Ok(if in_body { client.set_auth_type(AuthType::RequestBody) } else { client })
    }

    fn fetch(&self) -> impl Fn(HttpRequest) -> BoxFuture<'static, Result<HttpResponse, FetchError>> + use<> {
        let egress = self.egress.clone();
        move |request| Box::pin(fetch(egress.clone(), request))
    }
}

fn wants_secret_in_body(metadata: &CoreProviderMetadata) -> bool {
    let Some(methods) = metadata.token_endpoint_auth_methods_supported() else { return false };
    !methods.contains(&CoreClientAuthMethod::ClientSecretBasic)
        && methods.contains(&CoreClientAuthMethod::ClientSecretPost)
}

/// The one way out.
async fn fetch(egress: OperatorEgress, request: HttpRequest) -> Result<HttpResponse, FetchError> {
    let (parts, body) = request.into_parts();
    let url = Url::parse(&parts.uri.to_string()).map_err(|_| FetchError::Url)?;
    let call = egress.request(parts.method, url)?.headers(parts.headers).body(body);
    let mut answer = call.send().await.map_err(reqwest::Error::without_url)?;
    let mut response = http::Response::builder().status(answer.status());
    if let Some(headers) = response.headers_mut() {
        headers.clone_from(answer.headers());
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(reqwest::Error::without_url)? {
        if bytes.len() + chunk.len() > ANSWER_LIMIT {
            return Err(FetchError::TooLarge);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(response.body(bytes)?)
}

fn unreachable(why: impl fmt::Display) -> OpenIdError {
    OpenIdError::Unreachable(why.to_string())
}

fn wrong(why: impl fmt::Display) -> OpenIdError {
    OpenIdError::Token(why.to_string())
}

/// What the provider's own words are is not told: a token could stand among them.
fn refused<E: std::error::Error + 'static>(
    error: openidconnect::RequestTokenError<E, StandardErrorResponse<CoreErrorResponseType>>,
) -> OpenIdError {
    use openidconnect::RequestTokenError as Told;
    match error {
        Told::ServerResponse(answer) => OpenIdError::Refused(answer.error().to_string()),
        Told::Request(error) => unreachable(told(&error)),
        Told::Parse(..) => unreachable("its answer to the code is not what OpenID Connect says"),
        Told::Other(why) => unreachable(why),
    }
}

/// An error with what caused it.
fn told(error: &(dyn std::error::Error + 'static)) -> String {
    crate::error::chain(error)
}
