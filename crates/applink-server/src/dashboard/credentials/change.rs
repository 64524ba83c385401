//! Creating, reconnecting, refreshing, deleting.

use applink_api::org::OrgType;
use applink_salesforce::hosts::{PRODUCTION_LOGIN, SANDBOX_LOGIN};
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use super::{Of, Show, list_path, section};
use crate::app::App;
use crate::credentials::begin::Asked;
use crate::credentials::change::{Change, Wishes};
use crate::credentials::disconnect::disconnect;
use crate::credentials::{Credential, Kind, store};
use crate::dashboard::back;
use crate::dashboard::form::{Fields, Posted};
use crate::dashboard::notice::Notice;
use crate::dashboard::session::RequireSession;
use crate::dashboard::shell::{Shell, go_to, set_cookie};
use crate::error::ApiError;
use crate::oauth;
use crate::oauth::jwt::JwtCredentials;
use crate::web::ApiPath;
use crate::{data_cloud, tokens};

/// The form that creates one. The private key is not in it again.
#[derive(Template)]
#[template(path = "dashboard/credentials/new.html")]
struct New {
    shell: Shell,
    is_connection: bool,
    kind: &'static str,
    list: &'static str,
    fields: Fields,
    problem: Option<String>,
}

impl New {
    fn page(shell: Shell, kind: Kind, fields: Fields, problem: Option<&ApiError>) -> Response {
        let status = problem.map_or(StatusCode::OK, ApiError::status);
        let new = Self {
            shell: shell.clone(),
            is_connection: kind == Kind::Connection,
            kind: kind.as_str(),
            list: list_path(kind),
            fields,
            problem: problem.map(|problem| problem.message().to_owned()),
        };
        shell.page(status, &new)
    }
}

/// The form.
pub async fn new(State(app): State<App>, Of(kind): Of, found: RequireSession) -> Response {
    New::page(found.shell(&app, section(kind)), kind, Fields::default(), None)
}

/// Creates it: on to the org, or by JWT at once.
pub async fn create(State(app): State<App>, Of(kind): Of, posted: Posted) -> Response {
    match begin(&app, kind, &posted).await {
        Ok((row, Some(link))) => leave(&app, &posted, &row, link),
        Ok((row, None)) => go_to(&app, &page_of(&row), Some(Notice::Connected)),
        Err(error) => New::page(posted.shell(&app, section(kind)), kind, posted.fields.clone(), Some(&error)),
    }
}

async fn begin(app: &App, kind: Kind, posted: &Posted) -> Result<(Credential, Option<String>), ApiError> {
    let fields = &posted.fields;
    let org_type = match fields.get("org_type") {
        "datacloud" => OrgType::DataCloudOrg,
        _ => OrgType::SalesforceOrg,
    };
    let by_jwt = fields.get("method") == "jwt";
    if by_jwt && (kind, org_type) == (Kind::Connection, OrgType::DataCloudOrg) {
        return Err(ApiError::validation("A Data Cloud org is connected by logging in, not by JWT."));
    }
    let asked =
        Asked::check(app, (kind, org_type), fields.get("name"), fields.given("alias"), login_url(fields)?)?;
    let asked = asked.forced(fields.is_ticked("force"));
    if by_jwt {
        let row = oauth::jwt::connect(app, posted.manager.clone(), asked, jwt(fields)?).await?;
        return Ok((row, None));
    }
    let (row, link) = oauth::begin::begin(app, &posted.manager, &asked).await?;
    Ok((row, Some(link)))
}

fn login_url(fields: &Fields) -> Result<Option<&str>, ApiError> {
    match fields.get("where") {
        "sandbox" => Ok(Some(SANDBOX_LOGIN)),
        "my-domain" => {
            let given = fields.given("login_url");
            given.map(Some).ok_or_else(|| ApiError::validation("Type the My Domain to log in at."))
        }
        _ => Ok(Some(PRODUCTION_LOGIN)),
    }
}

fn jwt(fields: &Fields) -> Result<JwtCredentials, ApiError> {
    let missing = |what: &str| ApiError::validation(format!("For a JWT, {what} is needed."));
    Ok(JwtCredentials {
        client_id: fields.given("client_id").ok_or_else(|| missing("the consumer key"))?.to_owned(),
        username: fields.given("username").ok_or_else(|| missing("the user name"))?.to_owned(),
        private_key: fields.secret("secret_private_key").ok_or_else(|| missing("the private key"))?,
    })
}

fn page_of(row: &Credential) -> String {
    format!("{}/{}", list_path(row.kind), row.id)
}

/// Leads the same tab to the org. A page of its own: a form that is redirected to another site is stopped by the policy.
#[derive(Template)]
#[template(path = "dashboard/credentials/leave.html")]
struct Leave {
    shell: Shell,
    link: String,
}

