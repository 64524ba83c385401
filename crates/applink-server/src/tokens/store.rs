//! The table `grants`: what an org gave us for one credential. At most one per credential is live.

use std::time::Duration;

use applink_api::connection::ConnectionMethod;
use applink_api::ids::AddonId;
use applink_api::time::Timestamp;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Expr, ExprTrait as _, Func};
use sea_orm::{Condition, IntoActiveModel as _, QueryOrder as _, QuerySelect as _};

use super::lease::{LEASE, LeaseState, Rotation};
use crate::credentials::store::{method_of, method_word};
use crate::db::claim::Due;
use crate::db::{Database, RowId, StoreError};
use crate::vault::{Place, SealedToken};

/// The table's name, part of every sealed value's associated data.
pub const TABLE: &str = "grants";
/// The state of a usable grant.
pub const LIVE: &str = "live";
/// The state of a grant that is to be revoked at the org and then erased.
pub const REVOKING: &str = "revoking";

/// A live grant, for refreshing it.
pub const TO_RENEW: Due = Due { table: TABLE, condition: "state = 'live'", order_by: "id" };
/// Grants to revoke.
pub const TO_REVOKE: Due = Due {
    table: TABLE,
    condition: "state = 'revoking' AND (not_before IS NULL OR not_before <= {now})",
    order_by: "not_before",
};

/// A row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "grants")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: RowId,
    /// The tenant.
    pub addon_id: RowId,
    /// See [`crate::db::claim`].
    pub lease_owner: Option<String>,
    /// See [`crate::db::claim`].
    pub lease_until: Option<i64>,
    /// See [`crate::db::claim`].
    pub fence: i64,
    /// Whose grant it is.
    pub credential_id: RowId,
    /// [`LIVE`] or [`REVOKING`].
    pub state: String,
    /// `oauth` or `jwt`.
    pub method: String,
    /// Where the log-in was; audience of assertions.
    pub login_origin: String,
    /// Consumer key of the client it was given to.
    pub client_id: String,
    /// The org, which never changes.
    pub org_id: String,
    /// The org's own origin, which may change.
    pub instance_url: String,
    /// The user.
    pub user_id: String,
    /// The user name.
    pub username: String,
    /// Sealed.
    pub access_token: Option<SealedToken>,
    /// Sealed.
    pub refresh_token: Option<SealedToken>,
    /// Sealed PEM of a JWT credential.
    pub private_key: Option<SealedToken>,
    /// See [`LeaseState::version`].
    pub token_version: i64,
    /// Microseconds UTC.
    pub issued_at: i64,
    /// Microseconds UTC.
    pub expires_at: i64,
    /// `unknown`, `off` or `on`.
    pub rotation: String,
    /// See [`Rotation::Unknown`].
    pub unrotated_answers: i64,
    /// See [`LeaseState::intent`].
    pub intent_at: Option<i64>,
    /// See [`LeaseState::uncertain`].
    pub uncertain_at: Option<i64>,
    /// See [`LeaseState::last_chance_spent`].
    pub last_chance_spent: bool,
    /// See [`LeaseState::not_before`].
    pub not_before: Option<i64>,
    /// See [`LeaseState::failures`].
    pub failures: i64,
    /// Why the org refused the last refresh, when somebody can mend that.
    pub refusal: Option<String>,
    /// How long its access tokens live, in seconds, as the org last said.
    pub session_seconds: Option<i64>,
    /// See [`LeaseState::forced`].
    pub forced: i64,
    /// Microseconds UTC.
    pub created_at: i64,
}

