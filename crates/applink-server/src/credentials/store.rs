//! The table `credentials`. Every query but the reconciler's takes the add-on first.

use applink_api::connection::ConnectionMethod;
use applink_api::error::ResourceError;
use applink_api::ids::AddonId;
use applink_api::names::look_up_key;
use applink_api::org::OrgType;
use applink_api::time::Timestamp;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Func, LikeExpr};
use sea_orm::{Condition, ExprTrait as _, IntoActiveModel as _, QueryOrder as _, QuerySelect as _};

use super::{Credential, Kind, OrgUser, State, flow};
use crate::db::claim::Due;
use crate::db::{RowId, StoreError};

/// The table's name, part of every sealed value's associated data.
pub const TABLE: &str = "credentials";

/// Rows the reconciler is to look at.
pub const DUE: Due = Due { table: TABLE, condition: "due_at <= {now}", order_by: "due_at" };

/// A row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "credentials")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: RowId,
    pub addon_id: RowId,
    pub lease_owner: Option<String>,
    pub lease_until: Option<i64>,
    pub fence: i64,
    pub kind: String,
    pub name: String,
    pub name_key: String,
    pub alias: Option<String>,
    pub alias_key: Option<String>,
    pub org_type: String,
    pub state: String,
    pub method: String,
    pub login_url: String,
    pub org_id: Option<String>,
    pub instance_url: Option<String>,
    pub user_id: Option<String>,
    pub username: Option<String>,
    pub api_version: Option<String>,
    pub error_id: Option<String>,
    pub error_message: Option<String>,
    pub app_name: Option<String>,
    pub due_at: Option<i64>,
    pub created_at: i64,
    pub created_by: String,
    pub last_modified_at: i64,
    pub last_modified_by: String,
}

/// None: rows are joined by id only.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// All of a kind, by name.
pub async fn list(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    kind: Kind,
) -> Result<Vec<Credential>, StoreError> {
    let rows = of(addon, kind).order_by_asc(Column::NameKey).all(connection).await?;
    rows.into_iter().map(Credential::try_from).collect()
}

/// Some of a kind, by name: those whose name, alias, org or user has `search` in it, from `offset` on.
pub async fn page(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    kind: Kind,
    search: &str,
    (offset, limit): (u64, u64),
) -> Result<Vec<Credential>, StoreError> {
    let query = of(addon, kind).filter(matching(search)).order_by_asc(Column::NameKey);
    let rows = query.offset(offset).limit(limit).all(connection).await?;
    rows.into_iter().map(Credential::try_from).collect()
}

/// How many of a kind there are whose name, alias, org or user has `search` in it.
pub async fn count(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    kind: Kind,
    search: &str,
) -> Result<u64, StoreError> {
    Ok(of(addon, kind).filter(matching(search)).count(connection).await?)
}

fn matching(search: &str) -> Condition {
    if search.is_empty() {
        return Condition::all();
    }
    let lower = search.to_lowercase();
    let key = look_up_key(&lower);
    let folded = |column: Column, text: &str| Expr::expr(Func::lower(Expr::col(column))).like(contains(text));
    Condition::any()
        .add(folded(Column::NameKey, &key))
        .add(folded(Column::AliasKey, &key))
        .add(folded(Column::OrgId, &lower))
        .add(folded(Column::Username, &lower))
}

/// Has `text` in it, whatever that text is.
pub(crate) fn contains(text: &str) -> LikeExpr {
    let plain: String =
        text.chars().flat_map(|c| "\\%_".contains(c).then_some('\\').into_iter().chain([c])).collect();
    LikeExpr::new(format!("%{plain}%")).escape('\\')
}

/// The one a path names: by uuid, by name, or (authorizations) by alias. `-` and `_` are the same character.
pub async fn find(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    kind: Kind,
    named: &str,
) -> Result<Option<Credential>, StoreError> {
    // An id is one row's and no other's, whatever another is called.
    let matches = match named.parse::<RowId>() {
        Ok(id) => Condition::any().add(Column::Id.eq(id)),
        Err(_) => {
            let key = look_up_key(named);
            Condition::any().add(Column::NameKey.eq(key.clone())).add(Column::AliasKey.eq(key))
        }
    };
    let row = of(addon, kind).filter(matches).one(connection).await?;
    row.map(Credential::try_from).transpose()
}

