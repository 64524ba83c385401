//! Every variable the control plane reads, in one place. A TOML file may hold the same settings (see
//! [`crate::config`]); a variable wins over the file.

/// One documented variable.
#[derive(Clone, Copy, Debug)]
pub struct EnvVar {
    /// Its name.
    pub name: &'static str,
    /// What it is for, in one or two sentences.
    pub about: &'static str,
    /// What applies when it is not set.
    pub default: &'static str,
    /// Whether its value must never be shown.
    pub secret: bool,
}

macro_rules! env_vars {
    ($($constant:ident = $name:literal, $about:literal, default $default:literal $(, $secret:ident)?;)*) => {
        $(
            #[doc = $about]
            pub const $constant: &str = $name;
        )*

        /// All of them, in the order they are documented.
        pub const ALL: &[EnvVar] = &[
            $(EnvVar { name: $name, about: $about, default: $default, secret: env_vars!(@secret $($secret)?) },)*
        ];
    };
    (@secret secret) => { true };
    (@secret) => { false };
}

env_vars! {
    CONFIG = "APPLINK_CONFIG",
        "Path of a TOML file with the settings below.", default "none";
    DATABASE_URL = "DATABASE_URL",
        "Where the data is: `sqlite:///path/to/applink.db` (one process) or `postgres://user:password@host/database` (any number).",
        default "sqlite://applink.db", secret;
    BIND = "APPLINK_BIND",
        "Address and port to listen on.", default "127.0.0.1:7700, or 0.0.0.0:$PORT when PORT is set";
    PORT = "PORT",
        "Port to listen on, on all addresses, as platforms such as Heroku set it. APPLINK_BIND wins.", default "none";
    PUBLIC_URL = "APPLINK_PUBLIC_URL",
        "The URL under which browsers and apps reach this server; OAuth callbacks come to its `/oauth/callback`. Must be https unless it is a loopback address.",
        default "http:// and the bind address, when that is a loopback address";
    MASTER_KEY = "APPLINK_MASTER_KEY",
        "32 random bytes in base64 that seal every secret in the database: make them with `openssl rand -base64 32` and keep a copy elsewhere.",
        default "none: the server does not start without one", secret;
    MASTER_KEY_FILE = "APPLINK_MASTER_KEY_FILE",
        "A file that holds the master key, instead of the variable. With several lines, the first is the key to rotate to and the others still open what they sealed; it is read again while the server runs.",
        default "none";
    PREVIOUS_MASTER_KEYS = "APPLINK_PREVIOUS_MASTER_KEYS",
        "Former master keys, separated by commas: they still open what they sealed.", default "none", secret;
    VAULT_ADDR = "APPLINK_VAULT_ADDR",
        "Address of a HashiCorp Vault or OpenBao whose transit engine wraps the master key, instead of a key of one's own (only in a build with the feature `vault`).",
        default "none";
    VAULT_TOKEN = "APPLINK_VAULT_TOKEN",
        "A token for it that may `update` `<mount>/encrypt/<key>` and `<mount>/decrypt/<key>`.", default "none", secret;
    VAULT_TOKEN_FILE = "APPLINK_VAULT_TOKEN_FILE",
        "A file that holds the token, instead of the variable.", default "none";
    VAULT_MOUNT = "APPLINK_VAULT_MOUNT",
        "Where its transit engine is mounted.", default "transit";
    VAULT_KEY = "APPLINK_VAULT_KEY",
        "The name of its key.", default "applink";
    VAULT_NAMESPACE = "APPLINK_VAULT_NAMESPACE",
        "Its namespace, where it has them.", default "none";
    OAUTH_CLIENT_ID = "APPLINK_OAUTH_CLIENT_ID",
        "Consumer key of the external client app that connects orgs at login hosts without one of their own.", default "none";
    OAUTH_CLIENT_SECRET = "APPLINK_OAUTH_CLIENT_SECRET",
        "Its consumer secret.", default "none", secret;
    OAUTH_CONFIRM = "APPLINK_OAUTH_CONFIRM",
        "Whether a person confirms in the browser before an org's tokens are fetched: `always` or `never`.", default "always";
    ORG_ORIGINS = "APPLINK_ORG_ORIGINS",
        "Further origins that may be called as an org, separated by commas. Salesforce's own hosts always may.", default "none";
    LOGIN_HOST_MAP = "APPLINK_LOGIN_HOST_MAP",
        "Leads log-ins elsewhere: `from=to` pairs of origins separated by commas, such as `https://login.salesforce.com=http://127.0.0.1:7701`.",
        default "none";
    WEBHOOK_ORIGINS = "APPLINK_WEBHOOK_ORIGINS",
        "Origins of your own network that webhooks may be sent to, separated by commas, such as `http://10.1.2.3:8080`. Public addresses over https always may.",
        default "none";
    HEALTH_CHECK_PERIOD = "APPLINK_HEALTH_CHECK_PERIOD",
        "How often each connection and authorization is looked at, in seconds (3600 to 604800), so that a dead one is known before an app needs it.",
        default "21600";
    SSO_SALT = "APPLINK_SSO_SALT",
        "The salt Heroku signs single sign-on with; without it `x-addon-sso` is not accepted.", default "none", secret;
    OIDC_ISSUER = "APPLINK_OIDC_ISSUER",
        "An OpenID provider that signs people in to the dashboard, as its tokens name it, such as `https://id.acme.example` (only in a build with the feature `oidc`).",
        default "none: people come through Heroku or `applink open`";
    OIDC_CLIENT_ID = "APPLINK_OIDC_CLIENT_ID",
        "This server's client there. Its redirect URI is `/sso/openid/callback` under the public URL.", default "none";
    OIDC_CLIENT_SECRET = "APPLINK_OIDC_CLIENT_SECRET",
        "The client's secret.", default "none: a public client", secret;
    OIDC_CLIENT_SECRET_FILE = "APPLINK_OIDC_CLIENT_SECRET_FILE",
        "A file that holds it, instead of the variable.", default "none";
    OIDC_ACCESS = "APPLINK_OIDC_ACCESS",
        "Who may enter, separated by commas: `group:NAME=manage` or `email:ADDRESS=view`, with `@ADD-ON` behind for one add-on alone. Addresses count only when the provider has verified them.",
        default "none: nobody";
    OIDC_GROUPS_CLAIM = "APPLINK_OIDC_GROUPS_CLAIM",
        "The claim that has a person's groups.", default "groups";
    OIDC_SCOPES = "APPLINK_OIDC_SCOPES",
        "What is asked for beside `openid`, separated by spaces.", default "email profile";
    OIDC_ORIGINS = "APPLINK_OIDC_ORIGINS",
        "Further origins of the provider's endpoints, separated by commas, when they are not all at the issuer's.", default "none";
    HEROKU_SLUG = "APPLINK_HEROKU_SLUG",
        "The `id` of a Heroku add-on's manifest: makes this server that add-on, with `/heroku/resources`. `applink admin manifest` writes a manifest and the settings below.",
        default "none: this server is no add-on of Heroku's";
    HEROKU_PASSWORD = "APPLINK_HEROKU_PASSWORD",
        "The manifest's `api.password`, which Heroku calls with.", default "none", secret;
    HEROKU_CLIENT_SECRET = "APPLINK_HEROKU_CLIENT_SECRET",
        "The secret of the add-on's OAuth client, which Heroku shows in its partner portal: it turns each add-on's grant into tokens.",
        default "none", secret;
    HEROKU_CONFIG_VARS_PREFIX = "APPLINK_HEROKU_CONFIG_VARS_PREFIX",
        "The manifest's `api.config_vars_prefix`.", default "the slug in capitals, with `_` for `-`";
    HEROKU_PLANS = "APPLINK_HEROKU_PLANS",
        "Plans that can be had, separated by commas.", default "every plan";
    HEROKU_API_URL = "APPLINK_HEROKU_API_URL",
        "Where Heroku's Platform API is.", default "https://api.heroku.com";
    HEROKU_ID_URL = "APPLINK_HEROKU_ID_URL",
        "Where Heroku exchanges grants for tokens.", default "https://id.heroku.com";
    OPERATOR_KEY = "APPLINK_OPERATOR_KEY",
        "A first operator key, at least 32 characters, for everything under `/operator`. More are made there.", default "none", secret;
    ALLOW_TOKEN_MANAGEMENT = "APPLINK_ALLOW_TOKEN_MANAGEMENT",
        "`true` lets a bare add-on token change things, as the original does. It is in every dyno's environment, so leave this off.",
        default "false";
    RATE_LIMIT = "APPLINK_RATE_LIMIT",
        "Management calls an hour, per add-on and per operator key; 0 is no limit. Each process counts what it serves itself.",
        default "4500";
    RATE_LIMIT_RUN_TIME = "APPLINK_RATE_LIMIT_RUN_TIME",
        "Token hand-outs and calls of the mesh a second, per add-on; 0 is no limit.", default "600";
    RATE_LIMIT_LOG_IN = "APPLINK_RATE_LIMIT_LOG_IN",
        "Steps of a log-in in the browser a minute, per network address; 0 is no limit.", default "120";
    FORWARDED_FOR = "APPLINK_FORWARDED_FOR",
        "`true` behind a router that appends the caller's address to `X-Forwarded-For`, as Heroku's does: then its last entry is that address.",
        default "false";
    TOKEN_LIFETIME = "APPLINK_TOKEN_LIFETIME",
        "How long an org's access token is taken to live, in seconds (60 to 86400): the session timeout of the strictest org.",
        default "900";
    REFRESH_TOKEN_ROTATION = "APPLINK_REFRESH_TOKEN_ROTATION",
        "Whether orgs replace refresh tokens as they are used: `on`, `off`, or `learn` from what each grant answers. With `off`, a refresh whose answer got lost is sent again at once, which would end the grant in an org that does replace them.",
        default "learn";
    CONNECT_TIMEOUT = "APPLINK_CONNECT_TIMEOUT",
        "How long a person has to log in at the org, in seconds (60 to 3600).", default "600";
    AUDIT_READS = "APPLINK_AUDIT_READS",
        "How hand-outs are recorded in the audit log: `each`, or `per-minute` (one row per minute, app and authorization, with their number).",
        default "each";
    SPOOL_DIR = "APPLINK_SPOOL_DIR",
        "A folder on a disk of this machine for what the database can't take while it is away: audit rows and refreshed tokens, sealed. `none` does without.",
        default "beside the SQLite file, else applink-spool";
    SPOOL_MAX_MB = "APPLINK_SPOOL_MAX_MB",
        "How large the spool may grow, in MiB, before tokens are no longer handed out without the database.", default "64";
    OUTAGE_MAX = "APPLINK_OUTAGE_MAX",
        "How long tokens in memory are handed out while the database is away, in seconds (0 to 3600).", default "900";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variable_is_named_once_and_explained() {
        for (index, variable) in ALL.iter().enumerate() {
            assert!(variable.about.ends_with('.'), "{}", variable.name);
            assert!(ALL[index + 1..].iter().all(|other| other.name != variable.name), "{}", variable.name);
        }
    }
}
