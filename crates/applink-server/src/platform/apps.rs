//! Apps: whose they are.

use applink_api::operator::CreateApp;
use applink_api::time::Timestamp;

use super::caller::RequirePerson;
use super::error::PlatformError;
use super::people::Person;
use super::teams::Team;
use super::{releases, store};
use crate::addons::{AttachedApp, names, provision};
use crate::app::App;

/// An app and whose it is.
#[derive(Clone, Debug)]
pub struct PlatformApp {
    /// The app.
    pub app: AttachedApp,
    /// Who made it; its owner, unless a team is.
    pub owner: Person,
    /// The team that owns it.
    pub team: Option<Team>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl PlatformApp {
    /// The owner's e-mail; a team's is written the way Heroku writes it.
    pub fn owner_email(&self) -> String {
        match &self.team {
            Some(team) => format!("{}@herokumanager.com", team.name),
            None => self.owner.email.clone(),
        }
    }
}

/// Makes an app, of the person's own or of a team they are in.
///
/// # Errors
/// 404 when they are in no such team, 409 when the name is taken, 422 when it breaks a rule.
pub async fn create(
    app: &App,
    caller: &RequirePerson,
    name: Option<String>,
    team: Option<&str>,
) -> Result<PlatformApp, PlatformError> {
    let name = name.unwrap_or_else(|| names::random(&app.entropy).replacen("applink", "app", 1));
    let mut tx = app.store.begin().await?;
    let team = match team {
        Some(named) => {
            let found = store::teams::find_by_name(&*tx, named).await?;
            let reach = &caller.reach;
            let is_in =
                |team: &Team| reach.administered.contains(&team.id) || reach.joined.contains(&team.id);
            Some(found.filter(is_in).ok_or(PlatformError::Missing("team"))?)
        }
        None => None,
    };
    let request = CreateApp { name, url: None };
    let made = provision::create_app_in(app, &mut tx, &caller.actor(), request, None).await?;
    let made = PlatformApp { app: made, owner: caller.person.clone(), team, created_at: app.clock.now() };
    store::apps::insert(&*tx, &made).await?;
    releases::add(app, &tx, &made.app, &caller.person.email, "Initial release").await?;
    tx.commit().await?;
    Ok(made)
}
