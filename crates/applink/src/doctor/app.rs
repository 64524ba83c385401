//! The app as orgs reach it: is there an answer, and is it the mesh's.

use std::time::Duration;

use applink_api::entropy::Entropy;
use applink_api::headers::MESH_MARKER;
use url::Url;

use super::Report;
use crate::settings::is_this_machine;

const TIMEOUT: Duration = Duration::from_secs(10);

/// Calls a path that no app has, without credentials: the mesh has to refuse it.
pub(crate) async fn look(app_url: &str, report: &mut Report) {
    report.checked("app");
    let Some(url) = probe(app_url) else {
        report.fault(
            "app-address",
            app_url,
            "the app's address is no http or https URL",
            "give --app-url, or set it: `applink admin apps set-url`",
        );
        return;
    };
    let place = url.origin().ascii_serialization();
    let answer = match ask(url).await {
        Ok(answer) => answer,
        Err(error) => {
            report.fault(
                "app-unreachable",
                &place,
                format!("orgs call the app there, and nothing answers: {}", innermost(&error)),
                "start the app (`heroku ps:scale web=1`), or correct its address",
            );
            return;
        }
    };
    match answer.headers().get(MESH_MARKER).and_then(|value| value.to_str().ok()) {
        Some("app-unreachable" | "app-starting") => report.fault(
            "app-on-wrong-port",
            &place,
            "the mesh answers, but nothing listens where it looks for the app",
            "let the app listen on $APP_PORT (3000 unless set)",
        ),
        Some(_) => {}
        None => report.fault(
            "mesh-bypassed",
            &place,
            format!("a call without credentials was answered with {} by the app itself, not refused by the mesh", answer.status().as_u16()),
            "let orgs call the mesh: start the app behind it, `web: applink-mesh -- …`, and let the app's own port be private",
        ),
    }
}

fn probe(app_url: &str) -> Option<Url> {
    let mut url = Url::parse(app_url).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    url.set_path(&format!("/applink-doctor-{}", Entropy::system().uuid()));
    url.set_query(None);
    Some(url)
}

async fn ask(url: Url) -> reqwest::Result<reqwest::Response> {
    let mut http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(TIMEOUT);
    if url.scheme() == "http" {
        http = http.tls_certs_only(std::iter::empty());
    }
    if is_this_machine(&url) {
        http = http.no_proxy();
    }
    http.build()?.get(url).send().await
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
