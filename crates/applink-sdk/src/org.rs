//! An org, as one user.

use applink_salesforce::error::OrgError;
use applink_salesforce::rest::{OrgAnswer, OrgCall};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use secrecy::SecretString;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::data::Data;
use crate::data_cloud::DataCloud;
use crate::error::{Error, decode};
use crate::session::Session;

/// An org, as one user. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Org {
    session: Session,
    request_id: Option<String>,
}

/// A user of an org.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// `005…`.
    pub id: String,
    /// The name the user logs in with.
    pub username: String,
}

impl Org {
    pub(crate) fn of(session: Session) -> Self {
        Self { session, request_id: None }
    }

    /// Sends this id as `x-request-id` with every call. An invocation's org has the invocation's already; set it
    /// on a stored user's org to find its calls under the same id.
    #[must_use]
    pub fn with_request_id(mut self, request_id: impl Into<String>) -> Self {
        self.request_id = Some(request_id.into());
        self
    }

    /// The org's id (`00D…`).
    pub fn id(&self) -> String {
        self.session.org_id()
    }

    /// `https://….my.salesforce.com`, without a slash at the end.
    pub fn instance_url(&self) -> String {
        self.session.org().origin().to_string()
    }

    /// The API version calls are made with, `66.0`.
    pub fn api_version(&self) -> String {
        self.session.org().version().to_string()
    }

    /// The user calls are made as.
    pub fn user(&self) -> User {
        self.session.user()
    }

    /// The token of this moment, for another library. It is worth as much as the user's password: send it to
    /// [`Org::instance_url`] and nowhere else.
    pub fn access_token(&self) -> SecretString {
        self.session.org().access_token().clone()
    }

    /// Queries and records.
    pub fn data(&self) -> Data<'_> {
        Data::of(self)
    }

    /// SQL and rows, when this is the org of a Data Cloud authorization.
    pub fn data_cloud(&self) -> DataCloud<'_> {
        DataCloud::of(self)
    }

    /// Anything else the org can do: a path (`services/data/v66.0/limits`) or an absolute URL of the org. Another
    /// origin is refused on sending, with [`OrgError::ForeignOrigin`]; a redirect is not followed.
    pub fn request(&self, method: Method, path_or_url: impl Into<String>) -> Request<'_> {
        Request { org: self, call: Ok(OrgCall::new(method, path_or_url)) }
    }

    /// The callback URL the org passed in an operation's body.
    pub fn callback(&self, url: impl Into<String>) -> Callback<'_> {
        Callback { org: self, url: url.into() }
    }

    pub(crate) async fn send(&self, call: &OrgCall) -> Result<OrgAnswer, Error> {
        self.session.send(call, self.request_id.as_deref()).await
    }

    pub(crate) fn session(&self) -> &Session {
        &self.session
    }
}

/// A request to an org. From [`Org::request`].
#[derive(Debug)]
#[must_use = "nothing is sent until `send` is called"]
pub struct Request<'a> {
    org: &'a Org,
    call: Result<OrgCall, OrgError>,
}

impl Request<'_> {
    /// Adds a query parameter, encoded as needed.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.call = self.call.map(|call| call.query_param(name, value));
        self
    }

    /// Sets a header. `authorization`, `cookie` and `host` are refused on sending.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.call = self.call.and_then(|call| call.header(name, value));
        self
    }

    /// Sends this as JSON.
    pub fn json<T: Serialize + ?Sized>(mut self, body: &T) -> Self {
        self.call = self.call.and_then(|call| call.json(body));
        self
    }

    /// Sends these bytes.
    pub fn body(mut self, content_type: HeaderValue, body: impl Into<Vec<u8>>) -> Self {
        self.call = self.call.map(|call| call.bytes(content_type, body.into()));
        self
    }

    /// Sends it. The answer is a success (2xx).
    ///
    /// # Errors
    /// [`Error::Org`] with what the org said, or without anything having been sent.
    pub async fn send(self) -> Result<Answer, Error> {
        self.org.send(&self.call?).await.map(Answer)
    }
}

/// A successful answer of an org.
#[derive(Debug)]
pub struct Answer(OrgAnswer);

impl Answer {
    /// The status, a 2xx.
    pub fn status(&self) -> StatusCode {
        self.0.status()
    }

    /// The headers.
    pub fn headers(&self) -> &http::HeaderMap {
        self.0.headers()
    }

    /// The body as it came; empty after a 204.
    pub fn bytes(&self) -> &[u8] {
        self.0.body()
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// [`Error::Org`] when it isn't JSON, [`Error::Decode`] with the place when it doesn't fit.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        decode(self.0.json()?)
    }
}

/// A callback to an org. From [`Org::callback`].
#[derive(Debug)]
#[must_use = "nothing is sent until `send` is called"]
pub struct Callback<'a> {
    org: &'a Org,
    url: String,
}

impl Callback<'_> {
    /// Whether the URL is one this user's token may be sent to, without sending anything.
    ///
    /// # Errors
    /// [`Error::Org`] with [`OrgError::ForeignOrigin`] when it is another origin's, or not an absolute URL.
    pub fn check(&self) -> Result<(), Error> {
        let origin = self.org.session.org().origin().clone();
        match url::Url::parse(&self.url) {
            Ok(url) if origin.covers(&url) => Ok(()),
            Ok(url) => Err(foreign(url.origin().ascii_serialization(), &origin)),
            Err(_) => Err(foreign("a text that is not an absolute URL".to_owned(), &origin)),
        }
    }

    /// Posts this as JSON.
    ///
    /// # Errors
    /// [`Error::Org`]; nothing is sent to another origin than the org's.
    pub async fn send<T: Serialize + ?Sized>(self, body: &T) -> Result<(), Error> {
        self.check()?;
        self.org.request(Method::POST, self.url).json(body).send().await.map(drop)
    }
}

fn foreign(origin: String, org: &applink_salesforce::OrgOrigin) -> Error {
    Error::Org(OrgError::ForeignOrigin { origin, org: org.to_string() })
}
