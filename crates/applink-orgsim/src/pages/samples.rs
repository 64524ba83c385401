//! Every template of ours, rendered from values of its own types: with nothing in it, with everything, and with names
//! that try to be more than text. A module with templates has a `samples` of its own, listed here.

use std::path::Path;

use applink_testkit::html::{HOSTILE, Sample, check};

use super::frame::{Frame, Moment};
use super::lists::Paging;
use super::{
    arrivals, client_apps, credentials, deployments, home, invoke, logins, objects, people, permission_sets,
    services,
};

/// A name that tries to be more than text.
pub(super) fn evil() -> String {
    HOSTILE.to_owned()
}

/// Some moment.
pub(super) fn when() -> Moment {
    Moment(1_796_000_000_000_000)
}

/// Around a page of Setup, of who may see it.
pub(super) fn frame() -> Frame {
    Frame {
        org: evil(),
        kind: HOSTILE,
        user_name: evil(),
        username: evil(),
        here: "/setup/users",
        sees_setup: true,
        token: evil(),
        notice: Some(HOSTILE),
    }
}

/// Around a page of who may not.
pub(super) fn plain_frame() -> Frame {
    Frame { here: "/records", sees_setup: false, notice: None, ..frame() }
}

/// The middle of a long list in which something is searched for.
pub(super) fn long() -> Paging {
    Paging::keyed("page", Some(2), 120, ("/setup/users", HOSTILE)).with("tab", "heroku")
}

/// Of a list with nothing in it.
pub(super) fn none() -> Paging {
    Paging::keyed("page", None, 0, ("/setup/users", ""))
}

fn all() -> Vec<Sample> {
    let lists = [
        super::tests::samples(),
        arrivals::samples::all(),
        client_apps::samples::all(),
        credentials::samples::all(),
        deployments::samples::all(),
        home::samples::all(),
        invoke::samples::all(),
        logins::samples::all(),
        objects::samples::all(),
        people::samples::all(),
        permission_sets::samples::all(),
        services::samples::all(),
    ];
    lists.concat()
}

#[test]
fn every_template_shows_all_it_can_and_every_name_as_text() {
    check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("templates"), &all(), &[]);
}
