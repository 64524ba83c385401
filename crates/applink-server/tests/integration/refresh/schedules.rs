//! Promise 3 on the pure protocol: thousands of schedules, each repeatable by its seed.

use applink_testkit::figures::{Figure, seed};

use super::model::{Counts, World};
use crate::stack::seeded;

/// Schedules explored, in every tier: they take a second.
const SCHEDULES: u64 = 10_000;
/// Moves in each.
const MOVES: usize = 80;

#[test]
fn no_schedule_loses_an_update_or_replays_what_still_works() {
    let first = seed() * SCHEDULES;
    let mut total = Counts::default();
    for seed in first..first + SCHEDULES {
        let chance = seeded(seed);
        let mut world = World::new(chance.below(4) > 0);
        let mut moves = Vec::new();
        for _ in 0..MOVES {
            let next = world.choose(&chance);
            moves.push(next);
            world.play(next);
        }
        let settled = world.settle();
        assert!(settled && world.counts.broken() == 0, "seed {seed}: {:?} after {moves:?}", world.counts);
        total.add(world.counts);
    }
    Figure {
        promise: "3",
        what: format!(
            "{SCHEDULES} schedules of the lease protocol with crashes, stalls, duplicates, lost answers and refused tokens ({} last chances, {} late answers adopted, {} grants that a lost answer cost)",
            total.last_chances, total.late_adopted, total.deaths
        ),
        measured: format!("{} lost updates, {} harmful replays", total.lost_updates, total.harmful_replays),
        promised: "0 and 0".to_owned(),
        kept: total.broken() == 0 && total.late_adopted > 0,
        seed: Some(seed()),
    }
    .report();
}
