//! A person with a browser at the dashboard: signed in, fills forms in as the page has them.

use applink_server::app::App;
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};

/// What sign-ons are signed with.
pub(crate) const SALT: &str = "canary-sso-salt";

/// A page, or where it leads.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) location: String,
    pub(crate) text: String,
}

impl Page {
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    #[track_caller]
    pub(crate) fn says(self, fragments: &[&str]) -> Self {
        for fragment in fragments {
            assert!(self.text.contains(fragment), "`{fragment}` is missing in {}", self.text);
        }
        self
    }

    #[track_caller]
    pub(crate) fn keeps_quiet_of(self, fragments: &[&str]) -> Self {
        for fragment in fragments {
            assert!(!self.text.contains(fragment), "`{fragment}` is in {}", self.text);
        }
        self
    }

    fn hidden(&self, name: &str) -> String {
        let rest = self.text.split(&format!("name=\"{name}\" value=\"")).nth(1).expect("a form");
        rest.split('"').next().expect("its end").to_owned()
    }
}

pub(crate) struct Visitor {
    http: reqwest::Client,
    base: String,
    cookie: String,
}

impl Visitor {
    /// Signs in as Heroku has a browser do.
    pub(crate) async fn sign_in(base: &str, app: &App, addon: &str) -> Self {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let timestamp = app.clock.now().as_seconds();
        let signed = digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{addon}:{SALT}:{timestamp}").as_bytes());
        let token: String = signed.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let timestamp = timestamp.to_string();
        let form = [
            ("resource_id", addon),
            ("resource_token", &token),
            ("timestamp", &timestamp),
            ("email", "person@acme.example"),
        ];
        let answer = http.post(format!("{base}/sso/login")).form(&form).send().await.unwrap();
        assert_eq!(answer.status(), 303);
        let set = answer.headers()[SET_COOKIE].to_str().unwrap();
        let cookie = set.split(';').next().unwrap().to_owned();
        Self { http, base: base.to_owned(), cookie }
    }

    pub(crate) async fn get(&self, path: &str) -> Page {
        page(self.http.get(format!("{}{path}", self.base)).header(COOKIE, &self.cookie)).await
    }

    /// The form of the page at `from`, filled in and sent to `path`.
    pub(crate) async fn send(&self, from: &str, path: &str, fields: &[(&str, &str)]) -> Page {
        let form = self.fill(from, fields).await;
        self.post(path, &form).await
    }

    pub(crate) async fn fill(&self, from: &str, fields: &[(&str, &str)]) -> Vec<(String, String)> {
        let shown = self.get(from).await;
        let hidden = ["csrf", "once"].map(|name| (name.to_owned(), shown.hidden(name)));
        let typed = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        hidden.into_iter().chain(typed).collect()
    }

    pub(crate) async fn post(&self, path: &str, form: &[(String, String)]) -> Page {
        page(self.http.post(format!("{}{path}", self.base)).header(COOKIE, &self.cookie).form(form)).await
    }

    /// Looks again until the page says this: a reconciler works on its own time.
    pub(crate) async fn wait_for(&self, path: &str, fragment: &str) -> Page {
        for _ in 0..400 {
            let shown = self.get(path).await;
            if shown.text.contains(fragment) {
                return shown;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("`{fragment}` does not appear: {}", self.get(path).await.text);
    }
}

async fn page(request: reqwest::RequestBuilder) -> Page {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let location = answer.headers().get(LOCATION).map_or("", |value| value.to_str().unwrap()).to_owned();
    Page { status, location, text: answer.text().await.unwrap() }
}
