//! Hosts the operator configured: Heroku's Platform API, a Vault, an OpenID provider.

use std::time::Duration;

use reqwest::redirect::Policy;
use url::Url;

/// Whole time of a call.
const DEADLINE: Duration = Duration::from_secs(10);

/// An operator's host can't be called.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OperatorEgressError {
    /// The URL is at none of the configured origins.
    #[error("{0} is not one of the hosts the operator configured")]
    NotConfigured(String),
    /// The client can't be built.
    #[error("the HTTP client can't be set up")]
    Client(#[source] reqwest::Error),
}

/// Calls configured origins and nothing else.
#[derive(Clone, Debug)]
pub struct OperatorEgress {
    client: reqwest::Client,
    origins: Vec<url::Origin>,
}

impl OperatorEgress {
    /// A client for these origins.
    ///
    /// # Errors
    /// [`OperatorEgressError::Client`].
    pub fn new(configured: &[Url]) -> Result<Self, OperatorEgressError> {
        let client = reqwest::Client::builder()
            .redirect(Policy::none())
            .referer(false)
            .timeout(DEADLINE)
            .build()
            .map_err(OperatorEgressError::Client)?;
        Ok(Self { client, origins: configured.iter().map(Url::origin).collect() })
    }

    /// A request to a URL at one of the origins.
    ///
    /// # Errors
    /// [`OperatorEgressError::NotConfigured`].
    pub fn request(
        &self,
        method: http::Method,
        url: Url,
    ) -> Result<reqwest::RequestBuilder, OperatorEgressError> {
        if self.origins.contains(&url.origin()) {
            return Ok(self.client.request(method, url));
        }
        Err(OperatorEgressError::NotConfigured(url.origin().ascii_serialization()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_configured_origins_are_called() {
        let egress = OperatorEgress::new(&["https://api.heroku.com".parse().unwrap()]).unwrap();
        assert!(egress.request(http::Method::GET, "https://api.heroku.com/apps".parse().unwrap()).is_ok());
        for other in ["https://api.heroku.com:444/", "http://api.heroku.com/", "https://evil.example/"] {
            assert!(egress.request(http::Method::GET, other.parse().unwrap()).is_err(), "{other}");
        }
    }
}
