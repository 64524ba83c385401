//! What publishing asks an org, and how it deploys.

use applink_api::names::ClientName;
use applink_api::publication::Component;
use applink_publish::Release;
use applink_salesforce::egress::SendFailure;
use applink_salesforce::metadata::{ComponentMessage, DeployOptions, DeployResult};
use applink_salesforce::rest::{ApiVersion, OrgCall};
use applink_salesforce::{Org, OrgError, RecordId};
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::metadata::{ExistingPermissionSet, OrgProfile, Plan, Rights};
use crate::app::App;
use crate::credentials::Credential;
use crate::tokens::{self, FreshToken, TokenError};

/// Served by every org that can publish; the connection knows its org's newest.
const FALLBACK_VERSION: ApiVersion = ApiVersion::new(59);

/// A registration of the org.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Its id.
    pub id: String,
    /// Its description, with the marker when one of our deploys made it.
    pub description: String,
}

/// That a user has a permission set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// Its id.
    pub id: String,
    /// The user's id.
    pub user: String,
    /// The permission set's id.
    pub permission_set: String,
    /// When it ends by itself, as the org writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

impl Assignment {
    fn of(record: &Map<String, Value>) -> Option<Self> {
        Some(Self {
            id: text(record, "Id")?,
            user: text(record, "AssigneeId")?,
            permission_set: text(record, "PermissionSetId")?,
            until: text(record, "ExpirationDate"),
        })
    }
}

/// One page of a query's answer; what publishing asks for fits on one.
#[derive(Deserialize)]
struct Records {
    records: Vec<Map<String, Value>>,
}

/// The org as publishing sees it, through the connection's user.
#[derive(Clone, Debug)]
pub struct PublishingOrg {
    org: Org,
    org_id: String,
    token_version: i64,
}

impl PublishingOrg {
    fn with_token(app: &App, connection: &Credential, token: FreshToken) -> Self {
        let version =
            connection.live().and_then(|user| user.api_version.parse().ok()).unwrap_or(FALLBACK_VERSION);
        let org = Org::new(app.egress.clone(), token.instance, version, token.access_token);
        Self { org, org_id: token.org_id, token_version: token.version }
    }

    /// Which org its token is for, 18 characters.
    pub fn org_id(&self) -> &str {
        &self.org_id
    }

    /// The version of its token, for [`reconnect`].
    pub fn token_version(&self) -> i64 {
        self.token_version
    }

    /// Release, and what the org has of what the plan names.
    ///
    /// # Errors
    /// [`OrgError`].
    pub async fn profile(&self, plan: &Plan) -> Result<OrgProfile, OrgError> {
        let names = |choices: Vec<&super::metadata::Choice>| -> Vec<String> {
            choices.into_iter().map(|choice| choice.name.clone()).collect()
        };
        Ok(OrgProfile {
            release: self.release().await?,
            external_client_apps: self
                .names("ExternalClientApplication", "DeveloperName", names(plan.external_client_apps()))
                .await?,
            connected_apps: self.names("ConnectedApplication", "Name", names(plan.connected_apps())).await?,
            permission_sets: self.permission_sets(names(plan.permission_sets())).await?,
            rights: self.rights().await?,
        })
    }

    /// The org's release, by API version.
    ///
    /// # Errors
    /// [`OrgError`].
    pub async fn release(&self) -> Result<Release, OrgError> {
        Ok(Release::new(self.org.newest_version().await?.number()))
    }

    /// What the user may do; what the org does not tell stays unknown.
    async fn rights(&self) -> Result<Rights, OrgError> {
        let soql = "SELECT PermissionsManageHerokuAppLink, PermissionsCustomizeApplication, \
            PermissionsModifyAllData, PermissionsExternalClientAppAdmin FROM UserPermissionAccess";
        let records = or_none(self.org.query_all(soql).await)?;
        let has = |field: &str| records.first()?.get(field)?.as_bool();
        Ok(Rights {
            manage_applink: has("PermissionsManageHerokuAppLink"),
            customize_application: has("PermissionsCustomizeApplication"),
            modify_all_data: has("PermissionsModifyAllData"),
            manage_external_client_apps: has("PermissionsExternalClientAppAdmin"),
        })
    }

