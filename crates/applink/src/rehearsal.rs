//! A publish that sends nothing: what would be made in an org, and what callers would see.

use std::path::PathBuf;

use applink_api::ids::{AddonId, AppUuid, PublicationId};
use applink_api::names::ClientName;
use applink_api::publication::PublishRequest;
use applink_publish::metadata::{self, OrgProfile, Package, Subject, Wishes, authorization};
use applink_publish::package::{self, Upload};
use applink_publish::preview::{ClassKind, Preview, qualified};
use applink_publish::report::Report;
use applink_publish::spec::{self, Finding};
use applink_publish::{Release, preview};
use serde::Serialize;
use url::Url;
use uuid::Uuid;

use crate::document::{self, Document};
use crate::error::{CliError, ExitStatus};
use crate::printer::Printer;
use crate::publish_dir::write_files;

// What is asked of a rehearsal.
#[derive(Debug, clap::Args)]
pub(crate) struct RehearsalArgs {
    /// Check everything, say what would be made, and send nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Show the Apex classes, Flow actions and permission sets callers would see, and send nothing
    #[arg(long)]
    pub(crate) preview: bool,
    /// Write the package as files for `sf project deploy start --metadata-dir`, and send nothing
    #[arg(long, value_name = "DIR", requires = "app_url")]
    pub(crate) output_dir: Option<PathBuf>,
    /// Where the org will call the app, for --output-dir
    #[arg(long, value_name = "URL")]
    pub(crate) app_url: Option<Url>,
    /// API version of the org to assume
    #[arg(long, value_name = "VERSION", default_value = "67.0", value_parser = release)]
    pub(crate) org_release: Release,
}

impl RehearsalArgs {
    /// Whether nothing is to be sent.
    pub(crate) fn is_asked(&self) -> bool {
        self.dry_run || self.preview || self.output_dir.is_some()
    }
}

fn release(text: &str) -> Result<Release, String> {
    let number = text.strip_suffix(".0").unwrap_or(text).parse::<u16>();
    number.map(Release::new).map_err(|_| "an API version looks like 67.0".to_owned())
}

/// Who would publish, as far as this machine knows.
#[derive(Debug)]
pub(crate) struct Publisher {
    pub(crate) addon: AddonId,
    pub(crate) app: AppUuid,
    pub(crate) app_name: String,
}

impl Publisher {
    /// Stands for an add-on and an app that are not known here.
    pub(crate) fn unknown(app_name: String) -> Self {
        Self { addon: AddonId(Uuid::nil()), app: AppUuid(Uuid::nil()), app_name }
    }
}

/// A package for an org that has nothing of it yet.
#[derive(Debug)]
pub(crate) struct Rehearsal {
    findings: Vec<Finding>,
    package: Package,
    preview: Preview,
}

#[derive(Serialize)]
struct Answer<'a> {
    report: Report<'a>,
    org_release: String,
    components: Vec<Made<'a>>,
    preview: Option<&'a Preview>,
}

#[derive(Serialize)]
struct Made<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    name: &'a str,
    file: &'a str,
}

impl Rehearsal {
    /// Does everything a publish does before the first call.
    ///
    /// # Errors
    /// Every finding when one of them refuses the publish.
    pub(crate) fn of(
        zip: &[u8],
        request: &PublishRequest,
        client: &ClientName,
        publisher: Publisher,
        args: &RehearsalArgs,
    ) -> Result<Self, RehearsalError> {
        let upload: Upload = package::read(zip).map_err(RehearsalError::Package)?;
        let spec = spec::read(upload.spec.format, &upload.spec.bytes)
            .map_err(|error| RehearsalError::Findings(error.findings))?;
        let wishes = Wishes::of(request, &upload);
        let plan = authorization::plan(&spec, &wishes, client.as_str()).map_err(RehearsalError::Findings)?;
        let subject = Subject {
            publication: PublicationId(Uuid::nil()),
            addon: publisher.addon,
            app: publisher.app,
            app_name: publisher.app_name,
            app_url: args.app_url.clone().map_or_else(placeholder, Ok)?,
            client: client.clone(),
            contact_email: "admin@example.com".to_owned(),
        };
        let org = OrgProfile::empty(args.org_release);
        let package = metadata::build(&spec, &subject, &plan, &org).map_err(RehearsalError::Findings)?;
        let preview = Preview::of(&spec, client.as_str(), Some(&plan));
        Ok(Self { findings: package.findings.clone(), package, preview })
    }

