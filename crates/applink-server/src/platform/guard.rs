//! What a server on loopback owes the browser beside it: a page of another site can make the browser send requests
//! here, and a name that such a site controls may lead here. So the `Host` must be one of ours, and an `Origin`,
//! when there is one, must be that very host. No CORS header is ever sent.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::{HOST, ORIGIN};
use url::{Host, Url};

use crate::app::App;
use crate::error::ApiError;

/// Refuses requests for other hosts and from other origins.
pub async fn layer(State(app): State<App>, request: Request, next: Next) -> Response {
    let authority = authority_of(&request);
    if !authority.as_deref().is_some_and(|authority| is_ours(&app, authority)) {
        let message = "This server does not answer to that host name.";
        return ApiError::new(StatusCode::MISDIRECTED_REQUEST, "wrong_host", message).into_response();
    }
    if request.headers().contains_key(ORIGIN) && !is_same_origin(&request, authority.as_deref()) {
        return ApiError::forbidden("Requests of other sites are refused.").into_response();
    }
    next.run(request).await
}

fn authority_of(request: &Request) -> Option<String> {
    let header = request.headers().get(HOST).and_then(|value| value.to_str().ok()).map(str::to_owned);
    header.or_else(|| request.uri().authority().map(ToString::to_string))
}

fn is_ours(app: &App, authority: &str) -> bool {
    let Ok(url) = Url::parse(&format!("http://{authority}/")) else { return false };
    let loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    let name = url.host_str().unwrap_or_default();
    let listed = app
        .config
        .platform
        .as_ref()
        .is_some_and(|config| config.hosts.iter().any(|host| host.eq_ignore_ascii_case(name)));
    let public = Url::parse(app.urls.base()).is_ok_and(|base| base.host_str() == Some(name));
    loopback || listed || public
}

/// A page without referrers sends the origin `null`: then `Sec-Fetch-Site`, which no page can set, must say it is ours.
fn is_same_origin(request: &Request, authority: Option<&str>) -> bool {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let origin = header(ORIGIN.as_str());
    if origin == Some("null") {
        return header("sec-fetch-site") == Some("same-origin");
    }
    let origin = origin.and_then(|origin| origin.split_once("://")).map(|(_, authority)| authority);
    origin.is_some() && origin == authority
}