/// None: rows are joined by id only.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// The tenant.
    pub fn addon(&self) -> AddonId {
        self.addon_id.into()
    }

    /// Where a sealed column lives.
    pub fn place(&self, column: &'static str) -> Place {
        Place { addon: self.addon(), table: TABLE, row: self.id.0, column }
    }

    /// Browser or JWT.
    ///
    /// # Errors
    /// [`StoreError::Inconsistent`].
    pub fn connection_method(&self) -> Result<ConnectionMethod, StoreError> {
        method_of(&self.method).ok_or_else(|| self.impossible("method"))
    }

    /// The part the lease protocol works on.
    ///
    /// # Errors
    /// [`StoreError::Inconsistent`].
    pub fn lease(&self) -> Result<LeaseState, StoreError> {
        let unrotated =
            u32::try_from(self.unrotated_answers).map_err(|_| self.impossible("unrotated_answers"))?;
        let rotation = match self.rotation.as_str() {
            "unknown" => Rotation::Unknown { unrotated },
            "off" => Rotation::Off,
            "on" => Rotation::On,
            _ => return Err(self.impossible("rotation")),
        };
        Ok(LeaseState {
            version: self.token_version,
            fence: self.fence,
            leased_until: self.lease_until.map(Timestamp::from_micros),
            intent: self.intent_at.map(Timestamp::from_micros),
            uncertain: self.uncertain_at.map(Timestamp::from_micros),
            last_chance_spent: self.last_chance_spent,
            issued_at: Timestamp::from_micros(self.issued_at),
            expires_at: Timestamp::from_micros(self.expires_at),
            not_before: self.not_before.map(Timestamp::from_micros),
            failures: u32::try_from(self.failures).map_err(|_| self.impossible("failures"))?,
            rotation,
            forced: u32::try_from(self.forced).map_err(|_| self.impossible("forced"))?,
            repeatable: self.connection_method()? == ConnectionMethod::Jwt,
            dead: false,
            last_chance_from: None,
        })
    }

    /// How long its access tokens live, as far as the org has said.
    pub fn session_length(&self) -> Option<Duration> {
        self.session_seconds.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs)
    }

    fn impossible(&self, column: &'static str) -> StoreError {
        StoreError::Inconsistent { table: TABLE, column, row: self.id.to_string() }
    }
}

/// What a new grant starts with.
#[derive(Clone, Debug)]
pub struct NewGrant {
    /// Its id, which its sealed values are tied to.
    pub id: RowId,
    /// The tenant.
    pub addon: AddonId,
    /// Whose grant it is.
    pub credential: RowId,
    /// Browser or JWT.
    pub method: ConnectionMethod,
    /// Where the log-in was.
    pub login_origin: String,
    /// Consumer key of the client it was given to.
    pub client_id: String,
    /// The org and user.
    pub org: crate::credentials::OrgUser,
    /// Sealed.
    pub access_token: SealedToken,
    /// Sealed.
    pub refresh_token: Option<SealedToken>,
    /// Sealed.
    pub private_key: Option<SealedToken>,
    /// When the access token was issued.
    pub issued_at: Timestamp,
    /// When it ends, as far as known.
    pub expires_at: Timestamp,
}

/// Adds a live grant.
pub async fn insert(connection: &impl ConnectionTrait, grant: NewGrant) -> Result<(), StoreError> {
    let row = Model {
        id: grant.id,
        addon_id: grant.addon.into(),
        lease_owner: None,
        lease_until: None,
        fence: 0,
        credential_id: grant.credential,
        state: LIVE.to_owned(),
        method: method_word(grant.method).to_owned(),
        login_origin: grant.login_origin,
        client_id: grant.client_id,
        org_id: grant.org.org_id,
        instance_url: grant.org.instance_url,
        user_id: grant.org.user_id,
        username: grant.org.username,
        access_token: Some(grant.access_token),
        refresh_token: grant.refresh_token,
        private_key: grant.private_key,
        token_version: 1,
        issued_at: grant.issued_at.as_micros(),
        expires_at: grant.expires_at.as_micros(),
        rotation: "unknown".to_owned(),
        unrotated_answers: 0,
        intent_at: None,
        uncertain_at: None,
        last_chance_spent: false,
        not_before: None,
        failures: 0,
        refusal: None,
        session_seconds: None,
        forced: 0,
        created_at: grant.issued_at.as_micros(),
    };
    Entity::insert(row.into_active_model()).exec_without_returning(connection).await?;
    Ok(())
}

/// The live grant of a credential.
pub async fn live(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    credential: Uuid,
) -> Result<Option<Model>, StoreError> {
    let query = Entity::find()
        .filter(Column::CredentialId.eq(RowId(credential)))
        .filter(Column::AddonId.eq(RowId::from(addon)))
        .filter(Column::State.eq(LIVE));
    Ok(query.one(connection).await?)
}

