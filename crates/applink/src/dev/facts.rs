//! What a person, an app or a script needs to know of the running stack: the `--json` line, `.applink/dev.env` and
//! the words on the terminal are three forms of it.

use std::fmt::Write as _;
use std::path::PathBuf;

use applink_api::ids::{AddonId, AppUuid};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::tls::TlsFacts;

/// The environment of the stock Heroku CLI, below the state folder.
pub(crate) const HEROKU_ENV: &str = "heroku.env";

/// A sample user of the org.
#[derive(Clone, Debug)]
pub(crate) struct SampleUser {
    pub(crate) username: String,
    pub(crate) password: SecretString,
    pub(crate) role: String,
}

/// Addresses, ids and keys of the stack.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) server_url: String,
    pub(crate) api_url: String,
    pub(crate) token: SecretString,
    pub(crate) api_key: SecretString,
    pub(crate) platform_key: SecretString,
    pub(crate) app_id: AppUuid,
    pub(crate) app_name: String,
    pub(crate) addon_id: AddonId,
    pub(crate) addon_name: String,
    pub(crate) org_url: String,
    pub(crate) org_id: String,
    pub(crate) sandbox_url: String,
    pub(crate) mesh_url: String,
    pub(crate) app_url: String,
    pub(crate) sim_key: SecretString,
    pub(crate) users: Vec<SampleUser>,
    pub(crate) sandbox_users: Vec<SampleUser>,
    pub(crate) operator_key: SecretString,
    pub(crate) env_file: PathBuf,
    pub(crate) tls: Option<TlsFacts>,
}

impl Facts {
    /// The `--json` line. `applink open` signs a browser in at the dashboard.
    pub(crate) fn summary(&self) -> Value {
        let users = |users: &[SampleUser]| {
            let described = users.iter().map(|user| {
                json!({"username": user.username, "password": user.password.expose_secret(), "role": user.role})
            });
            described.collect::<Vec<Value>>()
        };
        json!({
            "applink_api_url": self.api_url,
            "applink_token": self.token.expose_secret(),
            "app_id": self.app_id,
            "app_name": self.app_name,
            "addon_id": self.addon_id,
            "addon_name": self.addon_name,
            "dashboard_url": format!("{}/dashboard", self.server_url),
            "platform_api_url": self.server_url,
            "platform_api_key": self.platform_key.expose_secret(),
            "applink_api_key": self.api_key.expose_secret(),
            "org_url": self.org_url,
            "org_id": self.org_id,
            "sandbox_url": self.sandbox_url,
            "mesh_url": self.mesh_url,
            "app_url": self.app_url,
            "sim_key": self.sim_key.expose_secret(),
            "users": users(&self.users),
            "sandbox_users": users(&self.sandbox_users),
            "env_file": self.env_file,
            "tls": self.tls.as_ref().map(|tls| json!({
                "url": tls.url,
                "proxy_url": tls.proxy_url,
                "ca_file": tls.ca_file,
                "env_file": tls.env_file,
            })),
        })
    }

    /// The environment of an app, and of our CLI, as lines a shell reads.
    pub(crate) fn env_file(&self) -> String {
        let app_id = self.app_id.to_string();
        let variables = [
            ("HEROKU_APPLINK_API_URL", self.api_url.as_str()),
            ("HEROKU_APPLINK_TOKEN", self.token.expose_secret()),
            ("HEROKU_APP_ID", &app_id),
            ("HEROKU_APP_NAME", &self.app_name),
            ("PORTAL_AUTHORIZATION", super::stack::AUTHORIZATION),
            ("APPLINK_ADDON_NAME", &self.addon_name),
            ("APPLINK_API_KEY", self.api_key.expose_secret()),
            ("APPLINK_SERVER_URL", &self.server_url),
            ("HEROKU_HOST", &self.server_url),
            ("HEROKU_API_KEY", self.platform_key.expose_secret()),
            ("APPLINK_ORG_URL", &self.org_url),
            ("APPLINK_SANDBOX_URL", &self.sandbox_url),
            ("APPLINK_SIM_KEY", self.sim_key.expose_secret()),
            ("APPLINK_MESH_URL", &self.mesh_url),
        ];
        let mut text =
            "# Written by `applink dev` at every start. Load it with: . .applink/dev.env\n".to_owned();
        for (name, value) in variables {
            export(&mut text, name, value);
        }
        text
    }

