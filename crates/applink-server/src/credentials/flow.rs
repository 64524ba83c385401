//! The transitions, pure. Callers hold the add-on's lock and do the I/O.

use std::time::Duration;

use applink_api::error::{ResourceError, error_id};
use applink_api::names::{Alias, DEFAULT_ALIAS, Name};
use applink_api::time::Timestamp;

use super::{Credential, Kind, OrgUser, State};

/// How long a disconnected row stays listed.
pub const KEPT_DISCONNECTED: Duration = Duration::from_secs(30 * 24 * 3600);

/// What a POST with a name does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// The name is free.
    Create,
    /// The row with this name is taken up again, under its id.
    TakeUp,
}

/// Why a POST with a name is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameTaken {
    /// Something alive has it.
    Live,
    /// It is being removed at this moment.
    Disconnecting,
}

/// What a POST does with the row that has its name, if there is one.
///
/// # Errors
/// [`NameTaken`] when the name is alive.
pub fn begin(existing: Option<&Credential>) -> Result<Begin, NameTaken> {
    match existing.map(|credential| &credential.state) {
        None => Ok(Begin::Create),
        Some(State::Live(_)) => Err(NameTaken::Live),
        Some(State::Disconnecting(_)) => Err(NameTaken::Disconnecting),
        Some(
            State::Pending { .. } | State::Failed { .. } | State::Dead { .. } | State::Disconnected { .. },
        ) => Ok(Begin::TakeUp),
    }
}

/// The org a name must be connected to again, after its grant died.
pub fn remembered(credential: &Credential) -> Option<OrgUser> {
    match &credential.state {
        State::Dead { org, .. } => Some(org.clone()),
        State::Pending { was, .. } | State::Failed { was, .. } => was.clone(),
        State::Live(_) | State::Disconnecting(_) | State::Disconnected { .. } => None,
    }
}

/// The org a log-in of this row must lead to: that of its grant, dead or alive.
pub fn bound_to(credential: &Credential) -> Option<OrgUser> {
    credential.live().cloned().or_else(|| remembered(credential))
}

/// Gives it other names. An alias that was made from the old name is made from the new one, and the command in its
/// error names the new one.
pub fn rename(credential: &mut Credential, name: Option<&Name>, alias: Option<&Alias>) {
    if let Some(name) = name {
        let old = format!("`applink {}`", credential.command());
        let default_alias = format!("{DEFAULT_ALIAS}{}", credential.name);
        if credential.alias.as_deref() == Some(&default_alias) {
            credential.alias = Some(Alias::default_for(name).as_str().to_owned());
        }
        name.as_str().clone_into(&mut credential.name);
        let new = format!("`applink {}`", credential.command());
        if let State::Dead { error, .. } | State::Failed { error, .. } = &mut credential.state {
            error.message = error.message.replace(&old, &new);
        }
    }
    if let Some(alias) = alias {
        credential.alias = Some(alias.as_str().to_owned());
    }
}

/// The sentence for a name that is taken.
pub fn name_taken(kind: Kind, name: &str, why: NameTaken) -> String {
    match why {
        NameTaken::Live => format!(
            "There is already a live {} named `{name}`: choose another name, or disconnect it first.",
            kind.as_str()
        ),
        NameTaken::Disconnecting => {
            format!("The {} `{name}` is being disconnected: try again in a moment.", kind.as_str())
        }
    }
}

/// The org answered: usable from now on.
pub fn complete(credential: &mut Credential, org: OrgUser, by: &str, now: Timestamp) {
    credential.state = State::Live(org);
    touch(credential, by, now);
}

/// It did not come about.
pub fn fail(credential: &mut Credential, error: ResourceError, by: &str, now: Timestamp) {
    credential.state = State::Failed { error, was: remembered(credential) };
    touch(credential, by, now);
}

/// The grant died at the org. Anything but a live row is left as it is.
pub fn die(credential: &mut Credential, why: &str, now: Timestamp) {
    if let State::Live(org) = &credential.state {
        let error = reauth_required(credential, why);
        credential.state = State::Dead { org: org.clone(), error };
        touch(credential, "applink", now);
    }
}

/// The error of a dead grant: in one sentence, what happened and the command that helps.
pub fn reauth_required(credential: &Credential, why: &str) -> ResourceError {
    let (why, command) = (why.trim_end_matches('.'), credential.command());
    ResourceError {
        id: error_id::REAUTH_REQUIRED.into(),
        message: format!("{why}: run `applink {command}` to connect again."),
    }
}

/// A person removes it. Live grants are to be revoked first; everything else is gone at once.
pub fn disconnect(credential: &mut Credential, by: &str, now: Timestamp) {
    credential.state = match &credential.state {
        State::Live(org) | State::Disconnecting(org) | State::Dead { org, .. } => {
            State::Disconnecting(org.clone())
        }
        State::Pending { .. } | State::Failed { .. } => gone(None, now),
        State::Disconnected { org, until } => State::Disconnected { org: org.clone(), until: *until },
    };
    touch(credential, by, now);
}

/// Its grants are revoked and erased.
pub fn disconnected(credential: &mut Credential, now: Timestamp) {
    if let State::Disconnecting(org) = &credential.state {
        credential.state = gone(Some(org.clone()), now);
    }
}

/// Nobody logged in before the time was up. `None` when that is not so.
pub fn expire(credential: &mut Credential, now: Timestamp) -> Option<()> {
    match credential.state {
        State::Pending { until, .. } if until <= now => {
            let message = format!(
                "Nobody finished the log-in in time: run `applink {}` to start again.",
                credential.command()
            );
            let error = ResourceError { id: error_id::ORG_CONNECTION_FAILED.into(), message };
            fail(credential, error, "applink", now);
            Some(())
        }
        _ => None,
    }
}

