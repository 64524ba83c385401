//! What a person, an app or a script needs to know of the running stack: the `--json` line, `.applink/dev.env` and
//! the words on the terminal are three forms of it.

use std::fmt::Write as _;
use std::path::PathBuf;

use applink_api::ids::{AddonId, AppUuid};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

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
    pub(crate) env_file: PathBuf,
}

impl Facts {
    /// The `--json` line. The dashboard is not part of this build, so it is null.
    pub(crate) fn summary(&self) -> Value {
        let users: Vec<Value> = self
            .users
            .iter()
            .map(|user| {
                json!({"username": user.username, "password": user.password.expose_secret(), "role": user.role})
            })
            .collect();
        json!({
            "applink_api_url": self.api_url,
            "applink_token": self.token.expose_secret(),
            "app_id": self.app_id,
            "app_name": self.app_name,
            "addon_id": self.addon_id,
            "addon_name": self.addon_name,
            "dashboard_url": Value::Null,
            "platform_api_url": self.server_url,
            "platform_api_key": self.platform_key.expose_secret(),
            "applink_api_key": self.api_key.expose_secret(),
            "org_url": self.org_url,
            "org_id": self.org_id,
            "sandbox_url": self.sandbox_url,
            "mesh_url": self.mesh_url,
            "app_url": self.app_url,
            "sim_key": self.sim_key.expose_secret(),
            "users": users,
            "env_file": self.env_file,
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
            // Writing to a String does not fail.
            let _ = writeln!(text, "export {name}='{}'", value.replace('\'', r"'\''"));
        }
        text
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
        for user in &self.users {
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
