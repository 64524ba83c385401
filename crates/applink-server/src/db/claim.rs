//! The statements in which SQLite and PostgreSQL differ. No other file branches on the engine.
//!
//! **Claiming** is one statement on both: pick due rows whose lease is free, write owner, end and fence, return
//! them. On PostgreSQL the inner SELECT skips rows another process is claiming; on SQLite the statement runs in an
//! immediate transaction, so there is nobody to skip. (The lock clause can't be left to the query builder: it
//! drops it silently on SQLite.) Leases compare with the database's clock plus the injected offset, so that
//! processes with different clocks agree.
//!
//! The *fence* grows with every claim. Whoever writes under a lease repeats the fence it was given in the WHERE
//! clause; a worker that stalled past its lease then changes nothing.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr, FromQueryResult, Statement, Value};

use super::{Database, Engine, StoreError};

/// Which rows are due. Every text is a constant of ours; values are bound.
#[derive(Clone, Copy, Debug)]
pub struct Due {
    /// The table; it has `id`, `lease_owner`, `lease_until` and `fence`.
    pub table: &'static str,
    /// An SQL condition on its columns, in which `{now}` stands for the time.
    pub condition: &'static str,
    /// The order in which due rows are taken.
    pub order_by: &'static str,
}

/// Who claims, how many rows, for how long.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// This process, for people reading the table.
    pub owner: &'a str,
    /// How long the rows are its own.
    pub lease: Duration,
    /// At most this many.
    pub limit: u32,
}

impl Database {
    /// Claims due rows and returns them with their new fence, committed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn claim_due<M: FromQueryResult>(
        &self,
        due: Due,
        claim: Claim<'_>,
    ) -> Result<Vec<M>, StoreError> {
        let tx = self.begin().await?;
        let rows = M::find_by_statement(self.claim_statement(due, claim, None)).all(&tx).await?;
        tx.commit().await?;
        Ok(rows)
    }

    /// Claims the one row `id` inside a transaction, when its lease is free and `due` holds.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn claim_one<M: FromQueryResult>(
        &self,
        tx: &DatabaseTransaction,
        due: Due,
        id: &str,
        claim: Claim<'_>,
    ) -> Result<Option<M>, StoreError> {
        Ok(M::find_by_statement(self.claim_statement(due, claim, Some(id))).one(tx).await?)
    }

    /// Gives back every lease of `table` that a process before this one left, on SQLite: there has only ever been one
    /// process at a time, so who holds a lease when the next one starts is dead. On PostgreSQL leases run out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn free_leases(&self, table: &'static str) -> Result<(), StoreError> {
        if self.engine() == Engine::Postgres {
            return Ok(());
        }
        let tx = self.begin().await?;
        let sql =
            format!("UPDATE {table} SET lease_until = NULL, fence = fence + 1 WHERE lease_until IS NOT NULL");
        tx.execute_raw(Statement::from_string(self.backend(), sql)).await?;
        Ok(tx.commit().await?)
    }

    fn claim_statement(&self, due: Due, claim: Claim<'_>, id: Option<&str>) -> Statement {
        let Due { table, condition, order_by } = due;
        let now = self.now_expression(1);
        let condition = condition.replace("{now}", &now);
        let skip = match self.engine() {
            Engine::Sqlite => "",
            Engine::Postgres => " FOR UPDATE SKIP LOCKED",
        };
        let only = if id.is_some() { " AND id = $4" } else { "" };
        let sql = format!(
            "UPDATE {table} SET lease_owner = $2, lease_until = {now} + $3, fence = fence + 1 \
             WHERE id IN (SELECT id FROM {table} WHERE ({condition}) \
             AND (lease_until IS NULL OR lease_until <= {now}){only} \
             ORDER BY {order_by} LIMIT {limit}{skip}) RETURNING *",
            limit = claim.limit,
        );
        let lease = i64::try_from(claim.lease.as_micros()).unwrap_or(i64::MAX);
        let mut values: Vec<Value> = vec![self.clock_offset().into(), claim.owner.into(), lease.into()];
        values.extend(id.map(Value::from));
        Statement::from_sql_and_values(self.backend(), sql, values)
    }

    /// The database's own clock plus the injected offset, bound at `$offset`, in microseconds.
    fn now_expression(&self, offset: u8) -> String {
        match self.engine() {
            Engine::Sqlite => format!("(CAST(unixepoch('subsec') * 1000000 AS INTEGER) + ${offset})"),
            Engine::Postgres => {
                format!(
                    "(CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT) + CAST(${offset} AS BIGINT))"
                )
            }
        }
    }

    /// The time the leases go by, in microseconds.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn lease_now(&self, connection: &impl ConnectionTrait) -> Result<i64, StoreError> {
        let sql = format!("SELECT {} AS now", self.now_expression(1));
        let statement = Statement::from_sql_and_values(self.backend(), sql, [self.clock_offset().into()]);
        let row = connection.query_one_raw(statement).await?.ok_or_else(no_row)?;
        Ok(row.try_get("", "now")?)
    }

    /// Keeps other processes out of the first steps (migrations, the server's data key) until the transaction ends. On
    /// SQLite there are none.
    pub(crate) async fn lock_for_start(&self, tx: &DatabaseTransaction) -> Result<(), DbErr> {
        /// "applink" in ASCII.
        const KEY: i64 = 0x61_70_70_6c_69_6e_6b;
        lock(tx, KEY).await
    }

    fn backend(&self) -> sea_orm::DbBackend {
        match self.engine() {
            Engine::Sqlite => sea_orm::DbBackend::Sqlite,
            Engine::Postgres => sea_orm::DbBackend::Postgres,
        }
    }
}

/// Keeps other processes from writing audit anchors until the transaction ends: it commits at once.
pub(crate) async fn lock_anchors(tx: &DatabaseTransaction) -> Result<(), DbErr> {
    /// "anchors" in ASCII.
    const KEY: i64 = 0x61_6e_63_68_6f_72_73;
    lock(tx, KEY).await
}

/// On SQLite the transaction is the only one that writes.
async fn lock(tx: &DatabaseTransaction, key: i64) -> Result<(), DbErr> {
    if tx.get_database_backend() == sea_orm::DbBackend::Postgres {
        let sql = "SELECT pg_advisory_xact_lock($1)";
        tx.execute_raw(Statement::from_sql_and_values(tx.get_database_backend(), sql, [key.into()])).await?;
    }
    Ok(())
}

fn no_row() -> StoreError {
    StoreError::Db(DbErr::RecordNotFound("the database's clock".to_owned()))
}
