//! `salesforce:publish`: an app's OpenAPI document becomes actions in an org.

use std::path::{Path, PathBuf};

use applink_api::client::{ClientError, Package};
use applink_api::names::ClientName;
use applink_api::publication::{Publication, PublishRequest, SPEC_JSON, SPEC_YAML};

use super::connect::interrupted_change;
use crate::arguments::{AddonArgs, OutputArgs};
use crate::commands::connections::unknown;
use crate::error::{CliError, ExitStatus};
use crate::poll::{self, Waited};
use crate::printer::{Printer, printable};
use crate::publish_dir::{self, Inputs};
use crate::settings::Settings;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// OpenAPI 3.x document, .yaml, .yml or .json
    api_spec_file: PathBuf,
    /// Name of the app in the org; it becomes an Apex class
    #[arg(short, long, value_name = "NAME")]
    client_name: String,
    /// Connected org to publish to
    #[arg(long, value_name = "NAME")]
    connection_name: String,
    #[command(flatten)]
    authorization: AuthorizationArgs,
    /// Directory with connectedapp-meta.xml or permissionset-meta.xml
    #[arg(long, value_name = "DIR")]
    metadata_dir: Option<PathBuf>,
    #[command(flatten)]
    addon: AddonArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// What the org makes beside the actions. The long names are the official ones; the camel-case ones are its
/// older spelling.
#[derive(Debug, clap::Args)]
struct AuthorizationArgs {
    /// Connected app to make from the template (deprecated: use an external client app)
    #[arg(long, alias = "authorizationConnectedAppName", value_name = "NAME")]
    authorization_connected_app_name: Option<String>,
    /// External client app to make from the template
    #[arg(long, alias = "authorizationExternalClientAppName", value_name = "NAME")]
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
    let package = package(&args, &client_name, printer)?;
    let addon = settings.addon(&args.addon)?;
    addon.app_id()?;
    let client = addon.client(printer)?;

    let connection = &args.connection_name;
    let progress =
        printer.start(format!("Publishing {} to {connection} as {client_name}...", addon.app_label()));
    match poll::interruptible(client.publications().publish(connection, &package)).await {
        Waited::Done(Ok(publications)) => {
            progress.finish("done");
            report(&publications, args.output.json, printer)
        }
        Waited::Done(Err(error)) if error.is_not_found() => Err(unknown(connection, &addon)),
        Waited::Done(Err(error @ ClientError::Pending { .. })) => {
            progress.finish("still deploying");
            Err(addon
                .explain(error)
                .hint("it goes on without you; `applink publications` lists what is published"))
        }
        Waited::Done(Err(error)) => Err(addon.explain(with_own_path(error, &args.api_spec_file))),
        Waited::Interrupted => Err(interrupted_change(&addon, "publish the app", "applink publications")),
    }
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
