//! What Data Cloud sends, tried with as many broken bodies as there is time for.
//!
//! `cargo test` runs a bounded number of cases; `cargo xtask fuzz` runs for as long as it is told. The cases follow from
//! a seed (`APPLINK_FUZZ_SEED`), so what fails once fails again.

#[cfg(test)]
mod fuzz {
    use std::time::{Duration, Instant};

    use applink_sdk::Error;
    use applink_sdk::data_action::DataActions;
    use serde_json::Value;

    /// Cases of an ordinary test run.
    const CASES: u64 = 20_000;

    const PROMPTS: [&str; 6] = ["INSERT", "update", "DELETE", "MERGE", "", "\u{0}"];
    /// Rows, as the text that is inside of a text.
    const ROWS: [&str; 12] = [
        "null",
        "\"\"",
        "\" \"",
        "{\"a\":1}",
        r#""{\"page__c\":\"/a\",\"n__c\":1}""#,
        r#""{\"page__c\":\"/caf\\u00e9\",\"n__c\":1e400}""#,
        r#""{\"a\":1,\"a\":2}""#,
        "\"{\"",
        "\"[1]\"",
        "7",
        "\"null\"",
        r#""{\"a\":{\"b\":[[[{}]]]}}""#,
    ];
    const OTHERS: [&str; 6] = ["7", "\"8\"", "null", "[]", "1e999", "\"\\ud800\""];

    /// A generator that any seed does for (splitmix64).
    struct Dice(u64);

    impl Dice {
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        }

        fn below(&mut self, bound: usize) -> usize {
            usize::try_from(self.next() % u64::try_from(bound.max(1)).expect("small")).expect("small")
        }

        fn pick<'p>(&mut self, pieces: &[&'p str]) -> &'p str {
            pieces[self.below(pieces.len())]
        }
    }

    fn event(dice: &mut Dice) -> String {
        format!(
            r#"{{"ActionDeveloperName":"OnClick","EventPrompt":"{}","EventUuid":"u","Offset":{},"ReplayId":{},"PayloadCurrentValue":{},"PayloadPrevValue":{}}}"#,
            dice.pick(&PROMPTS).escape_default(),
            dice.pick(&OTHERS),
            dice.pick(&OTHERS),
            dice.pick(&ROWS),
            dice.pick(&ROWS),
        )
    }

    /// A body that is right, or nearly.
    fn body(dice: &mut Dice) -> Vec<u8> {
        let events: Vec<String> = (0..dice.below(4)).map(|_| event(dice)).collect();
        let text = format!(
            r#"{{"creationDateTime":"2026-01-01T00:00:00Z","count":{},"events":[{}],"schemas":[]}}"#,
            dice.pick(&OTHERS),
            events.join(",")
        );
        let mut bytes = text.into_bytes();
        while dice.below(3) == 0 {
            let at = dice.below(bytes.len());
            match dice.below(3) {
                0 => bytes[at] = u8::try_from(dice.below(256)).expect("a byte"),
                1 => bytes.insert(at, bytes[at]),
                _ => drop(bytes.remove(at)),
            }
        }
        bytes
    }

    /// What must hold of every body: it is read as what it says, or refused with the place.
    fn judge(body: &[u8]) -> &'static str {
        let actions = match DataActions::from_json(body) {
            Ok(actions) => actions,
            Err(Error::Decode { path, .. }) => {
                assert!(!path.is_empty());
                return "refused";
            }
            Err(other) => panic!("{other:?}"),
        };
        let said: Value = serde_json::from_slice(body).expect("it was read");
        assert_eq!(said["events"].as_array().map(Vec::len), Some(actions.events.len()));
        for event in &actions.events {
            let changed = event.changed();
            assert!(changed.is_sorted_by(|one, next| one.name < next.name), "{changed:?}");
            for value in changed {
                assert_eq!(value.now, event.current.get(value.name));
                assert_eq!(value.before, event.previous.get(value.name));
                assert_ne!(value.now, value.before);
            }
        }
        "read"
    }

    #[expect(clippy::disallowed_methods, reason = "how long it runs is told from outside")]
    fn number(name: &str) -> Option<u64> {
        std::env::var(name).ok().and_then(|text| text.parse().ok())
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "it runs for as long as it is told, in real time")]
    fn a_data_action_is_read_as_what_it_says_or_refused() {
        let seed = number("APPLINK_FUZZ_SEED").unwrap_or(42);
        let time = number("APPLINK_FUZZ_SECONDS").map(Duration::from_secs);
        let begin = Instant::now();
        let mut counts = std::collections::BTreeMap::<&str, u64>::new();
        let mut dice = Dice(seed);
        let mut cases = 0;
        while time.map_or(cases < CASES, |time| cases % 1_024 != 0 || begin.elapsed() < time) {
            cases += 1;
            let body = body(&mut dice);
            let judged = std::panic::catch_unwind(|| judge(&body));
            let verdict =
                judged.unwrap_or_else(|_| panic!("case {cases}: {}", String::from_utf8_lossy(&body)));
            *counts.entry(verdict).or_default() += 1;
        }
        for verdict in ["read", "refused"] {
            assert!(counts.get(verdict).is_some_and(|count| *count > 10), "{verdict} in {counts:?}");
        }
        eprintln!("fuzz data actions: {cases} cases from seed {seed}, {counts:?}");
    }
}
