//! Settings: webhooks, tokens, attached apps, and whose matter the rest is.
//!
//! Who may not change the add-on sees the apps only, as in the API. A new secret is on the page that answers the form
//! which made it, and nowhere else.

pub mod tokens;
pub mod webhooks;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use super::form::{Fields, Posted};
use super::parts::{Badge, Time, Tone};
use super::session::{Basis, RequireSession};
use super::shell::{Section, Shell};
use crate::addons;
use crate::api_keys;
use crate::app::App;
use crate::error::ApiError;
use crate::webhooks::{self as hooks, Endpoint};

/// A webhook in the list.
struct Hook {
    path: String,
    url: String,
    description: String,
    events: String,
    badge: Badge,
    created: Time,
    created_by: String,
}

impl Hook {
    fn of(endpoint: &Endpoint) -> Self {
        let events = if endpoint.event_types.is_empty() {
            "everything".to_owned()
        } else {
            endpoint.event_types.join(", ")
        };
        Self {
            path: format!("/dashboard/settings/webhooks/{}", endpoint.id),
            url: endpoint.url.clone(),
            description: endpoint.description.clone().unwrap_or_default(),
            events,
            badge: state(endpoint),
            created: Time(endpoint.created_at),
            created_by: endpoint.created_by.clone(),
        }
    }
}

fn state(endpoint: &Endpoint) -> Badge {
    let (tone, word, meaning) = match (endpoint.enabled, endpoint.failing_since) {
        (false, _) => (Tone::Bad, "off", "Nothing is sent: switch it on again when the receiver works."),
        (true, Some(_)) => {
            (Tone::Wait, "failing", "The receiver does not take what is sent; it is tried again.")
        }
        (true, None) => (Tone::Good, "on", "The receiver takes what is sent."),
    };
    Badge { tone, word: word.to_owned(), meaning }
}

/// A live API key.
struct Key {
    id: String,
    prefix: String,
    owner: String,
    /// Whether it is good for no more than its owner may do.
    follows_owner: bool,
    created: Time,
    first_used: Option<Time>,
    ends: Option<Time>,
}

/// An attachment.
struct Attached {
    app: String,
    url: String,
    prefix: String,
}

/// What was typed into the form for a new webhook.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    url: String,
    events: String,
    description: String,
}

impl Draft {
    pub(super) fn of(fields: &Fields) -> Self {
        let text = |name: &str| fields.get(name).to_owned();
        Self { url: text("url"), events: text("events"), description: text("description") }
    }

    /// Types, between white space or commas.
    pub(super) fn event_types(&self) -> Vec<String> {
        let words = self.events.split([',', ' ', '\n', '\r', '\t']);
        words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }
}

#[derive(Template)]
#[template(path = "dashboard/settings.html")]
struct Page {
    shell: Shell,
    hooks: Vec<Hook>,
    keys: Vec<Key>,
    apps: Vec<Attached>,
    draft: Draft,
    problem: Option<String>,
    /// With tokens.
    token_problem: Option<String>,
    /// Whether it is a person who is signed in: only they make tokens.
    is_person: bool,
    /// Whether a token made now is good for no more than they may do.
    follows_owner: bool,
    days: u16,
    kinds: Vec<(&'static str, &'static str)>,
}

/// All of it.
pub async fn show(State(app): State<App>, found: RequireSession) -> Response {
    let shell = found.shell(&app, Section::Settings);
    shell.answer(load(&app, &found, shell.clone(), Draft::default(), None).await)
}

async fn load(
    app: &App,
    found: &RequireSession,
    shell: Shell,
    draft: Draft,
    problem: Option<String>,
) -> Result<Page, ApiError> {
    let (reader, addon) = (app.store.reader(), found.addon.id);
    let attachments = addons::store::attachments_of(reader, addon).await?;
    let apps = attachments.into_iter().map(|one| Attached {
        app: one.app.name,
        url: one.app.url.unwrap_or_default(),
        prefix: one.prefix,
    });
    let (mut hooks, mut keys) = (Vec::new(), Vec::new());
    if shell.may_change() {
        hooks = hooks::store::list(reader, addon).await?.iter().map(Hook::of).collect();
        let live = api_keys::store::list_live_of(reader, addon, app.clock.now()).await?;
        keys = live
            .into_iter()
            .map(|(key, prefix, created)| Key {
                id: key.id.to_string(),
                prefix,
                owner: key.owner,
                follows_owner: key.person.is_some(),
                created: Time(created),
                first_used: key.first_used_at.map(Time),
                ends: key.expires_at.map(Time),
            })
            .collect();
    }
    let kinds = applink_api::webhook::EventType::ALL.iter().map(|(kind, about)| (kind.as_str(), *about));
    Ok(Page {
        shell,
        hooks,
        keys,
        apps: apps.collect(),
        draft,
        problem,
        token_problem: None,
        is_person: matches!(found.session.basis, Basis::SignOn(_) | Basis::OpenId),
        follows_owner: found.person.is_some(),
        days: api_keys::OWN_DAYS,
        kinds: kinds.collect(),
    })
}

