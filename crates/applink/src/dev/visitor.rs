//! A person with a browser, done by program: follows redirects, keeps cookies, fills in the login form and
//! answers the consent page. The tour connects an org with it, over the same pages a person uses.

use std::collections::BTreeMap;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use reqwest::header::{COOKIE, HeaderMap, LOCATION, SET_COOKIE};
use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;
use url::Url;

/// More hops than any honest log-in takes.
const MAX_HOPS: usize = 16;

/// What the person answers on the consent page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Decision {
    Allow,
    Deny,
}

/// Who logs in, and what they answer.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) username: String,
    pub(crate) password: SecretString,
    pub(crate) decision: Decision,
}

/// Where the visit ended.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// The last page's title, without markup.
    pub(crate) title: String,
    /// Whether a login form was filled in on the way.
    pub(crate) logged_in: bool,
    /// The scopes the consent page listed.
    pub(crate) consented: usize,
}

/// The visit did not end on a page.
#[derive(Debug, Error)]
pub(crate) enum VisitError {
    #[error("{place} can't be reached")]
    Unreachable { place: String, source: reqwest::Error },
    #[error("{place} sends the browser to an address that is none")]
    BadAddress { place: String, source: url::ParseError },
    #[error("after {MAX_HOPS} pages there was still no end")]
    TooManyPages,
}

/// The browser: one per person.
#[derive(Debug)]
pub(crate) struct Visitor {
    http: reqwest::Client,
    /// By host, without the port: as in real browsers.
    cookies: BTreeMap<String, BTreeMap<String, String>>,
}

struct Page {
    url: Url,
    html: String,
}

impl Visitor {
    pub(crate) fn new() -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(std::time::Duration::from_secs(30))
            .no_proxy()
            .build()?;
        Ok(Self { http, cookies: BTreeMap::new() })
    }

    /// Opens `start` and does as `person` would until no form is left to fill in.
    pub(crate) async fn visit(&mut self, start: Url, person: &Person) -> Result<Arrival, VisitError> {
        let mut arrival = Arrival { title: String::new(), logged_in: false, consented: 0 };
        let mut page = self.open(self.http.get(start.clone()), start).await?;
        for _ in 0..MAX_HOPS {
            let Some(form) = Form::first_in(&page.html) else {
                arrival.title = title_of(&page.html);
                return Ok(arrival);
            };
            let fields = match form.purpose() {
                Purpose::Login if arrival.logged_in => {
                    arrival.title = title_of(&page.html);
                    return Ok(arrival);
                }
                Purpose::Login => {
                    arrival.logged_in = true;
                    form.filled(&[
                        ("username", &person.username),
                        ("password", person.password.expose_secret()),
                    ])
                }
                Purpose::Consent => {
                    arrival.consented = tags(&page.html).iter().filter(|tag| tag.name == "li").count();
                    let decision = if person.decision == Decision::Allow { "allow" } else { "deny" };
                    form.filled(&[("decision", decision)])
                }
                Purpose::Other => form.filled(&[]),
            };
            page = self.submit(&page.url, &form.action, &fields).await?;
        }
        Err(VisitError::TooManyPages)
    }

    async fn submit(
        &mut self,
        from: &Url,
        action: &str,
        fields: &[(String, String)],
    ) -> Result<Page, VisitError> {
        let target = join(from, action)?;
        let origin = from.origin().ascii_serialization();
        let request = self.http.post(target.clone()).header("origin", origin).form(fields);
        self.open(request, target).await
    }

    /// Sends one request and follows redirects to a page.
    async fn open(&mut self, request: reqwest::RequestBuilder, url: Url) -> Result<Page, VisitError> {
        let mut url = url;
        let mut request = request;
        for _ in 0..MAX_HOPS {
            let unreachable = |source: reqwest::Error| VisitError::Unreachable {
                place: place(&url),
                source: source.without_url(),
            };
            let response =
                request.header(COOKIE, self.cookies_for(&url)).send().await.map_err(unreachable)?;
            self.keep_cookies(&url, response.headers());
            let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            match location {
                Some(location) if response.status().is_redirection() => {
                    url = join(&url, location)?;
                    request = self.http.get(url.clone());
                }
                _ => {
                    let html = response.text().await.map_err(unreachable)?;
                    return Ok(Page { url, html });
                }
            }
        }
        Err(VisitError::TooManyPages)
    }

    fn cookies_for(&self, url: &Url) -> String {
        let jar = url.host_str().and_then(|host| self.cookies.get(host));
        let pairs = jar.into_iter().flatten().map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("; ")
    }

    fn keep_cookies(&mut self, url: &Url, headers: &HeaderMap) {
        let Some(host) = url.host_str() else { return };
        let jar = self.cookies.entry(host.to_owned()).or_default();
        for header in headers.get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok()) {
            let pair = header.split(';').next().unwrap_or_default();
            let Some((name, value)) = pair.split_once('=') else { continue };
            if value.is_empty() || header.to_ascii_lowercase().contains("max-age=0") {
                jar.remove(name.trim());
            } else {
                jar.insert(name.trim().to_owned(), value.to_owned());
            }
        }
    }
}

