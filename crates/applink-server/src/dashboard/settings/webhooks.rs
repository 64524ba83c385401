//! One webhook: what it is told, what was delivered, and its secret's rotation. A URL may hold a secret of the receiver's,
//! so looking needs the right to change, as in the API.

use applink_api::webhook::{CreateWebhook, DeliveryStatus, UpdateWebhook, WebhookDelivery};
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use secrecy::ExposeSecret as _;
use uuid::Uuid;

use super::{Draft, Hook, Secret, again};
use crate::app::App;
use crate::dashboard::form::Posted;
use crate::dashboard::notice::Notice;
use crate::dashboard::parts::{Badge, Time, Tone};
use crate::dashboard::session::RequireSession;
use crate::dashboard::shell::{Section, Shell, go_to};
use crate::error::ApiError;
use crate::web::ApiPath;
use crate::webhooks::{Endpoint, api, manage, store};

/// Deliveries that are shown.
const LISTED: u64 = 20;
/// Where the list is.
const SETTINGS: &str = "/dashboard/settings";

/// A delivery of the list.
struct Sent {
    delivery: WebhookDelivery,
    created: Time,
    badge: Badge,
    last: String,
}

impl Sent {
    fn of(delivery: WebhookDelivery) -> Self {
        let (tone, word, meaning) = match delivery.status {
            DeliveryStatus::Delivered => (Tone::Good, "delivered", "The receiver took it."),
            DeliveryStatus::Failed => (Tone::Bad, "given up", "The receiver did not take it in time."),
            DeliveryStatus::Pending => (Tone::Wait, "under way", "It is tried again until it arrives."),
        };
        let last = delivery.attempts.last().map(|attempt| attempt.outcome.clone()).unwrap_or_default();
        let (created, badge) = (Time(delivery.created_at), Badge { tone, word: word.to_owned(), meaning });
        Self { created, badge, last, delivery }
    }
}

#[derive(Template)]
#[template(path = "dashboard/webhook.html")]
struct Page {
    shell: Shell,
    hook: Hook,
    enabled: bool,
    reason: Option<String>,
    former_until: Option<Time>,
    draft: Draft,
    problem: Option<String>,
    sent: Vec<Sent>,
    pending: bool,
}

/// One webhook.
pub async fn show(State(app): State<App>, found: RequireSession, ApiPath(id): ApiPath<String>) -> Response {
    let shell = found.shell(&app, Section::Settings);
    let page = async {
        found.manager()?;
        let endpoint = find(&app, &found, &id).await?;
        load(&app, shell.clone(), endpoint, None).await
    };
    shell.answer(page.await)
}

async fn find(app: &App, found: &RequireSession, id: &str) -> Result<Endpoint, ApiError> {
    let endpoint = store::find(app.store.reader(), found.addon.id, uuid(id)?).await?;
    endpoint.ok_or_else(ApiError::not_found)
}

fn uuid(id: &str) -> Result<Uuid, ApiError> {
    id.parse().map_err(|_| ApiError::not_found())
}

async fn load(
    app: &App,
    shell: Shell,
    endpoint: Endpoint,
    typed: Option<(Draft, String)>,
) -> Result<Page, ApiError> {
    let deliveries = store::newest(app.store.reader(), &endpoint, LISTED).await?;
    let sent: Vec<Sent> = deliveries.into_iter().map(api::delivery_wire).map(Sent::of).collect();
    let stored = Draft {
        url: endpoint.url.clone(),
        events: endpoint.event_types.join(", "),
        description: endpoint.description.clone().unwrap_or_default(),
    };
    let (draft, problem) = typed.map_or((stored, None), |(draft, problem)| (draft, Some(problem)));
    let now = app.clock.now();
    Ok(Page {
        shell,
        hook: Hook::of(&endpoint),
        enabled: endpoint.enabled,
        reason: endpoint.disabled_reason.clone(),
        former_until: endpoint.former_secret.map(|(_, until)| until).filter(|until| *until > now).map(Time),
        draft,
        problem,
        pending: sent.iter().any(|one| one.delivery.status == DeliveryStatus::Pending),
        sent,
    })
}

/// Adds one; its secret is on the answer.
pub async fn add(State(app): State<App>, posted: Posted) -> Response {
    let draft = Draft::of(&posted.fields);
    let description = Some(draft.description.clone());
    let asked = CreateWebhook { url: draft.url.clone(), event_types: draft.event_types(), description };
    match manage::create(&app, &posted.manager, asked).await {
        Ok((endpoint, secret)) => {
            let shell = posted.shell(&app, Section::Settings);
            secret_page(shell, "The webhook's secret", &endpoint, secret.expose_secret())
        }
        Err(error) => again(&app, &posted, draft, &error).await,
    }
}

fn secret_page(shell: Shell, title: &'static str, endpoint: &Endpoint, secret: &str) -> Response {
    let page = Secret {
        shell,
        title,
        about: format!("The receiver at {} checks signatures with it.", endpoint.url),
        secret: secret.to_owned(),
        path: format!("{SETTINGS}/webhooks/{}", endpoint.id),
        former_until: endpoint.former_secret.as_ref().map(|(_, until)| Time(*until)),
    };
    page.page()
}