/// The page again, with what is wrong with a token.
async fn again_with(app: &App, posted: &Posted, error: &ApiError) -> Response {
    let shell = posted.shell(app, Section::Settings);
    if error.status().is_server_error() {
        return shell.refused(error);
    }
    match load(app, &posted.found, shell.clone(), Draft::default(), None).await {
        Ok(page) => {
            let token_problem = Some(error.message().to_owned());
            shell.page(error.status(), &Page { token_problem, ..page })
        }
        Err(error) => shell.refused(&error),
    }
}

/// The page again, with what was typed and what is wrong with it.
async fn again(app: &App, posted: &Posted, draft: Draft, error: &ApiError) -> Response {
    let shell = posted.shell(app, Section::Settings);
    if error.status().is_server_error() {
        return shell.refused(error);
    }
    let problem = Some(error.message().to_owned());
    match load(app, &posted.found, shell.clone(), draft, problem).await {
        Ok(page) => shell.page(error.status(), &page),
        Err(error) => shell.refused(&error),
    }
}

/// A secret, shown this once.
#[derive(Template)]
#[template(path = "dashboard/secret.html")]
struct Secret {
    shell: Shell,
    title: &'static str,
    /// Where it goes.
    about: String,
    secret: String,
    path: String,
    former_until: Option<Time>,
}

impl Secret {
    fn page(self) -> Response {
        let shell = self.shell.clone();
        shell.page(StatusCode::OK, &self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_text_and_types_are_words() {
        let evil = || "\"><script>".to_owned();
        let at = Time(applink_api::time::Timestamp::from_seconds(0));
        let badge = Badge { tone: Tone::Good, word: "on".to_owned(), meaning: "" };
        let page = Page {
            shell: Shell::sample(),
            hooks: vec![Hook {
                path: "/dashboard/settings/webhooks/1".to_owned(),
                url: evil(),
                description: evil(),
                events: evil(),
                badge,
                created: at,
                created_by: evil(),
            }],
            keys: vec![Key {
                id: evil(),
                prefix: evil(),
                owner: evil(),
                follows_owner: true,
                created: at,
                first_used: Some(at),
                ends: Some(at),
            }],
            apps: vec![Attached { app: evil(), url: evil(), prefix: evil() }],
            draft: Draft { url: evil(), events: evil(), description: evil() },
            problem: Some(evil()),
            token_problem: None,
            is_person: true,
            follows_owner: true,
            days: 90,
            kinds: vec![("a.b", "about")],
        };
        let html = page.render().unwrap();
        assert!(!html.contains("><script>") && !html.contains("style="), "{html}");
        let draft = Draft { events: "connection.*, publication.failed\n".to_owned(), ..Draft::default() };
        assert_eq!(draft.event_types(), ["connection.*", "publication.failed"]);
    }
}

#[cfg(test)]
pub(crate) mod samples {
    use applink_testkit::html::{HOSTILE, Sample};

    use super::*;
    use crate::samples::{badge, evil, when};

    pub(crate) fn all() -> Vec<Sample> {
        let full = Page {
            shell: Shell::sample(),
            hooks: vec![hook()],
            keys: [None, Some(when())].map(key).into(),
            apps: [String::new(), evil()].map(|url| Attached { app: evil(), url, prefix: evil() }).into(),
            draft: draft(),
            problem: Some(evil()),
            token_problem: Some(evil()),
            is_person: true,
            follows_owner: true,
            days: 90,
            kinds: vec![(HOSTILE, HOSTILE)],
        };
        let empty = |shell| Page {
            shell,
            hooks: Vec::new(),
            keys: Vec::new(),
            apps: Vec::new(),
            draft: Draft::default(),
            problem: None,
            token_problem: None,
            is_person: false,
            follows_owner: false,
            days: 90,
            kinds: Vec::new(),
        };
        let on_heroku = Page { is_person: true, ..empty(Shell::sample()) };
        let pages = [full, on_heroku, empty(Shell::sample()), empty(Shell::for_looking())];
        let mut all = pages.map(|page| Sample::new("dashboard/settings.html", page)).to_vec();
        for former_until in [None, Some(when())] {
            let (about, secret, path) = (evil(), evil(), evil());
            let page = Secret { shell: Shell::sample(), title: HOSTILE, about, secret, path, former_until };
            all.push(Sample::new("dashboard/secret.html", page));
        }
        all
    }

    fn key(end: Option<Time>) -> Key {
        Key {
            id: evil(),
            prefix: evil(),
            owner: evil(),
            follows_owner: end.is_some(),
            created: when(),
            first_used: end,
            ends: end,
        }
    }

    pub(super) fn draft() -> Draft {
        Draft { url: evil(), events: evil(), description: evil() }
    }

    pub(super) fn hook() -> Hook {
        Hook {
            path: evil(),
            url: evil(),
            description: evil(),
            events: evil(),
            badge: badge(),
            created: when(),
            created_by: evil(),
        }
    }
}