    /// The environment of the stock Heroku CLI, with `--tls`. It is not the app's: its proxy leads nowhere but here.
    pub(crate) fn heroku_env_file(&self) -> Option<String> {
        let mut text = "# Written by `applink dev --tls` at every start. In a shell for the heroku CLI: . .applink/heroku.env\n"
            .to_owned();
        text.push_str(&self.heroku_lines()?);
        // For what Heroku does and its CLI can't ask for here, such as giving an app an address.
        export(&mut text, "APPLINK_SERVER_URL", &self.server_url);
        export(&mut text, "APPLINK_OPERATOR_KEY", self.operator_key.expose_secret());
        Some(text)
    }

    /// What the CLI needs, as lines a shell reads.
    fn heroku_lines(&self) -> Option<String> {
        let tls = self.tls.as_ref()?;
        let ca_file = tls.ca_file.display().to_string();
        let mut text = String::new();
        match &tls.proxy_url {
            Some(proxy) => {
                text.push_str("unset HEROKU_HOST\n");
                // No host is excepted, not even loopback: that is where this leads.
                for (name, value) in [("HTTPS_PROXY", proxy.as_str()), ("NO_PROXY", "")] {
                    export(&mut text, name, value);
                    export(&mut text, &name.to_ascii_lowercase(), value);
                }
            }
            None => {
                // A company's proxy, or that of an earlier `--tls`, does not lead here.
                text.push_str("unset HTTPS_PROXY https_proxy\n");
                export(&mut text, "HEROKU_HOST", &tls.url);
            }
        }
        let variables = [
            ("NODE_EXTRA_CA_CERTS", ca_file.as_str()),
            ("SSL_CERT_FILE", &ca_file),
            ("HEROKU_API_KEY", self.platform_key.expose_secret()),
        ];
        // What would call home, which is not here.
        let quiet = ["DISABLE_TELEMETRY", "HEROKU_SKIP_NEW_VERSION_CHECK", "HEROKU_DISABLE_AUTOUPDATE"];
        for (name, value) in variables.into_iter().chain(quiet.map(|name| (name, "true"))) {
            export(&mut text, name, value);
        }
        Some(text)
    }

    /// The words on the terminal.
    pub(crate) fn in_words(&self) -> String {
        let mut text = format!(
            "control plane   {}\nheroku CLI      HEROKU_HOST={} (its key is in the environment file)\norg             {} ({})\nsandbox org     {}\nmesh            {}\napp             {}\nenvironment     {}\n",
            self.server_url,
            self.server_url,
            self.org_url,
            self.org_id,
            self.sandbox_url,
            self.mesh_url,
            self.app_url,
            self.env_file.display()
        );
        if let (Some(tls), Some(lines)) = (&self.tls, self.heroku_lines()) {
            let _ = writeln!(
                text,
                "\nthe heroku CLI over TLS, in a shell of its own (or: . {}):",
                tls.env_file.display()
            );
            for line in lines.lines() {
                let _ = writeln!(text, "    {line}");
            }
            text.push('\n');
        }
        for user in self.users.iter().chain(&self.sandbox_users) {
            let _ = writeln!(
                text,
                "user            {} / {} ({})",
                user.username,
                user.password.expose_secret(),
                user.role
            );
        }
        text
    }
}

fn export(text: &mut String, name: &str, value: &str) {
    // Writing to a String does not fail.
    let _ = writeln!(text, "export {name}='{}'", value.replace('\'', r"'\''"));
}
