//! The form *Publish App*: a document is checked, shown as what it will be in the org, and published.

use applink_api::ids::AppUuid;
use applink_api::publication::PublishRequest;
use applink_publish::compare::Change;
use applink_publish::metadata::{File, Wishes, archive, authorization};
use applink_publish::package::{SpecFile, Upload};
use applink_publish::preview::{ClassKind, Preview};
use applink_publish::spec::{self, Finding, Format, Severity, Spec};
use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use uuid::Uuid;

use super::diff::{self, Noted};
use super::find;
use crate::addons::AttachedApp;
use crate::app::App;
use crate::credentials::{self, Credential, Kind, overview};
use crate::dashboard::form::{Fields, Posted};
use crate::dashboard::session::RequireSession;
use crate::dashboard::shell::{Section, Shell, go_to};
use crate::error::ApiError;
use crate::publications::publish::{self, Asked};
use crate::publications::{Deploy, breaking, store};

/// Connections to choose from, at most.
const CHOICES: u64 = 200;
/// Classes and members a preview shows; the rest is counted.
const SHOWN: usize = 100;

/// Something to choose.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Choice {
    id: String,
    label: String,
    chosen: bool,
}

/// What was typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Draft {
    app: String,
    connection: String,
    client: String,
    document: String,
    connected_app: String,
    external_client_app: String,
    permission_set: String,
    allow_breaking: bool,
}

impl Draft {
    fn of(fields: &Fields) -> Self {
        let text = |name: &str| fields.get(name).to_owned();
        Self {
            app: text("app"),
            connection: text("connection"),
            client: text("client_name"),
            // Forms end lines as telegraphs did: with them a file that was chosen would not be the one that is published.
            document: text("document").replace("\r\n", "\n"),
            connected_app: text("connected_app"),
            external_client_app: text("external_client_app"),
            permission_set: text("permission_set"),
            allow_breaking: fields.is_ticked("allow_breaking"),
        }
    }

    fn request(&self) -> PublishRequest {
        let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        PublishRequest {
            client_name: self.client.clone(),
            authorization_connected_app_name: given(&self.connected_app),
            authorization_external_client_app_name: given(&self.external_client_app),
            authorization_permission_set_name: given(&self.permission_set),
            allow_breaking: Some(self.allow_breaking),
        }
    }

    /// A JSON document begins with a brace; YAML that does is JSON too.
    fn format(&self) -> Format {
        if self.document.trim_start().starts_with('{') { Format::Json } else { Format::Yaml }
    }
}

/// What was found out without changing anything.
#[derive(Default)]
struct Checked {
    lines: Vec<Noted>,
    errors: usize,
    warnings: usize,
    preview: Option<Seen>,
    breaking: Vec<Change>,
}

/// What callers will see.
struct Seen {
    methods: Vec<String>,
    classes: Vec<String>,
    more: usize,
    actions: Vec<String>,
    permission_sets: Vec<String>,
    topic: Option<String>,
}

impl Seen {
    fn of(preview: Preview) -> Self {
        let services = preview.apex.iter().filter(|class| class.kind == ClassKind::Service);
        let methods = services.flat_map(|class| &class.methods).map(|method| {
            let arguments = method.arguments.iter().map(|(kind, name)| format!("{kind} {name}"));
            format!("{} {}({})", method.returns, method.name, arguments.collect::<Vec<_>>().join(", "))
        });
        Self {
            methods: methods.take(SHOWN).collect(),
            classes: preview.apex.iter().take(SHOWN).map(|class| class.name.clone()).collect(),
            more: preview.apex.len().saturating_sub(SHOWN),
            actions: preview.flow_actions.into_iter().map(|action| action.name).take(SHOWN).collect(),
            permission_sets: preview.permission_sets,
            topic: preview.topic,
        }
    }
}

