//! A uuid as a TEXT column.

use std::fmt;
use std::str::FromStr;

use applink_api::ids::{AddonId, AppUuid, AuthorizationId, ConnectionId, PublicationId};
use sea_orm::{DbErr, DeriveValueType, TryFromU64};
use uuid::Uuid;

/// A uuid stored as TEXT, in its hyphenated lower-case form.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, DeriveValueType)]
#[sea_orm(value_type = "String")]
pub struct RowId(pub Uuid);

impl fmt::Display for RowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for RowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for RowId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        Uuid::parse_str(text).map(Self)
    }
}

impl TryFromU64 for RowId {
    fn try_from_u64(_: u64) -> Result<Self, DbErr> {
        Err(DbErr::ConvertFromU64("RowId"))
    }
}

macro_rules! row_id_of {
    ($($id:ty),*) => {
        $(
            impl From<$id> for RowId {
                fn from(id: $id) -> Self {
                    Self(id.0)
                }
            }

            impl From<RowId> for $id {
                fn from(id: RowId) -> Self {
                    Self::from(id.0)
                }
            }
        )*
    };
}

row_id_of!(AddonId, AppUuid, AuthorizationId, ConnectionId, PublicationId);

impl From<Uuid> for RowId {
    fn from(uuid: Uuid) -> Self {
        Self(uuid)
    }
}
