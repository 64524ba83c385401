//! Config vars: what attachments bring, and what people set beside that.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretString};

use super::addons::names_of;
use super::apps::PlatformApp;
use super::caller::RequirePerson;
use super::error::PlatformError;
use super::{releases, store};
use crate::app::App;
use crate::audit::Entry;
use crate::db::Tx;

/// All names and values of an app together, as on Heroku ("Configuration and Config Vars: Limits").
const LARGEST: usize = 64 * 1024;
/// Longest name.
const LONGEST_NAME: usize = 255;

/// Config vars by name.
pub type ConfigVars = BTreeMap<String, SecretString>;

/// Every config var of an app.
///
/// # Errors
/// Those of database and vault.
pub async fn list(app: &App, of: &PlatformApp) -> Result<ConfigVars, PlatformError> {
    let mut vars = set_by_people(app, of).await?;
    for attachment in store::addons::attachments_of_app(app.store.reader(), of.app.id).await? {
        let Some(sealed) = store::addons::token_of(app.store.reader(), attachment.id).await? else {
            continue;
        };
        let token = app.vault.open_sealed(store::addons::token_place(&attachment), &sealed).await?;
        let [url, name] = names_of(&attachment.prefix);
        vars.insert(url, app.urls.api(attachment.addon.id).into());
        vars.insert(name, token);
    }
    Ok(vars)
}

async fn set_by_people(app: &App, of: &PlatformApp) -> Result<ConfigVars, PlatformError> {
    let mut vars = ConfigVars::new();
    for row in store::config_vars::list(app.store.reader(), of.app.id).await? {
        let value = app.vault.open_for_server(store::config_vars::place(row.id.0), &row.value).await?;
        vars.insert(row.name, value);
    }
    Ok(vars)
}

/// Sets (a value) and removes (none) config vars, all or none of them.
///
/// # Errors
/// 422 when a name is not to be set, or when it becomes too much.
pub async fn change(
    app: &App,
    caller: &RequirePerson,
    of: &PlatformApp,
    changes: BTreeMap<String, Option<SecretString>>,
) -> Result<ConfigVars, PlatformError> {
    let current = list(app, of).await?;
    let attached = store::addons::attachments_of_app(app.store.reader(), of.app.id).await?;
    let owned: Vec<String> = attached.iter().flat_map(|attachment| names_of(&attachment.prefix)).collect();
    for name in changes.keys() {
        ensure_may_be_set(name, &owned)?;
    }
    ensure_small_enough(&current, &changes)?;
    if changes.is_empty() {
        return Ok(current);
    }
    let mut tx = app.store.begin().await?;
    store::apps::lock(&*tx, of.app.id).await?;
    for (name, value) in &changes {
        write(app, &tx, of, name, value.as_ref()).await?;
    }
    releases::add(app, &tx, &of.app, &caller.person.email, &described(&changes)).await?;
    tx.audit(Entry {
        actor: caller.actor(),
        action: "platform.config_changed",
        addon: None,
        subject: Some(of.app.id.0),
        detail: described(&changes),
    });
    tx.commit().await?;
    list(app, of).await
}

async fn write(
    app: &App,
    tx: &Tx,
    of: &PlatformApp,
    name: &str,
    value: Option<&SecretString>,
) -> Result<(), PlatformError> {
    store::config_vars::remove(&**tx, of.app.id, name).await?;
    let Some(value) = value else { return Ok(()) };
    let id = app.entropy.uuid();
    let value = app.vault.seal_for_server(store::config_vars::place(id), value).await?;
    let row =
        store::config_vars::Model { id: id.into(), app_id: of.app.id.into(), name: name.to_owned(), value };
    Ok(store::config_vars::insert(&**tx, row).await?)
}

/// Heroku keeps `HEROKU_` for itself; the app's id and what AppLink documents are people's to set.
fn ensure_may_be_set(name: &str, owned: &[String]) -> Result<(), PlatformError> {
    let good = (1..=LONGEST_NAME).contains(&name.len())
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !good {
        let message = "A config var is named in letters, digits and `_`, such as HEROKU_APP_ID, and starts with no digit.";
        return Err(PlatformError::invalid(message));
    }
    if owned.iter().any(|own| own == name) {
        return Err(PlatformError::invalid(format!(
            "Cannot overwrite attachment values {name}: it follows the add-on; detach the add-on to remove it."
        )));
    }
    let reserved =
        name.starts_with("HEROKU_") && name != "HEROKU_APP_ID" && !name.starts_with("HEROKU_APPLINK_");
    if reserved {
        let message = format!("{name} can't be set: names that start with HEROKU_ are the platform's own.");
        return Err(PlatformError::invalid(message));
    }
    Ok(())
}

fn ensure_small_enough(
    current: &ConfigVars,
    changes: &BTreeMap<String, Option<SecretString>>,
) -> Result<(), PlatformError> {
    let size = |name: &str, value: &SecretString| name.len() + value.expose_secret().len();
    let kept = current.iter().filter(|(name, _)| !changes.contains_key(*name));
    let kept: usize = kept.map(|(name, value)| size(name, value)).sum();
    let set = changes.iter().filter_map(|(name, value)| Some(size(name, value.as_ref()?)));
    if kept + set.sum::<usize>() <= LARGEST {
        return Ok(());
    }
    let message = format!("An app's config vars are at most {} KiB together.", LARGEST / 1024);
    Err(PlatformError::invalid(message))
}

fn described(changes: &BTreeMap<String, Option<SecretString>>) -> String {
    let (set, removed): (Vec<_>, Vec<_>) = changes.iter().partition(|(_, value)| value.is_some());
    let names = |vars: Vec<(&String, &Option<SecretString>)>| {
        vars.into_iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
    };
    match (set.is_empty(), removed.is_empty()) {
        (false, true) => format!("Set {} config vars", names(set)),
        (true, _) => format!("Remove {} config vars", names(removed)),
        (false, false) => format!("Set {}, remove {} config vars", names(set), names(removed)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_platform_s_names_are_kept_from_people() {
        let owned = ["HEROKU_APPLINK_TOKEN".to_owned()];
        for name in ["HEROKU_APP_ID", "PORTAL", "lower_case", "HEROKU_APPLINK_SOMETHING", "HEROKUISH"] {
            assert!(ensure_may_be_set(name, &owned).is_ok(), "{name}");
        }
        for name in ["HEROKU_APP_NAME", "HEROKU_APPLINK_TOKEN", "", "1A", "A-B", "A B", "Ä"] {
            assert!(ensure_may_be_set(name, &owned).is_err(), "{name}");
        }
    }

    #[test]
    fn a_release_tells_names_and_never_values() {
        let changes = [("A", Some("canary")), ("B", None)];
        let changes = changes.map(|(name, value)| (name.to_owned(), value.map(SecretString::from)));
        assert_eq!(described(&changes.into()), "Set A, remove B config vars");
    }
}