#[derive(Template)]
#[template(path = "dashboard/publish.html")]
struct Form {
    shell: Shell,
    draft: Draft,
    apps: Vec<Choice>,
    connections: Vec<Choice>,
    /// There are too many to choose from: the name is typed.
    is_typed: bool,
    checked: Option<Checked>,
    problem: Option<String>,
    /// It was published before, and what was said about authorization then is not known.
    is_forgetful: bool,
}

/// Which publication is to be published again.
#[derive(Debug, Default, Deserialize)]
pub struct Again {
    #[serde(default)]
    again: String,
}

/// The form, empty or as published before.
pub async fn show(
    State(app): State<App>,
    found: RequireSession,
    Query(Again { again }): Query<Again>,
) -> Response {
    let shell = found.shell(&app, Section::Publications);
    let form = async {
        found.manager()?;
        let (draft, is_forgetful) = match again.as_str() {
            "" => (Draft::default(), false),
            again => former(&app, &found, again).await?,
        };
        Ok(Form { is_forgetful, ..form(&app, &found, shell.clone(), draft).await? })
    };
    shell.answer(form.await)
}

/// What is published now, and whether what it named about authorization is not known.
async fn former(app: &App, found: &RequireSession, id: &str) -> Result<(Draft, bool), ApiError> {
    let publication = find(app, found, id).await?;
    let last = store::last_published(app.store.reader(), publication.addon, publication.id).await?;
    let is_forgetful = last.as_ref().is_some_and(|one| one.named.is_none());
    let named = last.as_ref().and_then(|one| one.named.clone()).unwrap_or_default();
    let draft = Draft {
        app: publication.app.to_string(),
        connection: publication.connection.to_string(),
        client: publication.client,
        document: last.map(|one| String::from_utf8_lossy(&one.document).into_owned()).unwrap_or_default(),
        connected_app: named.connected_app.unwrap_or_default(),
        external_client_app: named.external_client_app.unwrap_or_default(),
        permission_set: named.permission_set.unwrap_or_default(),
        allow_breaking: false,
    };
    Ok((draft, is_forgetful))
}

async fn form(app: &App, found: &RequireSession, shell: Shell, draft: Draft) -> Result<Form, ApiError> {
    let live = overview::live(app.store.reader(), found.addon.id, None, CHOICES + 1).await?;
    let is_typed = live.len() > usize::try_from(CHOICES).unwrap_or(usize::MAX);
    let connections = live.iter().map(|one| Choice {
        id: one.id.to_string(),
        label: format!("{} ({})", one.name, one.org().map(|org| org.org_id.as_str()).unwrap_or_default()),
        chosen: one.id.to_string() == draft.connection,
    });
    let apps = found.apps().iter().map(|one| Choice {
        id: one.id.to_string(),
        label: one.name.clone(),
        chosen: one.id.to_string() == draft.app,
    });
    let (apps, connections) = (apps.collect(), connections.collect());
    Ok(Form { shell, apps, connections, is_typed, draft, checked: None, problem: None, is_forgetful: false })
}

/// *Check*, or *Publish*.
pub async fn send(State(app): State<App>, posted: Posted) -> Response {
    let shell = posted.shell(&app, Section::Publications);
    let draft = Draft::of(&posted.fields);
    let mut page = match form(&app, &posted.found, shell.clone(), draft.clone()).await {
        Ok(page) => page,
        Err(error) => return shell.refused(&error),
    };
    let checked = match check(&app, &posted, &draft).await {
        Ok(checked) => checked,
        Err(error) => return shell.refused(&error),
    };
    let mut status = StatusCode::OK;
    if posted.fields.get("step") == "publish" && checked.errors == 0 {
        match begin(&app, &posted, &draft).await {
            Ok(deploy) => {
                app.nudges.publications.notify_one();
                return go_to(&app, &format!("/dashboard/publications/{}", deploy.publication), None);
            }
            Err(error) if error.status().is_server_error() => return shell.refused(&error),
            Err(error) => {
                status = error.status();
                page.problem = Some(error.message().to_owned());
            }
        }
    } else if checked.errors > 0 {
        status = StatusCode::UNPROCESSABLE_ENTITY;
    }
    page.checked = Some(checked);
    shell.page(status, &page)
}

