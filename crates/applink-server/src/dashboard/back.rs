//! The way back from an org: a log-in that was begun on the dashboard ends there, in the same tab. A cookie of this
//! browser says which credential it was begun for.

use axum::response::Response;
use cookie::{Cookie, SameSite};
use http::HeaderMap;
use http::header::COOKIE;
use uuid::Uuid;

use super::shell::{go_to, set_cookie};
use crate::app::App;
use crate::oauth::AllWell;

const COOKIE_NAME: &str = "applink-back";
const LISTS: [&str; 2] = ["/dashboard/connections", "/dashboard/authorizations"];

/// Has the log-in's end lead to the page of this credential.
pub(super) fn cookie(app: &App, list: &str, credential: Uuid) -> Cookie<'static> {
    let seconds = i64::try_from(app.config.oauth.timeout.0.as_secs()).unwrap_or(600);
    build(app, format!("{list}/{credential}"), cookie::time::Duration::seconds(seconds))
}

fn build(app: &App, value: String, lifetime: cookie::time::Duration) -> Cookie<'static> {
    Cookie::build((COOKIE_NAME, value))
        .path("/oauth")
        .http_only(true)
        .secure(app.urls.is_https())
        .same_site(SameSite::Lax)
        .max_age(lifetime)
        .build()
}

/// The way back to the dashboard when all went well; else the page that ends a log-in, because it says what did not.
pub(crate) fn or(app: &App, headers: &HeaderMap, credential: Uuid, end: Response) -> Response {
    let values = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut cookies = values.flat_map(Cookie::split_parse).filter_map(Result::ok);
    let asked = cookies.find(|cookie| cookie.name() == COOKIE_NAME).map(|cookie| cookie.value().to_owned());
    let ours = LISTS.map(|list| format!("{list}/{credential}"));
    match ours.into_iter().find(|path| asked.as_deref() == Some(path)) {
        Some(path) if end.extensions().get::<AllWell>().is_some() => {
            let mut response = go_to(app, &path, None);
            set_cookie(&mut response, &build(app, String::new(), cookie::time::Duration::ZERO));
            response
        }
        _ => end,
    }
}
