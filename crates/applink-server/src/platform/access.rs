//! Who may do what, decided without any database.

use std::collections::{HashMap, HashSet};

use applink_api::ids::AppUuid;
use uuid::Uuid;

use super::apps::PlatformApp;

/// What a collaborator may do (Heroku, "Using App Permissions in Heroku Teams").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    /// See that the app is there.
    pub view: bool,
    /// Change code and config.
    pub deploy: bool,
    /// Change add-ons and run it.
    pub operate: bool,
    /// Say who else may.
    pub manage: bool,
}

/// Not one of `view`, `deploy`, `operate`, `manage`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a permission: choose among view, deploy, operate and manage")]
pub struct UnknownPermission(String);

impl Permissions {
    /// Of a collaborator on a person's own app, where Heroku knows no finer ones.
    pub const WORK: Self = Self { view: true, deploy: true, operate: true, manage: false };

    /// Reads words such as `deploy`.
    ///
    /// # Errors
    /// [`UnknownPermission`] for any other word.
    pub fn from_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, UnknownPermission> {
        let mut permissions = Self::default();
        for word in words {
            match word {
                "view" => permissions.view = true,
                "deploy" => permissions.deploy = true,
                "operate" => permissions.operate = true,
                "manage" => permissions.manage = true,
                other => return Err(UnknownPermission(other.to_owned())),
            }
        }
        Ok(permissions)
    }

    /// As words.
    pub fn words(self) -> Vec<&'static str> {
        let all = [
            (self.view, "view"),
            (self.deploy, "deploy"),
            (self.operate, "operate"),
            (self.manage, "manage"),
        ];
        all.into_iter().filter_map(|(has, word)| has.then_some(word)).collect()
    }
}

/// What a person may do with one app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing: to them it does not exist.
    None,
    /// They know it, and may not touch it.
    ViewOnly,
    /// Everything AppLink has to do with.
    Works {
        /// And say who else may.
        manages: bool,
    },
}

/// How far a person reaches.
#[derive(Clone, Debug)]
pub struct Reach {
    /// The person.
    pub user: Uuid,
    /// Teams they administer, those of enterprise accounts they administer included.
    pub administered: HashSet<Uuid>,
    /// Teams they are plain members of.
    pub joined: HashSet<Uuid>,
    /// Apps they collaborate on.
    pub granted: HashMap<AppUuid, Permissions>,
}

impl Reach {
    /// What they may do with this app. A team's app belongs to the team, not to whoever made it.
    pub fn on(&self, app: &PlatformApp) -> Access {
        let in_charge = match &app.team {
            Some(team) => self.administered.contains(&team.id),
            None => app.owner.id == self.user,
        };
        if in_charge {
            return Access::Works { manages: true };
        }
        let granted = self.granted.get(&app.app.id).copied();
        let Permissions { deploy, operate, manage, .. } = granted.unwrap_or_default();
        let joined = app.team.as_ref().is_some_and(|team| self.joined.contains(&team.id));
        match (deploy || operate, granted.is_some() || joined) {
            (true, _) => Access::Works { manages: manage },
            (false, true) => Access::ViewOnly,
            (false, false) => Access::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addons::AttachedApp;
    use crate::platform::people::Person;
    use crate::platform::teams::Team;
    use applink_api::time::Timestamp;

    fn person(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    fn app(team: Option<u128>) -> PlatformApp {
        let team = team.map(|id| Team { id: person(id), name: "acme".to_owned(), parent: None });
        PlatformApp {
            app: AttachedApp { id: person(100).into(), name: "my-app".to_owned(), url: None },
            owner: Person { id: person(1), email: "owner@acme.example".to_owned(), name: String::new() },
            team,
            created_at: Timestamp::default(),
        }
    }

    fn reach(user: u128, words: Option<&str>) -> Reach {
        let granted = words.map(|words| Permissions::from_words(words.split_whitespace()).unwrap());
        Reach {
            user: person(user),
            administered: HashSet::new(),
            joined: HashSet::new(),
            granted: granted.map(|granted| (AppUuid(person(100)), granted)).into_iter().collect(),
        }
    }

    #[test]
    fn deploy_operate_or_ownership_is_needed() {
        let works = |manages| Access::Works { manages };
        for (words, expected) in [
            (None, Access::None),
            (Some("view"), Access::ViewOnly),
            (Some("view manage"), Access::ViewOnly),
            (Some(""), Access::ViewOnly),
            (Some("deploy"), works(false)),
            (Some("view operate"), works(false)),
            (Some("view deploy manage"), works(true)),
        ] {
            assert_eq!(reach(2, words).on(&app(None)), expected, "{words:?}");
        }
        assert_eq!(reach(1, None).on(&app(None)), works(true), "the owner");
    }

    #[test]
    fn a_team_s_app_is_its_admins_and_not_its_maker_s() {
        let mut somebody = reach(1, None);
        assert_eq!(somebody.on(&app(Some(7))), Access::None, "who made it has no right of their own");
        somebody.joined.insert(person(7));
        assert_eq!(somebody.on(&app(Some(7))), Access::ViewOnly, "a member");
        somebody.administered.insert(person(7));
        assert_eq!(somebody.on(&app(Some(7))), Access::Works { manages: true });
        assert_eq!(somebody.on(&app(Some(8))), Access::None, "another team's");
    }

    #[test]
    fn an_unknown_word_is_named() {
        let error = Permissions::from_words(["deploy", "fly"]).unwrap_err();
        assert!(error.to_string().contains("`fly`"), "{error}");
        assert_eq!(Permissions::WORK.words(), ["view", "deploy", "operate"]);
    }
}
