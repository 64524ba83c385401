//! The tables of the ledger.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveModelTrait as _, ConnectionTrait, DbBackend, DbErr, EntityTrait as _, IntoActiveModel as _,
    RuntimeErr, Statement, Value,
};
use sea_orm::{ColumnTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, QueryTrait as _};

use sqlx::query::Query;
use sqlx::{Sqlite, SqliteConnection};

use super::Actor;
use crate::db::{RowId, StoreError};

/// `audit_rows`
pub mod rows {
    use sea_orm::entity::prelude::*;

    use crate::db::RowId;

    /// One thing that happened.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "audit_rows")]
    pub struct Model {
        /// The segment it belongs to.
        #[sea_orm(primary_key, auto_increment = false)]
        pub segment: RowId,
        /// Its number there, from 0.
        #[sea_orm(primary_key, auto_increment = false)]
        pub seq: i64,
        /// Microseconds UTC.
        pub at: i64,
        /// See `audit_actors`. Text, so that an altered value is a finding and not an unreadable row.
        pub actor: String,
        /// What happened.
        pub action: String,
        /// In which add-on.
        pub addon_id: Option<String>,
        /// To what.
        pub subject: Option<String>,
        /// More, for people.
        pub detail: String,
        /// The MAC of the row before; empty for the first.
        pub prev_mac: String,
        /// Its own.
        pub mac: String,
    }

    /// None.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// `audit_segments`
pub mod segments {
    use sea_orm::entity::prelude::*;

    use crate::db::RowId;

    /// One process's part of the ledger.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "audit_segments")]
    pub struct Model {
        /// Its id.
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: RowId,
        /// The process, for people.
        pub process: String,
        /// The master key its MACs come from.
        pub master_key_id: String,
        /// Microseconds UTC.
        pub opened_at: i64,
        /// When the process ended, or another found it gone.
        pub closed_at: Option<i64>,
    }

    /// None.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// `audit_anchors`
pub mod anchors {
    use sea_orm::entity::prelude::*;

    use crate::db::RowId;

    /// The newest row of a segment at some minute.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "audit_anchors")]
    pub struct Model {
        /// Its number in the one chain of anchors, from 1.
        #[sea_orm(primary_key, auto_increment = false)]
        pub number: i64,
        /// Microseconds UTC.
        pub at: i64,
        /// The segment.
        pub segment: RowId,
        /// The row's number there.
        pub seq: i64,
        /// The row's MAC.
        pub row_mac: String,
        /// The MAC of the anchor before; empty for the first.
        pub prev_mac: String,
        /// Its own.
        pub mac: String,
    }

    /// None.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// `audit_actors`
pub mod actors {
    use sea_orm::entity::prelude::*;

    use crate::db::RowId;

    /// A name that can be erased without touching the chain.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "audit_actors")]
    pub struct Model {
        /// The opaque id rows carry.
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: RowId,
        /// See [`crate::audit::ActorKind`].
        pub kind: String,
        /// None once erased.
        pub name: Option<String>,
        /// A keyed hash of kind and name; none once erased.
        pub lookup: Option<String>,
    }

