//! Deploying metadata: a zip goes up, a deploy runs in the org, and each component has a result.
//!
//! 1. [`Org::deploy`] sends the zip (`POST …/metadata/deployRequest`) and yields the deploy's id. There is no
//!    idempotency key: keep an intent before this call and the id after it.
//! 2. [`Org::deploy_status`] asks how it goes; [`Org::deploy_outcome`] asks until it is done.
//! 3. [`DeployResult::failures`] says what each component's problem is.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderValue, Method};
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};

use crate::error::OrgError;
use crate::ids::RecordId;
use crate::rest::{Org, OrgCall};

/// Largest zip the REST deploy takes, in bytes.
pub const ZIP_LIMIT: usize = 39 * 1024 * 1024;

/// How a package is deployed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeployOptions {
    /// Only say what would happen.
    pub check_only: bool,
    /// All components or none.
    pub rollback_on_error: bool,
    /// Deploy in spite of warnings.
    pub ignore_warnings: bool,
    /// `package.xml` is at the zip's root.
    pub single_package: bool,
    /// Deleted components skip the recycle bin.
    pub purge_on_delete: bool,
}

impl Default for DeployOptions {
    /// For real, all or nothing, `package.xml` at the root.
    fn default() -> Self {
        Self {
            check_only: false,
            rollback_on_error: true,
            ignore_warnings: false,
            single_package: true,
            purge_on_delete: false,
        }
    }
}

/// Where a deploy stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeployStatus {
    /// Waiting its turn.
    Pending,
    /// Being worked on.
    InProgress,
    /// Deployed, being finished.
    Finalizing,
    /// Everything is in.
    Succeeded,
    /// Some components are in, others not (only without roll-back).
    SucceededPartial,
    /// Nothing is in.
    Failed,
    /// Being stopped.
    Canceling,
    /// Stopped.
    Canceled,
    /// A word this version doesn't know.
    Other(String),
}

impl DeployStatus {
    fn of(word: &str) -> Self {
        match word {
            "Pending" => Self::Pending,
            "InProgress" => Self::InProgress,
            "Finalizing" | "FinalizingDeploy" => Self::Finalizing,
            "Succeeded" => Self::Succeeded,
            "SucceededPartial" => Self::SucceededPartial,
            "Failed" | "FinalizingFailed" | "FinalizingDeployFailed" => Self::Failed,
            "Canceling" => Self::Canceling,
            "Canceled" => Self::Canceled,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// What became of a deploy so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeployResult {
    /// The deploy (`0Af…`).
    pub id: RecordId,
    /// Where it stands.
    pub status: DeployStatus,
    /// Whether it has ended.
    pub done: bool,
    /// Whether everything is in.
    pub success: bool,
    /// Why the deploy as a whole failed, when it isn't about a component.
    pub error: Option<String>,
    /// How many components have a problem.
    pub component_errors: u64,
    /// How many components the package has.
    pub components: u64,
    /// Components with a problem.
    pub failures: Vec<ComponentMessage>,
    /// Components that are in (or would be).
    pub successes: Vec<ComponentMessage>,
}

/// What the org says about one component.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ComponentMessage {
    /// `ExternalServiceRegistration`, …; empty for `package.xml`.
    #[serde(default, deserialize_with = "null_is_default")]
    pub component_type: String,
    /// Its API name.
    #[serde(default, deserialize_with = "null_is_default")]
    pub full_name: String,
    /// Its file in the zip.
    #[serde(default, deserialize_with = "null_is_default")]
    pub file_name: String,
    /// What is wrong.
    #[serde(default)]
    pub problem: Option<String>,
    /// `Error`, `Warning` or `Info`.
    #[serde(default)]
    pub problem_type: Option<String>,
    /// Line in the file, from 1.
    #[serde(default)]
    pub line_number: Option<u32>,
    /// Column in the line, from 1.
    #[serde(default)]
    pub column_number: Option<u32>,
    /// Whether the org has it now and hadn't before.
    #[serde(default)]
    pub created: bool,
    /// Whether the deploy changed it.
    #[serde(default)]
    pub changed: bool,
    /// Whether the deploy deleted it.
    #[serde(default)]
    pub deleted: bool,
    /// Its id in the org.
    #[serde(default, deserialize_with = "empty_is_none")]
    pub id: Option<String>,
}

/// How often and how long to ask.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Pause before the second question; it doubles from there.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
    /// When to stop asking.
    pub give_up_after: Duration,
}

impl Default for Patience {
    /// 250 ms, 500 ms, 1 s, 2 s, 4 s, then every 5 s; ten minutes in all.
    fn default() -> Self {
        Self {
            first_pause: Duration::from_millis(250),
            longest_pause: Duration::from_secs(5),
            give_up_after: Duration::from_secs(600),
        }
    }
}

impl Org {
    /// Step 1: sends the package.
    ///
    /// # Errors
    /// [`OrgError::OverLimit`] before sending; after [`OrgError::Send`] the deploy may be running: look for it
    /// before sending the package again.
    pub async fn deploy(&self, zip: &[u8], options: &DeployOptions) -> Result<RecordId, OrgError> {
        let answer = self.send(&deploy_call(zip, options)?).await?;
        let started: Started = answer.json()?;
        Ok(started.id)
    }

