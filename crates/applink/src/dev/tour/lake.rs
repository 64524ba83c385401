//! Data Cloud, first step: an admin connects the org's Data Cloud, and a user is authorized for the app.

use applink_api::authorization::{AuthorizationStatus, AuthorizeRequest};
use applink_api::connection::{ConnectRequest, ConnectionStatus};
use applink_api::org::OrgType;

use super::connect::log_in;
use super::{Failure, Seen, ensure};
use crate::dev::stack::Stack;
use crate::dev::visitor::Decision;

/// The connection to the org's Data Cloud.
pub(super) const LAKE: &str = "lake";

pub(super) async fn walk(stack: &Stack, broken: bool) -> Result<Seen, Failure> {
    connect(stack, broken).await?;
    authorize(stack).await?;
    let client = stack.client()?;
    let connection = client.connections().get(LAKE).await?;
    Ok(Seen {
        headline: format!("{LAKE} is the Data Cloud of {}", connection.org.id),
        details: vec![format!("{} is {}", click_events::AUTHORIZATION, stack.username("integration"))],
    })
}

async fn connect(stack: &Stack, broken: bool) -> Result<(), Failure> {
    let client = stack.client()?;
    let is_connected = async || {
        let all = client.connections().list().await?;
        let lake = all.into_iter().find(|one| one.org.connection_name.as_deref() == Some(LAKE));
        Ok::<_, Failure>(lake.filter(|lake| lake.status == ConnectionStatus::Connected))
    };
    if is_connected().await?.is_some() {
        return Ok(());
    }
    let request = ConnectRequest { connection_name: LAKE.to_owned(), login_url: None, force: false };
    let begun = client.connections().connect_to(OrgType::DataCloudOrg, &request).await?;
    let decision = if broken { Decision::Deny } else { Decision::Allow };
    let arrival = log_in(begun.redirect_uri.as_deref(), &stack.person("admin", decision)?).await?;
    ensure(is_connected().await?.is_some(), || arrival.title)
}

async fn authorize(stack: &Stack) -> Result<(), Failure> {
    let client = stack.client()?;
    let name = click_events::AUTHORIZATION;
    let is_authorized = async || {
        let all = client.authorizations().list().await?;
        let found = all.into_iter().find(|one| one.org.developer_name.as_deref() == Some(name));
        Ok::<_, Failure>(found.filter(|found| found.status == AuthorizationStatus::Authorized))
    };
    if is_authorized().await?.is_some() {
        return Ok(());
    }
    let request = AuthorizeRequest { developer_name: name.to_owned(), login_url: None, force: false };
    let begun = client.authorizations().add_to(OrgType::DataCloudOrg, &request).await?;
    let arrival =
        log_in(begun.redirect_uri.as_deref(), &stack.person("integration", Decision::Allow)?).await?;
    ensure(is_authorized().await?.is_some(), || arrival.title)
}
