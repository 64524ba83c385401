//! How a page looks: to people with a large or a narrow screen, in light and dark, and to axe-core, which knows what stands
//! in the way of those who do not see it.

use std::path::{Path, PathBuf};

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Locator, elements::Element};
use serde_json::{Value, json};

use super::Browser;

/// Light or dark, as the person's system has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

/// What of a page axe-core is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Every rule it has.
    Everything,
    /// Whether text can be told from its ground: all that differs between light and dark.
    Contrast,
}

/// What Chromium understands beyond WebDriver.
#[derive(Debug)]
struct DevTools {
    command: &'static str,
    parameters: Value,
}

impl WebDriverCompatibleCommand for DevTools {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _url: &url::Url) -> (http::Method, Option<String>) {
        let body = json!({"cmd": self.command, "params": self.parameters});
        (http::Method::POST, Some(body.to_string()))
    }
}

impl Browser {
    async fn devtools(&self, command: &'static str, parameters: Value) {
        let sent = self.client().issue_cmd(DevTools { command, parameters }).await;
        sent.unwrap_or_else(|error| panic!("{command}: {error}"));
    }

    /// A screen of this size, in CSS pixels: a window can't be made as narrow as a telephone.
    ///
    /// # Panics
    /// When the browser is gone.
    pub async fn screen(&self, width: u32, height: u32) {
        let parameters = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", parameters).await;
    }

    /// Has pages believe that the person's system is light or dark.
    ///
    /// # Panics
    /// When the browser is gone.
    pub async fn scheme(&self, scheme: Scheme) {
        let value = if scheme == Scheme::Dark { "dark" } else { "light" };
        let features = json!([{"name": "prefers-color-scheme", "value": value}]);
        self.devtools("Emulation.setEmulatedMedia", json!({"features": features})).await;
    }

    /// A picture of the whole page, `width` wide, however long it is; kept as [`Self::screenshot`] does.
    ///
    /// # Panics
    /// When the picture can't be taken.
    pub async fn picture(&self, name: &str, width: u32) {
        let height = self.script("return document.documentElement.scrollHeight").await;
        let height = u32::try_from(height.as_u64().unwrap_or(900)).unwrap_or(900);
        self.screen(width, height.clamp(400, 6_000)).await;
        self.screenshot(name).await;
        self.screen(width, 900).await;
    }

    /// How many pixels of the page are beyond the right edge of the screen.
    ///
    /// # Panics
    /// When the browser is gone.
    pub async fn overflow(&self) -> i64 {
        let script = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        self.script(script).await.as_i64().unwrap_or_default()
    }

    /// What axe-core finds serious or critical, one line each.
    ///
    /// # Panics
    /// When axe-core is not installed, or does not run.
    pub async fn axe(&self, asked: Asked) -> Vec<String> {
        if self.script("return typeof window.axe").await == json!("undefined") {
            self.script(&axe_core()).await;
        }
        let rules = match asked {
            Asked::Everything => json!({"resultTypes": ["violations"]}),
            Asked::Contrast => json!({"resultTypes": ["violations"], "runOnly": ["color-contrast"]}),
        };
        let script = "const [options, done] = arguments; axe.run(document, options).then(done, (e) => done({failed: String(e)}));";
        let found = self.client().execute_async(script, vec![rules]).await.expect("axe-core runs");
        assert!(found["failed"].is_null(), "axe-core: {}", found["failed"]);
        let violations = found["violations"].as_array().expect("violations").iter();
        violations.filter(|one| one["impact"] == "serious" || one["impact"] == "critical").map(told).collect()
    }

    /// What a script answers.
    ///
    /// # Panics
    /// When it fails.
    pub async fn script(&self, script: &str) -> Value {
        self.client().execute(script, Vec::new()).await.expect("the script runs")
    }

    /// Puts a long text into a field at once, as pasting it does.
    ///
    /// # Panics
    /// When there is no such field.
    pub async fn paste_into(&self, css: &str, text: &str) {
        let script = "const field = document.querySelector(arguments[0]); field.value = arguments[1]; \
                      field.dispatchEvent(new Event('input', {bubbles: true})); \
                      field.dispatchEvent(new Event('change', {bubbles: true}));";
        self.find(css).await;
        let pasted = self.client().execute(script, vec![json!(css), json!(text)]).await;
        pasted.unwrap_or_else(|error| panic!("`{css}`: {error}"));
    }

