//! Which apps an add-on is attached to, as Heroku has it, written here.

use applink_api::ids::AddonId;
use sea_orm::ConnectionTrait;
use url::Url;
use uuid::Uuid;

use super::heroku::{Heroku, HerokuAttachment, HerokuError};
use super::store::Model;
use crate::addons::{self, AttachedApp, Attachment};
use crate::app::App;
use crate::audit::{Actor, Entry};
use crate::db::{StoreError, Tx};
use crate::web::auth::hash_of;
use secrecy::SecretString;

/// An attachment with the URL of its app, where Heroku tells it.
#[derive(Clone, Debug)]
pub(super) struct Found {
    attachment: HerokuAttachment,
    url: Option<Url>,
}

/// Asks Heroku. An add-on that is still being provisioned may be listed nowhere: then its owner counts.
pub(super) async fn ask(
    heroku: &Heroku,
    token: &SecretString,
    addon: AddonId,
    prefix: &str,
) -> Result<Vec<Found>, HerokuError> {
    let mut attachments = heroku.attachments(token, addon).await?;
    if attachments.is_empty() {
        let app = heroku.addon(token, addon).await?.app;
        attachments.push(HerokuAttachment { id: addon.0, name: prefix.to_owned(), app });
    }
    let mut found = Vec::with_capacity(attachments.len());
    for attachment in attachments {
        let url = heroku.web_url(token, attachment.app.id).await?;
        found.push(Found { attachment, url });
    }
    Ok(found)
}

/// Writes what was found, and sees to it that one attachment has the add-on's token. `false` when the add-on is gone.
pub(super) async fn write(app: &App, tx: &mut Tx, row: &Model, found: &[Found]) -> Result<bool, StoreError> {
    let addon_id = row.addon();
    addons::store::lock(&**tx, addon_id).await?;
    let Some(addon) = addons::store::find_addon(&**tx, addon_id).await? else { return Ok(false) };
    let mut wanted = Vec::with_capacity(found.len());
    for Found { attachment, url } in found {
        let attached = known_app(app, &**tx, attachment, url.as_ref()).await?;
        let prefix = attachment.name.clone();
        wanted.push(Attachment { id: attachment.id, addon: addon.clone(), app: attached, prefix });
    }
    let before = addons::store::attachments_of(&**tx, addon_id).await?;
    let same = |a: &Attachment, b: &Attachment| a.id == b.id && a.prefix == b.prefix && a.app.id == b.app.id;
    for old in before.iter().filter(|old| !wanted.iter().any(|new| same(old, new))) {
        addons::store::delete_attachment(&**tx, old.id).await?;
        tx.audit(
            Entry::new(&Actor::system(), "attachment.removed", addon_id, old.id).with_detail(&old.prefix),
        );
    }
    for new in wanted.iter().filter(|new| !before.iter().any(|old| same(old, new))) {
        // A hash of nothing anybody has: the add-on's one token is at one attachment only.
        let hash = hash_of(&app.entropy.hex::<32>().into());
        addons::store::insert_attachment(&**tx, new, hash, app.clock.now().as_micros()).await?;
        tx.audit(
            Entry::new(&Actor::system(), "attachment.created", addon_id, new.id).with_detail(&new.prefix),
        );
    }
    hold_token(tx, row, wanted.first().map(|first| first.id)).await?;
    Ok(true)
}

async fn hold_token(tx: &Tx, row: &Model, first: Option<Uuid>) -> Result<(), StoreError> {
    if addons::store::attachment_by_token(&**tx, &row.token_hash).await?.is_some() {
        return Ok(());
    }
    match first {
        Some(first) => addons::store::set_token_hash(&**tx, first, row.token_hash.clone()).await,
        None => Ok(()),
    }
}

/// The app by Heroku's uuid, made or brought up to date.
async fn known_app(
    app: &App,
    connection: &impl ConnectionTrait,
    attachment: &HerokuAttachment,
    url: Option<&Url>,
) -> Result<AttachedApp, StoreError> {
    let id = attachment.app.id;
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = url.map(|url| url.as_str().trim_end_matches('/').to_owned());
    let name = &attachment.app.name;
    let Some(mut known) = addons::store::find_app(connection, &id.to_string()).await? else {
        let name = free_app_name(connection, name, id.0).await?;
        let made = AttachedApp { id, name, url };
        addons::store::insert_app(connection, &made, app.clock.now().as_micros()).await?;
        return Ok(made);
    };
    if known.name != *name {
        known.name = free_app_name(connection, name, id.0).await?;
        addons::store::rename_app(connection, id, &known.name).await?;
    }
    if let Some(url) = url.filter(|url| known.url.as_ref() != Some(url) && is_herokus(known.url.as_deref())) {
        addons::store::set_app_url(connection, id, &url).await?;
        known.url = Some(url);
    }
    Ok(known)
}

/// An address that an operator set by hand (a custom domain) is left as it is.
fn is_herokus(url: Option<&str>) -> bool {
    let Some(url) = url else { return true };
    Url::parse(url).ok().is_none_or(|url| url.host_str().is_some_and(|host| host.ends_with(".herokuapp.com")))
}

/// Heroku's names are unique there; here somebody else may have one already.
async fn free_app_name(
    connection: &impl ConnectionTrait,
    name: &str,
    id: Uuid,
) -> Result<String, StoreError> {
    match addons::store::find_app(connection, name).await? {
        Some(other) if other.id.0 != id => Ok(told_apart(name, id)),
        _ => Ok(name.to_owned()),
    }
}

/// The same for an add-on.
pub(super) async fn free_name(
    connection: &impl ConnectionTrait,
    name: &str,
    id: AddonId,
) -> Result<String, StoreError> {
    let taken = addons::store::is_addon_name_taken(connection, name, id).await?;
    Ok(if taken { told_apart(name, id.0) } else { name.to_owned() })
}

fn told_apart(name: &str, id: Uuid) -> String {
    let id = id.simple().to_string();
    format!("{name}-{}", id.get(..8).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_heroku_s_own_addresses_are_replaced() {
        assert!(is_herokus(None));
        assert!(is_herokus(Some("https://my-app-0123.herokuapp.com")));
        assert!(!is_herokus(Some("https://shop.example")));
        assert!(!is_herokus(Some("https://herokuapp.com.evil.example")));
    }
}
