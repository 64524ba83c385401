//! What every POST that makes or takes up a credential checks and does first, by browser or by JWT.

use applink_api::connection::ConnectionMethod;
use applink_api::names::{Alias, Name, look_up_key};
use applink_api::org::OrgType;
use applink_salesforce::OrgOrigin;
use applink_salesforce::hosts::PRODUCTION_LOGIN;
use sea_orm::ConnectionTrait;

use super::{Credential, Kind, State, flow, store};
use crate::app::App;
use crate::error::ApiError;
use crate::web::auth::RequireManager;

/// A checked request.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Connection or authorization.
    pub kind: Kind,
    /// The name to give it.
    pub name: Name,
    /// An authorization's second name, when one was asked for; see [`Self::alias_with`].
    pub alias: Option<Alias>,
    /// The login URL as it was asked for.
    pub login_url: String,
    /// Where that leads.
    pub login: OrgOrigin,
    /// Salesforce or Data Cloud.
    pub org_type: OrgType,
    /// One more grant of a user is wanted even when the org may end the oldest for it.
    pub force: bool,
}

impl Asked {
    /// Checks name, alias and login URL, in this order.
    ///
    /// # Errors
    /// 422 naming the field and the rule.
    pub fn check(
        app: &App,
        (kind, org_type): (Kind, OrgType),
        name: &str,
        alias: Option<&str>,
        login_url: Option<&str>,
    ) -> Result<Self, ApiError> {
        let sentence = |error: &dyn std::fmt::Display| format!("{error}.");
        let name = Name::parse(kind.name_word(), name)
            .map_err(|error| ApiError::invalid_field(kind.name_field(), sentence(&error)))?;
        let alias = match (kind, alias) {
            (Kind::Connection, _) | (Kind::Authorization, None) => None,
            (Kind::Authorization, Some(text)) => {
                let parsed = text.parse::<Alias>();
                Some(parsed.map_err(|error| ApiError::invalid_field("$.alias", sentence(&error)))?)
            }
        };
        let login_url = login_url.map(str::trim).filter(|url| !url.is_empty()).unwrap_or(PRODUCTION_LOGIN);
        let login = app.hosts.login(Some(login_url)).map_err(|error| {
            ApiError::invalid_field(
                "$.login_url",
                format!("{}. {}", capitalised(&error.to_string()), error.hint()),
            )
        })?;
        Ok(Self { kind, name, alias, login_url: login_url.to_owned(), login, org_type, force: false })
    }

    /// The same, insisting on the grant.
    #[must_use]
    pub fn forced(mut self, force: bool) -> Self {
        self.force = force;
        self
    }

    /// The row with this name that is to be taken up, if there is one. Under the add-on's lock the answer holds
    /// until the transaction ends.
    ///
    /// # Errors
    /// 409 when the name is alive, or name or alias are another authorization's.
    pub async fn existing(
        &self,
        connection: &impl ConnectionTrait,
        manager: &RequireManager,
    ) -> Result<Option<Credential>, ApiError> {
        let addon = manager.addon.id;
        let existing = store::find_by_name(connection, addon, self.kind, self.name.as_str()).await?;
        flow::begin(existing.as_ref())
            .map_err(|why| ApiError::conflict(flow::name_taken(self.kind, self.name.as_str(), why)))?;
        if self.kind == Kind::Authorization {
            let alias = self.alias_with(existing.as_ref());
            let names = [Some(self.name.as_str()), alias.as_deref()];
            let keys: Vec<String> = names.into_iter().flatten().map(look_up_key).collect();
            let own = existing.as_ref().map(|existing| existing.id);
            if let Some(other) = store::other_with_key(connection, addon, &keys, own).await? {
                let message = format!(
                    "The authorization `{}` has this name or alias already: choose another with --alias.",
                    other.name
                );
                return Err(ApiError::conflict(message));
            }
        }
        Ok(existing)
    }

    /// The second name from now on: a row that is taken up keeps the one it has unless another is asked for.
    fn alias_with(&self, existing: Option<&Credential>) -> Option<String> {
        if self.kind == Kind::Connection {
            return None;
        }
        let given = self.alias.as_ref().map(|alias| alias.as_str().to_owned());
        let kept = || existing.and_then(|existing| existing.alias.clone());
        given.or_else(kept).or_else(|| Some(Alias::default_for(&self.name).as_str().to_owned()))
    }

    /// The row as it is to be from now on: a new one, or the existing one taken up under its id.
    pub fn credential(
        &self,
        app: &App,
        manager: &RequireManager,
        existing: Option<Credential>,
        method: ConnectionMethod,
        state: State,
    ) -> Credential {
        let now = app.clock.now();
        let by = manager.actor.name.clone();
        let alias = self.alias_with(existing.as_ref());
        let (id, created_at, created_by) = match existing {
            Some(row) => (row.id, row.created_at, row.created_by),
            None => (app.entropy.uuid(), now, by.clone()),
        };
        Credential {
            id,
            addon: manager.addon.id,
            kind: self.kind,
            name: self.name.as_str().to_owned(),
            alias,
            org_type: self.org_type,
            state,
            method,
            login_url: self.login_url.clone(),
            app_name: manager.app.as_ref().map(|app| app.name.clone()),
            created_at,
            created_by,
            last_modified_at: now,
            last_modified_by: by,
        }
    }
}

/// The first letter in upper case: a sentence begins.
pub(crate) fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_uppercase().chain(characters).collect(),
        None => String::new(),
    }
}
