//! Files: `GET sobjects/{object}/{id}/{field}` answers the bytes of a field that holds some.

use ::http::Method;

use super::RestError;
use super::dispatch::{Call, Session};
use crate::schema::{Field, FieldType};

/// The file that a call asks for.
pub(super) struct Wanted<'c> {
    sobject: &'c str,
    id: &'c str,
    field: &'c Field,
}

/// The same path upserts when its last part is a value instead of such a field.
pub(super) fn wanted<'c>(session: &Session<'c>, call: &'c Call) -> Option<Wanted<'c>> {
    let segments: Vec<&str> = call.segments.iter().map(String::as_str).collect();
    let ["sobjects", sobject, id, field] = segments.as_slice() else { return None };
    let field = session.tx.schema().object(sobject)?.field(field)?;
    let is_file = call.method == Method::GET && field.kind == FieldType::Base64;
    is_file.then_some(Wanted { sobject, id, field })
}

/// Its bytes.
pub(super) fn read(session: &Session<'_>, wanted: &Wanted<'_>) -> Result<Vec<u8>, RestError> {
    session.records.file(wanted.sobject, wanted.id, wanted.field)
}
