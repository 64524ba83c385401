//! Every button of the dashboard in a real browser, on a large and on a narrow screen. Each page on the way is kept as a
//! picture, held against axe-core in light and dark, and must fit its screen.

use std::path::PathBuf;

use applink_testkit::browser::{Asked, Browser, Scheme};
use applink_testkit::dev_stack::{DevStack, STEPS};
use serde_json::{Value, json};

use super::browser::{connect, log_in, sign_in_link};
use super::visitor::{Decision, Person, Visitor};
use super::{APPLINK, http};

const SPEC: &str = include_str!("../../../applink-publish/tests/fixtures/specs/callbacks.yaml");
/// Where nobody listens: what is sent there is tried again later.
const RECEIVER: &str = "http://127.0.0.1:9";
const CLICKS: &str = "/dashboard/data-action-targets";

/// Goes through pages and collects what is wrong with how they look.
pub(super) struct Walk {
    pub(super) browser: Browser,
    width: u32,
    prefix: &'static str,
    faults: Vec<String>,
}

impl Walk {
    pub(super) async fn start(prefix: &'static str, width: u32) -> Self {
        let browser = Browser::start().await;
        browser.screen(width, 900).await;
        Self { browser, width, prefix, faults: Vec::new() }
    }

    /// Looks at the page as it is.
    pub(super) async fn look(&mut self, name: &str) {
        let name = format!("{}-{}-{name}", self.prefix, self.width);
        let overflow = self.browser.overflow().await;
        if overflow > 0 {
            self.faults.push(format!("{name}: {overflow} pixels wider than the screen"));
        }
        self.browser.picture(&name, self.width).await;
        let found = self.browser.axe(Asked::Everything).await;
        self.faults.extend(found.into_iter().map(|one| format!("{name}, light: {one}")));
        self.browser.scheme(Scheme::Dark).await;
        let found = self.browser.axe(Asked::Contrast).await;
        self.faults.extend(found.into_iter().map(|one| format!("{name}, dark: {one}")));
        self.browser.picture(&format!("{name}-dark"), self.width).await;
        self.browser.scheme(Scheme::Light).await;
    }

    pub(super) async fn open(&mut self, url: &str, name: &str) {
        self.browser.open(url).await;
        self.look(name).await;
    }

    /// Nothing was wrong.
    pub(super) fn end(self) {
        assert!(self.faults.is_empty(), "{} faults:\n{}", self.faults.len(), self.faults.join("\n"));
    }
}

/// A key pair, and an org's client that knows it.
struct Key {
    private: String,
    client_id: String,
    username: String,
    file: PathBuf,
}

impl Key {
    async fn make(stack: &DevStack) -> Self {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
        let form = json!({"name": "Dashboard", "public_key_pem": pair.public_key_pem(),
            "admin_approved_profiles": ["System Administrator"]});
        let url = format!("{}/_sim/oauth-clients", stack.text("org_url"));
        let request = http().post(url).header("x-sim-key", stack.text("sim_key")).json(&form);
        let made: Value = request.send().await.unwrap().json().await.unwrap();
        let client_id = made["consumer_key"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
        let (private, file) = (pair.serialize_pem(), stack.state_dir().join("dashboard.key"));
        std::fs::write(&file, &private).unwrap();
        Self { private, client_id, username: stack.user("admin").0, file }
    }
}

/// A stack and somebody who walks through its dashboard.
struct Tour {
    stack: DevStack,
    walk: Walk,
    base: String,
}

impl Tour {
    async fn start(arguments: &[&str], steps: usize, width: u32) -> Self {
        let stack = DevStack::start(APPLINK, arguments).await;
        stack.tour_ended(steps).await;
        let walk = Walk::start("dashboard", width).await;
        walk.browser.open(&sign_in_link(&stack).await).await;
        let base = stack.text("dashboard_url").trim_end_matches("/dashboard").to_owned();
        let mut tour = Self { stack, walk, base };
        tour.walk.look("sign-in").await;
        tour.walk.browser.click("button.main").await;
        tour.walk.browser.wait_for_text("Create Connection").await;
        tour
    }

    fn browser(&self) -> &Browser {
        &self.walk.browser
    }

    async fn go(&self, path: &str) {
        self.browser().open(&format!("{}{path}", self.base)).await;
    }

    async fn see(&mut self, path: &str, name: &str) {
        self.go(path).await;
        self.walk.look(name).await;
    }