/// Scheme, host and port: never the query, which may carry a one-time code.
fn place(url: &Url) -> String {
    url.origin().ascii_serialization()
}

fn join(from: &Url, target: &str) -> Result<Url, VisitError> {
    from.join(target).map_err(|source| VisitError::BadAddress { place: place(from), source })
}

/// What a form is for, told by its fields.
#[derive(PartialEq, Eq, Debug)]
enum Purpose {
    Login,
    Consent,
    Other,
}

/// An HTML form: where it goes and what it holds already.
#[derive(Default, Debug)]
struct Form {
    action: String,
    fields: Vec<(String, String)>,
}

impl Form {
    /// The first form that is posted.
    fn first_in(html: &str) -> Option<Self> {
        let mut form: Option<Self> = None;
        for tag in tags(html) {
            match (&mut form, tag.name.as_str()) {
                (None, "form") if tag.attribute("method").eq_ignore_ascii_case("post") => {
                    form = Some(Self { action: tag.attribute("action"), fields: Vec::new() });
                }
                (Some(_), "/form") => return form,
                (Some(open), "input" | "button") if !tag.attribute("name").is_empty() => {
                    open.fields.push((tag.attribute("name"), tag.attribute("value")));
                }
                _ => {}
            }
        }
        form
    }

    fn purpose(&self) -> Purpose {
        let has = |name: &str| self.fields.iter().any(|(field, _)| field == name);
        if has("password") {
            Purpose::Login
        } else if has("decision") {
            Purpose::Consent
        } else {
            Purpose::Other
        }
    }

    /// The form's own values with `answers` put in.
    fn filled(&self, answers: &[(&str, &str)]) -> Vec<(String, String)> {
        let answered = |name: &str| answers.iter().any(|(answer, _)| *answer == name);
        let mut fields: Vec<_> = self.fields.iter().filter(|(name, _)| !answered(name)).cloned().collect();
        fields.extend(answers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        fields
    }
}

struct Tag {
    name: String,
    attributes: Vec<(String, String)>,
}

impl Tag {
    fn attribute(&self, name: &str) -> String {
        let found = self.attributes.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    }
}

/// The tags of a page, leniently: HTML's unclosed tags are no error here.
fn tags(html: &str) -> Vec<Tag> {
    let mut reader = Reader::from_str(html);
    let config = reader.config_mut();
    config.check_end_names = false;
    config.allow_unmatched_ends = true;
    let mut tags = Vec::new();
    loop {
        match reader.read_event() {
            Ok(Event::Start(tag) | Event::Empty(tag)) => tags.push(read_tag(&tag)),
            Ok(Event::End(tag)) => {
                let name = format!("/{}", tag.name().as_ref());
                tags.push(Tag { name, attributes: Vec::new() });
            }
            Ok(Event::Eof) | Err(_) => return tags,
            Ok(_) => {}
        }
    }
}

fn read_tag(tag: &BytesStart<'_>) -> Tag {
    let attributes = tag.html_attributes().flatten().map(|attribute| {
        let key = attribute.key.as_ref().to_ascii_lowercase();
        let raw = attribute.value.into_owned();
        let value = quick_xml::escape::unescape(&raw).map(|text| text.into_owned()).unwrap_or(raw);
        (key, value)
    });
    Tag { name: tag.name().as_ref().to_ascii_lowercase(), attributes: attributes.collect() }
}

fn title_of(html: &str) -> String {
    let title = html.split("<title>").nth(1).and_then(|rest| rest.split("</title>").next());
    title.unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGIN: &str = r#"<!doctype html><html><head><title>Log in</title><meta charset=utf-8></head><body>
        <p>A &amp; B</p><form method="post" action="/login?a=1&amp;b=2"><input type="hidden" name="csrf" value="x&quot;y">
        <input name="username"><input name="password" type="password"><button>Log In</button></form></body></html>"#;

    #[test]
    fn fills_in_a_login_form() {
        let form = Form::first_in(LOGIN).unwrap();
        assert_eq!(form.action, "/login?a=1&b=2");
        assert_eq!(form.purpose(), Purpose::Login);
        let fields = form.filled(&[("username", "u"), ("password", "p")]);
        let expected = [("csrf", "x\"y"), ("username", "u"), ("password", "p")];
        assert_eq!(fields, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(title_of(LOGIN), "Log in");
    }

    #[test]
    fn a_page_without_a_posted_form_is_an_end() {
        assert!(Form::first_in("<form method=get action=/x><input name=q></form>").is_none());
        assert!(Form::first_in("<h1>Done</h1>").is_none());
    }
}
