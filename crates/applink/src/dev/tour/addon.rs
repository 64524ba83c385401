//! Step 1: the add-on answers with its token.

use applink_api::client::Client;
use secrecy::SecretString;

use super::{Failure, Seen};
use crate::dev::stack::Stack;

pub(super) async fn walk(stack: &Stack, broken: bool) -> Result<Seen, Failure> {
    let facts = &stack.facts;
    let token = if broken { SecretString::from("not-the-token".to_owned()) } else { facts.token.clone() };
    let client = Client::builder(&facts.api_url).token(token).app(facts.app_id).build()?;
    let connections = client.connections().list().await?;
    Ok(Seen::of(format!(
        "{} attached to app {} as HEROKU_APPLINK, {} connection{}",
        facts.addon_name,
        facts.app_name,
        connections.len(),
        if connections.len() == 1 { "" } else { "s" },
    )))
}