/// Changes it, or switches it on or off.
pub async fn change(State(app): State<App>, ApiPath(id): ApiPath<String>, posted: Posted) -> Response {
    let shell = posted.shell(&app, Section::Settings);
    let draft = Draft::of(&posted.fields);
    let asked = UpdateWebhook {
        url: Some(draft.url.clone()),
        event_types: Some(draft.event_types()),
        description: Some(draft.description.clone()),
        // Switched only when somebody switched it: the page may be old, and switching on forgets why it was off.
        enabled: Some(posted.fields.is_ticked("enabled"))
            .filter(|enabled| *enabled != posted.fields.is_ticked("was_enabled")),
    };
    let changed = async { manage::update(&app, &posted.manager, uuid(&id)?, asked).await };
    let error = match changed.await {
        Ok(_) => return go_to(&app, &format!("{SETTINGS}/webhooks/{id}"), Some(Notice::Saved)),
        Err(error) => error,
    };
    if error.status() != StatusCode::UNPROCESSABLE_ENTITY {
        return shell.refused(&error);
    }
    let page = async {
        let endpoint = find(&app, &posted.found, &id).await?;
        load(&app, shell.clone(), endpoint, Some((draft, error.message().to_owned()))).await
    };
    match page.await {
        Ok(page) => shell.page(StatusCode::UNPROCESSABLE_ENTITY, &page),
        Err(error) => shell.refused(&error),
    }
}

/// Gives it a new secret, which is on the answer; the former one signs too for a while.
pub async fn rotate(State(app): State<App>, ApiPath(id): ApiPath<String>, posted: Posted) -> Response {
    let shell = posted.shell(&app, Section::Settings);
    let rotated = async {
        let hours = posted.fields.given("overlap_hours").map(str::parse::<u32>).transpose();
        let hours = hours.map_err(|_| ApiError::validation("Say for how many hours, in digits."))?;
        manage::rotate_secret(&app, &posted.manager, uuid(&id)?, hours).await
    };
    match rotated.await {
        Ok((endpoint, secret)) => {
            secret_page(shell, "The webhook's new secret", &endpoint, secret.expose_secret())
        }
        Err(error) => shell.refused(&error),
    }
}

/// Sends it an event to try it.
pub async fn test(State(app): State<App>, ApiPath(id): ApiPath<String>, posted: Posted) -> Response {
    let sent = async { manage::test(&app, &posted.manager, uuid(&id)?).await };
    match sent.await {
        Ok(_) => go_to(&app, &format!("{SETTINGS}/webhooks/{id}"), Some(Notice::TestSent)),
        Err(error) => posted.shell(&app, Section::Settings).refused(&error),
    }
}

/// Removes it, when the word was typed.
pub async fn remove(State(app): State<App>, ApiPath(id): ApiPath<String>, posted: Posted) -> Response {
    let removed = async {
        let id = uuid(&id)?;
        if posted.fields.get("confirm") != "delete" {
            return Err(ApiError::validation("Type delete to confirm; nothing was removed."));
        }
        manage::remove(&app, &posted.manager, id).await
    };
    match removed.await {
        Ok(_) => go_to(&app, SETTINGS, Some(Notice::Removed)),
        Err(error) => posted.shell(&app, Section::Settings).refused(&error),
    }
}

#[cfg(test)]
pub(crate) mod samples {
    use applink_api::webhook::WebhookAttempt;
    use applink_testkit::html::Sample;

    use super::super::samples::{draft, hook};
    use super::*;
    use crate::samples::{evil, when};

    fn delivery(status: DeliveryStatus, outcomes: usize) -> WebhookDelivery {
        let attempt = || WebhookAttempt { at: when().0, status: Some(500), outcome: evil(), milliseconds: 3 };
        WebhookDelivery {
            id: Uuid::nil(),
            event_id: evil(),
            event_type: evil(),
            status,
            created_at: when().0,
            next_attempt_at: None,
            attempts: (0..outcomes).map(|_| attempt()).collect(),
        }
    }

    pub(crate) fn all() -> Vec<Sample> {
        let sent = [
            delivery(DeliveryStatus::Delivered, 1),
            delivery(DeliveryStatus::Failed, 8),
            delivery(DeliveryStatus::Pending, 0),
        ];
        let full = Page {
            shell: Shell::sample(),
            hook: hook(),
            enabled: true,
            reason: Some(evil()),
            former_until: Some(when()),
            draft: draft(),
            problem: Some(evil()),
            sent: sent.map(Sent::of).into(),
            pending: true,
        };
        let empty = Page {
            shell: Shell::sample(),
            hook: hook(),
            enabled: false,
            reason: None,
            former_until: None,
            draft: Draft::default(),
            problem: None,
            sent: Vec::new(),
            pending: false,
        };
        [full, empty].map(|page| Sample::new("dashboard/webhook.html", page)).to_vec()
    }
}
