//! The whole decision about a request, tried with as many hostile requests as there is time for.
//!
//! `cargo test` runs a bounded number of cases; `cargo xtask fuzz` runs for as long as it is told. The cases follow from
//! a seed (`APPLINK_FUZZ_SEED`), so what fails once fails again. A case is made of pieces that are known to confuse,
//! then bytes of it are changed at random.

#[cfg(test)]
mod fuzz {
    use std::time::{Duration, Instant};

    use applink_mesh::bypass::{BypassRoute, BypassRules, HealthAnswer, HealthRoute};
    use applink_mesh::classify::Call;
    use applink_mesh::decide::{Decision, DecisionRules, decide};
    use applink_mesh::path::PathRule;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use http::request::Parts;
    use http::{HeaderValue, Request};
    use secrecy::ExposeSecret as _;

    /// Cases of an ordinary test run.
    const CASES: u64 = 150_000;

    const PATHS: [&str; 44] = [
        "/",
        "pub",
        "open",
        "secret",
        "a",
        ".",
        "..",
        "%2e",
        "%2E",
        "%252e",
        "%2f",
        "%2F",
        "%252f",
        "%5c",
        "\\",
        ";",
        ";x=1",
        "%3b",
        "%23",
        "%3f",
        "%00",
        "%25",
        "%c0%ae",
        "%ef%bc%8f",
        "//",
        "/../",
        "/./",
        "..;/",
        "%2e%2e/",
        "*",
        "%",
        "%zz",
        "healthcheck",
        "__herokuAppLinkServiceMeshInfo",
        "PUB",
        "%70ub",
        "pub/..",
        "open%2f..%2fsecret",
        "pub%2f",
        "é",
        "%E9",
        "?x=/../",
        "#y",
        "/pub/x",
    ];
    const METHODS: [&str; 9] = ["GET", "POST", "HEAD", "PUT", "OPTIONS", "TRACE", "CONNECT", "get", "QUERY"];
    const NAMES: [&str; 18] = [
        "x-request-id",
        "x-request-context",
        "x-client-context",
        "x-signature",
        "X-Request-Context",
        "x_client_context",
        "x-client_context",
        "host",
        "x-applink-mesh-secret",
        "x-forwarded-for",
        "x-forwarded-host",
        "transfer-encoding",
        "content-length",
        "connection",
        "upgrade",
        "origin",
        "te",
        "x-other",
    ];
    const VALUES: [&str; 16] = [
        "",
        "r-1",
        "chunked",
        "gzip, chunked",
        "identity",
        "4",
        "4, 5",
        "app.example",
        "evil.example",
        "x-request-context",
        "e30=",
        "!",
        "bnVsbA==",
        "W10=",
        "x-client-context, close",
        "null",
    ];

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