/// A grant by its id, whatever its state.
pub async fn find(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    id: Uuid,
) -> Result<Option<Model>, StoreError> {
    let query = Entity::find_by_id(RowId(id)).filter(Column::AddonId.eq(RowId::from(addon)));
    Ok(query.one(connection).await?)
}

/// Live grants whose refresh token was not used since `idle_since`, and that are not paused; the longest waiting first.
pub async fn idle(
    connection: &impl ConnectionTrait,
    now: Timestamp,
    idle_since: Timestamp,
    limit: u64,
) -> Result<Vec<Model>, StoreError> {
    let not_paused =
        Condition::any().add(Column::NotBefore.is_null()).add(Column::NotBefore.lte(now.as_micros()));
    // One that failed waits since then.
    let waiting_since = Func::coalesce([Expr::col(Column::NotBefore), Expr::col(Column::IssuedAt)]);
    let query = Entity::find()
        .filter(Column::State.eq(LIVE))
        .filter(Column::Method.eq(method_word(ConnectionMethod::OAuth)))
        .filter(Column::IssuedAt.lte(idle_since.as_micros()))
        .filter(not_paused)
        .order_by_asc(waiting_since)
        .limit(limit);
    Ok(query.all(connection).await?)
}

/// Keeps how long tokens live, when this one is still the grant's. Changes nothing a lease protects.
pub async fn learn_age(
    database: &Database,
    grant: RowId,
    version: i64,
    lifetime: Duration,
) -> Result<(), StoreError> {
    let micros = i64::try_from(lifetime.as_micros()).unwrap_or(i64::MAX);
    let seconds = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
    let update = Entity::update_many()
        .col_expr(Column::ExpiresAt, Expr::col(Column::IssuedAt).add(micros))
        .col_expr(Column::SessionSeconds, Expr::value(seconds))
        .filter(Column::Id.eq(grant))
        .filter(Column::TokenVersion.eq(version))
        .filter(Column::State.eq(LIVE));
    let tx = database.begin().await?;
    update.exec(&tx).await?;
    Ok(tx.commit().await?)
}

/// How many grants with a refresh token a client has for a user (org and user id) besides those of a credential, in every
/// tenant: an org counts them all together. Those that are being revoked still count.
pub async fn count_others(
    connection: &impl ConnectionTrait,
    client_id: &str,
    (org_id, user_id): (&str, &str),
    credential: RowId,
) -> Result<u64, StoreError> {
    let query = Entity::find()
        .filter(Column::ClientId.eq(client_id))
        .filter(Column::OrgId.eq(org_id))
        .filter(Column::UserId.eq(user_id))
        .filter(Column::CredentialId.ne(credential))
        .filter(Column::RefreshToken.is_not_null());
    Ok(query.count(connection).await?)
}

/// Whether a live grant, in any tenant, asserts a user (org and user id) through a client: its session may be the one
/// any further assertion is answered with. The grants of `except` don't count.
pub async fn is_asserted(
    connection: &impl ConnectionTrait,
    client_id: &str,
    (org_id, user_id): (&str, &str),
    except: Option<RowId>,
) -> Result<bool, StoreError> {
    let others = except.map(|credential| Column::CredentialId.ne(credential));
    let query = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::ClientId.eq(client_id))
        .filter(Column::OrgId.eq(org_id))
        .filter(Column::UserId.eq(user_id))
        .filter(Column::Method.eq(method_word(ConnectionMethod::Jwt)))
        .filter(Column::State.eq(LIVE))
        .filter(Condition::all().add_option(others));
    Ok(query.into_tuple::<RowId>().one(connection).await?.is_some())
}

/// Whether a credential has any grant left.
pub async fn any_left(connection: &impl ConnectionTrait, credential: RowId) -> Result<bool, StoreError> {
    let query = Entity::find().select_only().column(Column::Id).filter(Column::CredentialId.eq(credential));
    Ok(query.into_tuple::<RowId>().one(connection).await?.is_some())
}