    /// None.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Opens a segment.
pub async fn open_segment(
    connection: &impl ConnectionTrait,
    id: RowId,
    process: &str,
    master_key_id: &str,
    at: i64,
) -> Result<(), StoreError> {
    let row = segments::Model {
        id,
        process: process.to_owned(),
        master_key_id: master_key_id.to_owned(),
        opened_at: at,
        closed_at: None,
    };
    row.into_active_model().insert(connection).await?;
    Ok(())
}

/// Marks a segment as ended. `false` when it was already.
pub async fn close_segment(
    connection: &impl ConnectionTrait,
    id: RowId,
    at: i64,
) -> Result<bool, StoreError> {
    let closed = segments::ActiveModel { closed_at: sea_orm::Set(Some(at)), ..Default::default() };
    let update = segments::Entity::update_many()
        .set(closed)
        .filter(segments::Column::Id.eq(id))
        .filter(segments::Column::ClosedAt.is_null());
    Ok(update.exec(connection).await?.rows_affected == 1)
}

/// Marks a segment as not ended after all.
pub async fn reopen_segment(connection: &impl ConnectionTrait, id: RowId) -> Result<(), StoreError> {
    let open = segments::ActiveModel { closed_at: sea_orm::Set(None), ..Default::default() };
    let update = segments::Entity::update_many()
        .set(open)
        .filter(segments::Column::Id.eq(id))
        .filter(segments::Column::ClosedAt.is_not_null());
    update.exec(connection).await?;
    Ok(())
}

/// Segments that did not end and belong to none of these processes, oldest first.
pub async fn unclosed_segments(
    connection: &impl ConnectionTrait,
    except: &HashSet<String>,
    limit: u64,
) -> Result<Vec<segments::Model>, StoreError> {
    let query = segments::Entity::find()
        .filter(segments::Column::ClosedAt.is_null())
        .filter(segments::Column::Process.is_not_in(except))
        .order_by_asc(segments::Column::OpenedAt)
        .limit(limit);
    Ok(query.all(connection).await?)
}

/// The newest row of a segment.
pub async fn last_row(
    connection: &impl ConnectionTrait,
    segment: RowId,
) -> Result<Option<rows::Model>, StoreError> {
    let query = rows::Entity::find().filter(rows::Column::Segment.eq(segment));
    Ok(query.order_by_desc(rows::Column::Seq).one(connection).await?)
}

/// The newest row of a segment that has an anchor.
pub async fn anchored_to(
    connection: &impl ConnectionTrait,
    segment: RowId,
) -> Result<Option<i64>, StoreError> {
    let query = anchors::Entity::find().filter(anchors::Column::Segment.eq(segment));
    let newest = query.order_by_desc(anchors::Column::Seq).one(connection).await?;
    Ok(newest.map(|anchor| anchor.seq))
}

/// Rows one statement takes.
pub(super) const MOST_AT_ONCE: usize = 64;

/// Appends at most [`MOST_AT_ONCE`] rows in a statement that is a transaction by itself.
pub(super) async fn insert_rows_alone(
    connection: &mut SqliteConnection,
    rows: Vec<rows::Model>,
) -> Result<(), StoreError> {
    let (_, sql) = insertion(DbBackend::Sqlite, rows.len());
    let bind = |query: Query<'static, Sqlite, _>, row: rows::Model| {
        let query = query.bind(row.segment.to_string()).bind(row.seq).bind(row.at).bind(row.actor);
        let query = query.bind(row.action).bind(row.addon_id).bind(row.subject).bind(row.detail);
        query.bind(row.prev_mac).bind(row.mac)
    };
    let inserted = rows.into_iter().fold(sqlx::query(sql), bind).execute(connection).await;
    let failed = |error| StoreError::Db(DbErr::Exec(RuntimeErr::SqlxError(Arc::new(error))));
    inserted.map(|_| ()).map_err(failed)
}

/// Appends rows.
pub async fn insert_rows(
    connection: &impl ConnectionTrait,
    rows: Vec<rows::Model>,
) -> Result<(), StoreError> {
    let engine = connection.get_database_backend();
    let mut rows = rows.into_iter();
    while rows.len() > 0 {
        let (count, sql) = insertion(engine, rows.len().min(MOST_AT_ONCE));
        let values: Vec<Value> = rows.by_ref().take(count).flat_map(values_of).collect();
        connection.execute_raw(Statement::from_sql_and_values(engine, sql, values)).await?;
    }
    Ok(())
}

/// The statement that appends so many rows or, on PostgreSQL, the greatest power of two of them: a statement should be known to
/// the database already, and there each of many connections keeps its own.
fn insertion(engine: DbBackend, most: usize) -> (usize, &'static str) {
    let (statements, count) = match engine {
        DbBackend::Sqlite => (&UNNUMBERED, most),
        _ => (&NUMBERED, 1 << most.ilog2()),
    };
    (count, statements.get(count - 1).map_or("", String::as_str))
}

fn values_of(row: rows::Model) -> [Value; 10] {
    [
        row.segment.into(),
        row.seq.into(),
        row.at.into(),
        row.actor.into(),
        row.action.into(),
        row.addon_id.into(),
        row.subject.into(),
        row.detail.into(),
        row.prev_mac.into(),
        row.mac.into(),
    ]
}

/// For 1 to [`MOST_AT_ONCE`] rows. SQLite would look every number up among all of the statement's.
static UNNUMBERED: LazyLock<Vec<String>> =
    LazyLock::new(|| (1..=MOST_AT_ONCE).map(|count| insert_sql(count, |_| "?".into())).collect());
static NUMBERED: LazyLock<Vec<String>> = LazyLock::new(|| {
    (1..=MOST_AT_ONCE).map(|count| insert_sql(count, |number| format!("${number}"))).collect()
});

fn insert_sql(count: usize, parameter: impl Fn(usize) -> String) -> String {
    const COLUMNS: usize = 10;
    let row = |row: usize| {
        let parameters: Vec<String> = (1..=COLUMNS).map(|column| parameter(row * COLUMNS + column)).collect();
        format!("({})", parameters.join(", "))
    };
    let rows: Vec<String> = (0..count).map(row).collect();
    format!(
        "INSERT INTO audit_rows (segment, seq, at, actor, action, addon_id, subject, detail, prev_mac, mac) \
         VALUES {}",
        rows.join(", ")
    )
}

/// The opaque id of an actor that was seen before.
pub async fn find_actor(
    connection: &impl ConnectionTrait,
    lookup: &str,
) -> Result<Option<RowId>, StoreError> {
    let found = actors::Entity::find().filter(actors::Column::Lookup.eq(lookup)).one(connection).await?;
    Ok(found.map(|actor| actor.id))
}

/// Adds an actor; when another process was quicker, its id.
pub async fn insert_actor(
    connection: &impl ConnectionTrait,
    id: RowId,
    actor: &Actor,
    lookup: String,
) -> Result<RowId, StoreError> {
    let row = actors::Model {
        id,
        kind: actor.kind.as_str().to_owned(),
        name: Some(actor.name.clone()),
        lookup: Some(lookup.clone()),
    };
    let unless_known = OnConflict::column(actors::Column::Lookup).do_nothing().to_owned();
    let insert = actors::Entity::insert(row.into_active_model()).on_conflict(unless_known);
    insert.exec_without_returning(connection).await?;
    Ok(find_actor(connection, &lookup).await?.unwrap_or(id))
}

/// Erases a person's name everywhere in the ledger; what they did stays, under the opaque id.
pub async fn erase_actor(connection: &impl ConnectionTrait, name: &str) -> Result<u64, StoreError> {
    let erased =
        actors::ActiveModel { name: sea_orm::Set(None), lookup: sea_orm::Set(None), ..Default::default() };
    let update = actors::Entity::update_many().set(erased).filter(actors::Column::Name.eq(name));
    Ok(update.exec(connection).await?.rows_affected)
}

/// Every actor.
pub async fn all_actors(connection: &impl ConnectionTrait) -> Result<Vec<actors::Model>, StoreError> {
    Ok(actors::Entity::find().order_by_asc(actors::Column::Id).all(connection).await?)
}

/// Actors of rows that the table of actors lacks.
pub async fn missing_actors(connection: &impl ConnectionTrait) -> Result<Vec<String>, StoreError> {
    let known = actors::Entity::find().select_only().column(actors::Column::Id).into_query();
    let query = rows::Entity::find()
        .select_only()
        .column(rows::Column::Actor)
        .distinct()
        .filter(rows::Column::Actor.not_in_subquery(known));
    Ok(query.into_tuple().all(connection).await?)
}

/// The newest anchor.
pub async fn last_anchor(connection: &impl ConnectionTrait) -> Result<Option<anchors::Model>, StoreError> {
    Ok(anchors::Entity::find().order_by_desc(anchors::Column::Number).one(connection).await?)
}

/// Adds an anchor.
pub async fn insert_anchor(
    connection: &impl ConnectionTrait,
    anchor: anchors::Model,
) -> Result<(), StoreError> {
    anchors::Entity::insert(anchor.into_active_model()).exec_without_returning(connection).await?;
    Ok(())
}

/// Every segment, oldest first.
pub async fn all_segments(connection: &impl ConnectionTrait) -> Result<Vec<segments::Model>, StoreError> {
    Ok(segments::Entity::find().order_by_asc(segments::Column::OpenedAt).all(connection).await?)
}

/// At most `limit` rows of a segment from number `from` on.
pub async fn rows_from(
    connection: &impl ConnectionTrait,
    segment: RowId,
    from: i64,
    limit: u64,
) -> Result<Vec<rows::Model>, StoreError> {
    let query = rows::Entity::find()
        .filter(rows::Column::Segment.eq(segment))
        .filter(rows::Column::Seq.gte(from))
        .order_by_asc(rows::Column::Seq)
        .limit(limit);
    Ok(query.all(connection).await?)
}

/// Every anchor, in order.
pub async fn all_anchors(connection: &impl ConnectionTrait) -> Result<Vec<anchors::Model>, StoreError> {
    Ok(anchors::Entity::find().order_by_asc(anchors::Column::Number).all(connection).await?)
}

/// The rows about one add-on, newest first.
pub async fn rows_of_addon(
    connection: &impl ConnectionTrait,
    addon: applink_api::ids::AddonId,
    limit: u64,
) -> Result<Vec<rows::Model>, StoreError> {
    let query = rows::Entity::find()
        .filter(rows::Column::AddonId.eq(RowId::from(addon)))
        .order_by_desc(rows::Column::At)
        .limit(limit);
    Ok(query.all(connection).await?)
}