/// When the reconciler is to look at it again.
pub fn due_at(credential: &Credential) -> Option<Timestamp> {
    match &credential.state {
        State::Pending { until, .. } | State::Disconnected { until, .. } => Some(*until),
        State::Disconnecting(_) => Some(credential.last_modified_at),
        State::Live(_) | State::Dead { .. } | State::Failed { .. } => None,
    }
}

fn gone(org: Option<OrgUser>, now: Timestamp) -> State {
    State::Disconnected { org, until: now.plus(KEPT_DISCONNECTED) }
}

fn touch(credential: &mut Credential, by: &str, now: Timestamp) {
    credential.last_modified_at = now;
    by.clone_into(&mut credential.last_modified_by);
}

#[cfg(test)]
mod tests {
    use applink_api::connection::ConnectionMethod;
    use applink_api::org::OrgType;
    use uuid::Uuid;

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_000);

    fn org() -> OrgUser {
        OrgUser {
            org_id: "00D".into(),
            instance_url: "https://o".into(),
            user_id: "005".into(),
            username: "u".into(),
            api_version: "66.0".into(),
        }
    }

    fn credential(state: State) -> Credential {
        Credential {
            id: Uuid::nil(),
            addon: Uuid::nil().into(),
            kind: Kind::Connection,
            name: "prod".into(),
            alias: None,
            org_type: OrgType::SalesforceOrg,
            state,
            method: ConnectionMethod::OAuth,
            login_url: "https://login.salesforce.com".into(),
            app_name: None,
            created_at: NOW,
            created_by: "a@b.c".into(),
            last_modified_at: NOW,
            last_modified_by: "a@b.c".into(),
        }
    }

    fn pending(until: Timestamp) -> Credential {
        credential(State::Pending { until, was: None })
    }

    fn dead() -> State {
        State::Dead { org: org(), error: reauth_required(&pending(NOW), "The org revoked it.") }
    }

    #[test]
    fn only_a_live_name_is_taken() {
        let waiting = pending(NOW);
        let error = reauth_required(&waiting, "y");
        let failed = credential(State::Failed { error, was: None });
        for again in [waiting, failed, credential(dead()), credential(gone(None, NOW))] {
            assert_eq!(begin(Some(&again)), Ok(Begin::TakeUp), "{:?}", again.state);
        }
        assert_eq!(begin(None), Ok(Begin::Create));
        assert_eq!(begin(Some(&credential(State::Live(org())))), Err(NameTaken::Live));
        assert_eq!(begin(Some(&credential(State::Disconnecting(org())))), Err(NameTaken::Disconnecting));
    }

    #[test]
    fn a_dead_grant_names_the_command() {
        let mut live = credential(State::Live(org()));
        die(&mut live, "The org revoked it.", NOW);
        let error = live.error().unwrap();
        assert_eq!(error.id, "reauth_required");
        assert_eq!(error.message.matches(". ").count(), 0, "one sentence: {}", error.message);
        assert!(error.message.contains("applink salesforce:connect prod"), "{}", error.message);
        let mut waiting = pending(NOW);
        die(&mut waiting, "x", NOW);
        assert!(matches!(waiting.state, State::Pending { .. }));
    }

    #[test]
    fn disconnecting_waits_for_the_revocation_and_then_is_kept_thirty_days() {
        let mut live = credential(State::Live(org()));
        disconnect(&mut live, "p@q.r", NOW);
        assert!(matches!(live.state, State::Disconnecting(_)));
        assert_eq!(due_at(&live), Some(NOW));
        disconnected(&mut live, NOW);
        assert_eq!(due_at(&live), Some(NOW.plus(KEPT_DISCONNECTED)));
        let mut waiting = pending(NOW);
        disconnect(&mut waiting, "p@q.r", NOW);
        assert!(matches!(waiting.state, State::Disconnected { .. }), "there is nothing to revoke");
    }

    #[test]
    fn the_org_of_a_dead_grant_is_remembered_until_the_name_is_live_again() {
        let mut row = credential(dead());
        row.state = State::Pending { until: NOW, was: remembered(&row) };
        expire(&mut row, NOW).unwrap();
        assert_eq!(remembered(&row), Some(org()));
        complete(&mut row, org(), "a@b.c", NOW);
        assert_eq!(remembered(&row), None);
    }

    #[test]
    fn another_name_takes_its_default_alias_and_its_advice_along() {
        let mut row = credential(dead());
        (row.kind, row.name, row.alias) = (Kind::Authorization, "old".into(), Some("applink:old".into()));
        row.state = State::Dead { org: org(), error: reauth_required(&row, "It ended.") };
        rename(&mut row, Some(&"new".parse().unwrap()), None);
        assert_eq!((row.name.as_str(), row.alias.as_deref()), ("new", Some("applink:new")));
        assert!(row.error().unwrap().message.contains("salesforce:authorizations:add new`"));
        rename(&mut row, None, Some(&"mine".parse().unwrap()));
        rename(&mut row, Some(&"newer".parse().unwrap()), None);
        assert_eq!((row.name.as_str(), row.alias.as_deref()), ("newer", Some("mine")));
    }

    #[test]
    fn a_log_in_expires_exactly_when_its_time_is_up() {
        let mut waiting = pending(NOW.plus(Duration::from_secs(1)));
        assert_eq!(expire(&mut waiting, NOW), None);
        assert_eq!(expire(&mut waiting, NOW.plus(Duration::from_secs(1))), Some(()));
        assert_eq!(waiting.error().unwrap().id, "org_connection_failed");
    }
}
