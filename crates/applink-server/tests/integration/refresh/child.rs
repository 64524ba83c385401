//! A control plane in a process of its own: this very test binary, started again.

use std::process::Stdio;
use std::str::FromStr as _;
use std::time::Duration;

use applink_api::clock::Clock;
use applink_api::entropy::Entropy;
use applink_api::time::Timestamp;
use applink_server::Server;
use applink_server::db::DatabaseUrl;
use applink_server::tokens::points::{self, Point, Points};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{ChildStdin, ChildStdout, Command};

use crate::fake_org::FakeOrg;
use crate::stack::{Stack, configured};

/// What a child is told: database, org, time in microseconds, and the number of the point it dies at.
const DATABASE: &str = "APPLINK_CHILD_DATABASE";
const ORG: &str = "APPLINK_CHILD_ORG";
const TIME: &str = "APPLINK_CHILD_TIME";
const DIES_AT: &str = "APPLINK_CHILD_DIES_AT";
/// The test below, by its full name.
const NAME: &str = "refresh::child::serves";
/// Before each line that is meant for the parent.
const MARK: &str = "child: ";

/// A running child.
pub(super) struct Child {
    process: tokio::process::Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    pub(super) url: String,
}

impl Child {
    /// Starts one on the stack's database, at the stack's time, that kills itself at a point when told so.
    pub(super) async fn start(stack: &Stack, dies_at: Option<Point>) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command
            .args([NAME, "--exact", "--ignored", "--nocapture", "--test-threads", "1"])
            .env(DATABASE, stack.backend.text())
            .env(ORG, stack.org.url())
            .env(TIME, stack.clock.now().as_micros().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        if let Some(number) = dies_at.and_then(|point| points::ALL.iter().position(|other| *other == point)) {
            command.env(DIES_AT, number.to_string());
        }
        let mut process = command.spawn().expect("a child");
        let input = process.stdin.take().expect("its input");
        let output = BufReader::new(process.stdout.take().expect("its output")).lines();
        let mut child = Self { process, input, output, url: String::new() };
        child.url = child.told().await;
        child
    }

    /// The next line that is meant for us.
    async fn told(&mut self) -> String {
        loop {
            let line = self.output.next_line().await.expect("a line").expect("the child lives");
            if let Some((_, told)) = line.split_once(MARK) {
                return told.to_owned();
            }
        }
    }

    /// Sets its clock to the stack's.
    pub(super) async fn set_clock(&mut self, stack: &Stack) {
        let line = format!("{}\n", stack.clock.now().as_micros());
        self.input.write_all(line.as_bytes()).await.expect("it listens");
        assert_eq!(self.told().await, "set");
    }

    /// Kills it from outside.
    pub(super) async fn kill(&mut self) {
        self.process.kill().await.expect("it dies");
    }

    /// Waits until it has died of itself.
    pub(super) async fn died(&mut self) {
        self.process.wait().await.expect("an end");
    }
}

#[expect(clippy::disallowed_methods, reason = "how a child learns what it is")]
fn told(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn dying(number: &str) -> Points {
    let deadly = points::ALL[number.parse::<usize>().expect("a number")];
    Points::hook(move |point, _| {
        Box::pin(async move {
            if point == deadly {
                kill(Pid::this(), Signal::SIGKILL).expect("a signal");
                std::future::pending::<()>().await;
            }
        })
    })
}

/// What a child does. Nothing, when a person runs the ignored tests.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a process that other tests start"]
async fn serves() {
    let (Some(database), Some(org), Some(time)) = (told(DATABASE), told(ORG), told(TIME)) else { return };
    let micros = |text: &str| Timestamp::from_micros(text.parse().expect("a time"));
    let (clock, hand) = Clock::mock(micros(&time));
    let mut config = configured(DatabaseUrl::from_str(&database).expect("a database"), &org, clock);
    config.entropy = Entropy::system();
    if let Some(number) = told(DIES_AT) {
        config.points = dying(&number);
    }
    let server = Server::start(config).await.expect("a server");
    println!("{MARK}{}", server.url());
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    // The parent's end is the end of its words.
    while let Some(line) = lines.next_line().await.expect("a line") {
        hand.set(micros(&line));
        println!("{MARK}set");
    }
    // Not waited for: the parent is gone, or has what it wants.
    let _ = tokio::time::timeout(Duration::from_secs(5), server.stop()).await;
}

/// The stack's org, for a look at what it was asked.
pub(super) fn replays(org: &FakeOrg) -> (u32, u32) {
    let script = org.script();
    (script.harmful_replays, script.late_replays)
}
