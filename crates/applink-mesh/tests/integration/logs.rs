//! What the log of the real binary says, and never says, at its most talkative level.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};

use crate::integration::app::App;
use crate::integration::control_plane::{ControlPlane, Says};
use crate::integration::process::{Ports, borrowed, mesh};
use crate::integration::raw::send;
use crate::integration::stack::{Call, ORG, ORG_JWT, SESSION, TOKEN, USER, encode, verdict};

#[tokio::test]
async fn calls_leave_one_line_each_and_no_secret() {
    let app = App::start().await;
    let control_plane = ControlPlane::start(Says::Yes(verdict())).await;
    let ports = Ports::reserve();
    let variables = [
        ("PORT", ports.public.to_string()),
        ("APP_PORT", app.address.port().to_string()),
        ("HEROKU_APPLINK_API_URL", control_plane.url()),
        ("HEROKU_APPLINK_TOKEN", TOKEN.to_owned()),
        ("APPLINK_MESH_SECRET", "mesh-secret-canary".to_owned()),
        ("GO_LOG", "trace".to_owned()),
    ];
    let folder = tempfile::tempdir().unwrap();
    let mut process = mesh(folder.path(), &borrowed(&variables), &[]).spawn().unwrap();
    let mut log = BufReader::new(process.stderr.take().unwrap());
    let mut first = String::new();
    while !first.contains("listening") {
        assert!(log.read_line(&mut first).await.unwrap() > 0, "{first}");
    }
    let address = ([127, 0, 0, 1], ports.public).into();
    let answers = [
        (Says::Yes(verdict()), 200),
        (Says::Status(403, "control-plane-canary"), 403),
        (Says::Status(500, "control-plane-canary"), 503),
        (Says::Nothing, 503),
    ];
    for (number, (says, status)) in answers.into_iter().enumerate() {
        control_plane.say(says);
        let call = Call::new(&format!("r-{number}"));
        let answer = send(address, "POST /api/act?key=query-canary", &call.lines(), b"body-canary").await;
        assert_eq!(answer.status, status);
    }
    let signed = ["x-signature: signature-canary".to_owned(), "x-request-id: r-4".to_owned()];
    send(address, "POST /hooks", &signed, b"body-canary").await;
    kill(Pid::from_raw(i32::try_from(process.id().unwrap()).unwrap()), Signal::SIGTERM).unwrap();
    let mut rest = String::new();
    log.read_to_string(&mut rest).await.unwrap();
    assert_eq!(process.wait().await.unwrap().code(), Some(0));
    let context = encode(&Call::new("r-0").request_context);
    for secret in ["canary", ORG_JWT, SESSION, TOKEN, &context] {
        assert!(!rest.contains(secret) && !first.contains(secret), "{secret} in {rest}");
    }
    let access: Vec<&str> = rest.lines().filter(|line| line.contains("applink_mesh::access")).collect();
    assert_eq!(access.len(), 5, "{rest}");
    for part in ["path=\"/api/act\"", "verdict=\"verified\"", "request_id=\"r-0\"", ORG, USER, "app_us="] {
        assert!(access[0].contains(part), "{part} not in {}", access[0]);
    }
}
