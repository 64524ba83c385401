//! Promise 30: the org's token as the mesh itself verifies it, one wrong thing at a time.

use applink_mesh::config::ReplayRule;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::integration::control_plane::Bundle;
use crate::integration::signer::{ORG_KEY, OTHER_KEY, Signer, bundle, claims, header};
use crate::integration::stack::{APP_UUID, Call, INSTANCE_URL, NOW, ORG, Stack, USER};
use crate::integration::trust::verifying;

async fn status(stack: &Stack, token: &str) -> u16 {
    let mut call = Call::new("r-1");
    call.request_context["auth"] = json!(token);
    stack.call(&call).await.status
}

fn with(mut object: Value, key: &str, value: Value) -> Value {
    object[key] = value;
    object
}

fn without(mut object: Value, key: &str) -> Value {
    object.as_object_mut().unwrap().remove(key);
    object
}

fn signed(header: &Value, claims: &Value) -> String {
    ORG_KEY.sign(header, claims)
}

/// HS256 over `signed`, as a verifier would compute it that takes a public key for a shared secret.
fn hmac(header: &Value, claims: &Value, key: &[u8]) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key);
    let tag = aws_lc_rs::hmac::sign(&key, signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
}

fn wrong_headers() -> Vec<(String, String)> {
    let good = claims("t");
    let mut cases: Vec<(String, Value)> =
        ["none", "None", "NONE", "HS256", "RS384", "RS512", "PS256", "ES256", "rs256", ""]
            .into_iter()
            .map(|alg| (format!("alg {alg:?}"), with(header(), "alg", json!(alg))))
            .collect();
    for key in ["jku", "jwk", "x5u", "x5c", "crit", "b64", "enc", "zip"] {
        cases.push((key.to_owned(), with(header(), key, json!("https://evil.example/keys"))));
        cases.push((format!("{key}: null"), with(header(), key, Value::Null)));
    }
    for key in ["alg", "kid", "tnk"] {
        cases.push((format!("no {key}"), without(header(), key)));
        for value in [json!(1), Value::Null, json!(["RS256"])] {
            cases.push((format!("{key}: {value}"), with(header(), key, value)));
        }
    }
    cases.push(("another org's tnk".into(), with(header(), "tnk", json!("core/prod/00DSG00000DGEIr2AP"))));
    cases.push(("an odd tnk".into(), with(header(), "tnk", json!(format!("{ORG}/core")))));
    cases.into_iter().map(|(what, header)| (what, signed(&header, &good))).collect()
}

fn wrong_claims() -> Vec<(String, String)> {
    let mut cases: Vec<(String, Value)> = Vec::new();
    for key in ["iss", "sub", "aud", "iat", "nbf", "exp", "jti"] {
        cases.push((format!("no {key}"), without(claims("t"), key)));
        for value in [Value::Null, json!(true), json!({}), json!([1]), json!(1.5), json!([[]])] {
            cases.push((format!("{key}: {value}"), with(claims("t"), key, value)));
        }
    }
    for (key, value) in [
        ("iss", json!("https://acme.my.salesforce.com.evil.example")),
        ("iss", json!("")),
        ("iss", json!(7)),
        ("sub", json!(USER)),
        ("sub", json!(format!("uid:{ORG}"))),
        ("sub", json!("uid:")),
        ("sub", json!(7)),
        ("aud", json!([INSTANCE_URL])),
        ("aud", json!(INSTANCE_URL)),
        ("aud", json!([])),
        ("aud", json!(format!("{APP_UUID}x"))),
        ("aud", json!([APP_UUID, 7])),
        ("iat", json!(NOW + 61)),
        ("nbf", json!(NOW + 61)),
        ("exp", json!(NOW - 60)),
        ("exp", json!(NOW + 286)),
        ("exp", json!(NOW - 100)),
        ("exp", json!((NOW + 120).to_string())),
        ("exp", json!(1e300)),
        ("exp", json!(u64::MAX)),
        ("exp", json!(i64::MAX)),
        ("iat", json!(i64::MIN)),
        ("nbf", json!("now")),
        ("jti", json!("")),
        ("jti", json!("x".repeat(257))),
        ("jti", json!(7)),
    ] {
        cases.push((format!("{key}: {value}"), with(claims("t"), key, value)));
    }
    cases.into_iter().map(|(what, claims)| (what, signed(&header(), &claims))).collect()
}

