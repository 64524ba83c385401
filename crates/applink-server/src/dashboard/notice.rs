//! What the page after a change says. A cookie holds only which of our own sentences it is: nobody can make a page say
//! something else.

use cookie::{Cookie, SameSite};
use http::HeaderMap;
use http::header::COOKIE;

use crate::app::App;

const COOKIE_NAME: &str = "applink-notice";

/// A sentence of ours. New ones are added here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A form came a second time.
    SentAlready,
    /// Changes are written.
    Saved,
    /// It is gone.
    Removed,
    /// It goes, when the org has let go of it.
    RemovalBegun,
    /// The same for a publication.
    UnpublishBegun,
    /// A webhook gets a test.
    TestSent,
    /// The org makes another signing key.
    KeyRotationBegun,
    /// By JWT.
    Connected,
    /// Another token.
    Refreshed,
    /// Out of use.
    Deleted,
    /// An API key counts no more.
    Revoked,
}

const ALL: [(Notice, &str, &str); 11] = [
    (
        Notice::SentAlready,
        "sent-already",
        "That was sent already and is not done a second time. This is how things stand now.",
    ),
    (Notice::Saved, "saved", "Saved."),
    (Notice::Removed, "removed", "Removed."),
    (Notice::RemovalBegun, "removal-begun", "It is being removed from the org."),
    (Notice::UnpublishBegun, "unpublish-begun", "The org is asked to delete what publishing made."),
    (Notice::TestSent, "test-sent", "A test is on its way."),
    (Notice::KeyRotationBegun, "key-rotation-begun", "The org makes another signing key."),
    (Notice::Connected, "connected", "Connected: the org accepted the key."),
    (Notice::Refreshed, "refreshed", "The org gave another token; apps get it from now on."),
    (
        Notice::Revoked,
        "revoked",
        "Revoked: the token counts no more, and sessions that rest on it have ended.",
    ),
    (
        Notice::Deleted,
        "deleted",
        "Deleted: it is out of use. Its grant is revoked at the org in the background.",
    ),
];

impl Notice {
    fn word(self) -> &'static str {
        ALL.iter().find(|(notice, ..)| *notice == self).map_or("", |(_, word, _)| word)
    }

    /// The cookie that has the next page say it.
    pub(super) fn cookie(self, app: &App) -> Cookie<'static> {
        cookie(app, self.word(), cookie::time::Duration::minutes(1))
    }
}

/// What this page is to say.
pub(super) fn asked_for(headers: &HeaderMap) -> Option<&'static str> {
    let values = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut cookies = values.flat_map(Cookie::split_parse).filter_map(Result::ok);
    let found = cookies.find(|cookie| cookie.name() == COOKIE_NAME)?;
    ALL.iter().find(|(_, word, _)| *word == found.value()).map(|(_, _, text)| *text)
}

/// It was said.
pub(super) fn no_cookie(app: &App) -> Cookie<'static> {
    cookie(app, "", cookie::time::Duration::ZERO)
}

fn cookie(app: &App, value: &'static str, lifetime: cookie::time::Duration) -> Cookie<'static> {
    Cookie::build((COOKIE_NAME, value))
        .path("/dashboard")
        .http_only(true)
        .secure(app.urls.is_https())
        .same_site(SameSite::Lax)
        .max_age(lifetime)
        .build()
}
