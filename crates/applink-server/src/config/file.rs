//! The TOML file.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde::{Deserialize, Deserializer};

/// The whole file. An unknown key is an error: it is usually a misspelt one.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigFile {
    #[serde(default, deserialize_with = "secret")]
    pub(super) database_url: Option<SecretString>,
    pub(super) bind: Option<String>,
    pub(super) public_url: Option<String>,
    #[serde(default, deserialize_with = "secret")]
    pub(super) master_key: Option<SecretString>,
    pub(super) master_key_file: Option<String>,
    #[serde(default)]
    pub(super) org_origins: Vec<String>,
    #[serde(default)]
    pub(super) webhook_origins: Vec<String>,
    pub(super) health_check_period: Option<u64>,
    #[serde(default)]
    pub(super) login_host_map: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "secret")]
    pub(super) sso_salt: Option<SecretString>,
    #[serde(default, deserialize_with = "secret")]
    pub(super) operator_key: Option<SecretString>,
    pub(super) allow_token_management: Option<bool>,
    pub(super) token_lifetime: Option<u64>,
    pub(super) audit_reads: Option<String>,
    pub(super) spool_dir: Option<String>,
    pub(super) spool_max_mb: Option<u32>,
    pub(super) outage_max: Option<u64>,
    #[serde(default)]
    pub(super) oauth: OAuthSection,
    #[serde(default)]
    pub(super) limits: LimitsSection,
    #[serde(default)]
    pub(super) heroku: HerokuSection,
    #[serde(default)]
    pub(super) oidc: OpenIdSection,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OpenIdSection {
    pub(super) issuer: Option<String>,
    pub(super) client_id: Option<String>,
    #[serde(default, deserialize_with = "secret")]
    pub(super) client_secret: Option<SecretString>,
    pub(super) client_secret_file: Option<String>,
    #[serde(default)]
    pub(super) origins: Vec<String>,
    pub(super) scopes: Option<Vec<String>>,
    pub(super) groups_claim: Option<String>,
    #[serde(default)]
    pub(super) access: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitsSection {
    pub(super) management: Option<u32>,
    pub(super) run_time: Option<u32>,
    pub(super) log_in: Option<u32>,
    pub(super) forwarded_for: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HerokuSection {
    pub(super) slug: Option<String>,
    #[serde(default, deserialize_with = "secret")]
    pub(super) password: Option<SecretString>,
    #[serde(default, deserialize_with = "secret")]
    pub(super) client_secret: Option<SecretString>,
    pub(super) api_url: Option<String>,
    pub(super) id_url: Option<String>,
    pub(super) config_vars_prefix: Option<String>,
    #[serde(default)]
    pub(super) plans: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OAuthSection {
    pub(super) confirm: Option<String>,
    pub(super) timeout: Option<u64>,
    pub(super) rotation: Option<String>,
    #[serde(default)]
    pub(super) clients: Vec<ClientSection>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClientSection {
    pub(super) login_host: Option<String>,
    pub(super) client_id: String,
    #[serde(default, deserialize_with = "secrets")]
    pub(super) client_secrets: Vec<SecretString>,
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(SecretString::from))
}

fn secrets<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<SecretString>, D::Error> {
    Ok(Vec::<String>::deserialize(deserializer)?.into_iter().map(SecretString::from).collect())
}

/// Reads the file.
///
/// # Errors
/// Line, column and what is wrong. The parser's own text may quote a secret, so only its message is used.
pub(super) fn parse(text: &str) -> Result<ConfigFile, String> {
    toml::from_str(text).map_err(|error| {
        let at = error.span().map(|span| place(text, span.start)).unwrap_or_default();
        format!("{}{at}", error.message())
    })
}

fn place(text: &str, offset: usize) -> String {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    format!(" (line {line}, column {column})")
}
