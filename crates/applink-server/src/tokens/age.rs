//! How long an access token lives. Salesforce does not say so with the token, so the org is asked once for each token,
//! behind the back of those who wait for it, and what it says is kept for the tokens to come.
//!
//! Only differences of one clock are used: the org's `exp` minus the org's own time of issue. So a clock that is wrong,
//! here or there, does not make a token older or younger than it is.

use std::time::Duration;

use applink_salesforce::OrgOrigin;
use applink_salesforce::oauth::{Introspection, OAuthClient, Tokens};
use secrecy::SecretString;
use tracing::Instrument as _;

use super::store;
use crate::app::App;
use crate::config::ClientSecrets;
use crate::db::RowId;
use crate::error::chain;
use crate::oauth::secrets;

/// What an org says is believed within these bounds: session timeouts can be set from 15 minutes to 24 hours, and
/// tokens that are JWTs live for a minute at least.
const BOUNDS: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(24 * 3600));

/// A token just committed.
#[derive(Debug)]
pub(crate) struct NewToken {
    /// Its grant.
    pub(crate) grant: RowId,
    /// Its version.
    pub(crate) version: i64,
    /// Where it is good.
    pub(crate) instance: OrgOrigin,
    /// Who may ask.
    pub(crate) client: ClientSecrets,
    /// Itself.
    pub(crate) access_token: SecretString,
    /// When it was issued, by the org's clock.
    pub(crate) issued_at: Option<jiff::Timestamp>,
}

impl NewToken {
    /// Of a token answer; none when its host is not one we may call.
    pub(crate) fn of(
        app: &App,
        grant: RowId,
        version: i64,
        client_id: &str,
        tokens: &Tokens,
    ) -> Option<Self> {
        Some(Self {
            grant,
            version,
            instance: tokens.instance(&app.hosts).ok()?,
            client: app.config.oauth.client_secrets(client_id),
            access_token: tokens.access_token.clone(),
            issued_at: tokens.issued_at,
        })
    }
}

/// Asks in the background, best effort: not every app may introspect.
pub(crate) fn learn(app: &App, token: Option<NewToken>) {
    let Some(token) = token else { return };
    let task = app.clone();
    app.tasks.spawn(
        async move {
            if let Some(lifetime) = ask(&task, &token).await {
                keep(&task, &token, lifetime).await;
            }
        }
        .in_current_span(),
    );
}

async fn ask(app: &App, token: &NewToken) -> Option<Duration> {
    let ask = |client: OAuthClient| async move {
        app.oauth.introspect(&token.instance, &client, &token.access_token).await
    };
    match secrets::try_each(&token.client, || true, ask).await {
        Ok(answer) => lifetime(&answer, token.issued_at, app.clock.now().as_micros()),
        Err(failure) => {
            tracing::debug!(grant = %token.grant, error = %chain(&failure), "the org does not say how long a token lives");
            None
        }
    }
}

async fn keep(app: &App, token: &NewToken, lifetime: Duration) {
    if let Err(error) = store::learn_age(app.store.database(), token.grant, token.version, lifetime).await {
        tracing::warn!(grant = %token.grant, error = %chain(&error), "how long a token lives could not be kept");
    }
}

/// From issue to end, by the org's clock where it tells both. An `iat` may be the start of an older session that goes
/// on, so the shorter time counts where the time of issue is not known.
fn lifetime(answer: &Introspection, issued_at: Option<jiff::Timestamp>, now: i64) -> Option<Duration> {
    let ends = answer.expires_at.filter(|_| answer.active)?;
    let since = |start: jiff::Timestamp| Duration::try_from(ends.duration_since(start)).ok();
    let found = match issued_at {
        Some(issued_at) => since(issued_at),
        None => {
            let by_our_clock = jiff::Timestamp::from_microsecond(now).ok().and_then(since);
            [answer.issued_at.and_then(since), by_our_clock].into_iter().flatten().min()
        }
    };
    found.filter(|found| *found >= BOUNDS.0).map(|found| found.min(BOUNDS.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_767_225_600;

    fn at(seconds: i64) -> jiff::Timestamp {
        jiff::Timestamp::from_second(NOW + seconds).unwrap()
    }

    fn found(exp: Option<i64>, iat: Option<i64>, issued: Option<i64>, active: bool) -> Option<u64> {
        let answer =
            Introspection { active, expires_at: exp.map(at), issued_at: iat.map(at), username: None };
        lifetime(&answer, issued.map(at), NOW * 1_000_000).map(|found| found.as_secs())
    }

    #[test]
    fn the_orgs_own_clock_decides_however_wrong_it_is() {
        for skew in [-300, 0, 300] {
            assert_eq!(found(Some(skew + 900), Some(skew), Some(skew), true), Some(900), "{skew}");
        }
    }

    #[test]
    fn a_session_that_goes_on_is_as_old_as_this_token() {
        assert_eq!(found(Some(900), Some(-6000), Some(0), true), Some(900));
        assert_eq!(found(Some(900), Some(-6000), None, true), Some(900));
    }

    #[test]
    fn what_makes_no_sense_is_not_believed() {
        assert_eq!(found(None, Some(0), Some(0), true), None);
        assert_eq!(found(Some(900), Some(0), Some(0), false), None);
        assert_eq!(found(Some(5), Some(0), Some(0), true), None);
        assert_eq!(found(Some(-5), Some(0), Some(0), true), None);
        assert_eq!(found(Some(1_000_000), Some(0), Some(0), true), Some(86_400));
    }
}
