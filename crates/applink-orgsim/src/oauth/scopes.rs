//! OAuth scopes: their wire names, their metadata names and what they mean in words.

/// A scope an OAuth client of this org can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scope {
    /// As requests and tokens spell it.
    pub(crate) name: &'static str,
    /// As metadata spells it.
    metadata: &'static str,
    /// As the consent page says it.
    pub(crate) words: &'static str,
}

const fn scope(name: &'static str, metadata: &'static str, words: &'static str) -> Scope {
    Scope { name, metadata, words }
}

const SCOPES: [Scope; 24] = [
    scope("id", "Basic", "Read who you are: the identity URL with your name and username"),
    scope("profile", "Profile", "Read your profile"),
    scope("email", "Email", "Read your e-mail address"),
    scope("address", "Address", "Read your postal address"),
    scope("phone", "Phone", "Read your phone numbers"),
    scope("openid", "OpenID", "Identify you with a signed ID token"),
    scope("api", "Api", "Read and change data through the APIs with your rights"),
    scope("web", "Web", "Use your account in a web browser"),
    scope("full", "Full", "Do everything you can do yourself"),
    scope("chatter_api", "Chatter", "Use Connect REST resources"),
    scope("visualforce", "CustomApplications", "Open Visualforce pages"),
    scope(
        "refresh_token",
        "RefreshToken",
        "Keep its access while you are away, until you or an admin revoke it",
    ),
    scope(
        "offline_access",
        "OfflineAccess",
        "Keep its access while you are away, until you or an admin revoke it",
    ),
    scope("custom_permissions", "CustomPermissions", "See your custom permissions"),
    scope("wave_api", "Wave", "Use CRM Analytics resources"),
    scope("eclair_api", "Eclair", "Use Analytics charts"),
    scope("lightning", "Lightning", "Use Lightning applications"),
    scope("content", "Content", "Use content resources"),
    scope("cdp_ingest_api", "CDPIngest", "Load data into Data Cloud"),
    scope("cdp_profile_api", "CDPProfile", "Read profile data in Data Cloud"),
    scope("cdp_query_api", "CDPQuery", "Query Data Cloud"),
    scope("cdp_api", "CDP", "Use all Data Cloud resources"),
    scope("sfap_api", "SFAP", "Use the Salesforce API Platform"),
    scope("mcp_api", "MCP", "Use hosted MCP servers"),
];

/// The scope of a wire name.
pub(crate) fn by_name(name: &str) -> Option<Scope> {
    SCOPES.into_iter().find(|scope| scope.name == name)
}

/// The wire name of a metadata name such as `RefreshToken`.
pub(crate) fn from_metadata(name: &str) -> Option<&'static str> {
    SCOPES.into_iter().find(|scope| scope.metadata.eq_ignore_ascii_case(name)).map(|scope| scope.name)
}

/// The scopes a client gets for a request: what it asked for, or all of its own when it asked for nothing.
/// `None` when it asked for one it doesn't have.
pub(crate) fn grantable(requested: &str, own: &[String]) -> Option<Vec<String>> {
    let requested: Vec<&str> = requested.split_whitespace().collect();
    if requested.is_empty() {
        return Some(own.to_vec());
    }
    let mut granted: Vec<String> = Vec::new();
    for name in requested {
        if !is_held(name, own) {
            return None;
        }
        if !granted.iter().any(|held| held == name) {
            granted.push(name.to_owned());
        }
    }
    Some(granted)
}

/// `full` includes all but the right to a refresh token; the two names of that right are one.
fn is_held(name: &str, own: &[String]) -> bool {
    let lasting = |name: &str| matches!(name, "refresh_token" | "offline_access");
    own.iter().any(|held| {
        held == name
            || (lasting(held) && lasting(name))
            || (held == "full" && !lasting(name) && by_name(name).is_some())
    })
}

/// Whether space-separated scopes give a refresh token.
pub(crate) fn is_lasting(scopes: &str) -> bool {
    scopes.split(' ').any(|scope| matches!(scope, "refresh_token" | "offline_access"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_gets_what_it_has() {
        let own: Vec<String> = ["api", "refresh_token"].map(str::to_owned).to_vec();
        assert_eq!(grantable("", &own), Some(own.clone()));
        assert_eq!(grantable("api api", &own), Some(vec!["api".to_owned()]));
        assert!(grantable("offline_access", &own).is_some());
        assert_eq!(grantable("api web", &own), None);
        assert!(grantable("web", &["full".to_owned()]).is_some());
        assert_eq!(grantable("refresh_token", &["full".to_owned()]), None);
        assert_eq!(from_metadata("refreshtoken"), Some("refresh_token"));
    }
}
