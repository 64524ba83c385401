//! A store of one's own.

use std::sync::Arc;

use applink_api::clock::{Clock, MockClock};
use applink_api::connection::ConnectionMethod;
use applink_api::entropy::Entropy;
use applink_api::ids::AddonId;
use applink_api::org::OrgType;
use applink_api::time::Timestamp;
use applink_server::addons::{Addon, store as addons};
use applink_server::audit::Journal;
use applink_server::credentials::{Credential, Kind, State, store as credentials};
use applink_server::db::{Database, Store};
use applink_server::vault::{MasterKey, MasterKeys, Vault};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use crate::backends::Backend;

pub(crate) const START: Timestamp = Timestamp::from_seconds(1_767_225_600);

pub(crate) struct Fixture {
    pub(crate) backend: Backend,
    pub(crate) store: Store,
    pub(crate) vault: Vault,
    pub(crate) clock: MockClock,
    pub(crate) entropy: Entropy,
}

pub(crate) fn masters() -> MasterKeys {
    MasterKeys::new(MasterKey::from_bytes([42; 32]), Vec::new())
}

pub(crate) fn seeded(seed: u64) -> Entropy {
    let mut random = ChaCha20Rng::seed_from_u64(seed);
    Entropy::from_fn(move |bytes| random.fill_bytes(bytes))
}

impl Fixture {
    pub(crate) async fn start() -> Self {
        let backend = Backend::fresh().await;
        let (clock, hand) = Clock::mock(START);
        let entropy = seeded(3);
        let database = Database::open(&backend.url, clock.clone()).await.expect("the database opens");
        let vault = Vault::open(database.clone(), masters(), clock.clone(), entropy.clone())
            .await
            .expect("the vault opens");
        let journal = Journal::new(&masters(), "test".to_owned(), clock, entropy.clone());
        let store = Store::new(database, Arc::new(journal));
        Self { backend, store, vault, clock: hand, entropy }
    }

    pub(crate) async fn addon(&self, name: &str) -> AddonId {
        let addon = Addon { id: self.entropy.uuid().into(), name: name.to_owned() };
        let tx = self.store.begin().await.expect("a transaction");
        addons::insert_addon(&*tx, &addon, START.as_micros()).await.expect("an add-on");
        self.vault.create_data_key(&tx, addon.id).await.expect("a data key");
        tx.commit().await.expect("a commit");
        addon.id
    }

    /// A pending connection that is due at `until`.
    pub(crate) async fn pending(&self, addon: AddonId, name: &str, until: Timestamp) -> Credential {
        let credential = Credential {
            id: self.entropy.uuid(),
            addon,
            kind: Kind::Connection,
            name: name.to_owned(),
            alias: None,
            org_type: OrgType::SalesforceOrg,
            state: State::Pending { until, was: None },
            method: ConnectionMethod::OAuth,
            login_url: "https://login.salesforce.com".to_owned(),
            app_name: None,
            created_at: START,
            created_by: "a@b.c".to_owned(),
            last_modified_at: START,
            last_modified_by: "a@b.c".to_owned(),
        };
        let tx = self.store.begin().await.expect("a transaction");
        credentials::insert(&*tx, &credential).await.expect("a row");
        tx.commit().await.expect("a commit");
        credential
    }
}
