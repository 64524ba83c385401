//! Resources that are due: one step for each, see [`super::flow`].

use std::time::Duration;

use applink_api::time::Timestamp;
use secrecy::SecretString;

use super::flow::{self, SYNC_EVERY, State, Step};
use super::heroku::{Heroku, HerokuError, Tokens};
use super::store::{self, Held, Model};
use super::{ProviderConfig, sync};
use crate::addons;
use crate::app::App;
use crate::audit::{Actor, Entry};
use crate::db::StoreError;
use crate::db::claim::Claim;
use crate::error::chain;
use crate::platform::addons::names_of;
use crate::reconcilers::{Status, StepError};
use crate::removals::AT_ONCE;
use crate::vault::VaultError;

/// A step makes a handful of calls of ten seconds at most.
const LEASE: Duration = Duration::from_secs(120);
/// Rows taken at a time.
const BATCH: u32 = 10;
/// An access token is replaced when it ends within this.
const MARGIN: Duration = Duration::from_secs(60);

/// A step did not come about.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("Heroku did not do its part")]
    Heroku(#[from] HerokuError),
    #[error("the database failed")]
    Store(#[from] StoreError),
    #[error("the vault failed")]
    Vault(#[from] VaultError),
}

/// Does what is due.
///
/// # Errors
/// [`StepError`] when the database fails; what else is due was done all the same.
pub async fn work_due(app: &App) -> Result<Status, StepError> {
    let (Some(config), Some(heroku)) = (&app.config.provider, &app.heroku) else {
        return Ok(Status::default());
    };
    let claim = Claim { owner: app.store.journal().process(), lease: LEASE, limit: BATCH };
    let due = app.store.database().claim_due::<Model>(store::DUE, claim).await?;
    let mut status = Status::default();
    let mut failed = None;
    for row in due {
        let id = row.id;
        match (Work { app, config, heroku }).step(row.into()).await {
            Ok(done) => status.done += u64::from(done),
            // One add-on's trouble is not the next one's.
            Err(error) => {
                tracing::error!(addon = %id, error = %chain(&error), "a step with Heroku could not be stored");
                failed = Some(error);
            }
        }
    }
    failed.map_or(Ok(status), Err)
}

struct Work<'a> {
    app: &'a App,
    config: &'a ProviderConfig,
    heroku: &'a Heroku,
}

impl Work<'_> {
    /// `true` when a step was taken.
    async fn step(&self, mut row: Held) -> Result<bool, StepError> {
        let attached = addons::store::attachments_of(self.app.store.reader(), row.addon()).await?;
        let next = flow::next(row.facts(!attached.is_empty())?, self.app.clock.now());
        let taken = match next {
            Step::Rest => return Ok(false),
            Step::Exchange => self.exchange(&mut row).await,
            Step::Attach | Step::Sync => self.attach(&mut row).await,
            Step::Configure => self.configure(&mut row).await,
            Step::Announce => self.announce(&mut row).await,
            Step::GiveUp => self.give_up(&mut row).await,
        };
        match taken {
            Ok(done) => Ok(done),
            Err(Trouble::Store(error)) => Err(StepError::Store(error)),
            Err(trouble) => self.again_later(row, next, &trouble).await,
        }
    }

    async fn again_later(&self, mut row: Held, step: Step, trouble: &Trouble) -> Result<bool, StepError> {
        let now = self.app.clock.now();
        let reason = chain(trouble);
        tracing::warn!(addon = %row.id, ?step, %reason, "a step with Heroku failed; trying again");
        row.attempts += 1;
        row.trouble = Some(reason);
        row.due_at = Some(now.plus(flow::pause(row.attempts)).as_micros());
        if step == Step::Exchange && is_final(&row, trouble, now) {
            tracing::error!(addon = %row.id, "Heroku's grant can't be exchanged any more: the add-on is not provisioned");
            State::Failed.as_str().clone_into(&mut row.state);
            row.grant_code = None;
            row.due_at = None;
        }
        row.updated_at = now.as_micros();
        let tx = self.app.store.begin().await?;
        store::save(&*tx, &row).await?;
        tx.commit().await?;
        Ok(false)
    }

    async fn exchange(&self, row: &mut Held) -> Result<bool, Trouble> {
        let Some(sealed) = &row.grant_code else { return Ok(false) };
        let code = self.app.vault.open_for_server(row.place("grant_code"), sealed).await?;
        let tokens = self.heroku.exchange(&code).await?;
        self.keep(row, tokens).await?;
        row.grant_code = None;
        self.done(row, "provider.grant_exchanged").await
    }

    /// Seals tokens into the row.
    async fn keep(&self, row: &mut Held, tokens: Tokens) -> Result<(), VaultError> {
        let seal = async |column, secret: &SecretString| {
            self.app.vault.seal_for_server(row.place(column), secret).await
        };
        let access_token = seal("access_token", &tokens.access_token).await?;
        // Without a refresh token there is no next access token: this one stands for both. It is sealed once more,
        // because what is sealed for one column opens in no other.
        row.refresh_token = match (&tokens.refresh_token, &row.refresh_token) {
            (Some(token), _) => Some(seal("refresh_token", token).await?),
            (None, Some(kept)) => Some(kept.clone()),
            (None, None) => Some(seal("refresh_token", &tokens.access_token).await?),
        };
        row.access_token = Some(access_token);
        row.token_expires_at = Some(self.app.clock.now().plus(tokens.lifetime).as_micros());
        Ok(())
    }

    async fn attach(&self, row: &mut Held) -> Result<bool, Trouble> {
        let prefix = &self.config.config_vars_prefix;
        let token = self.access_token(row).await?;
        let found = match sync::ask(self.heroku, &token, row.addon(), prefix).await {
            Err(error) if is_unauthorized(&error) => {
                let token = self.renewed(row).await?;
                sync::ask(self.heroku, &token, row.addon(), prefix).await?
            }
            found => found?,
        };
        let mut tx = self.app.store.begin().await?;
        if !sync::write(self.app, &mut tx, row, &found).await? {
            return Ok(false);
        }
        self.settle(row)?;
        if !store::save(&*tx, row).await? {
            return Ok(false);
        }
        tx.commit().await?;
        self.app.nudges.provider.notify_one();
        Ok(true)
    }

    async fn configure(&self, row: &mut Held) -> Result<bool, Trouble> {
        let Some(sealed) = &row.addon_token else {
            row.configured = true;
            return self.done(row, "provider.configured").await;
        };
        let token = self.app.vault.open_for_server(row.place("addon_token"), sealed).await?;
        let [url, name] = names_of(&self.config.config_vars_prefix);
        let vars = [(url, self.app.urls.api(row.addon()).into()), (name, token)];
        let access = self.access_token(row).await?;
        match self.heroku.set_config(&access, row.addon(), &vars).await {
            Err(error) if is_unauthorized(&error) => {
                let access = self.renewed(row).await?;
                self.heroku.set_config(&access, row.addon(), &vars).await?;
            }
            set => set?,
        }
        row.configured = true;
        self.done(row, "provider.configured").await
    }

    async fn announce(&self, row: &mut Held) -> Result<bool, Trouble> {
        let access = self.access_token(row).await?;
        match self.heroku.mark_provisioned(&access, row.addon()).await {
            Err(error) if is_unauthorized(&error) => {
                let access = self.renewed(row).await?;
                self.heroku.mark_provisioned(&access, row.addon()).await?;
            }
            // It was told before, and the answer was lost.
            Err(HerokuError::Refused { .. })
                if self.heroku.addon(&access, row.addon()).await?.state == "provisioned" => {}
            told => told?,
        }
        State::Provisioned.as_str().clone_into(&mut row.state);
        // Heroku has it now, and nobody here needs it any more.
        row.addon_token = None;
        self.done(row, "addon.provisioned").await
    }

    async fn give_up(&self, row: &mut Held) -> Result<bool, Trouble> {
        tracing::error!(addon = %row.id, trouble = row.trouble.as_deref().unwrap_or_default(), "an add-on could not be provisioned in time");
        if row.refresh_token.is_some() {
            let access = self.access_token(row).await?;
            if let Err(error) = self.heroku.mark_failed(&access, row.addon()).await {
                tracing::warn!(addon = %row.id, error = %chain(&error), "Heroku could not be told so");
            }
        }
        State::Failed.as_str().clone_into(&mut row.state);
        self.done(row, "provider.gave_up").await
    }

    /// Commits a step; the next is due at once.
    async fn done(&self, row: &mut Held, action: &'static str) -> Result<bool, Trouble> {
        self.settle(row)?;
        let mut tx = self.app.store.begin().await?;
        if !store::save(&*tx, row).await? {
            return Ok(false);
        }
        tx.audit(Entry::new(&Actor::system(), action, row.addon(), row.id.0));
        tx.commit().await?;
        self.app.nudges.provider.notify_one();
        Ok(true)
    }

    fn settle(&self, row: &mut Held) -> Result<(), StoreError> {
        let now = self.app.clock.now();
        row.attempts = 0;
        row.trouble = None;
        row.updated_at = now.as_micros();
        row.due_at = match row.state()? {
            State::Provisioning => Some(AT_ONCE.as_micros()),
            State::Provisioned => Some(now.plus(SYNC_EVERY).as_micros()),
            State::Failed | State::Deprovisioned => None,
        };
        Ok(())
    }

    async fn access_token(&self, row: &mut Held) -> Result<SecretString, Trouble> {
        let ends = Timestamp::from_micros(row.token_expires_at.unwrap_or_default());
        match &row.access_token {
            Some(sealed) if ends > self.app.clock.now().plus(MARGIN) => {
                Ok(self.app.vault.open_for_server(row.place("access_token"), sealed).await?)
            }
            _ => self.renewed(row).await,
        }
    }

    /// Committed before it is used: a refresh token may work once only.
    async fn renewed(&self, row: &mut Held) -> Result<SecretString, Trouble> {
        let Some(sealed) = &row.refresh_token else {
            let status = http::StatusCode::UNAUTHORIZED;
            return Err(HerokuError::Refused { status, id: "no refresh token".to_owned() }.into());
        };
        let refresh_token = self.app.vault.open_for_server(row.place("refresh_token"), sealed).await?;
        let tokens = self.heroku.refresh(&refresh_token).await?;
        let access = tokens.access_token.clone();
        self.keep(row, tokens).await?;
        let tx = self.app.store.begin().await?;
        store::save_progress(&*tx, row).await?;
        tx.commit().await?;
        Ok(access)
    }
}

/// Refused, and too late for another try with the same grant.
fn is_final(row: &Model, trouble: &Trouble, now: Timestamp) -> bool {
    let ends = Timestamp::from_micros(row.grant_expires_at.unwrap_or_default());
    matches!(trouble, Trouble::Heroku(HerokuError::Refused { .. })) && ends <= now
}

fn is_unauthorized(error: &HerokuError) -> bool {
    matches!(error, HerokuError::Refused { status, .. } if *status == http::StatusCode::UNAUTHORIZED)
}