/// Writes the lease protocol's state, when the row is still as it was: same fence, same version, still live.
/// `false` when it is not.
pub async fn save_lease(
    connection: &impl ConnectionTrait,
    grant: &Model,
    state: &LeaseState,
) -> Result<bool, StoreError> {
    save(connection, grant, lease_columns(state)).await
}

/// Writes the protocol's state after an attempt that brought no tokens, and why the org refused if it did, under the
/// same condition as [`save_lease`].
pub async fn save_failure(
    connection: &impl ConnectionTrait,
    grant: &Model,
    state: &LeaseState,
    refusal: Option<String>,
) -> Result<bool, StoreError> {
    let columns = ActiveModel { refusal: sea_orm::Set(refusal), ..lease_columns(state) };
    save(connection, grant, columns).await
}

/// New tokens of a grant.
#[derive(Clone, Debug)]
pub struct RenewedTokens {
    /// Sealed.
    pub access_token: SealedToken,
    /// Sealed; `None` keeps the old.
    pub refresh_token: Option<SealedToken>,
    /// The org's own origin now.
    pub instance_url: String,
}

/// Writes new tokens with the protocol's state, under the same condition as [`save_lease`].
pub async fn save_tokens(
    connection: &impl ConnectionTrait,
    grant: &Model,
    state: &LeaseState,
    tokens: RenewedTokens,
) -> Result<bool, StoreError> {
    let mut columns = lease_columns(state);
    columns.refusal = sea_orm::Set(None);
    columns.issued_at = sea_orm::Set(state.issued_at.as_micros());
    columns.expires_at = sea_orm::Set(state.expires_at.as_micros());
    columns.forced = sea_orm::Set(i64::from(state.forced));
    columns.access_token = sea_orm::Set(Some(tokens.access_token));
    columns.instance_url = sea_orm::Set(tokens.instance_url);
    if let Some(refresh_token) = tokens.refresh_token {
        columns.refresh_token = sea_orm::Set(Some(refresh_token));
    }
    save(connection, grant, columns).await
}

async fn save(
    connection: &impl ConnectionTrait,
    grant: &Model,
    columns: ActiveModel,
) -> Result<bool, StoreError> {
    let update = Entity::update_many()
        .set(columns)
        .filter(Column::Id.eq(grant.id))
        .filter(Column::Fence.eq(grant.fence))
        .filter(Column::TokenVersion.eq(grant.token_version))
        .filter(Column::State.eq(LIVE));
    Ok(update.exec(connection).await?.rows_affected == 1)
}

fn lease_columns(state: &LeaseState) -> ActiveModel {
    let micros = |time: Option<Timestamp>| sea_orm::Set(time.map(Timestamp::as_micros));
    let (rotation, unrotated) = match state.rotation {
        Rotation::Unknown { unrotated } => ("unknown", unrotated),
        Rotation::Off => ("off", 0),
        Rotation::On => ("on", 0),
    };
    ActiveModel {
        token_version: sea_orm::Set(state.version),
        lease_until: micros(state.leased_until),
        intent_at: micros(state.intent),
        uncertain_at: micros(state.uncertain),
        last_chance_spent: sea_orm::Set(state.last_chance_spent),
        not_before: micros(state.not_before),
        failures: sea_orm::Set(i64::from(state.failures)),
        rotation: sea_orm::Set(rotation.to_owned()),
        unrotated_answers: sea_orm::Set(i64::from(unrotated)),
        ..Default::default()
    }
}

/// Pauses a grant whose tokens somebody holds who can't commit them: nobody else sends the one they replaced before. Who
/// is at it right now loses the lease. Only while the row has the tokens that were replaced, and where sending one again
/// does harm.
pub async fn hold(
    connection: &impl ConnectionTrait,
    (addon, grant): (AddonId, Uuid),
    replaced: i64,
    not_before: Timestamp,
) -> Result<bool, StoreError> {
    let columns = ActiveModel {
        lease_until: sea_orm::Set(None),
        not_before: sea_orm::Set(Some(not_before.as_micros())),
        ..Default::default()
    };
    let update = Entity::update_many()
        .set(columns)
        .col_expr(Column::Fence, Expr::col(Column::Fence).add(1))
        .filter(Column::Id.eq(RowId(grant)))
        .filter(Column::AddonId.eq(RowId::from(addon)))
        .filter(Column::TokenVersion.eq(replaced))
        .filter(Column::State.eq(LIVE))
        .filter(Column::Method.eq(method_word(ConnectionMethod::OAuth)))
        .filter(Column::Rotation.ne("off"));
    Ok(update.exec(connection).await?.rows_affected == 1)
}

