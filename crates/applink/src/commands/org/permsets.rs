//! `org:permsets:assign` and `org:permsets:unassign`.

use crate::arguments::OutputArgs;
use crate::error::{CliError, ExitStatus};
use crate::printer::Printer;
use crate::settings::Settings;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// API name of the permission set
    permission_set: String,
    /// Username of the user it is about
    #[arg(short = 'b', long, value_name = "USERNAME")]
    on_behalf_of: String,
    /// Address of the org, when there are several
    #[arg(long, value_name = "URL")]
    org_url: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) async fn assign(
    args: Args,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let org = settings.org(args.org_url.as_deref())?;
    let progress = printer.start(format!("Assigning {} to {}...", args.permission_set, args.on_behalf_of));
    let assigned = org.sim().assign(&args.permission_set, &args.on_behalf_of).await;
    let answer = assigned.map_err(|error| org.explain(error))?;
    progress.finish("done");
    if args.output.json {
        printer.json(&answer)?;
    }
    Ok(ExitStatus::Success)
}

pub(crate) async fn unassign(
    args: Args,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let org = settings.org(args.org_url.as_deref())?;
    let progress = printer.start(format!("Taking {} from {}...", args.permission_set, args.on_behalf_of));
    let taken = org.sim().unassign(&args.permission_set, &args.on_behalf_of).await;
    let answer = taken.map_err(|error| org.explain(error))?;
    progress.finish("done");
    if args.output.json {
        printer.json(&answer)?;
    }
    Ok(ExitStatus::Success)
}