fn wrong_forms() -> Vec<(String, String)> {
    let good = signed(&header(), &claims("t"));
    let parts: Vec<&str> = good.split('.').collect();
    let [head, body, signature] = parts.as_slice() else { unreachable!("three parts") };
    let none = URL_SAFE_NO_PAD.encode(with(header(), "alg", json!("none")).to_string());
    let other_claims = URL_SAFE_NO_PAD.encode(with(claims("t"), "jti", json!("u")).to_string());
    let mut flipped = URL_SAFE_NO_PAD.decode(signature).unwrap();
    flipped[40] ^= 1;
    let hs = with(header(), "alg", json!("HS256"));
    let der = ORG_KEY.public_der();
    let raw_claims = claims("t").to_string();
    let twice = raw_claims.replacen('{', &format!("{{\"exp\":{},", NOW + 1), 1);
    vec![
        ("empty".into(), " ".into()),
        ("no dots".into(), "x".into()),
        ("two parts".into(), format!("{head}.{body}")),
        ("four parts".into(), format!("{good}.{signature}")),
        ("no signature".into(), format!("{head}.{body}.")),
        ("alg none, no signature".into(), format!("{none}.{body}.")),
        ("alg none, a signature".into(), format!("{none}.{body}.{signature}")),
        ("other claims".into(), format!("{head}.{other_claims}.{signature}")),
        ("one bit flipped".into(), format!("{head}.{body}.{}", URL_SAFE_NO_PAD.encode(flipped))),
        ("a short signature".into(), format!("{head}.{body}.{}", &signature[..40])),
        ("padded".into(), format!("{head}.{body}.{signature}==")),
        ("standard base64".into(), format!("{head}.{body}.{}", signature.replace(['-', '_'], "+"))),
        ("white space".into(), format!("{head}. {body}.{signature}")),
        ("not JSON".into(), ORG_KEY.sign_text("x", &raw_claims)),
        ("claims not JSON".into(), ORG_KEY.sign_text(&header().to_string(), "x")),
        ("claims an array".into(), ORG_KEY.sign_text(&header().to_string(), "[]")),
        ("a claim twice".into(), ORG_KEY.sign_text(&header().to_string(), &twice)),
        ("HS256 with the public key".into(), hmac(&hs, &claims("t"), &der)),
        ("RS256 with an HMAC".into(), hmac(&header(), &claims("t"), &der)),
        ("another key under this kid".into(), OTHER_KEY.sign(&header(), &claims("t"))),
        ("too long".into(), signed(&header(), &with(claims("t"), "more", json!("x".repeat(13_000))))),
    ]
}

/// Signatures that a careless verifier takes: of another length, number, hash or padding.
fn wrong_signatures() -> Vec<(String, String)> {
    let good = signed(&header(), &claims("t"));
    let (text, encoded) = good.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(encoded).unwrap();
    let bytes = |what: &str, bytes: Vec<u8>| (what.to_owned(), bytes);
    let cases = [
        bytes("zero", vec![0; 256]),
        bytes("one", [vec![0; 255], vec![1]].concat()),
        bytes("above the modulus", vec![0xff; 256]),
        bytes("a zero before it", [vec![0], signature.clone()].concat()),
        bytes("a zero after it", [signature.clone(), vec![0]].concat()),
        bytes("a byte short", signature[..255].to_vec()),
        bytes("twice", signature.repeat(2)),
        bytes("backwards", signature.iter().rev().copied().collect()),
        bytes("SHA-384", ORG_KEY.signature(&RSA_PKCS1_SHA384, text)),
        bytes("SHA-512", ORG_KEY.signature(&RSA_PKCS1_SHA512, text)),
        bytes("PSS", ORG_KEY.signature(&RSA_PSS_SHA256, text)),
        bytes("another key", OTHER_KEY.signature(&RSA_PKCS1_SHA256, text)),
        bytes("of the header alone", ORG_KEY.signature(&RSA_PKCS1_SHA256, text.split_once('.').unwrap().0)),
    ];
    cases.map(|(what, bytes)| (what, format!("{text}.{}", URL_SAFE_NO_PAD.encode(bytes)))).to_vec()
}

