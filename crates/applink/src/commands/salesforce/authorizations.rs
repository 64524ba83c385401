//! `salesforce:authorizations:…`.

pub(crate) mod add;
pub(crate) mod add_jwt;
pub(crate) mod remove;
