//! A rotation of keys that several processes carry out, whose clocks differ.

use std::time::Duration;

use applink_api::clock::Clock;
use applink_server::audit::Actor;
use applink_server::vault::rotation::{self, SETTLE};
use applink_server::vault::{Vault, rotations};

use crate::support::{Fixture, START, masters, seeded};

/// Ten minutes lie between the clocks of the two.
const OFF: Duration = Duration::from_secs(300);

#[tokio::test]
async fn a_rotation_settles_by_the_databases_time_whatever_the_clocks_of_processes_say() {
    let fixture = Fixture::start().await;
    fixture.addon("one").await;
    let start = async |at, seed| {
        let (clock, _hand) = Clock::mock(at);
        Vault::open(fixture.store.database().clone(), masters(), clock, seeded(seed)).await.unwrap()
    };
    let (slow, fast) = (start(START.minus(OFF), 40).await, start(START.plus(OFF), 41).await);
    for (first, then) in [(&slow, &fast), (&fast, &slow)] {
        rotation::begin_data(&fixture.store, first, &Actor::system()).await.unwrap();
        // One replaces the keys, the other walks over what they sealed.
        for _ in 0..2 {
            rotation::step(&fixture.store, first).await.unwrap().expect("a step");
        }
        while rotation::step(&fixture.store, then).await.unwrap().is_some() {}
        let left = rotations::under_way(fixture.store.reader()).await.unwrap().expect("it goes on");
        assert_eq!(
            left.phase,
            rotation::phase::RESEALING,
            "a commit may still be under way with a former key"
        );
        fixture.clock.advance(SETTLE + Duration::from_secs(1));
        while rotation::step(&fixture.store, then).await.unwrap().is_some() {}
        assert_eq!(rotations::under_way(fixture.store.reader()).await.unwrap(), None, "after a minute");
    }
}
