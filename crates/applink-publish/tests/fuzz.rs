//! Fuzz targets that run on the stable toolchain: each feeds mutated and made-up bytes for a bounded time and expects
//! no panic, no endless loop, and what is written to be read back.
//!
//! A second each in the tests; `cargo xtask fuzz SECONDS` gives them longer. A failure prints its input.

#![expect(clippy::unwrap_used, reason = "a test that can not go on fails")]
#![expect(clippy::print_stdout, reason = "how many inputs were tried is what one wants to know")]
#![expect(
    clippy::disallowed_methods,
    reason = "a target runs until its time is over, and is told for how long"
)]

use std::io::{Cursor, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use applink_api::ids::{AddonId, AppUuid, PublicationId};
use applink_publish::compare::compare;
use applink_publish::metadata::xml::Element;
use applink_publish::metadata::{self, OrgProfile, Subject, Wishes, archive, authorization, uploaded};
use applink_publish::preview::{Preview, stubs};
use applink_publish::report::{Report, sarif};
use applink_publish::spec::{self, Format};
use applink_publish::{Release, package};
use zip::write::SimpleFileOptions;

/// A small generator: the same inputs on every run.
struct Bytes(u64);

impl Bytes {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % (limit.max(1) as u64)).unwrap_or_default()
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// Pieces that mean something to one of the readers.
const PIECES: [&[u8]; 40] = [
    b"$ref: '#/components/schemas/A'",
    b"{$ref: '#'}",
    b"*a",
    b"&a ",
    b"<<: *a",
    b"\t",
    b"\xff\xfe",
    b"\xe2\x80",
    b"1e999",
    b"-0x7f",
    b"999999999999999999999",
    b".inf",
    b"---\n",
    b"- - - -",
    b"[[[[",
    b"{{{{",
    b"\"\\ud800\"",
    b"\\u0000",
    b"!!binary x",
    b"| \n",
    b"> \n",
    b"? ",
    b"#",
    b"allOf: [{}]",
    b"type: [string, 'null']",
    b"openapi: 3.1.0",
    b"paths: {}",
    b"x-sfdc: {agent: {topic: {}}}",
    b"<!DOCTYPE a [<!ENTITY b \"c\">]>",
    b"<a>",
    b"</a>",
    b"&#0;",
    b"&lt;",
    b"]]>",
    b"PK\x05\x06",
    b"PK\x01\x02",
    b"PK\x03\x04",
    b"../",
    b"\0",
    b"callbacks: {c: {'{$request.body#/a/b}': {post: {}}}}",
];

fn mutate(bytes: &mut Bytes, from: &[u8]) -> Vec<u8> {
    let mut input = from.to_vec();
    for _ in 0..=bytes.below(6) {
        let at = bytes.below(input.len().saturating_add(1));
        match bytes.below(6) {
            0 if at < input.len() => input[at] = u8::try_from(bytes.next() & 0xff).unwrap_or_default(),
            1 if at < input.len() => drop(input.remove(at)),
            2 => {
                let piece = *bytes.pick(&PIECES);
                input.splice(at..at, piece.iter().copied());
            }
            3 => {
                let end = at.saturating_add(bytes.below(200)).min(input.len());
                let copy = input[at..end].to_vec();
                input.splice(at..at, copy);
            }
            4 => {
                let end = at.saturating_add(bytes.below(80)).min(input.len());
                input.drain(at..end);
            }
            _ => input.truncate(at),
        }
    }
    input
}

/// Runs `target` on mutations of `corpus` until its time is over.
fn fuzz(name: &str, corpus: &[Vec<u8>], target: impl Fn(&[u8])) {
    let seconds = std::env::var("APPLINK_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let until = Instant::now() + Duration::from_secs(seconds);
    let seed =
        std::env::var("APPLINK_FUZZ_SEED").ok().and_then(|text| text.parse::<u64>().ok()).unwrap_or_default();
    let mut bytes = Bytes(0x9e37_79b9_7f4a_7c15 ^ seed);
    let mut runs: u64 = 0;
    while Instant::now() < until {
        let seed = bytes.pick(corpus).clone();
        let input = mutate(&mut bytes, &seed);
        let started = Instant::now();
        let ended = catch_unwind(AssertUnwindSafe(|| target(&input)));
        assert!(ended.is_ok(), "{name}: a panic for {:?}", String::from_utf8_lossy(&input));
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "{name}: {:?} for {:?}",
            started.elapsed(),
            String::from_utf8_lossy(&input)
        );
        runs += 1;
    }
    println!("{name}: {runs} inputs");
    assert!(runs > 0);
}

fn documents() -> Vec<Vec<u8>> {
    let rules = include_str!("fixtures/rules.txt").split("--- ").map(|text| text.as_bytes().to_vec());
    let specs = [
        include_str!("fixtures/specs/callbacks.yaml"),
        include_str!("fixtures/specs/agent.yaml"),
        include_str!("fixtures/specs/user-plus-eca.yaml"),
        include_str!("fixtures/specs/inline-schemas.yaml"),
        include_str!("fixtures/specs/everything-wrong.yaml"),
    ];
    rules.chain(specs.into_iter().map(|text| text.as_bytes().to_vec())).collect()
}

fn subject() -> Subject {
    Subject {
        publication: PublicationId(uuid::Uuid::nil()),
        addon: AddonId(uuid::Uuid::nil()),
        app: AppUuid(uuid::Uuid::nil()),
        app_name: "fuzz".to_owned(),
        app_url: "https://app.example".parse().unwrap(),
        client: "Fuzz".parse().unwrap(),
        contact_email: "fuzz@example.com".to_owned(),
    }
}

/// Everything that is done with a document.
fn publish(format: Format, input: &[u8]) {
    let findings = spec::findings(format, input);
    serde_json::to_string(&Report::of("fuzz", &findings)).unwrap();
    sarif("fuzz", &findings);
    let Ok(spec) = spec::read(format, input) else {
        assert!(findings.iter().any(spec::Finding::is_error), "a refusal names an error");
        return;
    };
    let preview = Preview::of(&spec, "Fuzz", None);
    stubs(&preview);
    assert!(compare(&preview, &preview).is_empty(), "a document changes nothing for itself");
    let Ok(plan) = authorization::plan(&spec, &Wishes::default(), "Fuzz") else { return };
    if let Ok(package) = metadata::build(&spec, &subject(), &plan, &OrgProfile::empty(Release::new(67))) {
        archive::zip(&package.files()).unwrap();
    }
}

#[test]
fn the_spec_reader_and_the_linter_on_yaml() {
    fuzz("yaml", &documents(), |input| publish(Format::Yaml, input));
}

#[test]
fn the_spec_reader_and_the_linter_on_json() {
    let as_json = |yaml: Vec<u8>| {
        let spec = spec::read(Format::Yaml, &yaml).ok()?;
        Some(serde_json::to_vec_pretty(&spec.document.to_json()).unwrap())
    };
    let corpus: Vec<Vec<u8>> = documents().into_iter().filter_map(as_json).collect();
    fuzz("json", &corpus, |input| publish(Format::Json, input));
}

#[test]
fn the_zip_reader() {
    let zipped = |files: &[(&str, &[u8])]| {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in files {
            writer.start_file(*name, SimpleFileOptions::default()).unwrap();
            writer.write_all(content).unwrap();
        }
        writer.finish().unwrap().into_inner()
    };
    let spec = include_bytes!("fixtures/specs/callbacks.yaml");
    let corpus = vec![
        zipped(&[("api-spec.yaml", spec)]),
        zipped(&[("api-spec.json", b"{}"), ("permissionset-meta.xml", b"<PermissionSet/>")]),
        zipped(&[("../api-spec.yaml", b"x"), ("a/b", b"y")]),
        Vec::new(),
    ];
    fuzz("zip", &corpus, |input| {
        if let Ok(upload) = package::read(input) {
            publish(upload.spec.format, &upload.spec.bytes);
        }
    });
}

#[test]
fn the_xml_writer_and_the_reader_of_uploaded_xml() {
    let corpus = vec![
        b"<?xml version=\"1.0\"?><PermissionSet xmlns=\"http://soap.sforce.com/2006/04/metadata\"><label>A</label></PermissionSet>".to_vec(),
        b"<PermissionSet><hasActivationRequired>false</hasActivationRequired><x><![CDATA[ < ]]></x></PermissionSet>".to_vec(),
        b"any text & <more>".to_vec(),
    ];
    fuzz("xml", &corpus, |input| {
        let text = String::from_utf8_lossy(input);
        let written = Element::of("PermissionSet", vec![Element::text("label", text.as_ref())]).to_document();
        uploaded::read("PermissionSet", "permissionset-meta.xml", &written)
            .expect("what we write is well-formed");
        if let Ok(read) = uploaded::read("PermissionSet", "permissionset-meta.xml", &text) {
            uploaded::read("PermissionSet", "permissionset-meta.xml", &read.content)
                .expect("what we pass on is too");
        }
    });
}
