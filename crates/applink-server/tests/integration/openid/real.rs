//! The package `oidc-provider`, and a browser that goes through its pages.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use reqwest::header::SET_COOKIE;
use serde_json::Value;
use url::Url;

use crate::stack::{Answer, Stack};

const HOME: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../conformance/openid");

/// Where a person's claims are to be found.
#[derive(Clone, Copy, Debug)]
pub(super) enum Claims {
    InToken,
    AtUserinfo,
}

/// The provider; dropping it ends it.
pub(super) struct Provider {
    pub(super) issuer: String,
    server: Child,
    /// What it goes on to say; without a reader it would end.
    _said: Lines<BufReader<ChildStdout>>,
}

impl Provider {
    pub(super) async fn start(claims: Claims) -> Self {
        assert!(
            Path::new(HOME).join("node_modules").is_dir(),
            "the OpenID provider is not installed: `cargo xtask test openid` does"
        );
        let node = std::env::var_os("APPLINK_TEST_NODE").unwrap_or_else(|| "node".into());
        let claims = match claims {
            Claims::InToken => "token",
            Claims::AtUserinfo => "userinfo",
        };
        tokio::task::spawn_blocking(move || {
            let mut node = Command::new(node);
            node.args(["provider.mjs", claims])
                .current_dir(HOME)
                .stdout(Stdio::piped())
                .stderr(Stdio::null());
            let mut server = node.spawn().expect("node starts");
            let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
            let said =
                lines.by_ref().map(Result::unwrap).find(|line| line.starts_with('{')).expect("its address");
            let said: Value = serde_json::from_str(&said).unwrap();
            Self { issuer: said["issuer"].as_str().unwrap().to_owned(), server, _said: lines }
        })
        .await
        .unwrap()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Cookies of this machine. (To browsers, ports are one host.)
#[derive(Default)]
pub(super) struct Browser(BTreeMap<String, String>);

impl Browser {
    pub(super) fn cookies(&self) -> String {
        self.0.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    pub(super) fn keep(&mut self, answer: &Answer) {
        for set in answer.headers.get_all(SET_COOKIE) {
            let pair = set.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if value.is_empty() {
                self.0.remove(name);
            } else {
                self.0.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    pub(super) async fn get(&mut self, stack: &Stack, url: &str) -> Answer {
        let answer = stack.browse(url, Some(&self.cookies())).await;
        self.keep(&answer);
        answer
    }

    async fn submit(&mut self, stack: &Stack, url: &str, form: &[(&str, &str)]) -> Answer {
        let answer = stack.submit(url, Some(&self.cookies()), form).await;
        self.keep(&answer);
        answer
    }

    /// From the start to the end of the sign-in.
    pub(super) async fn sign_in(&mut self, stack: &Stack, path: &str, person: &str) -> Answer {
        let callback = self.go_through(stack, path, person).await;
        self.get(stack, &callback).await
    }

    /// Up to where the provider sends the browser back.
    pub(super) async fn go_through(&mut self, stack: &Stack, path: &str, person: &str) -> String {
        let start = self.get(stack, &format!("{}{path}", stack.server.url())).await.expect(303);
        let mut url = Url::parse(start.location()).unwrap();
        let asked: BTreeMap<_, _> = url.query_pairs().into_owned().collect();
        assert_eq!(
            (asked["code_challenge_method"].as_str(), asked["response_type"].as_str()),
            ("S256", "code")
        );
        assert!(asked["state"].len() == 43 && asked["nonce"].len() == 43 && asked["state"] != asked["nonce"]);
        for _ in 0..12 {
            let page = self.get(stack, url.as_str()).await;
            let next = match page.status.as_u16() {
                200 => {
                    // Logging in, then consenting.
                    let prompt = page.text.split("name=\"prompt\" value=\"").nth(1).expect("a prompt");
                    let prompt = prompt.split('"').next().unwrap();
                    let form = [("prompt", prompt), ("login", person), ("password", "any")];
                    self.submit(stack, url.as_str(), &form).await
                }
                _ => page,
            };
            url = url.join(next.expect(303).location()).unwrap();
            if url.path() == "/sso/openid/callback" {
                return url.into();
            }
        }
        panic!("the provider sends the browser round and round: {url}");
    }

    /// Presses *Cancel* at the provider.
    pub(super) async fn decline(&mut self, stack: &Stack) -> Answer {
        let start = self.get(stack, &format!("{}/sso/openid", stack.server.url())).await.expect(303);
        let mut url = Url::parse(start.location()).unwrap();
        url = url.join(self.get(stack, url.as_str()).await.expect(303).location()).unwrap();
        url.set_path(&format!("{}/abort", url.path()));
        url = url.join(self.get(stack, url.as_str()).await.expect(303).location()).unwrap();
        url = url.join(self.get(stack, url.as_str()).await.expect(303).location()).unwrap();
        assert!(url.query().unwrap().contains("error=access_denied"), "{url}");
        self.get(stack, url.as_str()).await
    }
}