    /// Says or writes what was asked for.
    ///
    /// # Errors
    /// When a file or standard output can't be written.
    pub(crate) fn answer(
        &self,
        document: &Document,
        args: &RehearsalArgs,
        json: bool,
        printer: Printer,
    ) -> Result<ExitStatus, CliError> {
        let file = document.name();
        if let Some(directory) = &args.output_dir {
            write_files(directory, &self.package.files())?;
        }
        if json {
            printer.json(&self.as_json(&file, args))?;
            return Ok(ExitStatus::Success);
        }
        for line in self.findings.iter().flat_map(|finding| document::lines(&file, finding)) {
            printer.note(&line);
        }
        let counted = document::counted(&self.findings);
        printer.note(&format!("{file} can be published as {}: {counted}", self.preview.client));
        if args.dry_run || args.output_dir.is_some() {
            printer.data(&self.components(args))?;
        }
        if args.preview {
            printer.data(&text(&self.preview))?;
        }
        if let Some(directory) = &args.output_dir {
            printer.note(&format!("written: {}", directory.display()));
        }
        Ok(ExitStatus::Success)
    }

    fn as_json<'a>(&'a self, file: &'a str, args: &RehearsalArgs) -> Answer<'a> {
        let components = self.package.components.iter();
        Answer {
            report: Report::of(file, &self.findings),
            org_release: args.org_release.to_string(),
            components: components
                .map(|one| Made { kind: one.kind, name: &one.name, file: one.path() })
                .collect(),
            preview: args.preview.then_some(&self.preview),
        }
    }

    fn components(&self, args: &RehearsalArgs) -> String {
        let components = self.package.components.iter();
        let lines: Vec<String> =
            components.map(|component| format!("  {} {}", component.kind, component.name)).collect();
        format!(
            "In an org on API {} that has nothing of it yet, this would be made:\n{}",
            args.org_release,
            lines.join("\n")
        )
    }
}

/// Why a rehearsal ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RehearsalError {
    /// The document, the flags or the files are refused.
    #[error("the document can't be published")]
    Findings(Vec<Finding>),
    /// The files can't be sent as they are.
    #[error(transparent)]
    Package(package::PackageError),
    /// Never seen by a person.
    #[error("the placeholder is no URL")]
    Placeholder(#[from] url::ParseError),
}

fn placeholder() -> Result<Url, url::ParseError> {
    "https://app.example".parse()
}

/// The preview for people.
fn text(preview: &Preview) -> String {
    let mut lines = vec![format!("Apex classes (namespace {})", preview::NAMESPACE)];
    for class in &preview.apex {
        let kind = match class.kind {
            ClassKind::CallbackHandler => " (extend it to receive callbacks)",
            ClassKind::Exception => " (exception)",
            _ => "",
        };
        lines.push(format!("  {}{kind}", class.name));
        for method in &class.methods {
            let arguments: Vec<String> = method
                .arguments
                .iter()
                .map(|(kind, name)| format!("{} {name}", qualified(kind, &preview.client)))
                .collect();
            let returns = qualified(&method.returns, &preview.client);
            lines.push(format!("    {returns} {}({})", method.name, arguments.join(", ")));
        }
        for member in &class.members {
            let required = if member.required { ", required" } else { "" };
            let kind = qualified(&member.apex_type, &preview.client);
            lines.push(format!("    {}: {kind}{required}", member.name));
        }
    }
    lines.push("Flow actions".to_owned());
    lines.extend(preview.flow_actions.iter().map(|action| {
        let callbacks = if action.has_callbacks { " (its callbacks reach Apex only)" } else { "" };
        format!("  {}{callbacks}", action.name)
    }));
    lines.push("Permission sets".to_owned());
    lines.extend(preview.permission_sets.iter().enumerate().map(|(index, name)| {
        let what = if index == 0 { "lets its users call" } else { "session-based, active while a call runs" };
        format!("  {name} ({what})")
    }));
    if let Some(topic) = &preview.topic {
        lines.push(format!("Agent topic {topic}"));
        lines.extend(preview.agent_actions.iter().map(|action| format!("  {action}")));
    }
    lines.join("\n")
}
