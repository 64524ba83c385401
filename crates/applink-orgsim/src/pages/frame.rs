//! What stands around a page of somebody who is logged in: tabs, Setup's menu, who it is.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::stretch::Words;

/// What RFC 3986 leaves unreserved stays as it is: the router knows paths by their characters.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A page of Setup, as its menu and its search know it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SetupPage {
    pub(crate) path: &'static str,
    pub(crate) label: &'static str,
    /// What one finds there.
    pub(crate) about: &'static str,
    group: &'static str,
}

const fn setup(
    group: &'static str,
    path: &'static str,
    label: &'static str,
    about: &'static str,
) -> SetupPage {
    SetupPage { path, label, about, group }
}

/// Setup's pages, group by group.
const SETUP: [SetupPage; 11] = [
    setup(
        "Heroku",
        "/setup/heroku-apps",
        "Heroku Apps",
        "The published apps, each operation with its inputs and outputs.",
    ),
    setup(
        "Integrations",
        "/setup/api-catalog",
        "API Catalog",
        "All APIs this org can call, by where they come from.",
    ),
    setup(
        "Integrations",
        "/setup/external-services",
        "External Services",
        "The registered services with their source; one can be deleted here.",
    ),
    setup(
        "Security",
        "/setup/named-credentials",
        "Named Credentials",
        "Where services are called, and which external credential opens them.",
    ),
    setup("Users", "/setup/users", "Users", "Who there is, and the permission sets each of them has."),
    setup(
        "Users",
        "/setup/permission-sets",
        "Permission Sets",
        "What each of them grants, and to whom it is assigned.",
    ),
    setup(
        "Apps",
        "/setup/external-client-apps",
        "External Client Apps",
        "The OAuth clients of this org: callbacks, scopes, policies.",
    ),
    setup(
        "Apps",
        "/setup/connected-apps-oauth-usage",
        "Connected Apps OAuth Usage",
        "Which apps hold access to this org, for which users; it can be taken from them here.",
    ),
    setup(
        "Environments",
        "/setup/deployment-status",
        "Deployment Status",
        "What was deployed, component by component.",
    ),
    setup("Identity", "/setup/login-history", "Login History", "Who logged in, how, and what failed."),
    setup(
        "Data",
        "/setup/objects",
        "Object Manager",
        "Every object with its fields and its number of records.",
    ),
];

/// Setup's pages whose name or description has these words.
pub(super) fn search(words: &str) -> Vec<SetupPage> {
    let words = Words::of(words);
    let fits = |page: &&SetupPage| words.are_in([page.label, page.group, page.about]);
    SETUP.iter().filter(fits).copied().collect()
}

/// A page of the menus by its path, for a log-in to lead back to; nothing else is.
pub(crate) fn known(path: &str) -> Option<&'static str> {
    let tabs = ["/setup", "/records", "/invoke", "/arrivals"];
    tabs.into_iter().chain(SETUP.map(|page| page.path)).find(|known| *known == path)
}

/// A link of a menu.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) path: &'static str,
    pub(crate) label: &'static str,
    pub(crate) current: bool,
}

/// Links under one heading.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) label: &'static str,
    pub(crate) links: Vec<Link>,
}

/// The surroundings of a page.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) org: String,
    pub(crate) kind: &'static str,
    pub(crate) user_name: String,
    pub(crate) username: String,
    /// The page of the menus this one belongs to.
    pub(crate) here: &'static str,
    pub(crate) sees_setup: bool,
    /// Goes into every form; see [`super::visit`].
    pub(crate) token: String,
    /// What the form that led here has done.
    pub(crate) notice: Option<&'static str>,
}

impl Frame {
    pub(crate) fn tabs(&self) -> Vec<Link> {
        let tab = |path: &'static str, label| Link { path, label, current: self.is_at(path) };
        let mut tabs = vec![tab("/", "Home")];
        if self.sees_setup {
            tabs.push(tab("/setup", "Setup"));
        }
        tabs.extend([tab("/records", "Records"), tab("/invoke", "Invoke"), tab("/arrivals", "Arrivals")]);
        tabs
    }

    fn is_at(&self, tab: &str) -> bool {
        match tab {
            "/" => self.here == "/",
            tab => self.here.starts_with(tab),
        }
    }

    pub(crate) fn in_setup(&self) -> bool {
        self.here.starts_with("/setup")
    }

    /// Setup's menu.
    pub(crate) fn menu(&self) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        for page in SETUP {
            let link = Link { path: page.path, label: page.label, current: self.here == page.path };
            match groups.last_mut().filter(|group| group.label == page.group) {
                Some(group) => group.links.push(link),
                None => groups.push(Group { label: page.group, links: vec![link] }),
            }
        }
        groups
    }

    /// With the sentence a redirect's `?done=` stands for; an unknown one stands for none.
    pub(super) fn with_notice(mut self, done: Option<&str>) -> Self {
        self.notice = match done {
            Some("saved") => Some("Saved."),
            Some("deleted") => Some("The external service is deleted."),
            Some("revoked") => Some("The access was revoked."),
            Some("ended") => Some("The invocation has ended, and its session with it."),
            _ => None,
        };
        self
    }
}

/// A path of these segments, each escaped.
pub(super) fn href(segments: &[&str]) -> String {
    let mut path = String::new();
    for segment in segments {
        path.push('/');
        path.extend(utf8_percent_encode(segment, UNRESERVED));
    }
    path
}

/// A moment on a page: to the minute, with all of it at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment(pub(crate) i64);

impl fmt::Display for Moment {
    /// Plain characters only, so that it needs no escaping.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = crate::times::rfc3339(self.0);
        let day = exact.get(..10).unwrap_or_default();
        let minute = exact.get(11..16).unwrap_or_default();
        write!(f, "<time datetime=\"{exact}\" title=\"{exact}\">{day} {minute} UTC</time>")
    }
}

impl askama::filters::HtmlSafe for Moment {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setup_page_is_in_the_menu_once_and_found_by_its_name() {
        let frame = Frame {
            org: "Acme".into(),
            kind: "Sandbox",
            user_name: "A".into(),
            username: "a@b".into(),
            here: "/setup/users",
            sees_setup: true,
            token: "t".into(),
            notice: None,
        };
        let menu = frame.menu();
        assert_eq!(menu.iter().map(|group| group.links.len()).sum::<usize>(), SETUP.len());
        assert_eq!(menu.iter().flat_map(|group| &group.links).filter(|link| link.current).count(), 1);
        for page in SETUP {
            assert!(search(page.label).iter().any(|found| found.path == page.path), "{}", page.label);
        }
        assert!(search("no such page").is_empty());
    }

    #[test]
    fn a_moment_shows_the_minute_and_holds_the_exact_time() {
        let shown = Moment(1_790_000_000_123_456).to_string();
        assert_eq!(
            shown,
            "<time datetime=\"2026-09-21T14:13:20.123456Z\" title=\"2026-09-21T14:13:20.123456Z\">2026-09-21 14:13 UTC</time>"
        );
    }

    #[test]
    fn a_path_holds_its_segments_whatever_they_are() {
        assert_eq!(href(&["records", "a-b_c/d?e#f\"<ä"]), "/records/a-b_c%2Fd%3Fe%23f%22%3C%C3%A4");
    }
}