/// The app and connection that were chosen. Those of others are not found.
async fn chosen(app: &App, posted: &Posted, draft: &Draft) -> Result<(AttachedApp, Credential), ApiError> {
    let apps = posted.found.apps();
    let named = draft.app.parse::<AppUuid>().ok();
    let chosen = match (apps, named) {
        ([only], None) => Some(only),
        (_, Some(named)) => apps.iter().find(|one| one.id == named),
        (_, None) => None,
    };
    let chosen = chosen.ok_or_else(|| ApiError::validation("Choose the app that is to be published."))?;
    if draft.connection.is_empty() {
        return Err(ApiError::validation("Choose the connection to publish through."));
    }
    let (reader, addon) = (app.store.reader(), posted.manager.addon.id);
    let connection = credentials::store::find(reader, addon, Kind::Connection, &draft.connection).await?;
    let is_id = draft.connection.parse::<Uuid>().is_ok();
    let connection = connection.ok_or_else(|| match is_id {
        true => ApiError::not_found(),
        false => ApiError::validation("No connection has this name."),
    })?;
    Ok((chosen.clone(), connection))
}

/// As the API does it, with the document in the archive the official clients send.
async fn begin(app: &App, posted: &Posted, draft: &Draft) -> Result<Deploy, ApiError> {
    let (chosen, connection) = chosen(app, posted, draft).await?;
    let file = File { path: draft.format().file_name().to_owned(), content: draft.document.clone() };
    let asked = Asked {
        addon: posted.manager.addon.id,
        actor: posted.manager.actor.clone(),
        app: chosen,
        connection,
        request: draft.request(),
        archive: archive::zip(&[file]).map_err(ApiError::internal)?,
    };
    publish::begin(app, asked).await
}

/// Findings, preview and breaking changes.
async fn check(app: &App, posted: &Posted, draft: &Draft) -> Result<Checked, ApiError> {
    let (text, format, request) = (draft.document.clone(), draft.format(), draft.request());
    let read = tokio::task::spawn_blocking(move || read(&text, format, &request));
    let (mut checked, spec) = read.await.map_err(ApiError::internal)?;
    if let (Some(spec), Ok((_, connection))) = (spec, chosen(app, posted, draft).await)
        && let Some(org) = connection.live()
    {
        let through = (connection.id, org.org_id.as_str());
        let known =
            store::find_by_client(app.store.reader(), connection.addon, through, &draft.client).await?;
        checked.breaking = breaking::changes(app, known.as_ref(), &spec).await?;
    }
    Ok(checked)
}

