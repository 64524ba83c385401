//! OAuth clients of the org: external client apps, with their keys, callbacks and policies.

use rusqlite::OptionalExtension;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::clock::MICROS_PER_SECOND;
use crate::db::{DbError, Tx};
use crate::failure::Failure;
use crate::rights::{Caller, PREAMBLE, preamble_params};
use crate::secrets;

/// A client and its policies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "the independent checkboxes of an external client app")]
pub(crate) struct Client {
    /// The client's API name, unique in the org.
    pub(crate) name: String,
    pub(crate) label: String,
    pub(crate) consumer_key: String,
    /// Fingerprint of the consumer secret; none for a public client.
    pub(crate) secret_fingerprint: Option<String>,
    /// Callback URLs: exact, or with `*` for the port of a loopback address (RFC 8252 §7.3).
    pub(crate) callbacks: Vec<String>,
    /// Wire names of the scopes it may ask for.
    pub(crate) scopes: Vec<String>,
    /// Whether anybody may sign in with it; an admin can switch it off.
    #[serde(default = "enabled")]
    pub(crate) enabled: bool,
    pub(crate) pkce_required: bool,
    /// Whether the token endpoint wants the secret for a code.
    pub(crate) secret_required: bool,
    /// Whether the token endpoint wants the secret for a refresh.
    pub(crate) secret_required_for_refresh: bool,
    /// Whether every refresh gives a new refresh token and kills the old one.
    pub(crate) rotates_refresh_tokens: bool,
    /// Whether a refresh token that is used a second time is only refused. Otherwise its whole grant ends with it.
    #[serde(default)]
    pub(crate) keeps_grant_on_replay: bool,
    /// Whether it may introspect tokens of other clients.
    pub(crate) introspects_all_tokens: bool,
    /// The key JWT bearer assertions are verified with (see [`crate::keys::public_key_from_pem`]).
    pub(crate) public_key: Option<String>,
    /// Who may use it.
    pub(crate) permitted: Permitted,
    /// Minutes without use after which its sessions end; none for the org's default.
    pub(crate) session_timeout_minutes: Option<u32>,
    /// The user the client credentials flow runs as; none when the flow is off.
    pub(crate) client_credentials_user: Option<String>,
    /// Refresh token policy: how long after consent its refresh tokens are good (0: not at all); none for until
    /// revoked.
    #[serde(default)]
    pub(crate) refresh_tokens_last_seconds: Option<u32>,
    /// IP restrictions are enforced, and whoever calls the token endpoint is outside of the trusted ranges.
    #[serde(default)]
    pub(crate) ip_restricted: bool,
    /// Scopes that are asked for and left out of what is granted, without a word.
    #[serde(default)]
    pub(crate) withheld_scopes: Vec<String>,
}

/// Clients kept before they could be switched off are on.
const fn enabled() -> bool {
    true
}

/// The client's policy of who may use it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Permitted {
    /// Every user, after approving it.
    SelfAuthorized,
    /// Users of these profiles or permission sets, without approving it.
    AdminApproved { profiles: Vec<String>, permission_sets: Vec<String> },
}

impl Client {
    /// Whether a redirect URI is one of the registered callbacks.
    pub(crate) fn accepts_callback(&self, redirect_uri: &str) -> bool {
        self.callbacks
            .iter()
            .any(|registered| registered == redirect_uri || loopback_matches(registered, redirect_uri))
    }

    /// What is granted of what was asked for.
    pub(crate) fn granted(&self, scopes: Vec<String>) -> Vec<String> {
        scopes.into_iter().filter(|scope| !self.withheld_scopes.contains(scope)).collect()
    }

    /// Whether a refresh token of a grant that was made then is still good.
    pub(crate) fn refresh_token_lasts(&self, created_micros: i64, now_micros: i64) -> bool {
        self.refresh_tokens_last_seconds.is_none_or(|seconds| {
            now_micros < created_micros.saturating_add(i64::from(seconds) * MICROS_PER_SECOND)
        })
    }

    /// Whether this is the client's secret.
    pub(crate) fn knows_secret(&self, secret: &str) -> bool {
        self.secret_fingerprint
            .as_deref()
            .is_some_and(|fingerprint| secrets::matches_fingerprint(secret, fingerprint))
    }
}

/// `http://127.0.0.1:*/path` stands for the same URL with any port.
fn loopback_matches(registered: &str, redirect_uri: &str) -> bool {
    let Some((origin, path)) = registered.split_once(":*") else { return false };
    let Ok(url) = Url::parse(redirect_uri) else { return false };
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    let same_origin = format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default()) == origin;
    loopback
        && same_origin
        && url.path() == path
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
}

