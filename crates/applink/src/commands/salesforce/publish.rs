//! `salesforce:publish`: an app's OpenAPI document becomes actions in an org.

pub(crate) mod diff;

use std::path::{Path, PathBuf};

use applink_api::client::{ClientError, Package};
use applink_api::error::error_id;
use applink_api::names::ClientName;
use applink_api::publication::{Publication, PublishRequest, SPEC_JSON, SPEC_YAML};

use applink_publish::spec::{Finding, Severity};

use super::connect::interrupted_change;
use crate::arguments::{AddonArgs, OutputArgs};
use crate::commands::connections::unknown;
use crate::document::{self, Document};
use crate::error::{CliError, ExitStatus};
use crate::poll::{self, Waited};
use crate::printer::{Printer, printable};
use crate::prompt;
use crate::publish_dir::{self, Inputs};
use crate::rehearsal::{Publisher, Rehearsal, RehearsalArgs, RehearsalError};
use crate::settings::{Addon, Settings};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// OpenAPI 3.x document, .yaml, .yml or .json, or the directory that holds it with the metadata
    api_spec_file: PathBuf,
    /// Name of the app in the org; it becomes an Apex class
    #[arg(short, long, value_name = "NAME")]
    client_name: String,
    /// Connected org to publish to
    #[arg(long, value_name = "NAME", required_unless_present_any = ["dry_run", "preview", "output_dir"])]
    connection_name: Option<String>,
    #[command(flatten)]
    authorization: AuthorizationArgs,
    /// Directory with connectedapp-meta.xml or permissionset-meta.xml
    #[arg(long, value_name = "DIR")]
    metadata_dir: Option<PathBuf>,
    /// Show what changes for callers of what is published, and send nothing; status 1 when they break
    #[arg(long, conflicts_with_all = ["dry_run", "preview", "output_dir"])]
    diff: bool,
    /// Publish although Flows or Apex that use the app will break
    #[arg(long)]
    allow_breaking: bool,
    #[command(flatten)]
    rehearsal: RehearsalArgs,
    #[command(flatten)]
    addon: AddonArgs,
    #[command(flatten)]
    output: OutputArgs,
}

// What the org makes beside the actions. The long names are the official ones; the camel-case ones are its
// older spelling.
#[derive(Debug, clap::Args)]
struct AuthorizationArgs {
    /// Connected app to make from the template (deprecated: use an external client app)
    #[arg(long, alias = "authorizationConnectedAppName", value_name = "NAME")]
    authorization_connected_app_name: Option<String>,
    /// External client app to make from the template
    #[arg(
        long,
        aliases = ["authorizationExternalClientAppName", "auth-external-client-app-name"],
        value_name = "NAME"
    )]
    authorization_external_client_app_name: Option<String>,
    /// Session-based permission set to make from the template, for user-plus mode
    #[arg(long, alias = "authorizationPermissionSetName", value_name = "NAME")]
    authorization_permission_set_name: Option<String>,
}

pub(crate) async fn run(args: Args, settings: &Settings, printer: Printer) -> Result<ExitStatus, CliError> {
    let client_name: ClientName = args
        .client_name
        .parse()
        .map_err(|error: applink_api::names::NameError| CliError::refused(error.to_string()))?;
    if args.authorization.authorization_connected_app_name.is_some() {
        printer.warning(
            "--authorization-connected-app-name is deprecated; use --authorization-external-client-app-name",
        );
    }
    let document = Document::read(&args.api_spec_file)?;
    let mut package = package(&args, &client_name, printer)?;
    if args.rehearsal.is_asked() {
        return rehearse(&args, &document, &package, &client_name, settings, printer).await;
    }
    if args.diff {
        let addon = settings.addon(&args.addon).await?;
        let connection = args.connection_name.as_deref().unwrap_or_default();
        return diff::show(&document, &addon, connection, &client_name, args.output.json, printer).await;
    }
    check(&document, args.output.json, printer)?;
    let addon = settings.addon(&args.addon).await?;
    addon.app_id()?;
    let client = addon.client(printer)?;
    let connection = args.connection_name.as_deref().unwrap_or_default();
    loop {
        let progress =
            printer.start(format!("Publishing {} to {connection} as {client_name}...", addon.app_label()));
        match poll::interruptible(client.publications().publish(connection, &package)).await {
            Waited::Done(Ok(publications)) => {
                progress.finish("done");
                return report(&publications, args.output.json, printer);
            }
            Waited::Done(Err(error)) if is_breaking(&error) && prompt::can_ask() => {
                progress.finish("stopped");
                agree_to_break(&error, printer)?;
                package.request.allow_breaking = Some(true);
            }
            Waited::Done(Err(error)) => {
                if matches!(error, ClientError::Pending { .. }) {
                    progress.finish("still deploying");
                }
                return Err(failed(error, &args, connection, &addon));
            }
            Waited::Interrupted => {
                return Err(interrupted_change(&addon, "publish the app", "applink publications"));
            }
        }
    }
}