    /// Chooses a file.
    ///
    /// # Panics
    /// When there is no such field.
    pub async fn choose_file(&self, css: &str, file: &Path) {
        let path = file.to_str().expect("a path in UTF-8");
        self.find(css).await.send_keys(path).await.expect("the file can be chosen");
    }

    /// Chooses what a drop-down calls `label`.
    ///
    /// # Panics
    /// When there is no such choice.
    pub async fn choose(&self, css: &str, label: &str) {
        let chosen = self.find(css).await.select_by_label(label).await;
        chosen.unwrap_or_else(|error| panic!("`{css}` has no `{label}`: {error}"));
    }

    /// Clicks the link or button with this text.
    ///
    /// # Panics
    /// When there is none.
    pub async fn press(&self, text: &str) {
        let path = format!(
            "//*[self::a or self::button or self::summary][contains(normalize-space(.), \"{text}\")]"
        );
        let pressed = self.client().wait().for_element(Locator::XPath(&path)).await;
        let element = pressed.unwrap_or_else(|error| panic!("nothing says `{text}`: {error}"));
        self.bring_up(&element).await;
        element.click().await.unwrap_or_else(|error| panic!("`{text}` can't be pressed: {error}"));
    }

    /// Clicks the element `css` selects, wherever on the page it is.
    ///
    /// # Panics
    /// When there is none.
    pub async fn press_css(&self, css: &str) {
        let element = self.find(css).await;
        self.bring_up(&element).await;
        element.click().await.unwrap_or_else(|error| panic!("`{css}` can't be pressed: {error}"));
    }

    /// Waits until a field has this value, but for white space around it.
    ///
    /// # Panics
    /// When it never has.
    pub async fn wait_for_value(&self, css: &str, value: &str) {
        let script = "const [css, value, done] = arguments; const look = () => \
                      document.querySelector(css)?.value.trim() === value ? done(true) : setTimeout(look, 20); look();";
        let arrived = self.client().execute_async(script, vec![json!(css), json!(value)]).await;
        arrived.unwrap_or_else(|error| panic!("`{css}` never has the value: {error}"));
    }

    /// Waits until nothing on the page matches `css` any more.
    ///
    /// # Panics
    /// When something always does.
    pub async fn wait_until_gone(&self, css: &str) {
        let script = "const [css, done] = arguments; const look = () => \
                      document.querySelector(css) === null ? done(true) : setTimeout(look, 20); look();";
        let gone = self.client().execute_async(script, vec![json!(css)]).await;
        gone.unwrap_or_else(|error| panic!("`{css}` stays on the page: {error}"));
    }

    /// Scrolls without the animation that a click would miss.
    async fn bring_up(&self, element: &Element) {
        let element = serde_json::to_value(element.clone()).expect("an element");
        let script = "arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})";
        self.client().execute(script, vec![element]).await.expect("the page scrolls");
    }

    /// The value of a field.
    ///
    /// # Panics
    /// When there is no such field.
    pub async fn value_of(&self, css: &str) -> String {
        self.find(css).await.prop("value").await.expect("a value").unwrap_or_default()
    }

    /// Waits until `css` selects something.
    ///
    /// # Panics
    /// When it never does.
    pub async fn wait_for(&self, css: &str) {
        self.find(css).await;
    }

    /// What is at an address, asked for as the page's own script would.
    ///
    /// # Panics
    /// When it can't be had.
    pub async fn fetch(&self, path: &str) -> String {
        let script = "const [path, done] = arguments; fetch(path).then((answer) => answer.text()).then(done, (e) => done(null));";
        let text = self.client().execute_async(script, vec![json!(path)]).await.expect("the script runs");
        text.as_str().unwrap_or_else(|| panic!("{path} can't be fetched")).to_owned()
    }
}

fn told(violation: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let nodes = violation["nodes"].as_array().into_iter().flatten();
    let places: Vec<String> = nodes
        .take(4)
        .map(|node| format!("{} {}", node["target"], text(&node["failureSummary"]).replace('\n', " ")))
        .collect();
    format!("{} ({}): {}", text(&violation["id"]), text(&violation["impact"]), places.join(" | "))
}

/// Its script.
fn axe_core() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("axe");
    let file: PathBuf = folder.join("node_modules/axe-core/axe.min.js");
    std::fs::read_to_string(&file).unwrap_or_else(|error| {
        panic!(
            "axe-core is not installed ({error}): `cargo xtask test` does it, or `npm ci` in {}",
            folder.display()
        )
    })
}
