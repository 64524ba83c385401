//! Every template of ours, rendered from values of its own types: with nothing in it, with everything, for who may only
//! look, and with names that try to be more than text. A module with templates has a `samples` of its own, listed here.

use std::path::Path;

use applink_api::time::Timestamp;
use applink_testkit::html::{HOSTILE, Sample, check};

use crate::dashboard::parts::{Badge, Time, Tone};
use crate::{dashboard, oauth, openapi};

/// A name that tries to be more than text.
pub(crate) fn evil() -> String {
    HOSTILE.to_owned()
}

/// Some moment.
pub(crate) fn when() -> Time {
    Time(Timestamp::from_seconds(1_796_000_000))
}

/// A status with such a name, and a meaning.
pub(crate) fn badge() -> Badge {
    Badge { tone: Tone::Wait, word: evil(), meaning: HOSTILE }
}

/// Templates that are rendered only in other builds.
#[cfg(feature = "oidc")]
const ABSENT: [&str; 0] = [];
#[cfg(not(feature = "oidc"))]
const ABSENT: [&str; 1] = ["dashboard/choose.html"];

fn all() -> Vec<Sample> {
    let lists = [
        dashboard::samples::all(),
        dashboard::activity::samples::all(),
        dashboard::credentials::samples::all(),
        dashboard::credentials::change::samples::all(),
        dashboard::form::samples::all(),
        dashboard::health::samples::all(),
        dashboard::login::samples::all(),
        dashboard::publications::samples::all(),
        dashboard::publications::publish::samples::all(),
        dashboard::publications::versions::samples::all(),
        dashboard::settings::samples::all(),
        dashboard::settings::webhooks::samples::all(),
        dashboard::shell::samples::all(),
        dashboard::targets::samples::all(),
        oauth::samples::all(),
        openapi::samples::all(),
        #[cfg(feature = "oidc")]
        crate::openid::api::samples::all(),
    ];
    lists.concat()
}

#[test]
fn every_template_shows_all_it_can_and_every_name_as_text() {
    check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("templates"), &all(), &ABSENT);
}