/// All that can be said of a document alone.
fn read(text: &str, format: Format, request: &PublishRequest) -> (Checked, Option<Spec>) {
    let (mut findings, spec) = match spec::read(format, text.as_bytes()) {
        Ok(spec) => (spec.findings.clone(), Some(spec)),
        Err(error) => (error.findings, None),
    };
    let bytes = text.as_bytes().to_vec();
    let upload =
        Upload { spec: SpecFile { format, bytes }, connected_app_xml: None, permission_set_xml: None };
    let wishes = Wishes::of(request, &upload);
    let plan = spec.as_ref().map(|spec| authorization::plan(spec, &wishes, &request.client_name));
    let preview = match (&spec, plan) {
        (Some(spec), Some(Ok(plan))) => Some(Seen::of(Preview::of(spec, &request.client_name, Some(&plan)))),
        (_, Some(Err(more))) => {
            findings.extend(more);
            None
        }
        _ => None,
    };
    let count = |severity| findings.iter().filter(|one: &&Finding| one.code.severity() == severity).count();
    let checked = Checked {
        lines: diff::annotate(text, &findings),
        errors: count(Severity::Error),
        warnings: count(Severity::Warning),
        preview,
        breaking: Vec::new(),
    };
    (checked, spec)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATES: &str = include_str!("../../../../applink-publish/tests/fixtures/specs/parameters-only.yaml");

    #[test]
    fn a_document_is_shown_as_what_it_will_be() {
        let request = PublishRequest { client_name: "Tools".to_owned(), ..PublishRequest::default() };
        let (checked, spec) = read(RATES, Format::Yaml, &request);
        assert!(spec.is_some() && checked.errors == 0);
        let seen = checked.preview.unwrap();
        assert!(!seen.methods.is_empty() && seen.actions.iter().all(|name| name.starts_with("Tools.")));
        assert_eq!(seen.permission_sets, ["Tools"]);
        let (checked, spec) = read("nonsense: [", Format::Yaml, &request);
        assert!(spec.is_none() && checked.errors > 0 && checked.preview.is_none());
    }

    #[test]
    fn what_was_typed_is_shown_again_as_text() {
        let draft = Draft {
            client: "\"><script>".to_owned(),
            document: "</textarea><script>".to_owned(),
            ..Draft::default()
        };
        let request = draft.request();
        let (checked, _) = read(&draft.document, draft.format(), &request);
        let form = Form {
            shell: Shell::sample(),
            apps: Vec::new(),
            connections: Vec::new(),
            is_typed: false,
            draft,
            checked: Some(checked),
            problem: Some("<script>".to_owned()),
            is_forgetful: false,
        };
        let html = form.render().unwrap();
        assert!(!html.contains("><script>") && !html.contains("style="), "{html}");
    }
}

#[cfg(test)]
pub(crate) mod samples {
    use applink_testkit::html::{HOSTILE, Sample};

    use super::*;
    use crate::samples::evil;

    pub(crate) fn all() -> Vec<Sample> {
        let choice = |chosen| Choice { id: evil(), label: evil(), chosen };
        let choices = || vec![choice(true), choice(false)];
        let form = |draft, checked, is_typed| Form {
            shell: Shell::sample(),
            draft,
            apps: choices(),
            connections: choices(),
            is_typed,
            checked,
            problem: Some(evil()),
            is_forgetful: true,
        };
        let none = Form { connections: Vec::new(), problem: None, ..form(Draft::default(), None, false) };
        let empty = Form {
            apps: vec![choice(false)],
            problem: None,
            is_forgetful: false,
            ..form(Draft::default(), None, false)
        };
        let pages = [
            none,
            empty,
            form(draft(), Some(checked()), true),
            form(draft(), Some(Checked { errors: 2, preview: None, ..checked() }), false),
            form(draft(), Some(Checked::default()), false),
        ];
        pages.map(|page| Sample::new("dashboard/publish.html", page)).to_vec()
    }

    fn draft() -> Draft {
        Draft {
            app: evil(),
            connection: evil(),
            client: evil(),
            document: evil(),
            connected_app: evil(),
            external_client_app: evil(),
            permission_set: evil(),
            allow_breaking: true,
        }
    }

    fn checked() -> Checked {
        let note =
            || diff::Note { severity: "error", code: HOSTILE, path: evil(), message: evil(), fix: HOSTILE };
        let line = |number, after_gap| Noted { number, text: evil(), after_gap, notes: vec![note()] };
        Checked {
            lines: vec![line(None, false), line(Some(1), false), line(Some(9), true)],
            errors: 0,
            warnings: 3,
            preview: Some(Seen {
                methods: vec![evil()],
                classes: vec![evil()],
                more: 3,
                actions: vec![evil()],
                permission_sets: vec![evil()],
                topic: Some(evil()),
            }),
            breaking: vec![Change { breaking: true, subject: evil(), message: evil() }],
        }
    }
}
