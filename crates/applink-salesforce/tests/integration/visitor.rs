//! A person with a browser: cookies, redirects and forms, without scripts.

use std::collections::HashMap;

use url::Url;

pub(crate) struct Visitor {
    http: reqwest::Client,
    cookies: HashMap<String, String>,
}

/// What the browser came to: a page, or a URL outside of the org.
pub(crate) enum Arrived {
    Page { url: Url, html: String },
    Elsewhere(Url),
}

impl Arrived {
    pub(crate) fn elsewhere(self) -> Url {
        match self {
            Self::Elsewhere(url) => url,
            Self::Page { url, html } => panic!("still at {url}: {html}"),
        }
    }
}

impl Visitor {
    pub(crate) fn new() -> Self {
        let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
        Self { http: builder.build().unwrap(), cookies: HashMap::new() }
    }

    pub(crate) async fn open(&mut self, url: Url) -> Arrived {
        let request = self.http.get(url.clone());
        self.follow(url, request).await
    }

    /// Sends the page's form with its hidden fields and these.
    pub(crate) async fn submit(&mut self, page: Arrived, fields: &[(&str, &str)]) -> Arrived {
        let Arrived::Page { url, html } = page else { panic!("there is no form outside of the org") };
        let form = html.split_once("<form method=\"post\" action=\"").unwrap().1;
        let action = url.join(form.split_once('"').unwrap().0).unwrap();
        let mut all: Vec<(String, String)> = hidden_fields(form);
        all.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let request =
            self.http.post(action.clone()).header("origin", url.origin().ascii_serialization()).form(&all);
        self.follow(action, request).await
    }

    async fn follow(&mut self, mut url: Url, mut request: reqwest::RequestBuilder) -> Arrived {
        let home = url.origin();
        loop {
            let cookies: Vec<String> =
                self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let response = request.header("cookie", cookies.join("; ")).send().await.unwrap();
            self.keep_cookies(&response);
            let Some(location) = response.headers().get("location") else {
                return Arrived::Page { url, html: response.text().await.unwrap() };
            };
            url = url.join(location.to_str().unwrap()).unwrap();
            if url.origin() != home {
                return Arrived::Elsewhere(url);
            }
            request = self.http.get(url.clone());
        }
    }

    fn keep_cookies(&mut self, response: &reqwest::Response) {
        for cookie in response.headers().get_all("set-cookie") {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
    }
}

fn hidden_fields(form: &str) -> Vec<(String, String)> {
    let form = form.split_once("</form>").unwrap().0;
    let inputs = form.split("<input type=\"hidden\" name=\"").skip(1);
    let field = |input: &str| {
        let (name, rest) = input.split_once("\" value=\"").unwrap();
        (name.to_owned(), rest.split_once('"').unwrap().0.to_owned())
    };
    inputs.map(field).collect()
}
