//! `apex-stubs`: the Apex classes an org will generate, as files an editor can complete from.

use std::path::PathBuf;

use applink_api::names::ClientName;
use applink_publish::preview::{self, Preview};
use applink_publish::spec;

use crate::arguments::OutputArgs;
use crate::document::{self, Document};
use crate::error::{CliError, ExitStatus};
use crate::printer::Printer;
use crate::publish_dir::write_files;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// OpenAPI 3.x document, .yaml, .yml or .json
    api_spec_file: PathBuf,
    /// Name of the app in the org; it becomes an Apex class
    #[arg(short, long, value_name = "NAME")]
    client_name: ClientName,
    /// Directory to write `HerokuAppLink/*.cls` to
    #[arg(short, long, value_name = "DIR", default_value = "apex-stubs")]
    output_dir: PathBuf,
    #[command(flatten)]
    output: OutputArgs,
}

pub(crate) fn run(args: &Args, printer: Printer) -> Result<ExitStatus, CliError> {
    let document = Document::read(&args.api_spec_file)?;
    let spec = spec::read(document.format, &document.bytes)
        .map_err(|error| document::refusal(&document.name(), &error.findings))?;
    let stubs = preview::stubs(&Preview::of(&spec, args.client_name.as_str(), None));
    write_files(&args.output_dir, &stubs)?;
    let written = stubs.iter().map(|stub| args.output_dir.join(&stub.path).display().to_string());
    if args.output.json {
        printer.json(&written.collect::<Vec<_>>())?;
    } else {
        written.into_iter().try_for_each(|path| printer.data(&path))?;
    }
    Ok(ExitStatus::Success)
}
