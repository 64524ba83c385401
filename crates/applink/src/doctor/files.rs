//! The Procfile and the OpenAPI document of the current directory.

use std::fs;
use std::path::{Path, PathBuf};

use applink_publish::spec::Finding;

use super::Report;
use crate::document::{self, Document};

/// Names under which the mesh is started.
const MESHES: [&str; 3] = ["applink-mesh", "heroku-applink-service-mesh", "applink mesh"];
const SPECS: [&str; 3] = ["api-spec.yaml", "api-spec.yml", "api-spec.json"];

/// The mesh must be what listens on `$PORT`, and the app behind it on `APP_PORT`.
pub(crate) fn procfile(directory: &Path, report: &mut Report) {
    let path = directory.join("Procfile");
    let Ok(text) = fs::read_to_string(&path) else {
        report.skipped("procfile", "there is no Procfile here");
        return;
    };
    report.checked("procfile");
    let Some(web) = text.lines().find_map(|line| line.trim().strip_prefix("web:")) else {
        report.fault(
            "mesh-not-in-procfile",
            "Procfile",
            "it has no `web` process, so nothing answers calls from orgs",
            "add a line such as `web: applink-mesh -- node server.js`",
        );
        return;
    };
    let Some((before, behind)) = MESHES.iter().find_map(|mesh| web.split_once(mesh)) else {
        report.fault(
            "mesh-not-in-procfile",
            "Procfile",
            "its `web` process starts the app without the service mesh, so anybody can call it as any user",
            format!("start the app behind the mesh: `web: applink-mesh -- {}`", web.trim()),
        );
        return;
    };
    let binds_public_port = behind.contains("$PORT") || behind.contains("${PORT");
    let same_port = before.contains("APP_PORT=$PORT") || before.contains("APP_PORT=${PORT");
    if binds_public_port || same_port {
        report.fault(
            "app-on-wrong-port",
            "Procfile",
            "the app is told to listen on $PORT, where the mesh has to listen",
            "let the app listen on $APP_PORT (3000 unless set), which the mesh passes on to it",
        );
    }
}

/// The document: that of `--spec`, or the one in the directory.
pub(crate) fn spec(named: Option<&Path>, directory: &Path, report: &mut Report) -> Option<Document> {
    let found = || SPECS.iter().map(|name| directory.join(name)).find(|path| path.is_file());
    let Some(path) = named.map(PathBuf::from).or_else(found) else {
        report.skipped("spec", "there is no api-spec.yaml or api-spec.json here; name one with --spec");
        return None;
    };
    report.checked("spec");
    let shown = path.strip_prefix(directory).unwrap_or(&path).display().to_string();
    let document = match Document::read(&path) {
        Ok(document) => document,
        Err(error) => {
            report.error("spec-invalid", shown, &error.into());
            return None;
        }
    };
    let findings = document.findings();
    if let Some(first) = findings.iter().find(|finding| Finding::is_error(finding)) {
        report.fault(
            "spec-invalid",
            &shown,
            format!("it can't be published: {}; first: {}", document::counted(&findings), first.message),
            format!("{}; `applink spec:check {shown}` shows all", first.code.fix().trim_end_matches('.')),
        );
    }
    Some(document)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(procfile: &str) -> Vec<&'static str> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("Procfile"), procfile).unwrap();
        let mut report = Report::default();
        super::procfile(folder.path(), &mut report);
        report.faults.iter().map(|fault| fault.id).collect()
    }

    #[test]
    fn the_mesh_is_in_front_and_has_the_port() {
        for (text, expected) in [
            ("web: applink-mesh -- node server.js", None),
            ("release: x\nweb: APP_PORT=5000 heroku-applink-service-mesh node server.js", None),
            ("web: applink mesh -- python app.py", None),
            ("web: node server.js", Some("mesh-not-in-procfile")),
            ("worker: node worker.js", Some("mesh-not-in-procfile")),
            ("web: applink-mesh -- gunicorn -b :$PORT app", Some("app-on-wrong-port")),
            ("web: APP_PORT=$PORT applink-mesh -- node server.js", Some("app-on-wrong-port")),
        ] {
            assert_eq!(faults(text).first().copied(), expected, "{text}");
        }
    }
}
