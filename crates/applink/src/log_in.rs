//! A person logs a row in again, in place. What is live stays live meanwhile, and after a log-in that failed, so the row itself
//! tells of success only; the audit ledger tells of the rest.

use std::collections::HashSet;
use std::time::Duration;

use applink_api::audit::AuditEntry;
use applink_api::client::{Client, ClientError};

use crate::error::CliError;
use crate::poll::{self, Waited};
use crate::printer::printable;
use crate::settings::Addon;

/// A log-in that somebody is about to try.
pub(crate) struct LogIn<'a> {
    client: &'a Client,
    addon: &'a Addon,
    name: &'a str,
    id: String,
    /// What failed before.
    known: HashSet<String>,
}

impl<'a> LogIn<'a> {
    /// Of the row with this name and id. Before anybody is sent to the link.
    pub(crate) async fn begin(client: &'a Client, addon: &'a Addon, name: &'a str, id: String) -> Self {
        let mut log_in = Self { client, addon, name, id, known: HashSet::new() };
        log_in.known = log_in.failures().await.into_iter().map(|entry| entry.id).collect();
        log_in
    }

    /// How things are until somebody logs in.
    pub(crate) fn meanwhile(&self) -> String {
        format!("{} is as it was until somebody logs in", self.name)
    }

    /// Waits until the row `is_new`, the log-in has failed, or the time is up.
    ///
    /// # Errors
    /// Anything but success, with the reason.
    pub(crate) async fn wait<T>(
        &self,
        seconds: u64,
        mut look: impl AsyncFnMut() -> Result<T, ClientError>,
        is_new: impl Fn(&T) -> bool,
    ) -> Result<T, CliError> {
        let look = async || Ok((look().await?, self.failed().await));
        let settled = |(row, failed): &(T, Option<String>)| failed.is_some() || is_new(row);
        let name = self.name;
        match poll::until_at_most(Some(Duration::from_secs(seconds)), look, settled).await {
            Ok(Some(Waited::Done((row, _)))) if is_new(&row) => Ok(row),
            Ok(Some(Waited::Done((_, failed)))) => {
                let reason = failed.unwrap_or_default();
                Err(CliError::refused(format!(
                    "the log-in failed, and {name} is as it was: {}",
                    printable(&reason)
                ))
                .hint("run the same command again to try once more"))
            }
            Ok(Some(Waited::Interrupted)) => {
                Err(CliError::interrupted(format!("stopped waiting; {}", self.meanwhile()))
                    .hint("run the same command again to go on"))
            }
            Ok(None) => {
                Err(CliError::refused(format!("nobody logged in within {seconds} s; {name} is as it was")))
            }
            Err(error) => Err(self.addon.explain(error)),
        }
    }

    /// Why it failed, once it has.
    async fn failed(&self) -> Option<String> {
        let failures = self.failures().await;
        let new = failures.into_iter().rev().find(|entry| !self.known.contains(&entry.id))?;
        let reason = new.detail.split_once(": ").map(|(_, reason)| reason.to_owned());
        Some(reason.unwrap_or(new.detail))
    }

    /// Those the ledger still lists. A control plane that does not list them leaves the wait to the row.
    async fn failures(&self) -> Vec<AuditEntry> {
        let mut entries = self.client.audit().list().await.unwrap_or_default();
        entries.retain(|entry| {
            entry.subject.as_deref() == Some(&self.id) && entry.action.ends_with(".reconnect_failed")
        });
        entries
    }
}
