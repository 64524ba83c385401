//! `query`, `queryAll` and their further batches.

use ::http::HeaderMap;
use serde_json::Value;

use super::RestError;
use super::dispatch::{Call, Session};
use crate::soql::{self, DEFAULT_BATCH, QueryOptions, SMALLEST_BATCH};

/// Runs the query in the parameter `q`.
pub(super) fn run(session: &Session<'_>, call: &Call, all_rows: bool) -> Result<Value, RestError> {
    let Some(source) = call.parameter("q") else {
        let message = "A query string has to be specified";
        return Err(RestError::new(400, "MALFORMED_QUERY", message));
    };
    let base_url = session.base_url();
    let options = QueryOptions { base_url: &base_url, batch_size: call.batch_size, all_rows };
    soql::run(session.tx, session.records.rights(), source, options)
}

/// Answers the next batch.
pub(super) fn more(session: &Session<'_>, call: &Call, locator: &str) -> Result<Value, RestError> {
    let base_url = session.base_url();
    let options = QueryOptions { base_url: &base_url, batch_size: call.batch_size, all_rows: false };
    soql::run_more(session.tx, session.records.rights(), locator, options)
}

/// `Sforce-Query-Options: batchSize=n`, kept between 200 and 2,000 as Salesforce does.
pub(super) fn batch_size(headers: &HeaderMap) -> usize {
    let options =
        headers.get("Sforce-Query-Options").and_then(|options| options.to_str().ok()).unwrap_or_default();
    let wanted = options.split([',', ';']).find_map(|option| {
        let (name, value) = option.split_once('=')?;
        name.trim().eq_ignore_ascii_case("batchSize").then(|| value.trim().parse::<usize>().ok())?
    });
    wanted.map_or(DEFAULT_BATCH, |wanted| wanted.clamp(SMALLEST_BATCH, DEFAULT_BATCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_batch_size_stays_in_its_range() {
        for (header, expected) in [
            ("batchSize=500", 500),
            ("batchsize = 1", 200),
            ("batchSize=9999", 2_000),
            ("other=1", 2_000),
            ("", 2_000),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("sforce-query-options", header.parse().unwrap());
            assert_eq!(batch_size(&headers), expected, "{header}");
        }
    }
}
