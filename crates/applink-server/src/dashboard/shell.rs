//! What is around every page: names, navigation, and the headers it is sent with.

use askama::Template;
use axum::response::{IntoResponse, Response};
use cookie::Cookie;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, REFERRER_POLICY,
    SET_COOKIE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, StatusCode};

use super::assets;
use super::notice::{self, Notice};
use super::parts::Hidden;
use crate::app::App;
use crate::error::{ApiError, ErrorCause, chain};

/// No script, style or anything else but our own files; forms go to ourselves. No page has a secret in its address, and
/// without a referrer browsers would hide where forms come from.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
];

/// A part of the dashboard with an entry in the navigation, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// Orgs.
    Connections,
    /// Users of orgs.
    Authorizations,
    /// Where apps are published.
    Publications,
    /// What Data Cloud orgs call.
    Targets,
    /// The audit log.
    Activity,
    /// Charts and the map.
    Health,
    /// Webhooks, tokens, apps.
    Settings,
}

const SECTIONS: [(Section, &str, &str); 7] = [
    (Section::Connections, "/dashboard/connections", "Connections"),
    (Section::Authorizations, "/dashboard/authorizations", "Authorizations"),
    (Section::Publications, "/dashboard/publications", "Publications"),
    (Section::Targets, "/dashboard/data-action-targets", "Data action targets"),
    (Section::Activity, "/dashboard/activity", "Activity"),
    (Section::Health, "/dashboard/health", "Health"),
    (Section::Settings, "/dashboard/settings", "Settings"),
];

/// An entry of the navigation.
#[derive(Clone, Copy, Debug)]
pub struct NavEntry {
    /// Where it leads.
    pub path: &'static str,
    /// What it is called.
    pub label: &'static str,
    /// The page is in this section.
    pub is_current: bool,
}

/// What the layout needs; the field `shell` of every page.
#[derive(Clone, Debug)]
pub struct Shell {
    pub(super) addon: String,
    pub(super) person: String,
    pub(super) hidden: Hidden,
    pub(super) section: Option<Section>,
    pub(super) may_change: bool,
    pub(super) notice: Option<&'static str>,
    /// Takes the notice away, when there is one.
    pub(super) no_notice: Option<Cookie<'static>>,
}

impl Shell {
    /// For tests that render a template.
    #[cfg(test)]
    pub(crate) fn sample() -> Self {
        Self {
            addon: crate::samples::evil(),
            person: crate::samples::evil(),
            hidden: Hidden { csrf: "csrf".to_owned(), once: "once".to_owned() },
            section: Some(Section::Health),
            may_change: true,
            notice: Some(applink_testkit::html::HOSTILE),
            no_notice: None,
        }
    }

    /// The same for who may only look.
    #[cfg(test)]
    pub(crate) fn for_looking() -> Self {
        Self { may_change: false, section: None, notice: None, ..Self::sample() }
    }

    /// The add-on's name.
    pub fn addon(&self) -> &str {
        &self.addon
    }

    /// Who is signed in.
    pub fn person(&self) -> &str {
        &self.person
    }

    /// Whether buttons are shown. (Who presses one all the same is refused by [`super::form::Posted`].)
    pub fn may_change(&self) -> bool {
        self.may_change
    }

    /// Belongs into every form that is posted.
    pub fn hidden(&self) -> &Hidden {
        &self.hidden
    }

    /// What was just done.
    pub fn notice(&self) -> Option<&'static str> {
        self.notice
    }

    /// The path of an asset.
    pub fn asset(&self, file: &str) -> String {
        assets::path_of(file)
    }

    /// The navigation.
    pub fn entries(&self) -> impl Iterator<Item = NavEntry> + use<> {
        let current = self.section;
        // What needs the right to change also to look, as in the API.
        let may_change = self.may_change;
        let shown = move |section| may_change || !matches!(section, Section::Activity | Section::Health);
        SECTIONS
            .into_iter()
            .filter(move |(section, ..)| shown(*section))
            .map(move |(section, path, label)| NavEntry { path, label, is_current: current == Some(section) })
    }

    /// A page.
    pub fn page(&self, status: StatusCode, template: &impl Template) -> Response {
        let html = match template.render() {
            Ok(html) => html,
            Err(error) => return ApiError::internal(error).into_response(),
        };
        let kind = [(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))];
        let mut response = (status, kind, HEADERS, html).into_response();
        if let Some(cookie) = &self.no_notice {
            set_cookie(&mut response, cookie);
        }
        response
    }

    /// The page, or why there is none.
    pub fn answer(&self, page: Result<impl Template, ApiError>) -> Response {
        match page {
            Ok(page) => self.page(StatusCode::OK, &page),
            Err(error) => self.refused(&error),
        }
    }

    /// It can't be shown or done, and why.
    pub fn refused(&self, error: &ApiError) -> Response {
        let status = error.status();
        let (title, message) = match status {
            StatusCode::NOT_FOUND => ("Not found", "There is nothing here, or it was removed."),
            StatusCode::FORBIDDEN => ("Not allowed", error.message()),
            _ if status.is_server_error() => ("Something went wrong", error.message()),
            _ => ("That didn't work", error.message()),
        };
        let page = Refused { shell: self.clone(), title, message: message.to_owned() };
        let mut response = self.page(status, &page);
        // A page that asks itself anew and is gone leads to its list; only htmx heeds this.
        let list = SECTIONS.iter().find(|(section, ..)| Some(*section) == self.section);
        if let (StatusCode::NOT_FOUND, Some((_, path, _))) = (status, list) {
            let name = HeaderName::from_static("hx-redirect");
            response.headers_mut().insert(name, HeaderValue::from_static(path));
        }
        if let Some(cause) = std::error::Error::source(error) {
            response.extensions_mut().insert(ErrorCause(chain(cause).into()));
        }
        response
    }
}

#[derive(Template)]
#[template(path = "dashboard/refused.html")]
struct Refused {
    shell: Shell,
    title: &'static str,
    message: String,
}

/// On to another page of ours, which says what was done.
pub fn go_to(app: &App, path: &str, notice: Option<Notice>) -> Response {
    let mut response = (StatusCode::SEE_OTHER, HEADERS).into_response();
    if let Ok(location) = HeaderValue::from_str(path) {
        response.headers_mut().insert(LOCATION, location);
    }
    if let Some(notice) = notice {
        set_cookie(&mut response, &notice.cookie(app));
    }
    response
}

/// Adds a cookie.
pub(crate) fn set_cookie(response: &mut Response, cookie: &Cookie<'_>) {
    if let Ok(cookie) = HeaderValue::from_str(&cookie.to_string()) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
}

/// The notice a request asks for, and the cookie that takes it away.
pub(super) fn notice_of(app: &App, headers: &HeaderMap) -> (Option<&'static str>, Option<Cookie<'static>>) {
    let notice = notice::asked_for(headers);
    (notice, notice.map(|_| notice::no_cookie(app)))
}

#[cfg(test)]
pub(crate) mod samples {
    use applink_testkit::html::{HOSTILE, Sample};

    use super::*;
    use crate::samples::evil;

    pub(crate) fn all() -> Vec<Sample> {
        let refused = Refused { shell: Shell::sample(), title: HOSTILE, message: evil() };
        vec![Sample::new("dashboard/refused.html", refused)]
    }
}
