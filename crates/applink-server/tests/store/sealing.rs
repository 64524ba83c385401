//! The vault: a secret opens only in its own place.

use applink_server::db::Database;
use applink_server::vault::{MasterKey, MasterKeys, Place, Vault, VaultError};
use sea_orm::EntityTrait as _;
use secrecy::ExposeSecret as _;

use crate::support::Fixture;

#[tokio::test]
async fn a_sealed_secret_opens_in_its_place_and_nowhere_else() {
    let fixture = Fixture::start().await;
    let (one, two) = (fixture.addon("one").await, fixture.addon("two").await);
    let row = fixture.entropy.uuid();
    let place = Place { addon: one, table: "grants", row, column: "access_token" };
    let sealed = fixture.vault.seal(place, &"canary-token".into()).await.unwrap();
    assert!(!format!("{sealed:?}").contains("canary"));
    assert_eq!(fixture.vault.open_sealed(place, &sealed).await.unwrap().expose_secret(), "canary-token");
    assert_ne!(
        sealed,
        fixture.vault.seal(place, &"canary-token".into()).await.unwrap(),
        "the nonce is random"
    );
    for other in [
        Place { addon: two, ..place },
        Place { table: "oauth_states", ..place },
        Place { row: fixture.entropy.uuid(), ..place },
        Place { column: "refresh_token", ..place },
    ] {
        let error = fixture.vault.open_sealed(other, &sealed).await.unwrap_err();
        assert!(matches!(error, VaultError::Altered { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_vault_that_starts_again_opens_what_was_sealed() {
    let fixture = Fixture::start().await;
    let addon = fixture.addon("one").await;
    let place = Place { addon, table: "grants", row: fixture.entropy.uuid(), column: "access_token" };
    let sealed = fixture.vault.seal(place, &"secret".into()).await.unwrap();
    let database = fixture.store.database().clone();
    let (clock, _hand) = applink_api::clock::Clock::mock(crate::support::START);
    let masters = MasterKeys::new(MasterKey::from_bytes([1; 32]), vec![MasterKey::from_bytes([42; 32])]);
    let again = Vault::open(database.clone(), masters, clock.clone(), fixture.entropy.clone()).await.unwrap();
    assert_eq!(again.open_sealed(place, &sealed).await.unwrap().expose_secret(), "secret");
    let wrong = MasterKeys::new(MasterKey::from_bytes([1; 32]), Vec::new());
    let error = Vault::open(database, wrong, clock, fixture.entropy.clone()).await.unwrap_err();
    assert!(matches!(error, VaultError::WrongMasterKey { .. }), "{error:?}");
}

#[tokio::test]
async fn without_a_data_key_nothing_is_sealed() {
    let fixture = Fixture::start().await;
    let addon = fixture.entropy.uuid().into();
    let place = Place { addon, table: "grants", row: fixture.entropy.uuid(), column: "access_token" };
    assert!(matches!(fixture.vault.seal(place, &"x".into()).await, Err(VaultError::NoDataKey(_))));
}

#[tokio::test]
async fn processes_that_start_at_once_make_one_server_key() {
    let backend = crate::backends::Backend::fresh().await;
    let (clock, _hand) = applink_api::clock::Clock::mock(crate::support::START);
    let database = Database::open(&backend.url, clock.clone()).await.unwrap();
    let mut starts = tokio::task::JoinSet::new();
    for number in 0..8 {
        let (database, clock) = (database.clone(), clock.clone());
        let (masters, entropy) = (crate::support::masters(), crate::support::seeded(100 + number));
        starts.spawn(async move { Vault::open(database, masters, clock, entropy).await.map(drop) });
    }
    for started in starts.join_all().await {
        started.unwrap();
    }
    let keys = applink_server::vault::store::Entity::find().all(database.reader()).await.unwrap();
    assert_eq!(keys.len(), 1);
}
