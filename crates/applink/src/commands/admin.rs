//! `admin:…`: what an operator sets up on a control plane.

pub(crate) mod addons;
pub(crate) mod apps;
pub(crate) mod audit;
pub(crate) mod keys;
pub(crate) mod manifest;
pub(crate) mod removals;
pub(crate) mod vault;

/// Which control plane.
#[derive(Debug, clap::Args)]
pub(crate) struct ServerArgs {
    /// Address of the control plane [default: APPLINK_SERVER_URL]
    #[arg(long, value_name = "URL")]
    pub(crate) server: Option<String>,
}
