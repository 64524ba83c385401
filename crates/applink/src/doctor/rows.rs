//! Connections and authorizations: what the service says is wrong with them, under a stable id and with the way out.

use applink_api::authorization::AuthorizationStatus;
use applink_api::connection::ConnectionStatus;
use applink_api::error::{ResourceError, error_id};
use applink_salesforce::oauth::RefusalClass;

use super::Report;
use super::service::Rows;
use crate::printer::printable;

/// The service's own sentences, by what they say.
const SENTENCES: [(&str, &str); 4] = [
    ("lacks the permission Manage Heroku AppLink", "permission-missing"),
    ("granted no scope", "scope-missing"),
    ("no refresh token that lasts", "refresh-policy"),
    ("Nobody finished the log-in", "log-in-unfinished"),
];

/// What an org refuses, by its meaning.
pub(crate) const REFUSALS: [(RefusalClass, &str); 15] = [
    (RefusalClass::NotApproved, "user-not-approved"),
    (RefusalClass::NotAdminApproved, "user-not-approved"),
    (RefusalClass::AppBlocked, "client-app-blocked"),
    (RefusalClass::WrongAudience, "wrong-audience"),
    (RefusalClass::UnknownApp, "client-app-not-installed"),
    (RefusalClass::AppNotInstalled, "client-app-not-installed"),
    (RefusalClass::WrongSecret, "client-secret-wrong"),
    (RefusalClass::BadAssertion, "key-mismatch"),
    (RefusalClass::SpentCode, "clock-skew"),
    (RefusalClass::InactiveUser, "user-inactive"),
    (RefusalClass::InactiveOrg, "org-inactive"),
    (RefusalClass::RedirectUriMismatch, "callback-not-registered"),
    (RefusalClass::WrongScope, "scope-missing"),
    (RefusalClass::GrantNotAllowed, "flow-not-enabled"),
    (RefusalClass::IpRefused, "ip-refused"),
];

/// Everything that is not well.
pub(crate) fn look(rows: &Rows, report: &mut Report) {
    report.checked("connections");
    report.checked("authorizations");
    let is_left = |status: ConnectionStatus| {
        !matches!(status, ConnectionStatus::Disconnecting | ConnectionStatus::Disconnected)
    };
    let may_act = |status: AuthorizationStatus| {
        !matches!(status, AuthorizationStatus::Disconnecting | AuthorizationStatus::Disconnected)
    };
    let any_org = rows.connections.iter().any(|row| is_left(row.status));
    if !any_org && !rows.authorizations.iter().any(|row| may_act(row.status)) {
        report.fault(
            "nothing-connected",
            "the add-on",
            "it has neither a connection nor an authorization, so no org can call the app, nor the app any org",
            "connect an org: `applink salesforce:connect NAME`, or store a user: `applink salesforce:authorizations:add NAME`",
        );
    }
    for row in &rows.connections {
        let name = row.org.connection_name.as_deref().unwrap_or_default();
        let about = format!("connection {}", printable(name));
        if row.status == ConnectionStatus::Connecting {
            unfinished(&about, &format!("applink salesforce:connect {name}"), report);
        } else if let Some(error) = &row.error {
            found(&about, error, &format!("applink connections:reconnect {name}"), report);
        }
    }
    for row in &rows.authorizations {
        let name = row.org.developer_name.as_deref().unwrap_or_default();
        let about = format!("authorization {}", printable(name));
        if row.status == AuthorizationStatus::Authorizing {
            unfinished(&about, &format!("applink salesforce:authorizations:add {name}"), report);
        } else if let Some(error) = &row.error {
            found(&about, error, &format!("applink authorizations:reconnect {name}"), report);
        }
    }
}

fn unfinished(about: &str, command: &str, report: &mut Report) {
    report.fault(
        "log-in-unfinished",
        about,
        "somebody started to log in, and nobody has finished it in a browser",
        format!("run `{command}` again and finish the log-in"),
    );
}

fn found(about: &str, error: &ResourceError, again: &str, report: &mut Report) {
    let message = printable(&error.message);
    let (id, fix) = meaning(error);
    let fix = match fix {
        Some(fix) => format!("{fix} Then run `{again}`."),
        None => format!("run `{again}`"),
    };
    report.fault(id, about, message, fix);
}

/// The id of an error, and what has to be mended before anybody logs in again.
fn meaning(error: &ResourceError) -> (&'static str, Option<&'static str>) {
    let message = &error.message;
    if let Some((_, id)) = SENTENCES.iter().find(|(sentence, _)| message.contains(sentence)) {
        return (id, fix_of(id));
    }
    if let Some((class, id)) = REFUSALS.iter().find(|(class, _)| message.contains(class.hint())) {
        return (id, Some(class.hint()));
    }
    if error.id == error_id::REAUTH_REQUIRED {
        return ("grant-dead", None);
    }
    ("not-connected", None)
}

fn fix_of(id: &str) -> Option<&'static str> {
    match id {
        "permission-missing" => {
            Some("In Setup, assign the user a permission set with \"Manage Heroku AppLink\".")
        }
        "scope-missing" => {
            Some("Add the scope to the external client app: api, id and refresh_token are needed.")
        }
        "refresh-policy" => Some(
            "Set the external client app's Refresh Token Policy to \"Refresh token is valid until revoked\".",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_apart() {
        let of = |id: &'static str, message: &str| {
            meaning(&ResourceError { id: id.into(), message: message.to_owned() }).0
        };
        assert_eq!(
            of("authentication_failed", "The user x lacks the permission Manage Heroku AppLink. In"),
            "permission-missing"
        );
        assert_eq!(of("authentication_failed", "The org granted no scope `api`. Add"), "scope-missing");
        assert_eq!(of("reauth_required", "The org revoked it: run x"), "grant-dead");
        assert_eq!(of("org_connection_failed", "whatever"), "not-connected");
        for (class, id) in REFUSALS {
            let found = of("authentication_failed", &format!("Host refused: x. {}", class.hint()));
            assert!(found == id, "{class:?}: {found}");
        }
    }
}