/// The one with this id.
pub async fn find_by_id(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    id: Uuid,
) -> Result<Option<Credential>, StoreError> {
    let query = Entity::find_by_id(RowId(id)).filter(Column::AddonId.eq(RowId::from(addon)));
    query.one(connection).await?.map(Credential::try_from).transpose()
}

/// The one whose name (not alias) this is.
pub async fn find_by_name(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    kind: Kind,
    name: &str,
) -> Result<Option<Credential>, StoreError> {
    let row = of(addon, kind).filter(Column::NameKey.eq(look_up_key(name))).one(connection).await?;
    row.map(Credential::try_from).transpose()
}

/// Another authorization whose name or alias one of `keys` is.
pub async fn other_with_key(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    keys: &[String],
    except: Option<Uuid>,
) -> Result<Option<Credential>, StoreError> {
    let taken =
        Condition::any().add(Column::NameKey.is_in(keys.to_vec())).add(Column::AliasKey.is_in(keys.to_vec()));
    let mut query = of(addon, Kind::Authorization).filter(taken);
    if let Some(id) = except {
        query = query.filter(Column::Id.ne(RowId(id)));
    }
    query.one(connection).await?.map(Credential::try_from).transpose()
}

/// Live connections of an add-on to an org.
pub async fn live_connections(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    org_id: &str,
) -> Result<Vec<Credential>, StoreError> {
    let query = of(addon, Kind::Connection).filter(Column::OrgId.eq(org_id)).filter(Column::State.eq(LIVE));
    query.all(connection).await?.into_iter().map(Credential::try_from).collect()
}

/// Adds a row; [`super::write::insert`] tells of it too.
pub async fn insert(connection: &impl ConnectionTrait, credential: &Credential) -> Result<(), StoreError> {
    Entity::insert(model(credential).into_active_model()).exec_without_returning(connection).await?;
    Ok(())
}

/// Writes everything that may change, and frees the lease; [`super::write::save`] tells of it too.
pub async fn save(connection: &impl ConnectionTrait, credential: &Credential) -> Result<(), StoreError> {
    let row = model(credential);
    let (id, created_at) = (row.id, row.created_at);
    let mut changed = row.into_active_model().reset_all();
    changed.fence = sea_orm::NotSet;
    changed.id = sea_orm::Unchanged(id);
    changed.created_at = sea_orm::Unchanged(created_at);
    changed.update(connection).await?;
    Ok(())
}

/// Removes a row; see [`super::write::delete`].
pub async fn delete(connection: &impl ConnectionTrait, addon: AddonId, id: Uuid) -> Result<(), StoreError> {
    let query =
        Entity::delete_many().filter(Column::Id.eq(RowId(id))).filter(Column::AddonId.eq(RowId::from(addon)));
    query.exec(connection).await?;
    Ok(())
}

pub(super) fn of(addon: AddonId, kind: Kind) -> sea_orm::Select<Entity> {
    Entity::find().filter(Column::AddonId.eq(RowId::from(addon))).filter(Column::Kind.eq(kind.as_str()))
}

/// As stored, of what works.
pub(super) const LIVE: &str = "live";

fn state_word(state: &State) -> &'static str {
    match state {
        State::Pending { .. } => "pending",
        State::Live(_) => LIVE,
        State::Dead { .. } => "dead",
        State::Failed { .. } => "failed",
        State::Disconnecting(_) => "disconnecting",
        State::Disconnected { .. } => "disconnected",
    }
}

