//! Master keys that a key service keeps for us: HashiCorp Vault or OpenBao, its *transit* engine.
//!
//! The service never gives its key away, so ours is one more layer: a master key is 32 random bytes made here, *wrapped*
//! by the service, and stored wrapped (`vault_wrapped_masters`). At the start it is unwrapped with one call; after that
//! the service isn't needed until the next start. Who has the database but may not call the service has nothing.
//!
//! Rotating the master key makes another one, wrapped with the newest version of the service's key.

use std::fmt;
#[cfg(feature = "vault")]
use std::time::Duration;

use applink_api::clock::Clock;
use applink_api::entropy::Entropy;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
#[cfg(feature = "vault")]
use secrecy::ExposeSecret as _;
use secrecy::SecretString;
use url::Url;

use super::keys::{MasterKey, MasterKeys};
use super::source::KeySourceError;
use super::store::{self, wrapped};
use crate::db::{Database, StoreError};

/// Whole time of a call to the service.
#[cfg(feature = "vault")]
const DEADLINE: Duration = Duration::from_secs(10);

/// Which key of which service.
#[derive(Clone)]
pub struct Transit {
    /// The service's address.
    pub address: Url,
    /// What lets us in.
    pub token: SecretString,
    /// Where the transit engine is mounted.
    pub mount: String,
    /// The name of the key.
    pub key: String,
    /// The namespace, where the service has them.
    pub namespace: Option<String>,
}

impl fmt::Debug for Transit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transit({}/{})", self.mount, self.key)
    }
}

impl Transit {
    /// Every wrapped master key, the newest first; a new database gets its first.
    pub(super) async fn first(
        &self,
        database: &Database,
        clock: &Clock,
        entropy: &Entropy,
    ) -> Result<MasterKeys, KeySourceError> {
        let found = self.read(database, &MasterKeys::none()).await?;
        if found.preferred().is_some() {
            return Ok(found);
        }
        self.make(database, clock, entropy, true).await?;
        self.read(database, &MasterKeys::none()).await
    }

    /// The master keys as they are now; the service is asked only for those that are not known.
    pub(super) async fn read(
        &self,
        database: &Database,
        known: &MasterKeys,
    ) -> Result<MasterKeys, KeySourceError> {
        let mut keys = Vec::new();
        for row in store::wrapped_masters(database.reader()).await.map_err(KeySourceError::Store)? {
            match known.get(&row.id) {
                Some(key) => keys.push(key.clone()),
                None => keys.push(self.unwrap_key(&row).await?),
            }
        }
        let mut keys = keys.into_iter();
        Ok(match keys.next() {
            Some(preferred) => MasterKeys::new(preferred, keys.collect()),
            None => MasterKeys::none(),
        })
    }

    /// Makes and wraps one more master key. `only_first`: unless there is one.
    pub(super) async fn make(
        &self,
        database: &Database,
        clock: &Clock,
        entropy: &Entropy,
        only_first: bool,
    ) -> Result<(), KeySourceError> {
        let bytes = zeroize::Zeroizing::new(entropy.bytes::<32>());
        let key = MasterKey::from_bytes(*bytes);
        let wrapped = self.encrypt(SecretString::from(STANDARD.encode(*bytes))).await?;
        let row = wrapped::Model { id: key.id().to_owned(), wrapped, created_at: clock.now().as_micros() };
        let written = async {
            let tx = database.begin().await?;
            database.lock_for_start(&tx).await?;
            if !only_first || store::wrapped_masters(&tx).await?.is_empty() {
                store::insert_wrapped(&tx, row).await?;
            }
            Ok::<(), StoreError>(tx.commit().await?)
        };
        written.await.map_err(KeySourceError::Store)
    }

    async fn unwrap_key(&self, row: &wrapped::Model) -> Result<MasterKey, KeySourceError> {
        let text = self.decrypt(&row.wrapped).await?;
        let key = MasterKey::parse(&text).map_err(|_| KeySourceError::NotWrapped(row.id.clone()))?;
        if key.id() == row.id { Ok(key) } else { Err(KeySourceError::NotWrapped(row.id.clone())) }
    }
}

#[cfg(feature = "vault")]
impl Transit {
    fn client(&self) -> Result<vaultrs::client::VaultClient, KeySourceError> {
        use vaultrs::client::{VaultClient, VaultClientSettingsBuilder};
        let unusable = |_| self.failed("can't be called: see its address".to_owned());
        let mut settings = VaultClientSettingsBuilder::default();
        settings
            .address(self.address.as_str())
            .token(self.token.expose_secret())
            .timeout(Some(DEADLINE))
            .namespace(self.namespace.clone())
            .verify(true)
            .identity(None);
        let settings =
            settings.build().map_err(|_| self.failed("can't be called: see its address".to_owned()))?;
        let mut client = VaultClient::new(settings).map_err(unusable)?;
        // One host was configured, and no other gets the token.
        client.http.http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(DEADLINE)
            .build()
            .map_err(|_| self.failed("can't be called".to_owned()))?;
        Ok(client)
    }

    async fn encrypt(&self, plain: SecretString) -> Result<String, KeySourceError> {
        let client = self.client()?;
        let (mount, key) = (&self.mount, &self.key);
        let answer = vaultrs::transit::data::encrypt(&client, mount, key, plain.expose_secret(), None).await;
        Ok(answer.map_err(|error| self.refused(&error))?.ciphertext)
    }

    async fn decrypt(&self, wrapped: &str) -> Result<SecretString, KeySourceError> {
        let client = self.client()?;
        let (mount, key) = (&self.mount, &self.key);
        let answer = vaultrs::transit::data::decrypt(&client, mount, key, wrapped, None).await;
        Ok(answer.map_err(|error| self.refused(&error))?.plaintext.into())
    }

    /// What the service said, without what it was asked: that holds a key.
    fn refused(&self, error: &vaultrs::error::ClientError) -> KeySourceError {
        use vaultrs::error::ClientError;
        let what = match error {
            ClientError::APIError { code: 403, .. } => {
                "refuses the token: it needs `update` on encrypt and decrypt of this key".to_owned()
            }
            ClientError::APIError { code: 404, .. } => "has no such engine or key".to_owned(),
            ClientError::APIError { code: 400, errors } => format!("refuses: {}", errors.join("; ")),
            ClientError::APIError { code: 503, .. } => "is sealed".to_owned(),
            ClientError::APIError { code, .. } => format!("answered {code}"),
            ClientError::RestClientError { .. } => "does not answer, or not as a key service does".to_owned(),
            _ => "answered something else than a key service does".to_owned(),
        };
        self.failed(what)
    }
}

#[cfg(not(feature = "vault"))]
impl Transit {
    async fn encrypt(&self, _plain: SecretString) -> Result<String, KeySourceError> {
        Err(KeySourceError::NotBuiltIn)
    }

    async fn decrypt(&self, _wrapped: &str) -> Result<SecretString, KeySourceError> {
        Err(KeySourceError::NotBuiltIn)
    }
}

#[cfg(feature = "vault")]
impl Transit {
    fn failed(&self, what: String) -> KeySourceError {
        let Self { address, mount, key, .. } = self;
        let address = address.host_str().unwrap_or_default().to_owned();
        KeySourceError::Service { service: format!("{address} ({mount}/{key})"), what }
    }
}