/// Keeps a client, replacing one of the same consumer key.
pub(crate) fn save(tx: &Tx<'_>, client: &Client) -> Result<(), Failure> {
    tx.execute(
        "INSERT INTO _oauth_client (consumer_key, name, definition) VALUES (?1, ?2, ?3) \
         ON CONFLICT (consumer_key) DO UPDATE SET name = excluded.name, definition = excluded.definition",
        (&client.consumer_key, &client.name, serde_json::to_string(client)?),
    )?;
    Ok(())
}

/// The client of a consumer key.
pub(crate) fn find(tx: &Tx<'_>, consumer_key: &str) -> Result<Option<Client>, Failure> {
    read(tx, "SELECT definition FROM _oauth_client WHERE consumer_key = ?1", consumer_key)
}

/// The client of an API name; case matters.
pub(crate) fn find_by_name(tx: &Tx<'_>, name: &str) -> Result<Option<Client>, Failure> {
    read(tx, "SELECT definition FROM _oauth_client WHERE name = ?1", name)
}

/// All clients, by name.
pub(crate) fn all(tx: &Tx<'_>) -> Result<Vec<Client>, Failure> {
    let mut statement = tx.prepare_cached("SELECT definition FROM _oauth_client ORDER BY name")?;
    let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
    rows.map(|row| Ok(serde_json::from_str(&row?)?)).collect()
}

/// Removes a client; its grants and sessions die with it.
pub(crate) fn remove(tx: &Tx<'_>, name: &str) -> Result<(), Failure> {
    let Some(client) = find_by_name(tx, name)? else { return Ok(()) };
    super::grants::revoke_all_of_client(tx, &client.consumer_key)?;
    tx.execute("DELETE FROM _oauth_client WHERE consumer_key = ?1", [&client.consumer_key])?;
    Ok(())
}

fn read(tx: &Tx<'_>, sql: &str, value: &str) -> Result<Option<Client>, Failure> {
    let definition: Option<String> = tx.query_row(sql, [value], |row| row.get(0)).optional()?;
    Ok(definition.map(|definition| serde_json::from_str(&definition)).transpose()?)
}

/// Whether the client's policy lets a user in without the user's own approval; none for
/// [`Permitted::SelfAuthorized`], where approvals decide.
pub(crate) fn is_admin_approved(
    tx: &Tx<'_>,
    client: &Client,
    user_id: &str,
) -> Result<Option<bool>, DbError> {
    let Permitted::AdminApproved { profiles, permission_sets } = &client.permitted else { return Ok(None) };
    // Signing in comes before any session, so what is granted only while activated does not count.
    let caller = Caller::user(user_id, String::new());
    let held = |select: &str, names: &[String]| -> Result<bool, DbError> {
        let mut statement = tx.prepare_cached(&format!("{PREAMBLE} {select}"))?;
        let parameters = rusqlite::params_from_iter(preamble_params(tx, &caller));
        let rows = statement.query_map(parameters, |row| row.get::<_, String>(0))?;
        let held = rows.collect::<rusqlite::Result<Vec<_>>>()?;
        Ok(held.iter().any(|name| names.iter().any(|wanted| wanted.eq_ignore_ascii_case(name))))
    };
    let by_profile = held(
        "SELECT p.\"Name\" FROM \"User\" u JOIN \"Profile\" p ON p.\"Id\" = u.\"ProfileId\" WHERE u.\"Id\" = ?1",
        profiles,
    )?;
    let by_set = held(
        "SELECT s.\"Name\" FROM \"PermissionSet\" s WHERE s.\"Id\" IN (SELECT \"Id\" FROM granted)",
        permission_sets,
    )?;
    Ok(Some(by_profile || by_set))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_the_port_of_a_loopback_callback_is_free() {
        let registered = "http://127.0.0.1:*/oauth/callback";
        assert!(loopback_matches(registered, "http://127.0.0.1:7700/oauth/callback"));
        assert!(loopback_matches(registered, "http://127.0.0.1/oauth/callback"));
        for other in [
            "http://127.0.0.1:7700/oauth/callback/x",
            "http://127.0.0.1:7700/oauth/callback?x=1",
            "http://localhost:7700/oauth/callback",
            "https://127.0.0.1:7700/oauth/callback",
            "http://127.0.0.1:7700@evil.example/oauth/callback",
            "http://evil.example:80/oauth/callback",
        ] {
            assert!(!loopback_matches(registered, other), "{other}");
        }
        assert!(!loopback_matches("http://evil.example:*/cb", "http://evil.example:1/cb"));
    }

    proptest! {
        #[test]
        fn no_text_passes_as_a_foreign_callback(text in "\\PC{0,60}") {
            if loopback_matches("http://127.0.0.1:*/oauth/callback", &text) {
                prop_assert!(text.starts_with("http://127.0.0.1") || text.contains("127."));
            }
        }
    }
}
