//! `dev`: the whole stack in one process.

use std::path::PathBuf;

use crate::dev::tls::Way;
use crate::dev::tour::Step;
use crate::dev::{self, DevSettings};
use crate::error::{CliError, ExitStatus};
use crate::logging;
use crate::printer::Printer;
use crate::settings::Settings;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Run the tour and exit, with status 1 if a step failed
    #[arg(long)]
    once: bool,
    /// Print one line of JSON when everything is ready; the tour then goes to standard error
    #[arg(long)]
    json: bool,
    /// Discard what earlier starts kept
    #[arg(long)]
    fresh: bool,
    /// Break one step of the tour on purpose, in a folder of its own, to see what a failure looks like
    #[arg(long = "break", value_name = "STEP", requires = "once", conflicts_with_all = ["fresh", "command"])]
    broken: Option<Step>,
    /// Port of the control plane; 0 picks a free one
    #[arg(long, value_name = "PORT", default_value_t = 7700)]
    port: u16,
    /// Port of the production org; 0 picks a free one [default: that of the last start, else 7701]
    #[arg(long, value_name = "PORT")]
    org_port: Option<u16>,
    /// Port of the sandbox org; 0 picks a free one [default: that of the last start, else 7702]
    #[arg(long, value_name = "PORT")]
    sandbox_port: Option<u16>,
    /// Port of the mesh; 0 picks a free one
    #[arg(long, value_name = "PORT", default_value_t = 8070)]
    mesh_port: u16,
    /// Port of the app; 0 picks a free one
    #[arg(long, value_name = "PORT", default_value_t = 3000)]
    app_port: u16,
    /// Let the stock Heroku CLI in over TLS, as api.heroku.com, through a proxy for that name alone
    #[arg(long)]
    tls: bool,
    /// Port of that proxy; 0 picks a free one [default: that of the last start, else a free one]
    #[arg(long, value_name = "PORT", default_value_t = 0, hide_default_value = true, requires = "tls")]
    proxy_port: u16,
    /// The same without a proxy: TLS on port 443 of this machine
    #[arg(long = "bind-443", conflicts_with_all = ["tls", "proxy_port"])]
    bind_443: bool,
    /// Show Data Cloud: the click-events sample is the app, and the tour goes through clicks and data actions
    #[arg(long, conflicts_with = "command")]
    data_cloud: bool,
    /// Where state is kept
    #[arg(long, value_name = "DIR", default_value = ".applink")]
    state_dir: PathBuf,
    /// Where webhooks may be sent to besides public https URLs, such as http://127.0.0.1:4000; may be repeated
    #[arg(long = "webhook-origin", value_name = "ORIGIN")]
    webhook_origins: Vec<url::Url>,
    /// Your own app, run behind the mesh instead of the sample
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

pub(crate) async fn run(args: Args, settings: &Settings, printer: Printer) -> Result<ExitStatus, CliError> {
    logging::start(settings, "warn")?;
    if let Some(step) = args.broken.filter(|step| !Step::of_sample(args.data_cloud).contains(step)) {
        let told = format!(
            "the tour has no step {step:?} {}",
            if args.data_cloud { "with --data-cloud" } else { "without --data-cloud" }
        );
        let steps: Vec<String> =
            Step::of_sample(args.data_cloud).iter().map(|step| format!("{step:?}")).collect();
        return Err(CliError::broken(told.to_lowercase())
            .hint(format!("its steps are {}", steps.join(", ").to_lowercase())));
    }
    let dev_settings = DevSettings {
        once: args.once,
        json: args.json,
        fresh: args.fresh,
        broken: args.broken,
        state_dir: settings.directory().join(args.state_dir),
        ports: dev::AskedPorts {
            control_plane: args.port,
            org: args.org_port,
            sandbox: args.sandbox_port,
            mesh: args.mesh_port,
            app: args.app_port,
        },
        tls: match (args.tls, args.bind_443) {
            (_, true) => Some(Way::Port443),
            (true, false) => Some(Way::Proxy(args.proxy_port)),
            (false, false) => None,
        },
        webhook_origins: args.webhook_origins,
        data_cloud: args.data_cloud,
        command: args.command,
        directory: settings.directory().to_owned(),
    };
    dev::run(dev_settings, printer).await
}