    /// Which of `names` the org has, as it spells them. An object the user may not see counts as empty: deploying
    /// then says what is wrong.
    async fn names(&self, object: &str, field: &str, names: Vec<String>) -> Result<Vec<String>, OrgError> {
        if names.is_empty() {
            return Ok(names);
        }
        let soql = format!("SELECT {field} FROM {object} WHERE {field} IN ({})", quoted(&names));
        let records = or_none(self.org.query_all(&soql).await)?;
        Ok(records.iter().filter_map(|record| text(record, field)).collect())
    }

    async fn permission_sets(&self, names: Vec<String>) -> Result<Vec<ExistingPermissionSet>, OrgError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let soql = format!(
            "SELECT Name, HasActivationRequired FROM PermissionSet WHERE Name IN ({})",
            quoted(&names)
        );
        let records = or_none(self.org.query_all(&soql).await)?;
        let existing = records.iter().filter_map(|record| {
            let session_based = record.get("HasActivationRequired").and_then(Value::as_bool).unwrap_or(false);
            text(record, "Name").map(|name| ExistingPermissionSet { name, session_based })
        });
        Ok(existing.collect())
    }

    /// The registration with a client's name; none also when the user may not see registrations.
    ///
    /// # Errors
    /// [`OrgError`].
    pub async fn registration(&self, client: &ClientName) -> Result<Option<Registration>, OrgError> {
        Ok(first_registration(&or_none(self.setup_query(&registration_query(client)).await)?))
    }

    /// The registration with a client's name; an error when the user may not see registrations.
    ///
    /// # Errors
    /// [`OrgError`].
    pub async fn visible_registration(&self, client: &ClientName) -> Result<Option<Registration>, OrgError> {
        Ok(first_registration(&self.setup_query(&registration_query(client)).await?))
    }

    /// Whether the org works on any deploy. Unknown counts as no.
    ///
    /// # Errors
    /// [`OrgError`].
    pub async fn is_deploying(&self) -> Result<bool, OrgError> {
        let soql = "SELECT Id FROM DeployRequest WHERE Status IN ('Pending', 'InProgress', 'Finalizing')";
        Ok(!or_none(self.setup_query(soql).await)?.is_empty())
    }

    /// Set-up objects are asked for with the Tooling API; where an object is an ordinary one, with a plain query.
    async fn setup_query(&self, soql: &str) -> Result<Vec<Map<String, Value>>, OrgError> {
        let call = OrgCall::data(Method::GET, "tooling/query").query_param("q", soql);
        match self.org.send(&call).await.and_then(|answer| answer.json::<Records>()) {
            Ok(answer) => Ok(answer.records),
            Err(error) if is_unknown(&error) => self.org.query_all(soql).await,
            Err(error) => Err(error),
        }
    }

    /// Who has which of the permission sets.
    ///
    /// # Errors
    /// [`OrgError`].
    pub async fn assignments(&self, permission_sets: &[String]) -> Result<Vec<Assignment>, OrgError> {
        if permission_sets.is_empty() {
            return Ok(Vec::new());
        }
        let names = quoted(permission_sets);
        let soql = |fields: &str| {
            format!("SELECT {fields} FROM PermissionSetAssignment WHERE PermissionSet.Name IN ({names})")
        };
        let fields = "Id, AssigneeId, PermissionSetId";
        let found = match self.org.query_all(&soql(&format!("{fields}, ExpirationDate"))).await {
            // Not every org lets assignments end by themselves.
            Err(error) if error.has_code("INVALID_FIELD") => self.org.query_all(&soql(fields)).await,
            found => found,
        };
        Ok(or_none(found)?.iter().filter_map(Assignment::of).collect())
    }

    /// Takes permission sets away from everybody who has them: an org deletes none that is assigned.
    ///
    /// # Errors
    /// [`OrgError`].
    pub async fn unassign(&self, assignments: &[Assignment]) -> Result<(), OrgError> {
        for assignment in assignments {
            match self.org.delete("PermissionSetAssignment", &assignment.id).await {
                // Somebody was faster.
                Err(error) if error.has_code("ENTITY_IS_DELETED") || error.has_code("NOT_FOUND") => {}
                other => other?,
            }
        }
        Ok(())
    }

    /// Gives a permission set back that was taken away.
    ///
    /// # Errors
    /// [`OrgError`].
    pub async fn assign(&self, assignment: &Assignment) -> Result<(), OrgError> {
        let mut fields = json!({"AssigneeId": assignment.user, "PermissionSetId": assignment.permission_set});
        if let (Some(fields), Some(until)) = (fields.as_object_mut(), &assignment.until) {
            fields.insert("ExpirationDate".to_owned(), until.as_str().into());
        }
        match self.org.create("PermissionSetAssignment", &fields).await {
            // The user has it again already.
            Err(error) if error.has_code("DUPLICATE_VALUE") => Ok(()),
            answer => answer.map(drop),
        }
    }

    /// Sends a package: everything or nothing.
    ///
    /// # Errors
    /// [`OrgError`]; see [`was_not_sent`].
    pub async fn deploy(&self, package: &[u8]) -> Result<RecordId, OrgError> {
        self.org.deploy(package, &DeployOptions::default()).await
    }

    /// How a deploy goes.
    ///
    /// # Errors
    /// [`OrgError`].
    pub async fn deploy_status(&self, deploy: RecordId) -> Result<DeployResult, OrgError> {
        self.org.deploy_status(deploy).await
    }
}

