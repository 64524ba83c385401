//! Step 2: an admin logs in at the org in a browser and connects it.

use applink_api::connection::{ConnectRequest, Connection, ConnectionStatus};

use super::{Failure, Seen, ensure};
use crate::dev::stack::{CONNECTION, Stack};
use crate::dev::visitor::{Decision, Person, Visitor};

pub(super) async fn walk(stack: &Stack, broken: bool) -> Result<Seen, Failure> {
    let client = stack.client()?;
    if let Some(connection) = already_connected(stack).await? {
        return Ok(Seen::of(format!("{}, since an earlier start", described(&connection))));
    }
    let request = ConnectRequest { connection_name: CONNECTION.to_owned(), login_url: None, force: false };
    let begun = client.connections().connect(&request).await?;
    let role = if broken { "intern" } else { "admin" };
    let person = stack.person(role, Decision::Allow)?;
    let arrival = log_in(begun.redirect_uri.as_deref(), &person).await?;
    let connection = client.connections().get(&begun.id.to_string()).await?;
    ensure(connection.status == ConnectionStatus::Connected, || {
        let error = connection.error.as_ref().map(|error| error.message.as_str());
        error.unwrap_or(&arrival.title).to_owned()
    })?;
    Ok(Seen::of(format!(
        "{} as {}, who logged in and agreed to {} scopes",
        described(&connection),
        person.username,
        arrival.consented
    )))
}

async fn already_connected(stack: &Stack) -> Result<Option<Connection>, Failure> {
    let connections = stack.client()?.connections().list().await?;
    let ours = |connection: &Connection| {
        connection.org.connection_name.as_deref() == Some(CONNECTION)
            && connection.status == ConnectionStatus::Connected
    };
    Ok(connections.into_iter().find(ours))
}

fn described(connection: &Connection) -> String {
    format!("{CONNECTION} is {} at {}", connection.org.id, connection.org.instance_url)
}

/// Does in a browser what the person is asked to do.
pub(super) async fn log_in(
    redirect_uri: Option<&str>,
    person: &Person,
) -> Result<crate::dev::visitor::Arrival, Failure> {
    let start = redirect_uri.ok_or_else(|| Failure::new("the control plane gave no redirect_uri"))?;
    let start = start.parse().map_err(|_| Failure::new("redirect_uri is not a URL"))?;
    Ok(Visitor::new()?.visit(start, person).await?)
}