#[tokio::test]
async fn promise_30_one_wrong_thing_refuses_a_token() {
    let stack = verifying(|config| config.replay = ReplayRule::Off).await;
    let good = signed(&header(), &claims("t"));
    assert_eq!(status(&stack, &good).await, 200, "the token they are all made from");
    let cases = [wrong_headers(), wrong_claims(), wrong_forms(), wrong_signatures()].concat();
    assert!(cases.len() > 100, "{}", cases.len());
    for (what, token) in cases {
        let answer = status(&stack, &token).await;
        // A context header over its limit is refused before anybody looks at the token.
        let expected: &[u16] = if what == "too long" { &[400, 403] } else { &[403] };
        assert!(expected.contains(&answer), "{what}: {answer}");
    }
    assert_eq!(stack.app.seen().len(), 1);
    assert_eq!(stack.control_plane.asked().len(), 0, "nobody had to be asked");
}

#[tokio::test]
async fn edges_of_time_are_exact() {
    let stack = verifying(|config| config.replay = ReplayRule::Off).await;
    for (key, value, expected) in
        [("exp", NOW - 59, 403), ("exp", NOW + 285, 200), ("iat", NOW + 60, 200), ("nbf", NOW + 60, 200)]
    {
        let token = signed(&header(), &with(claims("t"), key, json!(value)));
        assert_eq!(status(&stack, &token).await, expected, "{key} {value}");
    }
    let just = json!({"iss": INSTANCE_URL, "sub": format!("uid:{USER}"), "aud": APP_UUID, "iat": NOW - 200,
        "nbf": NOW - 200, "exp": NOW - 59, "jti": "t"});
    assert_eq!(status(&stack, &signed(&header(), &just)).await, 200, "59 s over, 60 are allowed");
    let over = with(just, "exp", json!(NOW - 60));
    assert_eq!(status(&stack, &signed(&header(), &over)).await, 403);
}

#[tokio::test]
async fn a_core_policy_takes_any_audience_but_demands_one() {
    let mut core = bundle("v-core");
    core["orgs"][0]["policy"] = json!("core");
    let stack = verifying(|config| config.replay = ReplayRule::Off).await;
    stack.control_plane.serve(Bundle::Is(core));
    let polled = async {
        while stack.control_plane.polls().0 < 2 {
            tokio::task::yield_now().await
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), polled).await.unwrap();
    let unbound = with(claims("t"), "aud", json!(INSTANCE_URL));
    // The answer to the poll may still be on its way in.
    let mut answers = Vec::new();
    for _ in 0..100 {
        answers.push(status(&stack, &signed(&header(), &unbound)).await);
        if answers.last() == Some(&200) {
            break;
        }
    }
    assert_eq!(answers.last(), Some(&200));
    assert_eq!(status(&stack, &signed(&header(), &without(claims("t"), "aud"))).await, 403);
    assert_eq!(status(&stack, &signed(&header(), &with(claims("t"), "aud", json!(7)))).await, 403);
}

#[tokio::test]
async fn both_contexts_must_agree_with_the_token() {
    let stack = verifying(|config| config.replay = ReplayRule::Off).await;
    let good = signed(&header(), &claims("t"));
    let call = |place: &str, value: &str| {
        let mut call = Call::new("r-1");
        call.request_context["auth"] = json!(good);
        *call.client_context.pointer_mut(place).unwrap() = json!(value);
        call
    };
    for (place, value) in [
        ("/orgId", "00DSG00000DGEIr2AP"),
        ("/userContext/userId", "005DS00000yYLD2YAO"),
        ("/requestId", "r-2"),
    ] {
        assert_eq!(stack.call(&call(place, value)).await.status, 403, "{place}");
    }
    let raw = stack.call(&call("/orgDomainUrl", "https://evil.example")).await;
    assert_eq!(raw.status, 200);
    let seen = crate::integration::stack::decode(stack.app.only().header("x-client-context").unwrap());
    assert_eq!(seen["orgDomainUrl"], json!(INSTANCE_URL), "overwritten with the stored one");
}

#[test]
fn the_signer_is_one_the_verifier_can_tell_from_another() {
    let public = |signer: &Signer| signer.public()["n"].clone();
    assert_ne!(public(&ORG_KEY), public(&OTHER_KEY));
}
