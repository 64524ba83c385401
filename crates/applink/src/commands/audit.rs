//! `audit:…`: the ledger of who did what.

pub(crate) mod verify;
