//! A person with a browser: keeps cookies, fills forms, follows nothing by itself.

use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Response, StatusCode};
use secrecy::ExposeSecret;
use url::Url;

use super::TestOrg;

pub(crate) struct Browser<'a> {
    org: &'a TestOrg,
    pub(crate) cookie: Option<String>,
}

impl<'a> Browser<'a> {
    pub(crate) fn new(org: &'a TestOrg) -> Self {
        Self { org, cookie: None }
    }

    pub(crate) async fn logged_in(org: &'a TestOrg, role: &str) -> Self {
        let mut browser = Self::new(org);
        browser.log_in("", role).await;
        browser
    }

    pub(crate) async fn get(&mut self, url: &str) -> Response {
        let request = self.org.http.get(url);
        self.send(request).await
    }

    pub(crate) async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Response {
        let request = self.org.http.post(self.org.url(path)).form(form);
        self.send(request).await
    }

    async fn send(&mut self, mut request: reqwest::RequestBuilder) -> Response {
        if let Some(cookie) = &self.cookie {
            request = request.header(COOKIE, cookie);
        }
        let response = request.send().await.unwrap();
        if let Some(set) = response.headers().get(SET_COOKIE) {
            self.cookie = set.to_str().unwrap().split(';').next().map(str::to_owned);
        }
        response
    }

    /// Opens a page of the org that is there, and answers its HTML.
    pub(crate) async fn page(&mut self, path: &str) -> String {
        let response = self.get(&self.org.url(path)).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        response.text().await.unwrap()
    }

    /// Sends a form of the page at `path` to `action`, with the token that is on it.
    pub(crate) async fn fill_in(&mut self, path: &str, action: &str, fields: &[(&str, &str)]) -> Response {
        let token = field(&self.page(path).await, "token").replace("&#43;", "+").replace("&#x2b;", "+");
        let mut form = vec![("token", token.as_str())];
        form.extend(fields);
        self.post(action, &form).await
    }

    /// Sends the login form of a page that asked for it.
    pub(crate) async fn log_in(&mut self, request: &str, role: &str) -> Response {
        let user = self.org.user(role).clone();
        let form =
            [("request", request), ("username", &user.username), ("password", user.password.expose_secret())];
        self.post("/login", &form).await
    }

    /// Opens the authorize URL and answers the handle of the page it leads to, and that page's path.
    pub(crate) async fn open(&mut self, authorize: &str) -> (String, String) {
        let response = self.get(authorize).await;
        let location = self.org.url(&location(&response));
        let url = Url::parse(&location).unwrap();
        (query(&url, "request").unwrap(), url.path().to_owned())
    }

    /// Decides on the consent page; the answer is where the browser is sent.
    pub(crate) async fn decide(&mut self, request: &str, decision: &str) -> Url {
        let page = self.get(&self.org.url(&format!("/consent?request={request}"))).await;
        assert_eq!(page.status(), StatusCode::OK);
        let html = page.text().await.unwrap();
        let confirmation = field(&html, "confirmation");
        let form = [("request", request), ("confirmation", confirmation.as_str()), ("decision", decision)];
        let response = self.post("/consent", &form).await;
        assert_eq!(response.status(), StatusCode::FOUND);
        Url::parse(&location(&response)).unwrap()
    }

    /// The whole way: log in, allow, and the code.
    pub(crate) async fn authorize_and_allow(&mut self, authorize: &str, role: &str) -> String {
        let (request, path) = self.open(authorize).await;
        if path == "/login" {
            let response = self.log_in(&request, role).await;
            assert_eq!(response.status(), StatusCode::SEE_OTHER);
        }
        let callback = self.decide(&request, "allow").await;
        query(&callback, "code").unwrap()
    }
}

pub(crate) fn location(response: &Response) -> String {
    response
        .headers()
        .get(LOCATION)
        .unwrap_or_else(|| panic!("no redirect: {}", response.status()))
        .to_str()
        .unwrap()
        .to_owned()
}

pub(crate) fn query(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// The value of a hidden field.
pub(crate) fn field(html: &str, name: &str) -> String {
    let start = html
        .split(&format!("name=\"{name}\" value=\""))
        .nth(1)
        .unwrap_or_else(|| panic!("no field {name} in {html}"));
    start.split('"').next().unwrap().to_owned()
}
