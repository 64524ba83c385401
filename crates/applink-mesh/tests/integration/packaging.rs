//! The buildpack, and the official samples' Procfile lines, run as a dyno would run them.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use applink_mesh::config::{Listen, MeshConfig, Sources, VARIABLES};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::integration::process::Ports;
use crate::integration::raw::send;

fn buildpack(script: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/heroku-buildpack/bin").join(script)
}

fn app_with_procfile(line: &str) -> tempfile::TempDir {
    let app = tempfile::tempdir().unwrap();
    std::fs::write(app.path().join("Procfile"), line).unwrap();
    app
}

fn compile(app: &Path, env: &Path) -> Output {
    Command::new(buildpack("compile")).arg(app).arg(app).arg(env).output().unwrap()
}

/// The binary of this build, where the buildpack looks for it.
fn vendor(app: &Path) {
    std::fs::create_dir_all(app.join("vendor")).unwrap();
    std::fs::copy(env!("CARGO_BIN_EXE_applink-mesh"), app.join("vendor/applink-mesh")).unwrap();
}

#[test]
fn the_buildpack_detects_apps_that_name_the_mesh() {
    for (line, found) in [
        ("web: APP_PORT=3000 heroku-applink-service-mesh npm start", true),
        ("web: heroku-integration-service-mesh npm start", true),
        ("web: applink-mesh npm start", true),
        ("web: npm start", false),
    ] {
        let app = app_with_procfile(line);
        let status = Command::new(buildpack("detect")).arg(app.path()).output().unwrap().status;
        assert_eq!(status.success(), found, "{line}");
    }
}

#[test]
fn the_buildpack_takes_nothing_it_does_not_know() {
    let app = app_with_procfile("web: applink-mesh npm start");
    let env = tempfile::tempdir().unwrap();
    let nothing = compile(app.path(), env.path());
    assert!(!nothing.status.success());
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("set APPLINK_MESH_URL"));
    for (url, says) in
        [("http://example.com/mesh", "https://"), ("https://example.com/mesh", "APPLINK_MESH_SHA256")]
    {
        std::fs::write(env.path().join("APPLINK_MESH_URL"), url).unwrap();
        let refused = compile(app.path(), env.path());
        assert!(!refused.status.success());
        assert!(String::from_utf8_lossy(&refused.stderr).contains(says), "{url}");
    }
    std::fs::remove_file(env.path().join("APPLINK_MESH_URL")).unwrap();
    vendor(app.path());
    std::fs::write(env.path().join("APPLINK_MESH_SHA256"), "0".repeat(64)).unwrap();
    assert!(!compile(app.path(), env.path()).status.success());
}

#[test]
fn the_sidecar_example_is_yaml_and_configures_a_mesh() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/kubernetes/sidecar.yaml");
    let text = std::fs::read_to_string(file).unwrap();
    let documents: Vec<Value> =
        text.split("\n---\n").map(|document| serde_saphyr::from_str(document).unwrap()).collect();
    let kinds: Vec<_> = documents.iter().map(|document| document["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["Secret", "Deployment", "Service"]);
    let pod = &documents[1]["spec"]["template"]["spec"];
    let mesh = pod["containers"].as_array().unwrap().iter().find(|one| one["name"] == "mesh").unwrap();
    let secret = documents[0]["stringData"].as_object().unwrap().clone();
    let own = mesh["env"].as_array().unwrap().iter();
    let own = own.map(|one| (one["name"].as_str().unwrap().to_owned(), one["value"].clone()));
    let variables: BTreeMap<String, Value> = secret.into_iter().chain(own).collect();
    for name in variables.keys() {
        assert!(VARIABLES.iter().any(|(known, _)| known == name), "{name} is no variable of the mesh");
    }
    let environment = |name: &str| variables.get(name).map(|value| value.as_str().unwrap().to_owned());
    let sources = Sources { port: None, command: Vec::new(), environment: &environment, yaml: None };
    let config = MeshConfig::resolve(sources).unwrap();
    let port = &mesh["ports"][0];
    assert_eq!(
        config.listen,
        Listen::Everywhere(u16::try_from(port["containerPort"].as_u64().unwrap()).unwrap())
    );
    assert_eq!(mesh["readinessProbe"]["httpGet"]["port"], port["name"]);
    assert_eq!(documents[2]["spec"]["ports"][0]["targetPort"], port["name"]);
    let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
    assert!(grace > (config.limits.grace + config.limits.drain + config.limits.child_stop).as_secs());
}

/// The image itself is built where there is a builder of images; here every step of its recipe is held against what it
/// relies on.
#[test]
fn the_image_is_a_static_binary_that_runs_as_nobody() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let recipe = std::fs::read_to_string(root.join("packaging/container/Dockerfile")).unwrap();
    let recipe = recipe.replace("\\\n", " ");
    let steps: Vec<Vec<&str>> = recipe
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split_whitespace().collect())
        .collect();
    let last = steps.iter().rposition(|step| step[0] == "FROM").unwrap();
    assert_eq!(steps[last], ["FROM", "scratch"], "nothing else in it");

    let made = steps[..last].iter().find(|step| step.contains(&"cargo")).unwrap();
    let options = |name: &str| {
        let values = made.windows(2).filter(|pair| pair[0] == name).map(|pair| pair[1].to_owned());
        values.collect::<Vec<_>>()
    };
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    assert!(manifest.contains(&format!("[profile.{}]", options("--profile")[0])));
    assert_eq!(options("--package"), ["applink-mesh"]);
    assert_eq!(options("--bin"), ["applink-mesh"]);
    assert!(made.join(" ").contains("--target \"$(uname -m)-unknown-linux-musl\""), "static");
    let own = std::fs::read_to_string(root.join("crates/applink-mesh/Cargo.toml")).unwrap();
    assert!(options("--features").iter().all(|feature| own.contains(&format!("\n{feature} = ["))));

    let image = &steps[last + 1..];
    let copied: Vec<&str> = image.iter().filter(|step| step[0] == "COPY").map(|step| step[3]).collect();
    let binaries = ["/usr/bin/applink-mesh", "/usr/bin/heroku-applink-service-mesh"];
    assert_eq!(copied, ["/etc/ssl/certs/ca-certificates.crt", binaries[0], binaries[1]]);
    let only = |name: &str| -> Vec<String> {
        image.iter().filter(|step| step[0] == name).map(|step| step[1..].join(" ")).collect()
    };
    let user = only("USER").remove(0);
    assert!(
        user.split(':').all(|id| id.parse::<u32>().is_ok_and(|id| id > 0)),
        "{user}: a name means nothing"
    );
    assert_eq!(only("ENTRYPOINT"), [format!("[\"{}\"]", binaries[0])]);
    let environment = |name: &str| match name {
        "HEROKU_APPLINK_API_URL" => Some("https://applink.example/addons/a".to_owned()),
        "HEROKU_APPLINK_TOKEN" => Some("token".to_owned()),
        _ => None,
    };
    let sources = Sources { port: None, command: Vec::new(), environment: &environment, yaml: None };
    let Listen::Everywhere(port) = MeshConfig::resolve(sources).unwrap().listen else { panic!("reachable") };
    assert_eq!(only("EXPOSE"), [port.to_string()]);
}

