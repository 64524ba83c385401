//! The one query of a hand-out: an authorization with its live grant.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use applink_api::ids::AddonId;
use applink_api::names::look_up_key;
use sea_orm::{ConnectionTrait, FromQueryResult as _, IdenStatic as _, Iterable as _, Statement};
use tokio::time::timeout;

use super::grouped_reads::GroupedReads;
use crate::app::App;
use crate::credentials::{Credential, Kind, store as credentials};
use crate::db::{RowId, StoreError};
use crate::tokens::store as grants;

/// Both rows, with prefixes so that their columns don't mix. Written once: building it costs more than the look-up.
static SQL: LazyLock<String> = LazyLock::new(|| {
    let columns = credentials::Column::iter()
        .map(|column| format!("c.{0} AS c_{0}", column.as_str()))
        .chain(grants::Column::iter().map(|column| format!("g.{0} AS g_{0}", column.as_str())));
    format!(
        "SELECT {columns} FROM credentials c \
         LEFT JOIN grants g ON g.credential_id = c.id AND g.addon_id = c.addon_id AND g.state = '{live}' \
         WHERE c.addon_id = $1 AND c.kind = '{kind}' AND (c.name_key = $2 OR c.alias_key = $2 OR c.id = $3)",
        columns = columns.collect::<Vec<_>>().join(", "),
        live = grants::LIVE,
        kind = Kind::Authorization.as_str(),
    )
});

/// A database that does not answer a read within this is away.
const PATIENCE: Duration = Duration::from_secs(4);

/// An authorization, with its live grant when it has one.
pub(crate) type WithGrant = Option<(Arc<Credential>, Option<grants::Model>)>;

/// Reads under way, by add-on and the name that was asked for.
pub(crate) type Reads = GroupedReads<(AddonId, String), WithGrant>;

/// The authorization a path names (by uuid, name or alias), with its live grant when it has one; as it is now or will be in a
/// moment, never as it was before.
pub(super) async fn find_with_grant(
    app: &App,
    addon: AddonId,
    named: &str,
) -> Result<Arc<WithGrant>, StoreError> {
    let read = async || {
        let found = timeout(PATIENCE, find(app.store.reader(), addon, named)).await;
        found.unwrap_or_else(|_| Err(StoreError::timed_out()))
    };
    app.reads.read(&(addon, named.to_owned()), read).await
}

async fn find(
    connection: &impl ConnectionTrait,
    addon: AddonId,
    named: &str,
) -> Result<WithGrant, StoreError> {
    // An id is one row's and no other's, whatever another is called.
    let (key, id) = match named.parse::<RowId>() {
        Ok(id) => (String::new(), id.to_string()),
        Err(_) => (look_up_key(named), String::new()),
    };
    let values = [RowId::from(addon).into(), key.into(), id.into()];
    let statement = Statement::from_sql_and_values(connection.get_database_backend(), SQL.as_str(), values);
    let Some(row) = connection.query_one_raw(statement).await? else { return Ok(None) };
    let credential = credentials::Model::from_query_result(&row, "c_")?;
    let grant = grants::Model::from_query_result_optional(&row, "g_")?;
    Ok(Some((Arc::new(Credential::try_from(credential)?), grant)))
}
