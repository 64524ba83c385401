//! A real headless Chromium, driven through ChromeDriver. One per test; closed when dropped.

mod looks;

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use fantoccini::wd::WindowHandle;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::{Map, Value, json};

pub use self::looks::{Asked, Scheme};

/// A browser window with an empty profile.
#[derive(Debug)]
pub struct Browser {
    client: Client,
    driver: Child,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts ChromeDriver on a free port and opens a window.
    ///
    /// # Panics
    /// When Chromium or ChromeDriver is not installed, or does not start.
    pub async fn start() -> Self {
        let profile = tempfile::tempdir().expect("a folder for the browser's profile");
        let (driver, port) = start_driver();
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities(profile.path()))
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("ChromeDriver opens a window");
        Self { client, driver, _profile: profile }
    }

    /// Opens `url` and waits until it is loaded.
    ///
    /// # Panics
    /// When the page can't be loaded.
    pub async fn open(&self, url: &str) {
        self.client.goto(url).await.expect("the page opens");
    }

    /// Types `text` into the element `css` selects.
    ///
    /// # Panics
    /// When there is no such element.
    pub async fn type_into(&self, css: &str, text: &str) {
        let element = self.find(css).await;
        element.clear().await.expect("the field can be cleared");
        element.send_keys(text).await.expect("the field can be typed into");
    }

    /// Clicks the element `css` selects.
    ///
    /// # Panics
    /// When there is no such element.
    pub async fn click(&self, css: &str) {
        self.find(css).await.click().await.expect("the element can be clicked");
    }

    /// The text a person reads on the page.
    ///
    /// # Panics
    /// When the page has no body.
    pub async fn text(&self) -> String {
        self.find("body").await.text().await.expect("the page has text")
    }

    /// The texts of every element `css` selects, in the page's order, white space made single.
    ///
    /// # Panics
    /// When the browser is gone.
    pub async fn texts(&self, css: &str) -> Vec<String> {
        let mut texts = Vec::new();
        for element in self.client.find_all(Locator::Css(css)).await.expect("the page can be searched") {
            let text = element.text().await.expect("the element has text");
            texts.push(text.split_whitespace().collect::<Vec<_>>().join(" "));
        }
        texts
    }

    /// Waits until a person can read `fragment` on the page.
    ///
    /// # Panics
    /// When it does not appear in time.
    pub async fn wait_for_text(&self, fragment: &str) {
        let path = format!("//body[contains(normalize-space(.), '{fragment}')]");
        if let Err(error) = self.client.wait().for_element(Locator::XPath(&path)).await {
            panic!("`{fragment}` does not appear on the page: {error}\n{}", self.text().await);
        }
    }

    /// The address shown.
    ///
    /// # Panics
    /// When the browser is gone.
    pub async fn url(&self) -> String {
        self.client.current_url().await.expect("the window has an address").to_string()
    }

    /// Whether `css` selects something.
    pub async fn has(&self, css: &str) -> bool {
        self.client.find(Locator::Css(css)).await.is_ok()
    }

    /// Forgets every cookie of the page shown.
    ///
    /// # Panics
    /// When the browser is gone.
    pub async fn forget_cookies(&self) {
        self.client.delete_all_cookies().await.expect("cookies can be deleted");
    }

    /// Sets the window's size in CSS pixels.
    ///
    /// # Panics
    /// When the browser is gone.
    pub async fn resize(&self, width: u32, height: u32) {
        self.client.set_window_size(width, height).await.expect("the window can be resized");
    }

    /// Keeps a picture of the page under `test-output/`, named `name`.png.
    ///
    /// # Panics
    /// When the picture can't be taken or written.
    pub async fn screenshot(&self, name: &str) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../test-output");
        std::fs::create_dir_all(&folder).expect("a folder for pictures");
        let picture = self.client.screenshot().await.expect("a picture of the page");
        std::fs::write(folder.join(format!("{name}.png")), picture).expect("the picture is written");
    }

    /// The window, for what these helpers do not cover.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The handle of the window.
    ///
    /// # Panics
    /// When the browser is gone.
    pub async fn window(&self) -> WindowHandle {
        self.client.window().await.expect("a window")
    }

    async fn find(&self, css: &str) -> fantoccini::elements::Element {
        match self.client.wait().for_element(Locator::Css(css)).await {
            Ok(element) => element,
            Err(error) => panic!("nothing matches `{css}`: {error}"),
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // ChromeDriver leads a process group of its own; Chromium and its helpers are in it.
        if let Ok(group) = i32::try_from(self.driver.id()) {
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
        let _ = self.driver.wait();
    }
}

fn capabilities(profile: &Path) -> Map<String, Value> {
    let profile = format!("--user-data-dir={}", profile.display());
    let options = json!({"args": [
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--window-size=1200,900", profile,
    ]});
    Map::from_iter([("goog:chromeOptions".to_owned(), options)])
}

/// ChromeDriver on a port of its choice, which it prints when it is ready.
fn start_driver() -> (Child, u16) {
    let mut driver = Command::new("chromedriver")
        .arg("--port=0")
        .process_group(0)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("ChromeDriver is installed (Debian's chromium-driver)");
    let output = driver.stdout.take().expect("ChromeDriver's output");
    let port = BufReader::new(output)
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.split("successfully on port ").nth(1)?.trim_end_matches('.').parse().ok())
        .expect("ChromeDriver says its port");
    (driver, port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn opens_a_page_and_reads_it() {
        let browser = Browser::start().await;
        browser.open("data:text/html,<h1>hello</h1><input id=name>").await;
        assert_eq!(browser.text().await, "hello");
        browser.type_into("#name", "Ada").await;
        assert!(browser.has("#name").await && !browser.has("#nobody").await);
    }
}
