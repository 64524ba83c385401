//! Schemas that no derive writes (feature `schema`).

use utoipa::openapi::{ObjectBuilder, RefOr, Schema, SchemaFormat, Type};

/// A text of a format.
pub(crate) fn text(format: &str) -> RefOr<Schema> {
    let object = ObjectBuilder::new().schema_type(Type::String);
    object.format(Some(SchemaFormat::Custom(format.to_owned()))).into()
}