    async fn allow(&self, role: &str) {
        let (username, password) = self.stack.user(role);
        self.browser().wait_for("input[name=password], button[value=allow]").await;
        if self.browser().has("input[name=password]").await {
            log_in(self.browser(), &username, &password).await;
        }
        self.browser().click("button[value=allow]").await;
    }

    /// Types a wrong name, which does nothing, and the right one.
    async fn delete(&self, name: &str, summary: &str, wrong: &str, done: &str) {
        let browser = self.browser();
        for (typed, says) in [("something-else", wrong), (name, done)] {
            if !summary.is_empty() {
                browser.press(summary).await;
            }
            browser.type_into("#confirm", typed).await;
            browser.press_css("button.danger").await;
            browser.wait_for_text(says).await;
        }
    }
}

/// By login in the same tab, in place again, and gone when its name is typed.
async fn connections(tour: &mut Tour) {
    tour.walk.look("connections").await;
    tour.see("/dashboard/connections/new", "connection-new").await;
    tour.browser().type_into("#name", "by_hand").await;
    tour.browser().press_css("main form button.main").await;
    tour.allow("integration").await;
    tour.browser().wait_for_text("Delete this connection").await;
    tour.walk.look("connection").await;
    tour.browser().press("Reconnect").await;
    tour.allow("integration").await;
    tour.browser().wait_for_text("Delete this connection").await;
    tour.delete("by_hand", "Delete this connection", "Nothing was deleted", "Deleted").await;
    tour.walk.look("connection-deleted").await;
}

/// By a pasted key, and by one in a file.
async fn by_jwt(tour: &mut Tour) {
    let key = Key::make(&tour.stack).await;
    for (list, name, is_pasted) in [("connections", "jwt_org", true), ("authorizations", "jwt_user", false)] {
        tour.go(&format!("/dashboard/{list}/new")).await;
        let browser = tour.browser();
        browser.type_into("#name", name).await;
        browser.press_css("input[name=method][value=jwt]").await;
        browser.press("For JWT only").await;
        browser.type_into("#client_id", &key.client_id).await;
        browser.type_into("#username", &key.username).await;
        if is_pasted {
            browser.paste_into("#secret_private_key", "no key at all").await;
            browser.press_css("main form button.main").await;
            browser.wait_for("p.problem").await;
            assert_eq!(browser.value_of("#client_id").await, key.client_id, "what was typed is still there");
            assert_eq!(browser.value_of("#secret_private_key").await, "", "but no key");
            browser.paste_into("#secret_private_key", &key.private).await;
        } else {
            browser.choose_file("#key-file", &key.file).await;
            browser.wait_for_value("#secret_private_key", key.private.trim()).await;
        }
        if is_pasted {
            tour.walk.look("connection-jwt").await;
        }
        tour.browser().press_css("main form button.main").await;
        tour.browser().wait_for_text("the org accepted the key").await;
        tour.browser().press("Reconnect").await;
        tour.browser().wait_for_text("the org accepted the key").await;
    }
}

async fn authorizations(tour: &mut Tour) {
    tour.see("/dashboard/authorizations", "authorizations").await;
    tour.see("/dashboard/authorizations/new", "authorization-new").await;
    tour.browser().type_into("#name", "worker").await;
    tour.browser().type_into("#alias", "nightly").await;
    tour.browser().press_css("main form button.main").await;
    tour.allow("integration").await;
    tour.browser().wait_for(".copy > button").await;
    tour.browser().press("Refresh the token now").await;
    tour.browser().wait_for_text("The org gave another token").await;
    tour.browser().press_css(".copy > button").await;
    tour.browser().wait_for_text("Copied").await;
    tour.walk.look("authorization").await;
    tour.delete("worker", "Delete this authorization", "Nothing was deleted", "Deleted").await;
}

/// What waits for a person shows by itself that they came.
async fn what_is_pending_is_live(tour: &mut Tour) {
    let (start, id) = connect(&tour.stack, "pending_org", None).await;
    tour.see(&format!("/dashboard/connections/{id}"), "connection-pending").await;
    assert_eq!(tour.browser().texts("#state .badge").await, ["connecting"]);
    let (username, password) = tour.stack.user("integration");
    let person = Person { username, password: password.into(), decision: Decision::Allow };
    Visitor::new().unwrap().visit(start.parse().unwrap(), &person).await.unwrap();
    tour.browser().wait_for("#state .badge.good").await;
}

async fn publications(tour: &mut Tour) {
    tour.see("/dashboard/publications", "publications").await;
    tour.browser().press("Publish App").await;
    tour.walk.look("publish").await;
    let file = tour.stack.state_dir().join("spec.yaml");
    std::fs::write(&file, SPEC).unwrap();
    tour.browser().type_into("#client_name", "Reports").await;
    tour.browser().choose_file("#file", &file).await;
    tour.browser().wait_for_value("#document", SPEC.trim()).await;
    tour.browser().paste_into("#document", &SPEC.replace("operationId", "operationID")).await;
    tour.browser().press("Check").await;
    tour.browser().wait_for_text("be published yet").await;
    tour.walk.look("publish-findings").await;
    tour.browser().paste_into("#document", SPEC).await;
    tour.browser().press("Check").await;
    tour.browser().wait_for_text("It can be published").await;
    tour.walk.look("publish-preview").await;
    tour.browser().press_css("button[value=publish]").await;
    tour.browser().wait_for_text("History").await;
    tour.browser().wait_until_gone("[hx-trigger]").await;
    tour.walk.look("publication").await;
    again(tour).await;
    tour.delete("Reports", "", "not the client name", "asked to delete").await;
    // Once nothing is left of it, its page leads to the list.
    tour.browser().wait_for("a.button[href='/dashboard/publications/new']").await;
    assert!(!tour.browser().text().await.contains("Reports"));
}

/// With what breaks callers, which takes a tick; then history, difference, download.
async fn again(tour: &mut Tour) {
    tour.browser().press("Publish again").await;
    let renamed = SPEC.replace("jobId: {type: string}", "job: {type: string}");
    tour.browser().paste_into("#document", &renamed).await;
    tour.browser().press_css("button[value=publish]").await;
    tour.browser().wait_for("input[name=allow_breaking]").await;
    tour.walk.look("publish-breaking").await;
    tour.browser().press_css("input[name=allow_breaking]").await;
    tour.browser().press_css("button[value=publish]").await;
    tour.browser().wait_for_text("Compare with").await;
    tour.browser().wait_until_gone("[hx-trigger]").await;
    tour.walk.look("publication-history").await;
    let download =
        tour.browser().script("return document.querySelector(\"a[href*='/versions/']\").href").await;
    assert_eq!(tour.browser().fetch(download.as_str().unwrap()).await.trim(), renamed.trim());
    tour.browser().press("Compare with").await;
    tour.browser().wait_for("tr.added").await;
    tour.walk.look("difference").await;
    tour.browser().press("Reports").await;
}

async fn activity_and_health(tour: &mut Tour) {
    tour.see("/dashboard/activity", "activity").await;
    tour.browser().choose("#action", "Connections").await;
    tour.browser().type_into("#what", "nothing like this").await;
    tour.browser().press("Filter").await;
    tour.browser().wait_for_text("Nothing matches").await;
    tour.walk.look("activity-empty").await;
    tour.browser().press("Show all").await;
    tour.browser().choose("#action", "Connections").await;
    tour.browser().press("Filter").await;
    tour.browser().wait_for_text("connection.connected").await;
    let file = tour.browser().script("return document.querySelector(\"a[href*='.csv']\").href").await;
    let csv = tour.browser().fetch(file.as_str().unwrap()).await;
    assert!(csv.contains("connection.connected") && !csv.contains("publication."), "{csv}");
    tour.see("/dashboard/health", "health").await;
    tour.browser().choose("#window", "hour").await;
    tour.browser().press("Show").await;
    tour.browser().script("for (const one of document.querySelectorAll('details')) one.open = true").await;
    tour.walk.look("health-tables").await;
}

async fn settings(tour: &mut Tour) {
    tour.see("/dashboard/settings", "settings").await;
    tour.browser().type_into("#url", &format!("{RECEIVER}/applink")).await;
    tour.browser().type_into("#events", "connection.*").await;
    tour.browser().type_into("#description", "On call").await;
    tour.browser().press("Add webhook").await;
    tour.browser().wait_for("#secret").await;
    tour.walk.look("webhook-secret").await;
    tour.browser().press("I have kept it").await;
    tour.browser().wait_for_text("Rotate secret").await;
    tour.browser().press("Send a test").await;
    tour.browser().wait_for_text("A test is on its way").await;
    tour.walk.look("webhook").await;
    tour.browser().press_css("input[name=enabled]").await;
    tour.browser().press("Save").await;
    tour.browser().wait_for_text("Saved").await;
    assert_eq!(tour.browser().texts(".bar .badge").await, ["off"]);
    tour.browser().press("Rotate secret").await;
    tour.browser().wait_for_text("only time").await;
    tour.browser().press("I have kept it").await;
    tour.browser().wait_for_text("The former secret signs too").await;
    tour.browser().type_into("#confirm", "delete").await;
    tour.browser().press("Delete webhook").await;
    tour.browser().wait_for_text("No webhook yet").await;
    tokens(tour).await;
    tour.browser().press("Sign out").await;
    tour.browser().wait_for_text("signed out").await;
    tour.walk.look("signed-out").await;
}

/// Made, copied, and void when it is revoked.
async fn tokens(tour: &mut Tour) {
    tour.browser().press("Make token").await;
    tour.browser().wait_for("#secret").await;
    tour.walk.look("token").await;
    tour.browser().press("I have kept it").await;
    tour.browser().wait_for("form[action$='/revoke'] button").await;
    tour.walk.look("settings-tokens").await;
    let before = tour.browser().texts("form[action$='/revoke'] button").await.len();
    tour.browser().press_css("form[action$='/revoke'] button").await;
    tour.browser().wait_for_text("the token counts no more").await;
    assert_eq!(tour.browser().texts("form[action$='/revoke'] button").await.len(), before - 1);
}

async fn everything(width: u32) {
    let mut tour = Tour::start(&["--webhook-origin", RECEIVER], STEPS, width).await;
    connections(&mut tour).await;
    by_jwt(&mut tour).await;
    authorizations(&mut tour).await;
    what_is_pending_is_live(&mut tour).await;
    publications(&mut tour).await;
    activity_and_health(&mut tour).await;
    settings(&mut tour).await;
    tour.walk.end();
}

#[tokio::test]
async fn every_button_on_a_large_screen() {
    everything(1280).await;
}

#[tokio::test]
async fn every_button_on_a_narrow_screen() {
    everything(390).await;
}

#[tokio::test]
async fn data_action_targets_are_made_rotated_and_removed() {
    let mut tour = Tour::start(&["--data-cloud"], 3, 390).await;
    tour.see(CLICKS, "targets").await;
    tour.browser().type_into("#label", "Orders").await;
    tour.browser().type_into("#target_endpoint", "/data-actions").await;
    tour.browser().press("Create target").await;
    tour.browser().wait_for("#target .badge.good").await;
    tour.walk.look("target").await;
    tour.browser().press("Rotate signing key").await;
    tour.browser().wait_for_text("another signing key").await;
    tour.browser().wait_for("#target .badge.good").await;
    tour.delete("Orders", "", "not its API name", "being removed").await;
    tour.walk.browser.screen(1280, 900).await;
    tour.walk.width = 1280;
    tour.see(CLICKS, "targets").await;
    tour.browser().press_css("tbody th a").await;
    tour.walk.look("target").await;
    tour.walk.end();
}

/// The page a picture shows (`>`: the first entry of a list), its name, and the screen it is taken on.
const PICTURES: [(&str, &str, (u32, u32)); 5] = [
    ("/dashboard/connections", "dashboard-connections", (1000, 360)),
    ("/dashboard/authorizations>", "dashboard-authorization", (1000, 1000)),
    ("/dashboard/publications>", "dashboard-publication", (1000, 900)),
    ("/dashboard/health", "dashboard-health", (1000, 1000)),
    ("/dashboard/connections/new", "dashboard-narrow", (500, 900)),
];

/// `cargo test -p applink --test dev pictures -- --ignored` leaves them in `test-output/`.
#[tokio::test]
#[ignore = "takes the pictures for docs/dashboard.md"]
async fn pictures_for_the_docs() {
    let tour = Tour::start(&[], STEPS, 1000).await;
    for (path, name, (width, height)) in PICTURES {
        tour.browser().screen(width, height).await;
        tour.go(path.trim_end_matches('>')).await;
        if path.ends_with('>') {
            tour.browser().press_css("tbody th a").await;
            tour.browser().wait_for("dl").await;
        }
        tour.browser().wait_for("time[data-local], form, svg").await;
        tour.browser().screenshot(name).await;
    }
}
