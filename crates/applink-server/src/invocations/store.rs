//! The tables `meshes`, `invocation_counts`, `invocations` and `used_tokens`. Every query but housekeeping's takes the
//! add-on first.

use applink_api::ids::{AddonId, AppUuid};
use applink_api::mesh_report::{InvocationCount, InvocationRecord, MeshReport};
use applink_api::time::Timestamp;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ExprTrait as _, IntoActiveModel as _, QueryOrder as _, QuerySelect as _, QueryTrait as _, TryInsertResult,
};

use crate::db::{RowId, StoreError};

mod meshes {
    use crate::db::RowId;
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "meshes")]
    pub(super) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: RowId,
        pub addon_id: RowId,
        pub app_id: RowId,
        pub version: String,
        pub bypass_all: bool,
        pub last_sequence: i64,
        pub first_seen_at: i64,
        pub last_seen_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(super) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod counts {
    use crate::db::RowId;
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "invocation_counts")]
    pub(super) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub addon_id: RowId,
        #[sea_orm(primary_key, auto_increment = false)]
        pub app_id: RowId,
        #[sea_orm(primary_key, auto_increment = false)]
        pub minute: i64,
        #[sea_orm(primary_key, auto_increment = false)]
        pub verdict: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub status: i64,
        pub count: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(super) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod records {
    use crate::db::RowId;
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "invocations")]
    pub(super) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: RowId,
        pub addon_id: RowId,
        pub app_id: RowId,
        pub at: i64,
        pub request_id: String,
        pub org_id: String,
        pub user_id: String,
        pub operation: String,
        pub verdict: String,
        pub status: i64,
        pub mesh_micros: i64,
        pub app_micros: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(super) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod used_tokens {
    use crate::db::RowId;
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "used_tokens")]
    pub(super) struct Model {
        /// A digest of add-on, org and token id.
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub addon_id: RowId,
        pub expires_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(super) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Uses a token up, for all meshes of an add-on. False when somebody did before and it has not expired since.
pub async fn use_token(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    digest: String,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<bool, StoreError> {
    use used_tokens::{Column, Entity, Model};
    let row = Model { id: digest, addon_id: addon.into(), expires_at: expires_at.as_micros() };
    let again = OnConflict::column(Column::Id)
        .update_column(Column::ExpiresAt)
        .action_and_where(Expr::col((Entity, Column::ExpiresAt)).lt(now.as_micros()))
        .to_owned();
    let used = Entity::insert(row.into_active_model()).on_conflict(again);
    Ok(used.exec_without_returning(connection).await? > 0)
}

/// Was this token used up, and has not expired since?
pub async fn is_used(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    digest: String,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let used = used_tokens::Entity::find_by_id(digest)
        .filter(used_tokens::Column::AddonId.eq(RowId::from(addon)))
        .filter(used_tokens::Column::ExpiresAt.gte(now.as_micros()))
        .one(connection)
        .await?;
    Ok(used.is_some())
}

/// Notes that a mesh reported. False when this report, or a later one, was there before.
pub async fn note_mesh(
    connection: &impl ConnectionTrait,
    (addon, app): (AddonId, AppUuid),
    mesh: Uuid,
    report: &MeshReport,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let sequence = i64::try_from(report.sequence).unwrap_or(i64::MAX);
    let later = meshes::Entity::update_many()
        .col_expr(meshes::Column::LastSequence, Expr::value(sequence))
        .col_expr(meshes::Column::LastSeenAt, Expr::value(now.as_micros()))
        .col_expr(meshes::Column::BypassAll, Expr::value(report.bypass_all))
        .filter(meshes::Column::Id.eq(RowId(mesh)))
        .filter(meshes::Column::AddonId.eq(RowId::from(addon)))
        .filter(meshes::Column::LastSequence.lt(sequence))
        .exec(connection)
        .await?;
    if later.rows_affected > 0 {
        return Ok(true);
    }
    let row = meshes::Model {
        id: RowId(mesh),
        addon_id: addon.into(),
        app_id: app.into(),
        version: report.version.clone(),
        bypass_all: report.bypass_all,
        last_sequence: sequence,
        first_seen_at: now.as_micros(),
        last_seen_at: now.as_micros(),
    };
    let inserted = meshes::Entity::insert(row.into_active_model())
        .on_conflict_do_nothing_on([meshes::Column::Id])
        .exec_without_returning(connection)
        .await?;
    Ok(matches!(inserted, TryInsertResult::Inserted(rows) if rows > 0))
}

/// Adds to the counts.
pub async fn add_counts(
    connection: &impl ConnectionTrait,
    (addon, app): (AddonId, AppUuid),
    added: &[InvocationCount],
) -> Result<(), StoreError> {
    use counts::Column;
    for count in added {
        let number = i64::try_from(count.count).unwrap_or(i64::MAX);
        let row = counts::Model {
            addon_id: addon.into(),
            app_id: app.into(),
            minute: count.minute.as_micros(),
            verdict: count.verdict.clone(),
            status: i64::from(count.status),
            count: number,
        };
        let key = [Column::AddonId, Column::AppId, Column::Minute, Column::Verdict, Column::Status];
        let sum = Expr::col((counts::Entity, Column::Count)).add(number);
        let add = OnConflict::columns(key).value(Column::Count, sum).to_owned();
        counts::Entity::insert(row.into_active_model())
            .on_conflict(add)
            .exec_without_returning(connection)
            .await?;
    }
    Ok(())
}

/// Keeps records, under ids that `id` makes.
pub async fn add_records(
    connection: &impl ConnectionTrait,
    (addon, app): (AddonId, AppUuid),
    sample: &[InvocationRecord],
    mut id: impl FnMut() -> Uuid,
) -> Result<(), StoreError> {
    let rows: Vec<records::ActiveModel> = sample
        .iter()
        .map(|record| {
            records::Model {
                id: RowId(id()),
                addon_id: addon.into(),
                app_id: app.into(),
                at: record.at.as_micros(),
                request_id: record.request_id.clone(),
                org_id: record.org_id.clone(),
                user_id: record.user_id.clone(),
                operation: record.operation.clone(),
                verdict: record.verdict.clone(),
                status: i64::from(record.status),
                mesh_micros: i64::try_from(record.mesh_micros).unwrap_or(i64::MAX),
                app_micros: i64::try_from(record.app_micros).unwrap_or(i64::MAX),
            }
            .into_active_model()
        })
        .collect();
    if !rows.is_empty() {
        records::Entity::insert_many(rows).exec_without_returning(connection).await?;
    }
    Ok(())
}

/// The newest records of an add-on, those not after `before`.
pub async fn newest_records(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    before: Option<Timestamp>,
    limit: u64,
) -> Result<Vec<InvocationRecord>, StoreError> {
    let rows = records::Entity::find()
        .filter(records::Column::AddonId.eq(RowId::from(addon)))
        .apply_if(before, |query, before| query.filter(records::Column::At.lte(before.as_micros())))
        .order_by_desc(records::Column::At)
        .limit(limit)
        .all(connection)
        .await?;
    Ok(rows.into_iter().map(record).collect())
}

fn record(row: records::Model) -> InvocationRecord {
    InvocationRecord {
        at: Timestamp::from_micros(row.at),
        request_id: row.request_id,
        org_id: row.org_id,
        user_id: row.user_id,
        operation: row.operation,
        verdict: row.verdict,
        status: u16::try_from(row.status).unwrap_or_default(),
        mesh_micros: u64::try_from(row.mesh_micros).unwrap_or_default(),
        app_micros: u64::try_from(row.app_micros).unwrap_or_default(),
    }
}

/// The counts of an add-on since a time, oldest first.
pub async fn counts_since(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    since: Timestamp,
) -> Result<Vec<InvocationCount>, StoreError> {
    let rows = counts::Entity::find()
        .filter(counts::Column::AddonId.eq(RowId::from(addon)))
        .filter(counts::Column::Minute.gte(since.as_micros()))
        .order_by_asc(counts::Column::Minute)
        .order_by_asc(counts::Column::Verdict)
        .all(connection)
        .await?;
    let count = |row: counts::Model| InvocationCount {
        minute: Timestamp::from_micros(row.minute),
        verdict: row.verdict,
        status: u16::try_from(row.status).unwrap_or_default(),
        count: u64::try_from(row.count).unwrap_or_default(),
    };
    Ok(rows.into_iter().map(count).collect())
}

/// Removes what is older: tokens that have expired, and reports, counts and meshes from before `before`.
pub async fn forget(
    connection: &impl ConnectionTrait,
    now: Timestamp,
    before: Timestamp,
) -> Result<u64, StoreError> {
    let before = before.as_micros();
    let expired = used_tokens::Entity::delete_many()
        .filter(used_tokens::Column::ExpiresAt.lt(now.as_micros()))
        .exec(connection)
        .await?;
    let records =
        records::Entity::delete_many().filter(records::Column::At.lt(before)).exec(connection).await?;
    let counts =
        counts::Entity::delete_many().filter(counts::Column::Minute.lt(before)).exec(connection).await?;
    let meshes =
        meshes::Entity::delete_many().filter(meshes::Column::LastSeenAt.lt(before)).exec(connection).await?;
    Ok(expired.rows_affected + records.rows_affected + counts.rows_affected + meshes.rows_affected)
}
