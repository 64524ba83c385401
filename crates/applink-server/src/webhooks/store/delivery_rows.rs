//! `webhook_events`, `webhook_deliveries` and `webhook_attempts`.

/// A delivery with its attempts, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The row.
    pub row: deliveries::Model,
    /// Its attempts.
    pub attempts: Vec<attempts::Model>,
}

/// `webhook_events`
pub mod events {
    use sea_orm::entity::prelude::*;

    use crate::db::RowId;

    /// A row.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "webhook_events")]
    pub struct Model {
        /// Its id.
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: RowId,
        /// The tenant.
        pub addon_id: RowId,
        /// What happened.
        pub kind: String,
        /// What is sent, byte by byte.
        pub body: String,
        /// Microseconds UTC.
        pub created_at: i64,
    }

    /// None: rows are joined by id only.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// `webhook_deliveries`
pub mod deliveries {
    use sea_orm::entity::prelude::*;

    use crate::db::RowId;

    /// A row.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "webhook_deliveries")]
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
        /// Where it goes.
        pub endpoint_id: RowId,
        /// What is sent.
        pub event_id: RowId,
        /// The event's type.
        pub kind: String,
        /// One of [`super::super::state`].
        pub state: String,
        /// How many there were.
        pub attempts: i32,
        /// When the next one is due; none when it is final.
        pub due_at: Option<i64>,
        /// Microseconds UTC.
        pub created_at: i64,
    }

    /// None: rows are joined by id only.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// `webhook_attempts`
pub mod attempts {
    use sea_orm::entity::prelude::*;

    use crate::db::RowId;

    /// A row.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "webhook_attempts")]
    pub struct Model {
        /// Its id.
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: RowId,
        /// The tenant.
        pub addon_id: RowId,
        /// Of which delivery.
        pub delivery_id: RowId,
        /// From 1.
        pub number: i32,
        /// Microseconds UTC.
        pub at: i64,
        /// The answer's status, when there was one.
        pub status: Option<i32>,
        /// In a few words.
        pub outcome: String,
        /// How long it took.
        pub milliseconds: i64,
    }

    /// None: rows are joined by id only.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
