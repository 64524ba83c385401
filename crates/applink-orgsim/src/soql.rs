//! SOQL: text to a typed tree to SQL, with the caller's rights as predicates of that SQL.
//!
//! 1. [`parse`] reads the text (`lexer.rs`, `parser.rs`) into a [`Query`] (`ast.rs`), which can write itself
//!    back (`display.rs`).
//! 2. `compile.rs` turns the tree into SQL: `names.rs` finds the columns and refuses what the caller may not
//!    know of, `filter.rs` translates conditions, `dates.rs` relative dates.
//! 3. [`run()`] executes it, `shape.rs` nests the rows as the REST API does, and locators serve further batches.
//!
//! Not simulated: `TYPEOF`, `GROUP BY ROLLUP` and `CUBE`, data categories, distances. Through a polymorphic reference
//! only `Id`, `Name` and `Type` are reached.

mod ast;
mod compile;
mod dates;
mod display;
mod error;
mod filter;
mod lexer;
mod names;
mod parser;
mod run;
mod shape;
mod table;

pub use ast::{
    Aggregate, Condition, Enforcement, Expression, FieldGroup, FieldPath, Function, Literal, Operator,
    Ordering, Position, Purpose, Query, Selected, Set, Source,
};
pub use dates::RelativeDate;
pub use error::SoqlError;
pub use run::{DEFAULT_BATCH, QueryOptions, SMALLEST_BATCH, run, run_more};

pub(crate) use ast::parse_moment;
pub(crate) use run::{fetch, stretch};
pub(crate) use shape::moment_json;
pub(crate) use table::{table, table_of};

/// Reads a query.
///
/// # Errors
/// `MALFORMED_QUERY` with the place.
pub fn parse(source: &str) -> Result<Query, SoqlError> {
    parser::parse(source)
}