/// Sends every live grant of a credential to be revoked. They are out of use from this commit on. One that is being
/// refreshed waits until its answer has come: with that one's token it is that which must be revoked.
pub async fn start_revoking(connection: &impl ConnectionTrait, credential: Uuid) -> Result<u64, StoreError> {
    let columns = ActiveModel {
        state: sea_orm::Set(REVOKING.to_owned()),
        lease_until: sea_orm::Set(None),
        failures: sea_orm::Set(0),
        ..Default::default()
    };
    let answered = i64::try_from(LEASE.as_micros()).unwrap_or(i64::MAX);
    let update = Entity::update_many()
        .set(columns)
        .col_expr(Column::NotBefore, Expr::col(Column::IntentAt).add(answered))
        .col_expr(Column::Fence, Expr::col(Column::Fence).add(1))
        .filter(Column::CredentialId.eq(RowId(credential)))
        .filter(Column::State.eq(LIVE));
    Ok(update.exec(connection).await?.rows_affected)
}

/// Gives a grant that is being revoked the tokens of its last refresh, when the row is as it was. Whoever is at it begins
/// anew, with them.
pub async fn save_to_revoke(
    connection: &impl ConnectionTrait,
    grant: &Model,
    tokens: RenewedTokens,
) -> Result<bool, StoreError> {
    let columns = ActiveModel {
        access_token: sea_orm::Set(Some(tokens.access_token)),
        refresh_token: sea_orm::Set(tokens.refresh_token.or_else(|| grant.refresh_token.clone())),
        instance_url: sea_orm::Set(tokens.instance_url),
        token_version: sea_orm::Set(grant.token_version.saturating_add(1)),
        fence: sea_orm::Set(grant.fence.saturating_add(1)),
        lease_until: sea_orm::Set(None),
        intent_at: sea_orm::Set(None),
        uncertain_at: sea_orm::Set(None),
        not_before: sea_orm::Set(None),
        failures: sea_orm::Set(0),
        ..Default::default()
    };
    let update = Entity::update_many()
        .set(columns)
        .filter(Column::Id.eq(grant.id))
        .filter(Column::Fence.eq(grant.fence))
        .filter(Column::TokenVersion.eq(grant.token_version))
        .filter(Column::State.eq(REVOKING));
    Ok(update.exec(connection).await?.rows_affected == 1)
}

/// Tries a revocation again later, when the lease is still ours.
pub async fn retry_revoking(
    connection: &impl ConnectionTrait,
    grant: &Model,
    not_before: Timestamp,
) -> Result<(), StoreError> {
    let columns = ActiveModel {
        lease_until: sea_orm::Set(None),
        not_before: sea_orm::Set(Some(not_before.as_micros())),
        failures: sea_orm::Set(grant.failures.saturating_add(1)),
        ..Default::default()
    };
    let update = Entity::update_many()
        .set(columns)
        .filter(Column::Id.eq(grant.id))
        .filter(Column::Fence.eq(grant.fence));
    update.exec(connection).await?;
    Ok(())
}

/// Erases one grant, ciphertext and all, when the lease is still ours and no newer tokens came. `false` when it is not so.
pub async fn erase(connection: &impl ConnectionTrait, grant: &Model) -> Result<bool, StoreError> {
    let delete = Entity::delete_many()
        .filter(Column::Id.eq(grant.id))
        .filter(Column::Fence.eq(grant.fence))
        .filter(Column::TokenVersion.eq(grant.token_version));
    Ok(delete.exec(connection).await?.rows_affected == 1)
}

/// Erases every grant of a credential.
pub async fn erase_all(connection: &impl ConnectionTrait, credential: Uuid) -> Result<(), StoreError> {
    Entity::delete_many().filter(Column::CredentialId.eq(RowId(credential))).exec(connection).await?;
    Ok(())
}
