//! The documents of a publication's deploys: to keep, and to compare.

use applink_publish::compare::{self, Change};
use applink_publish::preview::Preview;
use applink_publish::spec;
use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;

use super::diff::{self, Line};
use super::find;
use crate::app::App;
use crate::dashboard::session::RequireSession;
use crate::dashboard::shell::{Section, Shell};
use crate::error::ApiError;
use crate::publications::{Deploy, DeployKind, Publication, history, store};
use crate::web::ApiPath;

/// A document as it was uploaded.
pub async fn download(
    State(app): State<App>,
    found: RequireSession,
    ApiPath((id, number)): ApiPath<(String, String)>,
) -> Response {
    let file = async {
        let publication = find(&app, &found, &id).await?;
        Ok(history::file(version(&app, &publication, &number).await?))
    };
    match file.await {
        Ok(file) => file.into_response(),
        Err(error) => found.shell(&app, Section::Publications).refused(&error),
    }
}

/// One deploy of a publication that published something.
async fn version(app: &App, publication: &Publication, number: &str) -> Result<Deploy, ApiError> {
    let number = number.parse().map_err(|_| ApiError::not_found())?;
    let found = store::numbered(app.store.reader(), publication.addon, publication.id, number).await?;
    found.filter(|deploy| deploy.kind == DeployKind::Publish).ok_or_else(ApiError::not_found)
}

/// Which two.
#[derive(Debug, Default, Deserialize)]
pub struct Between {
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
}

#[derive(Template)]
#[template(path = "dashboard/difference.html")]
struct Difference {
    shell: Shell,
    id: String,
    client: String,
    from: i64,
    to: i64,
    changes: Vec<Change>,
    lines: Vec<Line>,
}

/// What differs between two of them.
pub async fn difference(
    State(app): State<App>,
    found: RequireSession,
    ApiPath(id): ApiPath<String>,
    Query(between): Query<Between>,
) -> Response {
    let shell = found.shell(&app, Section::Publications);
    shell.answer(load(&app, &found, shell.clone(), &id, &between).await)
}

async fn load(
    app: &App,
    found: &RequireSession,
    shell: Shell,
    id: &str,
    between: &Between,
) -> Result<Difference, ApiError> {
    let publication = find(app, found, id).await?;
    let from = version(app, &publication, &between.from).await?;
    let to = version(app, &publication, &between.to).await?;
    let (numbers, client) = ((from.number, to.number), publication.client.clone());
    let compared = tokio::task::spawn_blocking(move || {
        let text = |deploy: &Deploy| String::from_utf8_lossy(&deploy.document).into_owned();
        (changes(&from, &to, &client), diff::between(&text(&from), &text(&to)))
    });
    let (changes, lines) = compared.await.map_err(ApiError::internal)?;
    let (id, client) = (publication.id.to_string(), publication.client);
    Ok(Difference { shell, id, client, from: numbers.0, to: numbers.1, changes, lines })
}

/// What callers notice; nothing when one of them can't be read by today's rules.
fn changes(from: &Deploy, to: &Deploy, client: &str) -> Vec<Change> {
    let read = |deploy: &Deploy| spec::read(deploy.format, &deploy.document);
    match (read(from), read(to)) {
        (Ok(old), Ok(new)) => {
            compare::compare(&Preview::of(&old, client, None), &Preview::of(&new, client, None))
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_text() {
        let page = Difference {
            shell: Shell::sample(),
            id: "1".to_owned(),
            client: "<script>".to_owned(),
            from: 1,
            to: 2,
            changes: vec![Change {
                breaking: true,
                subject: "<script>".to_owned(),
                message: "<script>".to_owned(),
            }],
            lines: diff::between("<script>\n", "</pre><script>\n"),
        };
        let html = page.render().unwrap();
        assert!(!html.contains("<script>\n") && !html.contains("</pre><script>"), "{html}");
        assert_eq!(html.matches("<script ").count(), html.matches("<script").count(), "only the layout's");
    }
}

#[cfg(test)]
pub(crate) mod samples {
    use applink_testkit::html::Sample;

    use super::*;
    use crate::samples::evil;

    pub(crate) fn all() -> Vec<Sample> {
        let change = |breaking| Change { breaking, subject: evil(), message: evil() };
        let same = (1..9).map(|number| format!("{number}\n")).collect::<String>();
        let lines = diff::between(&format!("a\n{same}b\n"), &format!("{}\n{same}c\n", evil()));
        assert!(lines.iter().any(|line| line.sign == '@'), "there is a gap");
        let page = |changes, lines| Difference {
            shell: Shell::sample(),
            id: evil(),
            client: evil(),
            from: 1,
            to: 2,
            changes,
            lines,
        };
        let pages = [page(vec![change(true), change(false)], lines), page(Vec::new(), Vec::new())];
        pages.map(|page| Sample::new("dashboard/difference.html", page)).to_vec()
    }
}