fn leave(app: &App, posted: &Posted, row: &Credential, link: String) -> Response {
    let shell = posted.shell(app, section(row.kind));
    let mut response = shell.page(StatusCode::OK, &Leave { shell: shell.clone(), link });
    set_cookie(&mut response, &back::cookie(app, list_path(row.kind), row.id));
    response
}

/// Logs in again in place.
pub async fn reconnect(
    State(app): State<App>,
    Of(kind): Of,
    ApiPath(named): ApiPath<String>,
    posted: Posted,
) -> Response {
    let force = posted.fields.is_ticked("force");
    let changed = async {
        let change = Change::check(&app, kind, Wishes { reconnect: true, force, ..Wishes::default() })?;
        oauth::again::change(&app, posted.manager.clone(), kind, &named, change).await
    };
    match changed.await {
        Ok((row, Some(link))) => leave(&app, &posted, &row, link),
        Ok((row, None)) => go_to(&app, &page_of(&row), Some(Notice::Connected)),
        Err(error) => again(&app, &posted, (kind, &named), &error).await,
    }
}

/// Another token, now.
pub async fn refresh(
    State(app): State<App>,
    Of(kind): Of,
    ApiPath(named): ApiPath<String>,
    posted: Posted,
) -> Response {
    let refreshed: Result<Credential, ApiError> = async {
        let row = find(&app, &posted, kind, &named).await?;
        if row.live().is_none() {
            return Err(ApiError::validation("There is no token to replace: it has to be connected first."));
        }
        match row.org_type {
            OrgType::SalesforceOrg => tokens::replace_reported(&app, &row, None).await?,
            OrgType::DataCloudOrg => data_cloud::replace_reported(&app, &row, None).await?,
        };
        Ok(row)
    }
    .await;
    match refreshed {
        Ok(row) => go_to(&app, &page_of(&row), Some(Notice::Refreshed)),
        Err(error) => again(&app, &posted, (kind, &named), &error).await,
    }
}

/// Takes it out of use, when its name was typed.
pub async fn delete(
    State(app): State<App>,
    Of(kind): Of,
    ApiPath(named): ApiPath<String>,
    posted: Posted,
) -> Response {
    let deleted = async {
        let row = find(&app, &posted, kind, &named).await?;
        if posted.fields.get("confirm") != row.name {
            let message = format!("Nothing was deleted: type the name {} to delete it.", row.name);
            return Err(ApiError::validation(message));
        }
        disconnect(&app, &posted.manager, kind, &row.id.to_string()).await
    };
    match deleted.await {
        Ok(row) => go_to(&app, &page_of(&row), Some(Notice::Deleted)),
        Err(error) => again(&app, &posted, (kind, &named), &error).await,
    }
}

async fn find(app: &App, posted: &Posted, kind: Kind, named: &str) -> Result<Credential, ApiError> {
    let found = store::find(app.store.reader(), posted.found.addon.id, kind, named).await?;
    found.ok_or_else(ApiError::not_found)
}

/// Its page, with what went wrong.
async fn again(app: &App, posted: &Posted, (kind, named): (Kind, &str), error: &ApiError) -> Response {
    let shell = posted.shell(app, section(kind));
    let of = (kind, posted.found.addon.id, named);
    match Show::load(app, &shell, of, Some(error.message().to_owned())).await {
        Ok(page) => shell.page(error.status(), &page),
        Err(_) => shell.refused(error),
    }
}

#[cfg(test)]
pub(crate) mod samples {
    use applink_testkit::html::{HOSTILE, Sample};

    use super::*;
    use crate::samples::evil;

    pub(crate) fn all() -> Vec<Sample> {
        let chosen = |pairs: &[(&str, &str)]| {
            let typed = ["name", "alias", "login_url", "client_id", "username"].map(|name| (name, HOSTILE));
            Fields::sample(&[&typed, pairs].concat())
        };
        let by_jwt = [("org_type", "datacloud"), ("where", "my-domain"), ("method", "jwt"), ("force", "yes")];
        let new = |kind: Kind, shell: Shell, fields: Fields, problem: Option<String>| New {
            shell,
            is_connection: kind == Kind::Connection,
            kind: kind.as_str(),
            list: list_path(kind),
            fields,
            problem,
        };
        let mut all = vec![Sample::new(
            "dashboard/credentials/leave.html",
            Leave { shell: Shell::sample(), link: evil() },
        )];
        for kind in [Kind::Connection, Kind::Authorization] {
            let pages = [
                new(kind, Shell::sample(), Fields::default(), None),
                new(kind, Shell::sample(), chosen(&by_jwt), Some(evil())),
                new(kind, Shell::sample(), chosen(&[("where", "sandbox")]), Some(evil())),
                new(kind, Shell::for_looking(), Fields::default(), None),
            ];
            all.extend(pages.map(|page| Sample::new("dashboard/credentials/new.html", page)));
        }
        all
    }
}