fn model(credential: &Credential) -> Model {
    let org = credential.org().cloned();
    let error = credential.error().cloned();
    Model {
        id: RowId(credential.id),
        addon_id: credential.addon.into(),
        lease_owner: None,
        lease_until: None,
        fence: 0,
        kind: credential.kind.as_str().to_owned(),
        name: credential.name.clone(),
        name_key: look_up_key(&credential.name),
        alias: credential.alias.clone(),
        alias_key: credential.alias.as_deref().map(look_up_key),
        org_type: credential.org_type.as_str().to_owned(),
        state: state_word(&credential.state).to_owned(),
        method: method_word(credential.method).to_owned(),
        login_url: credential.login_url.clone(),
        org_id: org.as_ref().map(|org| org.org_id.clone()),
        instance_url: org.as_ref().map(|org| org.instance_url.clone()),
        user_id: org.as_ref().map(|org| org.user_id.clone()),
        username: org.as_ref().map(|org| org.username.clone()),
        api_version: org.map(|org| org.api_version),
        error_id: error.as_ref().map(|error| error.id.to_string()),
        error_message: error.map(|error| error.message),
        app_name: credential.app_name.clone(),
        due_at: flow::due_at(credential).map(Timestamp::as_micros),
        created_at: credential.created_at.as_micros(),
        created_by: credential.created_by.clone(),
        last_modified_at: credential.last_modified_at.as_micros(),
        last_modified_by: credential.last_modified_by.clone(),
    }
}

/// As stored.
pub(crate) fn method_word(method: ConnectionMethod) -> &'static str {
    match method {
        ConnectionMethod::OAuth => "oauth",
        ConnectionMethod::Jwt => "jwt",
    }
}

/// The reverse of [`method_word`].
pub(crate) fn method_of(word: &str) -> Option<ConnectionMethod> {
    match word {
        "oauth" => Some(ConnectionMethod::OAuth),
        "jwt" => Some(ConnectionMethod::Jwt),
        _ => None,
    }
}

impl Model {
    fn impossible(&self, column: &'static str) -> StoreError {
        StoreError::Inconsistent { table: TABLE, column, row: self.id.to_string() }
    }

    fn org(&self) -> Option<OrgUser> {
        Some(OrgUser {
            org_id: self.org_id.clone()?,
            instance_url: self.instance_url.clone()?,
            user_id: self.user_id.clone()?,
            username: self.username.clone()?,
            api_version: self.api_version.clone()?,
        })
    }

    fn error(&self) -> Option<ResourceError> {
        Some(ResourceError { id: self.error_id.clone()?.into(), message: self.error_message.clone()? })
    }

    fn state(&self) -> Option<State> {
        let due = self.due_at.map(Timestamp::from_micros);
        Some(match self.state.as_str() {
            "pending" => State::Pending { until: due?, was: self.org() },
            LIVE => State::Live(self.org()?),
            "dead" => State::Dead { org: self.org()?, error: self.error()? },
            "failed" => State::Failed { error: self.error()?, was: self.org() },
            "disconnecting" => State::Disconnecting(self.org()?),
            "disconnected" => State::Disconnected { org: self.org(), until: due? },
            _ => return None,
        })
    }
}

impl TryFrom<Model> for Credential {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        let kind = match row.kind.as_str() {
            "connection" => Kind::Connection,
            "authorization" => Kind::Authorization,
            _ => return Err(row.impossible("kind")),
        };
        let org_type = match row.org_type.as_str() {
            "SalesforceOrg" => OrgType::SalesforceOrg,
            "DataCloudOrg" => OrgType::DataCloudOrg,
            _ => return Err(row.impossible("org_type")),
        };
        let method = method_of(&row.method).ok_or_else(|| row.impossible("method"))?;
        let state = row.state().ok_or_else(|| row.impossible("state"))?;
        Ok(Self {
            id: row.id.0,
            addon: row.addon_id.into(),
            kind,
            org_type,
            state,
            method,
            name: row.name,
            alias: row.alias,
            login_url: row.login_url,
            app_name: row.app_name,
            created_at: Timestamp::from_micros(row.created_at),
            created_by: row.created_by,
            last_modified_at: Timestamp::from_micros(row.last_modified_at),
            last_modified_by: row.last_modified_by,
        })
    }
}
