//! Releases: each change of an app's config, numbered. Nothing runs because of one; the CLI shows the number.

use crate::addons::AttachedApp;
use crate::app::App;
use crate::db::{StoreError, Tx};

use super::store::{apps, releases as store};

/// Adds a release to an app, in the transaction that changes it. `what` names config vars, never their values.
///
/// # Errors
/// Those of the database.
pub async fn add(app: &App, tx: &Tx, of: &AttachedApp, by: &str, what: &str) -> Result<(), StoreError> {
    let row = store::Model {
        id: app.entropy.uuid().into(),
        app_id: of.id.into(),
        version: store::newest_version(&**tx, of.id).await? + 1,
        description: what.to_owned(),
        by_email: by.to_owned(),
        created_at: app.clock.now().as_micros(),
    };
    store::insert(&**tx, row).await
}

/// The same for an app that may have been made past the stand-in, which has no releases.
///
/// # Errors
/// Those of the database.
pub async fn add_where_known(
    app: &App,
    tx: &Tx,
    of: &AttachedApp,
    by: &str,
    what: &str,
) -> Result<(), StoreError> {
    apps::lock(&**tx, of.id).await?;
    match apps::of(&**tx, of.clone()).await? {
        Some(known) => add(app, tx, &known.app, by, what).await,
        None => Ok(()),
    }
}

/// How many, from which end: what the header `Range: version ..; max=1, order=desc` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// From the newest.
    pub newest_first: bool,
    /// At most this many.
    pub max: u64,
}

/// As many as the Platform API answers without being asked for fewer.
const MOST: u64 = 200;

impl Range {
    /// Reads the header; what it does not say is the default.
    pub fn parse(header: &str) -> Self {
        let mut range = Self { newest_first: false, max: MOST };
        for part in header.split([';', ',']).map(str::trim) {
            match part.split_once('=') {
                Some(("order", "desc")) => range.newest_first = true,
                Some(("max", number)) => {
                    range.max = number.parse().map_or(MOST, |number: u64| number.clamp(1, MOST));
                }
                _ => {}
            }
        }
        range
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_of_the_cli_are_read() {
        let newest = Range { newest_first: true, max: 1 };
        assert_eq!(Range::parse("version ..; max=1, order=desc"), newest);
        assert_eq!(Range::parse("version ..; order=desc,max=1"), newest);
        assert_eq!(Range::parse("nonsense; max=0"), Range { newest_first: false, max: 1 });
        assert_eq!(Range::parse("max=9999999999999999999999").max, MOST);
    }
}
