//! A simulator of a Salesforce org.

mod clock;
pub mod db;
mod entropy;
pub mod ids;
pub mod records;
pub mod rest;
pub mod rights;
pub mod schema;
pub mod soql;

pub use clock::{Clock, MICROS_PER_SECOND, MockClock};
pub use entropy::Entropy;
