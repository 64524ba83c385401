//! `--tls`: the stock Heroku CLI's names lead here, trusted through the folder's own authority, and nothing else does.

use std::os::unix::fs::PermissionsExt as _;

use applink_testkit::dev_stack::DevStack;
use reqwest::{Certificate, Proxy};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{APPLINK, http};

fn tls_fact(stack: &DevStack, name: &str) -> String {
    stack.summary["tls"][name].as_str().unwrap_or_else(|| panic!("no {name}")).to_owned()
}

/// A client that trusts the folder's authority, and only it.
fn trusting(stack: &DevStack) -> reqwest::ClientBuilder {
    let pem = std::fs::read(tls_fact(stack, "ca_file")).unwrap();
    reqwest::Client::builder().no_proxy().tls_certs_only([Certificate::from_pem(&pem).unwrap()])
}

/// The same through the proxy, as the CLI's environment has it.
fn led(stack: &DevStack) -> reqwest::Client {
    trusting(stack).proxy(Proxy::https(tls_fact(stack, "proxy_url")).unwrap()).build().unwrap()
}

#[tokio::test]
async fn both_apis_answer_under_the_names_the_stock_cli_uses() {
    let stack = DevStack::start(APPLINK, &["--tls"]).await;
    let client = led(&stack);
    for host in ["api.heroku.com", "particleboard.heroku.com"] {
        let request =
            client.get(format!("https://{host}/account")).bearer_auth(stack.text("platform_api_key"));
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{host}");
        let account: Value = answer.json().await.unwrap();
        assert_eq!(account["email"], "developer@localhost");
    }
    // The plugin takes the host of the app's config var, and neither its scheme nor its port.
    let vars = format!("https://api.heroku.com/apps/{}/config-vars", stack.text("app_name"));
    let vars = client.get(vars).bearer_auth(stack.text("platform_api_key")).send().await.unwrap();
    let vars: Value = vars.json().await.unwrap();
    let api = reqwest::Url::parse(vars["HEROKU_APPLINK_API_URL"].as_str().unwrap()).unwrap();
    let url = format!("https://{}{}/connections", api.host_str().unwrap(), api.path());
    let connections = client.get(url).bearer_auth(stack.text("applink_token")).send().await.unwrap();
    assert_eq!(connections.status(), 200);
}

#[tokio::test]
async fn the_proxy_leads_nowhere_else() {
    let stack = DevStack::start(APPLINK, &["--tls"]).await;
    let elsewhere = led(&stack).get("https://example.com/").send().await;
    assert!(elsewhere.unwrap_err().is_connect());
    let proxy = tls_fact(&stack, "proxy_url");
    let org = stack.text("org_url").strip_prefix("http://").unwrap();
    for target in ["example.com:443", "backboard.heroku.com:443", "api.heroku.com:80", org] {
        let mut connection = TcpStream::connect(proxy.strip_prefix("http://").unwrap()).await.unwrap();
        let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{target}: {answer}");
        assert!(answer.contains("api.heroku.com"), "it says what it knows: {answer}");
    }
    // A browser that is led here by mistake.
    assert_eq!(http().get(&proxy).send().await.unwrap().status(), 403);
}

#[tokio::test]
async fn the_certificate_is_trusted_through_the_authority_and_for_no_other_name() {
    let stack = DevStack::start(APPLINK, &["--tls"]).await;
    let url = format!("{}/health", tls_fact(&stack, "url"));
    assert_eq!(trusting(&stack).build().unwrap().get(&url).send().await.unwrap().status(), 200);
    let untrusting = http().get(&url).send().await.unwrap_err();
    assert!(untrusting.is_connect(), "{untrusting}");
    let address = tls_fact(&stack, "url").strip_prefix("https://").unwrap().parse().unwrap();
    let client = trusting(&stack).resolve("example.com", address).build().unwrap();
    let other = client.get(format!("https://example.com:{}/health", address.port())).send().await;
    assert!(other.unwrap_err().is_connect());
}

#[tokio::test]
async fn the_guards_hold_behind_tls() {
    let stack = DevStack::start(APPLINK, &["--tls"]).await;
    let url = format!("{}/account", tls_fact(&stack, "url"));
    let client = trusting(&stack).build().unwrap();
    let ask = async |name: &str, value: &str| {
        let request = client.get(&url).bearer_auth(stack.text("platform_api_key")).header(name, value);
        request.send().await.unwrap().status()
    };
    assert_eq!(ask("host", "api.heroku.com").await, 200);
    assert_eq!(ask("host", "evil.example").await, 421);
    assert_eq!(ask("host", "backboard.heroku.com").await, 421);
    assert_eq!(ask("origin", "https://evil.example").await, 403);
    let without = DevStack::start(APPLINK, &[]).await;
    let plain = http().get(format!("{}/account", without.text("platform_api_url")));
    let plain = plain.bearer_auth(without.text("platform_api_key")).header("host", "api.heroku.com");
    assert_eq!(plain.send().await.unwrap().status(), 421, "only --tls answers to Heroku's names");
    assert!(without.summary["tls"].is_null() && !without.state_dir().join("heroku.env").exists());
}

#[tokio::test]
async fn the_lines_for_the_cli_are_in_a_private_file_of_their_own() {
    let stack = DevStack::start(APPLINK, &["--tls"]).await;
    let file = tls_fact(&stack, "env_file");
    let env = std::fs::read_to_string(&file).unwrap();
    let (proxy, ca) = (tls_fact(&stack, "proxy_url"), tls_fact(&stack, "ca_file"));
    for line in [
        "unset HEROKU_HOST".to_owned(),
        format!("export HTTPS_PROXY='{proxy}'"),
        format!("export NODE_EXTRA_CA_CERTS='{ca}'"),
        format!("export SSL_CERT_FILE='{ca}'"),
        format!("export HEROKU_API_KEY='{}'", stack.text("platform_api_key")),
    ] {
        assert!(env.lines().any(|found| found == line), "{line}\n{env}");
    }
    assert!(std::path::Path::new(&ca).is_absolute());
    for private in applink_testkit::leaks::files_below(&stack.state_dir()) {
        let mode = std::fs::metadata(&private).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", private.display());
    }
    assert!(env.contains("export APPLINK_OPERATOR_KEY='"), "apps get their address with it");
    // The app's own environment must not go through a proxy that leads nowhere.
    assert!(!std::fs::read_to_string(stack.text("env_file")).unwrap().contains("HTTPS_PROXY"));
}

#[tokio::test]
async fn port_443_is_used_when_it_is_asked_for_or_its_refusal_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = applink_testkit::dev_stack::command(APPLINK, folder.path());
    let output = command.args(["--once", "--json", "--bind-443"]).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(summary["tls"]["url"], "https://127.0.0.1");
        assert!(summary["tls"]["proxy_url"].is_null());
        let env = std::fs::read_to_string(summary["tls"]["env_file"].as_str().unwrap()).unwrap();
        for wanted in ["export HEROKU_HOST='https://127.0.0.1'", "unset HTTPS_PROXY https_proxy"] {
            assert!(env.lines().any(|line| line == wanted), "{env}");
        }
    } else {
        assert!(said.contains("port 443 of the TLS door can't be listened on"), "{said}");
        assert!(said.contains("--tls alone needs neither"), "{said}");
    }
}