/// What stands for `npm`, `java` and `uvicorn`: an app that listens where the sample would.
const APP: &str = r#"#!/usr/bin/env python3
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"the app")
    def log_message(self, *args): pass
http.server.HTTPServer(("127.0.0.1", int(os.environ["APP_PORT"])), Handler).serve_forever()
"#;

#[tokio::test]
async fn the_official_procfile_lines_run_as_they_are() {
    for line in [
        "env APP_PORT=$APP_PORT heroku-applink-service-mesh npm start",
        "heroku-applink-service-mesh npm start",
        "heroku-applink-service-mesh-latest-amd64 npm start",
        "heroku-applink-service-mesh -- java -jar target/app.jar",
        "heroku-applink-service-mesh --port $PORT -- uvicorn app:app --host 127.0.0.1 --port $APP_PORT",
        "heroku-integration-service-mesh npm start",
    ] {
        let ports = Ports::reserve();
        let app = app_with_procfile(&format!("web: {line}"));
        vendor(app.path());
        let compiled = compile(app.path(), app.path());
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
        assert!(String::from_utf8_lossy(&compiled.stdout).contains("applink-mesh v"));
        let bin = app.path().join(".applink/bin");
        for name in ["npm", "java", "uvicorn"] {
            std::fs::write(bin.join(name), APP).unwrap();
            std::fs::set_permissions(bin.join(name), PermissionsExt::from_mode(0o755)).unwrap();
        }
        // A dyno sources .profile.d with HOME at the app, then runs the line with a shell.
        let script = format!(". .profile.d/applink-mesh.sh; exec {line}");
        let mut process = tokio::process::Command::new("sh")
            .args(["-c", &script])
            .current_dir(app.path())
            .env("HOME", app.path())
            .env("PORT", ports.public.to_string())
            .env("APP_PORT", ports.app.to_string())
            .env("DYNO", "web.1")
            .env("HEROKU_APPLINK_API_URL", "http://127.0.0.1:9/addons/a1")
            .env("HEROKU_APPLINK_TOKEN", "token")
            .env("HEROKU_APPLINK_SERVICE_MESH_BYPASS_ALL_ROUTES", "true")
            .env("APPLINK_MESH_METRICS", "off")
            .stderr(std::process::Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let address = ([127, 0, 0, 1], ports.public).into();
        let served = async {
            loop {
                if tokio::net::TcpStream::connect(address).await.is_ok() {
                    let raw = send(address, "GET /x", &[], b"").await;
                    if raw.status == 200 {
                        return raw.text();
                    }
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        let text = tokio::time::timeout(std::time::Duration::from_secs(60), served).await;
        assert_eq!(text.as_deref(), Ok("the app"), "{line}");
        kill(Pid::from_raw(i32::try_from(process.id().unwrap()).unwrap()), Signal::SIGTERM).unwrap();
        process.wait().await.unwrap();
    }
}