/// Whether a failed call never reached the org, so that sending again is safe.
pub fn was_not_sent(error: &OrgError) -> bool {
    matches!(error, OrgError::Send(SendFailure::NotSent { .. }))
}

/// What became of each component; `package.xml` itself is none.
pub fn components(result: &DeployResult) -> Vec<Component> {
    let failures = result.failures.iter().map(|message| component(message, false));
    let successes = result.successes.iter().map(|message| component(message, true));
    let mut components: Vec<Component> =
        failures.chain(successes).filter(|component| !component.kind.is_empty()).collect();
    components.sort_by(|a, b| (&a.kind, &a.name).cmp(&(&b.kind, &b.name)));
    components
}

fn component(message: &ComponentMessage, success: bool) -> Component {
    Component {
        kind: message.component_type.clone(),
        name: message.full_name.clone(),
        success,
        created: message.created,
        problem: message.problem.clone().filter(|_| !success),
    }
}

/// The registration's id, when the deploy's result tells it.
pub fn registration_id(result: &DeployResult) -> Option<String> {
    let mut registrations =
        result.successes.iter().filter(|message| message.component_type == "ExternalServiceRegistration");
    registrations.find_map(|message| message.id.clone())
}

fn is_unknown(error: &OrgError) -> bool {
    let status_says_so = matches!(error, OrgError::Rejected { status, .. } | OrgError::Unexpected { status }
        if *status == http::StatusCode::NOT_FOUND);
    status_says_so
        || error.has_code("INVALID_TYPE")
        || error.has_code("NOT_FOUND")
        || error.has_code("INVALID_FIELD")
}

fn or_none(answer: Result<Vec<Map<String, Value>>, OrgError>) -> Result<Vec<Map<String, Value>>, OrgError> {
    match answer {
        Err(error) if is_unknown(&error) => Ok(Vec::new()),
        answer => answer,
    }
}

fn registration_query(client: &ClientName) -> String {
    let name = quoted(&[client.as_str().to_owned()]);
    format!(
        "SELECT Id, DeveloperName, Description FROM ExternalServiceRegistration WHERE DeveloperName = {name}"
    )
}

fn first_registration(records: &[Map<String, Value>]) -> Option<Registration> {
    let record = records.first()?;
    let description = text(record, "Description").unwrap_or_default();
    text(record, "Id").map(|id| Registration { id, description })
}

/// SOQL text literals. The names are API names, which need no escapes; anything else is left out.
fn quoted(names: &[String]) -> String {
    let is_plain = |name: &&String| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let literals: Vec<String> = names.iter().filter(is_plain).map(|name| format!("'{name}'")).collect();
    literals.join(", ")
}

fn text(record: &Map<String, Value>, field: &str) -> Option<String> {
    record.get(field)?.as_str().map(str::to_owned)
}

/// The org of a connection, with a live token of its user.
///
/// # Errors
/// [`TokenError`] when there is no token to be had.
pub async fn connect(app: &App, connection: &Credential) -> Result<PublishingOrg, TokenError> {
    let token = tokens::fresh_access_token(app, connection).await?;
    Ok(PublishingOrg::with_token(app, connection, token))
}

/// The same after the org refused the token of that version.
///
/// # Errors
/// [`TokenError`].
pub async fn reconnect(
    app: &App,
    connection: &Credential,
    refused: i64,
) -> Result<PublishingOrg, TokenError> {
    let token = tokens::replace_rejected(app, connection, refused).await?;
    Ok(PublishingOrg::with_token(app, connection, token))
}
