//! The org simulator, and the control plane as its operator sees it.

use applink_api::client::{Client, ClientError};
use secrecy::SecretString;

use super::addon::with_common;
use super::{Layer, Origin, Settings};
use crate::error::CliError;
use crate::printer::Printer;
use crate::sim::{Sim, SimError};

const ORG_URL: &str = "APPLINK_ORG_URL";
const SIM_KEY: &str = "APPLINK_SIM_KEY";
const SERVER_URL: &str = "APPLINK_SERVER_URL";
const OPERATOR_KEY: &str = "APPLINK_OPERATOR_KEY";

/// A local org, opened with its key.
#[derive(Debug)]
pub(crate) struct LocalOrg {
    sim: Sim,
    origin: Origin,
}

/// A control plane and an operator's key.
#[derive(Debug)]
pub(crate) struct ControlPlane {
    client: Client,
    origin: Origin,
}

impl Settings {
    /// The local org to act on; `url` (a flag) chooses among several that share the key.
    ///
    /// # Errors
    /// When no org or no key is known.
    pub(crate) fn org(&self, url: Option<&str>) -> Result<LocalOrg, CliError> {
        let (layer, sim_key) = self.layer_with(SIM_KEY)?.ok_or_else(|| no_org(SIM_KEY))?;
        let url = url.or_else(|| layer.variables.get(ORG_URL)).ok_or_else(|| no_org(ORG_URL))?.to_owned();
        layer.ensure_trusted(ORG_URL, &url)?;
        Ok(LocalOrg { sim: Sim::new(&url, sim_key)?, origin: layer.origin })
    }

    /// The control plane to set up; `url` is the flag `--server`.
    ///
    /// # Errors
    /// When no address or no operator key is known.
    pub(crate) fn control_plane(
        &self,
        url: Option<&str>,
        printer: Printer,
    ) -> Result<ControlPlane, CliError> {
        let (layer, key) = self.layer_with(OPERATOR_KEY)?.ok_or_else(|| {
            CliError::broken(format!("{OPERATOR_KEY} isn't set"))
                .hint("it is the key the control plane was started with, or one with scope `operate`")
        })?;
        let url = url
            .or_else(|| layer.variables.get(SERVER_URL))
            .or_else(|| layer.variables.get("HEROKU_APPLINK_API_URL"))
            .ok_or_else(|| {
                CliError::broken("the control plane's address isn't known")
                    .hint(format!("give --server, or set {SERVER_URL}"))
            })?;
        layer.ensure_trusted(SERVER_URL, url)?;
        let client = with_common(Client::builder(url), printer).api_key(key).build()?;
        Ok(ControlPlane { client, origin: layer.origin })
    }

    fn layer_with(&self, name: &str) -> Result<Option<(Layer, SecretString)>, CliError> {
        let found =
            self.layers()?.into_iter().find_map(|layer| layer.variables.secret(name).map(|key| (layer, key)));
        Ok(found)
    }
}

impl LocalOrg {
    /// Its control interface.
    pub(crate) fn sim(&self) -> &Sim {
        &self.sim
    }

    /// A failed call, with where the address came from.
    pub(crate) fn explain(&self, error: SimError) -> CliError {
        let unreachable = matches!(error, SimError::Unreachable { .. });
        let told = CliError::from(error);
        if unreachable { told.note(format!("the address comes from {}", self.origin)) } else { told }
    }
}

impl ControlPlane {
    /// A client with the operator's key.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// A failed call, with what the operator can change about it.
    pub(crate) fn explain(&self, error: ClientError) -> CliError {
        let refused = matches!(error.status(), Some(401 | 403));
        let told = CliError::from(error);
        if refused { told.hint(format!("check {OPERATOR_KEY} in {}", self.origin)) } else { told }
    }
}

fn no_org(name: &str) -> CliError {
    CliError::broken(format!("{name} isn't set, so no local org is known")).hint(
        "run this below a directory with a running `applink dev`, or set what `applink org:serve` prints",
    )
}
