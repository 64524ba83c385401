//! What a PATCH asks for: another name, another log-in, or both at once.

use applink_api::names::{Alias, Name, look_up_key};
use applink_api::time::Timestamp;
use applink_salesforce::OrgOrigin;
use sea_orm::ConnectionTrait;
use secrecy::SecretString;

use super::begin::capitalised;
use super::{Credential, Kind, State, flow, store};
use crate::app::App;
use crate::error::ApiError;

/// The body of a PATCH, the same for both kinds.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// Its new name.
    pub name: Option<String>,
    /// Its new second name.
    pub alias: Option<String>,
    /// Log in again.
    pub reconnect: bool,
    /// Where to log in.
    pub login_url: Option<String>,
    /// As [`Asked::force`](super::begin::Asked::force).
    pub force: bool,
    /// What to assert.
    pub jwt: JwtWishes,
}

/// What to assert instead of what is stored.
#[derive(Clone, Debug, Default)]
pub struct JwtWishes {
    /// Consumer key of the org's external client app.
    pub client_id: Option<String>,
    /// The user to act as.
    pub username: Option<String>,
    /// PEM.
    pub private_key: Option<SecretString>,
}

impl JwtWishes {
    fn is_empty(&self) -> bool {
        self.client_id.is_none() && self.username.is_none() && self.private_key.is_none()
    }
}

/// A checked PATCH.
#[derive(Clone, Debug)]
pub struct Change {
    kind: Kind,
    name: Option<Name>,
    alias: Option<Alias>,
    login: Option<Login>,
    reconnect: bool,
    force: bool,
    jwt: JwtWishes,
}

/// A login URL as it was asked for, and where that leads.
#[derive(Clone, Debug)]
pub struct Login {
    /// As asked for.
    pub url: String,
    /// Where that leads.
    pub origin: OrgOrigin,
}

/// How the row is to log in again.
#[derive(Clone, Debug)]
pub enum LogIn {
    /// Not at all: it is only renamed.
    No,
    /// A person in a browser.
    Browser,
    /// By an assertion.
    Jwt(JwtWishes),
}

impl Change {
    /// Checks names and login URL.
    ///
    /// # Errors
    /// 422 naming the field and the rule, or that there is nothing to change.
    pub fn check(app: &App, kind: Kind, wishes: Wishes) -> Result<Self, ApiError> {
        let name = wishes.name.as_deref().map(|name| Name::parse(kind.name_word(), name)).transpose();
        let name = name.map_err(|error| ApiError::invalid_field(kind.name_field(), format!("{error}.")))?;
        let alias = wishes.alias.as_deref().map(str::parse::<Alias>).transpose();
        let alias = alias.map_err(|error| ApiError::invalid_field("$.alias", format!("{error}.")))?;
        let login_url = wishes.login_url.as_deref().map(str::trim).filter(|url| !url.is_empty());
        let login = login_url.map(|url| Login::check(app, url)).transpose()?;
        let Wishes { reconnect, force, jwt, .. } = wishes;
        let change = Self { kind, name, alias, login, reconnect, force, jwt };
        if change.name.is_none() && change.alias.is_none() && !change.logs_in() {
            let field = kind.name_field().trim_start_matches("$.");
            return Err(ApiError::validation(format!(
                "Nothing to change: give `{field}` to rename, `reconnect` to log in again, or `client_id`, \
                 `jwt_private_key` or `username` to assert something else."
            ))
            .at("$"));
        }
        Ok(change)
    }

    fn logs_in(&self) -> bool {
        self.reconnect || self.login.is_some() || !self.jwt.is_empty()
    }

    /// How this row is to log in again. One that was made by JWT stays so.
    pub fn log_in(&self, row: &Credential) -> LogIn {
        use applink_api::connection::ConnectionMethod::{Jwt, OAuth};
        match row.method {
            _ if !self.logs_in() => LogIn::No,
            OAuth if self.jwt.is_empty() => LogIn::Browser,
            OAuth | Jwt => LogIn::Jwt(self.jwt.clone()),
        }
    }

    /// Whether the row logs in even as the user's fifth grant.
    pub fn is_forced(&self) -> bool {
        self.force
    }

    /// Where this row is to log in.
    ///
    /// # Errors
    /// 422 when its former login host may not be called any more.
    pub fn login(&self, app: &App, row: &Credential) -> Result<Login, ApiError> {
        match &self.login {
            Some(login) => Ok(login.clone()),
            None => Login::check(app, &row.login_url),
        }
    }

    /// Gives the row its new names, when nobody else has them. Under the add-on's lock.
    ///
    /// # Errors
    /// 409 when a name is another's, or the row is being disconnected.
    pub async fn rename(
        &self,
        connection: &impl ConnectionTrait,
        row: &mut Credential,
    ) -> Result<Option<String>, ApiError> {
        if matches!(row.state, State::Disconnecting(_)) {
            let why = flow::NameTaken::Disconnecting;
            return Err(ApiError::conflict(flow::name_taken(self.kind, &row.name, why)));
        }
        let before = row.name.clone();
        flow::rename(row, self.name.as_ref(), self.alias.as_ref());
        self.ensure_free(connection, row).await?;
        Ok((before != row.name).then(|| format!("{before} is now {}", row.name)))
    }

    async fn ensure_free(&self, connection: &impl ConnectionTrait, row: &Credential) -> Result<(), ApiError> {
        let other = match self.kind {
            Kind::Connection => {
                let found = store::find_by_name(connection, row.addon, self.kind, &row.name).await?;
                found.filter(|found| found.id != row.id)
            }
            Kind::Authorization => {
                let names = [Some(row.name.as_str()), row.alias.as_deref()];
                let keys: Vec<String> = names.into_iter().flatten().map(look_up_key).collect();
                store::other_with_key(connection, row.addon, &keys, Some(row.id)).await?
            }
        };
        let Some(other) = other else { return Ok(()) };
        let kind = self.kind.as_str();
        Err(ApiError::conflict(match &other.state {
            State::Disconnected { .. } => format!(
                "A disconnected {kind} named `{}` is still listed: choose another name, or use that one again.",
                other.name
            ),
            _ => format!("There is already a {kind} named `{}`: choose another name.", other.name),
        }))
    }

    /// What the row says of its last change.
    pub fn touch(row: &mut Credential, by: &str, now: Timestamp) {
        row.last_modified_at = now;
        by.clone_into(&mut row.last_modified_by);
    }
}

impl Login {
    fn check(app: &App, url: &str) -> Result<Self, ApiError> {
        let origin = app.hosts.login(Some(url)).map_err(|error| {
            let sentence = format!("{}. {}", capitalised(&error.to_string()), error.hint());
            ApiError::invalid_field("$.login_url", sentence)
        })?;
        Ok(Self { url: url.to_owned(), origin })
    }
}