    /// Step 2, once: where the deploy stands, with what is known of its components.
    ///
    /// # Errors
    /// [`OrgError`]; a deploy the org doesn't know is `NOT_FOUND`.
    pub async fn deploy_status(&self, deploy: RecordId) -> Result<DeployResult, OrgError> {
        let call = OrgCall::data(Method::GET, format!("metadata/deployRequest/{deploy}"));
        let answer = self.send(&call.query_param("includeDetails", "true")).await?;
        let wire: WireStatus = answer.json()?;
        Ok(DeployResult::from(wire.deploy_result))
    }

    /// Step 2, until it is done. Gives the last result as it is when patience runs out: `done` is false then.
    ///
    /// # Errors
    /// [`OrgError`] of the first question that fails.
    pub async fn deploy_outcome(
        &self,
        deploy: RecordId,
        patience: Patience,
    ) -> Result<DeployResult, OrgError> {
        let (mut pause, mut waited) = (patience.first_pause, Duration::ZERO);
        loop {
            let result = self.deploy_status(deploy).await?;
            if result.done || waited >= patience.give_up_after {
                return Ok(result);
            }
            tokio::time::sleep(pause).await;
            waited += pause;
            pause = (pause * 2).min(patience.longest_pause);
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeployRequest<'a> {
    deploy_options: &'a DeployOptions,
}

fn deploy_call(zip: &[u8], options: &DeployOptions) -> Result<OrgCall, OrgError> {
    if zip.len() > ZIP_LIMIT {
        return Err(OrgError::OverLimit { what: "the package", limit: "39 MB (zipped)" });
    }
    let json = serde_json::to_vec(&DeployRequest { deploy_options: options }).map_err(OrgError::Encode)?;
    let (content_type, body) = multipart(&json, zip);
    Ok(OrgCall::data(Method::POST, "metadata/deployRequest").bytes(content_type, body))
}

/// RFC 7578 with two parts. The boundary is a hash of the zip, so the zip can't contain it.
fn multipart(json: &[u8], zip: &[u8]) -> (HeaderValue, Bytes) {
    let digest = Sha256::digest(zip);
    let boundary: String = digest.iter().take(20).map(|byte| format!("{byte:02x}")).collect();
    let mut body = BytesMut::with_capacity(zip.len() + json.len() + 512);
    let mut part = |head: &str, content: &[u8]| {
        body.put_slice(format!("--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n").as_bytes());
        body.put_slice(content);
        body.put_slice(b"\r\n");
    };
    part("name=\"json\"\r\nContent-Type: application/json", json);
    part("name=\"file\"; filename=\"package.zip\"\r\nContent-Type: application/zip", zip);
    body.put_slice(format!("--{boundary}--\r\n").as_bytes());
    let content_type = HeaderValue::from_str(&format!("multipart/form-data; boundary={boundary}"));
    // A hexadecimal boundary is always a header value.
    (content_type.unwrap_or(HeaderValue::from_static("multipart/form-data")), body.freeze())
}

#[derive(Deserialize)]
struct Started {
    id: RecordId,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireStatus {
    deploy_result: WireResult,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireResult {
    id: RecordId,
    status: String,
    done: bool,
    #[serde(default)]
    success: bool,
    #[serde(default)]
    error_message: Option<String>,
    #[serde(default)]
    error_status_code: Option<String>,
    #[serde(default)]
    number_component_errors: u64,
    #[serde(default)]
    number_components_total: u64,
    #[serde(default)]
    details: Option<WireDetails>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct WireDetails {
    #[serde(default, deserialize_with = "one_or_many")]
    component_failures: Vec<ComponentMessage>,
    #[serde(default, deserialize_with = "one_or_many")]
    component_successes: Vec<ComponentMessage>,
}

impl From<WireResult> for DeployResult {
    fn from(wire: WireResult) -> Self {
        let details = wire.details.unwrap_or_default();
        let error = match (wire.error_status_code, wire.error_message) {
            (Some(code), Some(message)) => Some(format!("{code}: {message}")),
            (code, message) => message.or(code),
        };
        Self {
            id: wire.id,
            status: DeployStatus::of(&wire.status),
            done: wire.done,
            success: wire.success,
            error,
            component_errors: wire.number_component_errors,
            components: wire.number_components_total,
            failures: details.component_failures,
            successes: details.component_successes,
        }
    }
}

/// A list with one entry sometimes comes as that entry, an empty one as null.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ComponentMessage>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        Many(Vec<ComponentMessage>),
        One(Box<ComponentMessage>),
    }
    Ok(match Option::<OneOrMany>::deserialize(deserializer)? {
        None => Vec::new(),
        Some(OneOrMany::Many(list)) => list,
        Some(OneOrMany::One(one)) => vec![*one],
    })
}

fn null_is_default<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.unwrap_or_default())
}

fn empty_is_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.filter(|text| !text.is_empty()))
}
