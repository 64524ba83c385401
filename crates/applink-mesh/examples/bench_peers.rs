//! What stands around the mesh while `cargo xtask bench mesh` measures it.
//!
//! * `bench_peers serve KEY APP_PORT SERVICE_PORT`: an app and a control plane, each on a thread of its own.
//! * `bench_peers sign KEY COUNT FILE`: the headers of COUNT calls, each with a token of its own, one block after
//!   another: four bytes of length, then header lines.

#![expect(clippy::unwrap_used, reason = "a tool of the benchmark that can't go on stops")]

use std::convert::Infallible;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use applink_api::clock::Clock;
use applink_api::entropy::Entropy;
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;

const ORG: &str = "00DSB00000VAyPF2A1";
const USER: &str = "005DS00000yYLD1YAO";
const APP: &str = "8a5c2c11-6f0b-4f3b-9d53-111111111111";
const INSTANCE: &str = "https://acme.my.salesforce.com";
const SMALL: &str =
    r#"{"quote":"Q-000042","currency":"EUR","total":1234.5,"lines":[{"sku":"A-1","quantity":3}]}"#;
const MEBIBYTE: usize = 1024 * 1024;

type Body = UnsyncBoxBody<Bytes, Infallible>;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["serve", key, app, service] => serve(&key_at(key), app.parse().unwrap(), service.parse().unwrap()),
        ["sign", key, count, file] => sign(&key_at(key), count.parse().unwrap(), file),
        _ => std::process::abort(),
    }
}

/// The key in this file, which is made when it is not there.
fn key_at(file: &str) -> RsaKeyPair {
    if !Path::new(file).exists() {
        let made = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: Pkcs8V1Der<'_> = made.as_der().unwrap();
        std::fs::write(file, der.as_ref()).unwrap();
    }
    RsaKeyPair::from_pkcs8(&std::fs::read(file).unwrap()).unwrap()
}

fn serve(key: &RsaKeyPair, app: u16, service: u16) {
    let bundle = Bytes::from(bundle(key).to_string());
    let control_plane = std::thread::spawn(move || {
        listen(service, move |request, _| {
            let bundle = bundle.clone();
            async move {
                let polled = request.uri().path().ends_with("/trust-bundle");
                let _ = request.into_body().collect().await;
                let mut response = Response::new(full(if polled { bundle } else { Bytes::new() }));
                response.headers_mut().insert("etag", "\"v1\"".parse().unwrap());
                response
            }
        });
    });
    listen(app, |request, connections| async move { answer(request, connections).await });
    control_plane.join().unwrap();
}

fn listen<F>(port: u16, answer: impl Fn(Request<Incoming>, u64) -> F + Clone + 'static)
where
    F: Future<Output = Response<Body>> + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let connections = Arc::new(AtomicU64::new(0));
    tokio::task::LocalSet::new().block_on(&runtime, async move {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, 1], port))).unwrap();
        let listener = socket.listen(4096).unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            connections.fetch_add(1, Ordering::Relaxed);
            let (answer, connections) = (answer.clone(), Arc::clone(&connections));
            tokio::task::spawn_local(async move {
                let service = service_fn(move |request| {
                    let answered = answer(request, connections.load(Ordering::Relaxed));
                    async move { Ok::<_, Infallible>(answered.await) }
                });
                let _ = hyper::server::conn::http1::Builder::new()
                    .pipeline_flush(true)
                    .max_buf_size(256 * 1024)
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
}

async fn answer(request: Request<Incoming>, connections: u64) -> Response<Body> {
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/connections") => Response::new(full(connections.to_string())),
        (&Method::GET, "/big") => Response::new(full(vec![b'x'; MEBIBYTE])),
        (&Method::GET, "/gigabyte") => Response::new(gigabyte()),
        _ => {
            let mut body = request.into_body();
            while let Some(Ok(_)) = body.frame().await {}
            let mut response = Response::new(full(SMALL));
            response.headers_mut().insert("content-type", "application/json".parse().unwrap());
            response
        }
    }
}

fn gigabyte() -> Body {
    let piece = Bytes::from(vec![b'x'; 64 * 1024]);
    let pieces = (0..16 * 1024).map(move |_| Ok(Frame::data(piece.clone())));
    StreamBody::new(futures_util::stream::iter(pieces)).boxed_unsync()
}

fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed_unsync()
}

fn bundle(key: &RsaKeyPair) -> serde_json::Value {
    // PKCS #1 of a 2048-bit key: a sequence of the modulus, with its sign byte, and the exponent 65537.
    let der = key.public_key().as_ref();
    let (modulus, exponent) = (&der[9..265], &der[267..270]);
    json!({
        "version": "v1", "issued_at": Clock::system().now(), "app_uuid": APP,
        "orgs": [{"org_id": ORG, "instance_url": INSTANCE, "connection_name": "acme", "state": "connected",
            "policy": "strict", "keys": [{"kid": "bench",
                "n": URL_SAFE_NO_PAD.encode(modulus),
                "e": URL_SAFE_NO_PAD.encode(exponent)}]}],
        "publications": [{"org_id": ORG, "client_name": "Bench"}],
    })
}

fn sign(key: &RsaKeyPair, count: usize, file: &str) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = count.div_ceil(threads);
    let blocks: Vec<Vec<u8>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(move || blocks(key, share))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    let mut output = std::io::BufWriter::new(std::fs::File::create(file).unwrap());
    blocks.iter().for_each(|block| output.write_all(block).unwrap());
    output.flush().unwrap();
}

fn blocks(key: &RsaKeyPair, count: usize) -> Vec<u8> {
    let entropy = Entropy::system();
    let mut blocks = Vec::with_capacity(count * 2_600);
    for _ in 0..count {
        let headers = headers(key, &entropy.uuid().to_string());
        blocks.extend_from_slice(&u32::try_from(headers.len()).unwrap().to_be_bytes());
        blocks.extend_from_slice(headers.as_bytes());
    }
    blocks
}

/// What an org sends, about 2.5 kB.
fn headers(key: &RsaKeyPair, id: &str) -> String {
    let request_context = json!({
        "id": id, "auth": token(key, id), "loginUrl": "https://login.salesforce.com", "orgDomainUrl": INSTANCE,
        "orgId": ORG, "resource": "/services/data/v66.0/actions/custom/apex/Quotes", "type": "apex", "appUuid": APP,
    });
    let client_context = json!({
        "requestId": id, "accessToken": format!("{ORG}!{}", "A".repeat(96)), "apiVersion": "66.0", "namespace": "",
        "orgId": ORG, "orgDomainUrl": INSTANCE,
        "userContext": {"userId": USER, "username": "sales.user@acme.example"},
    });
    format!(
        "Host: quotes.example\r\nUser-Agent: SFDC-Callout/66.0\r\nAccept: application/json\r\nx-request-id: {id}\r\n\
         x-request-context: {}\r\nx-client-context: {}\r\n",
        STANDARD.encode(request_context.to_string()),
        STANDARD.encode(client_context.to_string())
    )
}

fn token(key: &RsaKeyPair, id: &str) -> String {
    let now = Clock::system().now().as_seconds();
    let header = json!({"tnk": format!("core/prod/{ORG}"), "ver": "1.0", "kid": "bench", "tty": "sfdc-core-token",
        "typ": "JWT", "alg": "RS256"});
    let claims = json!({"iss": INSTANCE, "sub": format!("uid:{USER}"), "aud": [INSTANCE, APP], "iat": now, "nbf": now,
        "exp": now + 300, "jti": id, "scp": "api", "mty": "callout", "hsc": false, "roles": []});
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}
