//! The stand-in for the Heroku Platform API: on the control plane's own port, with a developer who owns the stack's app
//! and add-on, so that the stock `heroku` CLI works with `HEROKU_HOST` and `HEROKU_API_KEY` from `.applink/dev.env`.

use applink_api::entropy::Entropy;
use applink_server::audit::Actor;
use applink_server::platform::{PlatformConfig, addons, people};
use applink_server::{Config, RunningServer};
use secrecy::SecretString;

use super::stack::OWNER;
use super::state_dir::{AddonState, PlatformState, State};
use super::tls::HEROKU_HOSTS;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Asks for the stand-in; with `--tls` it answers to Heroku's own names too. A sign-on is good for minutes, so what signs it lives as long as the process.
pub(super) fn mount(config: &mut Config, entropy: &Entropy, tls: bool) {
    let hosts: &[&str] = if tls { &HEROKU_HOSTS } else { &[] };
    config.platform = Some(PlatformConfig { hosts: hosts.iter().map(ToString::to_string).collect() });
    config.access.sso_salt = Some(entropy.url_token().into());
}

/// Shows the stand-in the stack's app and add-on, and returns the developer's key, which is made on the first start.
pub(super) async fn introduce(
    server: &RunningServer,
    state: &mut State,
    addon: &AddonState,
) -> Result<SecretString, BoxError> {
    let (app, actor) = (server.app(), Actor::system());
    let developer = people::ensure(app, &actor, OWNER).await?;
    addons::adopt(app, &actor, &developer, &addon.token).await?;
    if let Some(known) = &state.platform {
        return Ok(known.key.clone());
    }
    let key = people::create_key(app, &actor, &developer).await?.key;
    state.platform = Some(PlatformState { key: key.clone() });
    Ok(key)
}