        /// Bytes of `text` changed, doubled or left out, now and then.
        fn mutate(&mut self, text: &str) -> Vec<u8> {
            let mut bytes = text.as_bytes().to_vec();
            while !bytes.is_empty() && self.below(3) == 0 {
                let at = self.below(bytes.len());
                match self.below(3) {
                    0 => bytes[at] = u8::try_from(self.below(256)).expect("a byte"),
                    1 => bytes.insert(at, bytes[at]),
                    _ => drop(bytes.remove(at)),
                }
            }
            bytes
        }
    }

    fn target(dice: &mut Dice) -> Vec<u8> {
        let mut path = String::from("/");
        for _ in 0..dice.below(7) {
            path.push_str(dice.pick(&PATHS));
            if dice.below(3) == 0 {
                path.push('/');
            }
        }
        if dice.below(12) == 0 {
            path = format!("http://{}{path}", dice.pick(&["app.example", "evil.example", "app.example:80"]));
        }
        dice.mutate(&path)
    }

    /// A context that is right but for one thing, or for nothing.
    fn context(dice: &mut Dice, client: bool) -> String {
        let id = dice.pick(&["r-1", "r-1", "r-1", "r", "", "R-1"]);
        let org = dice.pick(&["00DSB00000VAyPF2A1", "00DSB00000VAyPF2A1", "00D", ""]);
        let json = if client {
            format!(
                r#"{{"requestId":"{id}","accessToken":"s","apiVersion":"66.0","namespace":null,"orgId":"{org}","orgDomainUrl":"o","userContext":{{"userId":"005DS00000yYLD1YAO","username":"u"}}{}}}"#,
                dice.pick(&["", "", ",\"orgid\":\"x\"", ",\"orgId\":\"x\"", ",\"more\":[1,{}]"])
            )
        } else {
            format!(
                r#"{{"id":"{id}","auth":"a.b.c","loginUrl":"l","orgDomainUrl":"o","orgId":"{org}","resource":"r","type":"t","appUuid":"u"{}}}"#,
                dice.pick(&["", "", ",\"ID\":\"r-2\"", ",\"auth\":null", ",\"more\":1"])
            )
        };
        let encoded = STANDARD.encode(dice.mutate(&json));
        String::from_utf8_lossy(&dice.mutate(&encoded)).into_owned()
    }

    fn request(dice: &mut Dice) -> Option<Parts> {
        let target = String::from_utf8_lossy(&target(dice)).into_owned();
        let mut request =
            Request::builder().method(dice.pick(&METHODS)).uri(target).body(()).ok()?.into_parts().0;
        let mut add = |name: &str, value: Vec<u8>| {
            if let (Ok(name), Ok(value)) = (http::HeaderName::try_from(name), HeaderValue::from_bytes(&value))
            {
                request.headers.append(name, value);
            }
        };
        add("host", b"app.example".to_vec());
        for (name, client) in [("x-request-context", false), ("x-client-context", true)] {
            if dice.below(2) == 0 {
                let value = context(dice, client);
                add(name, value.into_bytes());
            }
        }
        add("x-request-id", b"r-1".to_vec());
        for _ in 0..dice.below(4) {
            let value = dice.pick(&VALUES);
            let value = dice.mutate(value);
            add(dice.pick(&NAMES), value);
        }
        Some(request)
    }

    fn rules(dice: &mut Dice) -> DecisionRules {
        let routes = ["/pub/*", "/open"].map(|route| BypassRoute::parse(route).expect("a route")).to_vec();
        let answer = if dice.below(2) == 0 { HealthAnswer::Mesh } else { HealthAnswer::App };
        let health = Some(HealthRoute { path: "/healthcheck".to_owned(), answer });
        let paths = if dice.below(2) == 0 { PathRule::Strict } else { PathRule::Verbatim };
        DecisionRules {
            bypass: BypassRules { routes, health, ..BypassRules::default() },
            paths,
            ..DecisionRules::default()
        }
    }

    /// What must hold of every decision.
    fn judge(parts: &Parts, rules: &DecisionRules) -> &'static str {
        let single = |name: &str| parts.headers.get_all(name).iter().count() == 1;
        match decide(parts, "r-1", rules) {
            Ok(Decision::Open(received)) => {
                assert_eq!(
                    Some(received.path.as_sent()),
                    parts.uri.path_and_query(),
                    "forwarded is what was judged"
                );
                for reading in readings(received.path.path().as_bytes()) {
                    let open = reading == b"/open" || reading == b"/pub" || reading.starts_with(b"/pub/");
                    let health = reading == b"/healthcheck";
                    assert!(
                        open || health,
                        "{} may be read as {}",
                        parts.uri,
                        String::from_utf8_lossy(&reading)
                    );
                }
                "open"
            }
            Ok(Decision::Verify(received, call)) => {
                assert_eq!(Some(received.path.as_sent()), parts.uri.path_and_query());
                match call {
                    Call::Salesforce(call) => {
                        assert!(single("x-request-context") && single("x-client-context"));
                        assert_eq!(call.request_context.id, "r-1");
                        assert!(!call.request_context.auth.expose_secret().is_empty());
                        "salesforce"
                    }
                    Call::DataAction(call) => {
                        assert!(single("x-signature") && !call.signature.expose_secret().is_empty());
                        "data action"
                    }
                }
            }
            Ok(Decision::Info | Decision::Health) => "own",
            Err(error) => {
                assert!(!error.marker().is_empty());
                "refused"
            }
        }
    }

    /// What apps and their frameworks are known to make of a path before they route. All of them decode it once.
    fn readings(path: &[u8]) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        let mut layer = percent_decoded(path);
        for _ in 0..4 {
            let slashed: Vec<u8> =
                layer.iter().map(|byte| if *byte == b'\\' { b'/' } else { *byte }).collect();
            for text in [&layer, &slashed] {
                all.push(resolve(text, false));
                all.push(resolve(text, true));
            }
            layer = percent_decoded(&layer);
        }
        all
    }

    fn percent_decoded(text: &[u8]) -> Vec<u8> {
        let mut decoded = Vec::with_capacity(text.len());
        let mut at = 0;
        while at < text.len() {
            let escape = text.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
            match escape.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
                Some(byte) if text[at] == b'%' => {
                    decoded.push(byte);
                    at += 3;
                }
                _ => {
                    decoded.push(text[at]);
                    at += 1;
                }
            }
        }
        decoded
    }

    /// Dot segments and empty segments resolved, and parameters cut off when told to.
    fn resolve(path: &[u8], cut_parameters: bool) -> Vec<u8> {
        let path = path.split(|byte| matches!(byte, b'?' | b'#' | 0)).next().unwrap_or_default();
        let mut kept: Vec<&[u8]> = Vec::new();
        for segment in path.split(|byte| *byte == b'/') {
            let cut = segment.split(|byte| *byte == b';').next().unwrap_or_default();
            match if cut_parameters { cut } else { segment } {
                b"" | b"." => {}
                b".." => drop(kept.pop()),
                name => kept.push(name),
            }
        }
        kept.iter().flat_map(|segment| [b"/".as_slice(), segment].concat()).collect()
    }

    #[expect(clippy::disallowed_methods, reason = "how long it runs is told from outside")]
    fn number(name: &str) -> Option<u64> {
        std::env::var(name).ok().and_then(|text| text.parse().ok())
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "it runs for as long as it is told, in real time")]
    fn promise_22_no_request_is_decided_by_one_reading_and_forwarded_by_another() {
        let seed = number("APPLINK_FUZZ_SEED").unwrap_or(42);
        let time = number("APPLINK_FUZZ_SECONDS").map(Duration::from_secs);
        let begin = Instant::now();
        let mut counts = std::collections::BTreeMap::<&str, u64>::new();
        let mut dice = Dice(seed);
        let mut cases = 0;
        while time.map_or(cases < CASES, |time| cases % 1_024 != 0 || begin.elapsed() < time) {
            cases += 1;
            let state = dice.0;
            let rules = rules(&mut dice);
            let Some(parts) = request(&mut dice) else { continue };
            let judged = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| judge(&parts, &rules)));
            let verdict = judged.unwrap_or_else(|_| panic!("case {cases}, state {state:#x}: {parts:?}"));
            *counts.entry(verdict).or_default() += 1;
        }
        // Nothing is proved by cases that all end at the first check.
        for verdict in ["open", "salesforce", "data action", "own", "refused"] {
            assert!(counts.get(verdict).is_some_and(|count| *count > 10), "{verdict} in {counts:?}");
        }
        eprintln!("fuzz decide: {cases} cases from seed {seed}, {counts:?}");
    }
}