/// What External Services would refuse is not sent at all.
fn check(document: &Document, json: bool, printer: Printer) -> Result<(), CliError> {
    let findings = document.findings();
    let name = document.name();
    if findings.iter().any(Finding::is_error) {
        if json {
            document::write(&name, &findings, document::Writing::Json, printer)?;
        }
        return Err(document::refusal(&name, &findings));
    }
    for finding in findings.iter().filter(|finding| finding.code.severity() == Severity::Warning) {
        let place = finding.at.map_or_else(|| name.clone(), |at| format!("{name}:{at}"));
        printer.warning(&format!("{place}: {} [{}]", finding.message, finding.code.as_str()));
    }
    Ok(())
}

async fn rehearse(
    args: &Args,
    document: &Document,
    package: &Package,
    client: &ClientName,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    // The ids of add-on and app stand in the package; without them placeholders do for everything but a deploy.
    let publisher = match &args.rehearsal.output_dir {
        Some(_) => settings.addon(&args.addon).await?.publisher()?,
        None => settings
            .addon_nearby(&args.addon)
            .and_then(|addon| addon.publisher())
            .unwrap_or_else(|_unknown| Publisher::unknown("the app".to_owned())),
    };
    match Rehearsal::of(&package.zip, &package.request, client, publisher, &args.rehearsal) {
        Ok(rehearsal) => rehearsal.answer(document, &args.rehearsal, args.output.json, printer),
        Err(RehearsalError::Findings(findings)) => {
            if args.output.json {
                document::write(&document.name(), &findings, document::Writing::Json, printer)?;
            }
            Err(document::refusal(&document.name(), &findings))
        }
        Err(error) => Err(CliError::refused(error.to_string())),
    }
}

fn is_breaking(error: &ClientError) -> bool {
    matches!(error, ClientError::Api { body, .. } if body.id == error_id::BREAKING_CHANGE)
}

/// Shows what would break, and asks.
fn agree_to_break(error: &ClientError, printer: Printer) -> Result<(), CliError> {
    printer.warning(&error.to_string());
    if let ClientError::Api { body, .. } = error {
        for problem in &body.problems {
            printer.note(&format!("  {}: {}", printable(&problem.place), printable(&problem.message)));
        }
    }
    prompt::confirm("publish", None, "Flows and Apex that use it will break", printer)
}

fn failed(error: ClientError, args: &Args, connection: &str, addon: &Addon) -> CliError {
    if error.is_not_found() {
        return unknown(connection, addon);
    }
    if matches!(error, ClientError::Pending { .. }) {
        return addon
            .explain(error)
            .hint("it goes on without you; `applink publications` lists what is published");
    }
    let is_breaking = is_breaking(&error);
    let told = addon.explain(with_own_path(error, &args.api_spec_file));
    if is_breaking { told.hint("publish with --allow-breaking if that is meant") } else { told }
}

/// The service knows the document under its name in the zip; the person knows the file.
fn with_own_path(mut error: ClientError, path: &Path) -> ClientError {
    let path = path.display().to_string();
    let own = |text: &str| text.replace(SPEC_YAML, &path).replace(SPEC_JSON, &path);
    if let ClientError::Api { body, .. } = &mut error {
        body.message = own(&body.message);
        for problem in &mut body.problems {
            problem.place = own(&problem.place);
        }
    }
    error
}

fn package(args: &Args, client_name: &ClientName, printer: Printer) -> Result<Package, CliError> {
    let authorization = &args.authorization;
    let packed = publish_dir::pack(&Inputs {
        spec: &args.api_spec_file,
        metadata_dir: args.metadata_dir.as_deref(),
        connected_app: authorization.authorization_connected_app_name.as_deref(),
        permission_set: authorization.authorization_permission_set_name.as_deref(),
    })?;
    for path in &packed.ignored {
        printer.warning(&format!(
            "{path} is not sent: only connectedapp-meta.xml and permissionset-meta.xml are"
        ));
    }
    let request = PublishRequest {
        client_name: client_name.to_string(),
        authorization_connected_app_name: authorization.authorization_connected_app_name.clone(),
        authorization_external_client_app_name: authorization.authorization_external_client_app_name.clone(),
        authorization_permission_set_name: authorization.authorization_permission_set_name.clone(),
        allow_breaking: Some(args.allow_breaking),
    };
    Ok(Package { request, zip: packed.zip })
}

fn report(publications: &[Publication], json: bool, printer: Printer) -> Result<ExitStatus, CliError> {
    for component in publications.iter().flat_map(|publication| &publication.components) {
        let verb = if component.created { "created" } else { "updated" };
        printer.note(&format!("  {verb} {} {}", printable(&component.kind), printable(&component.name)));
    }
    if json {
        printer.json(&publications)?;
    }
    Ok(ExitStatus::Success)
}
