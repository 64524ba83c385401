//! Deployments as rows, and their states: `Pending → InProgress → Succeeded | SucceededPartial | Failed`,
//! or `Pending → Canceled`.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::run::Outcome;
use crate::db::{DbError, Tx};
use crate::failure::Failure;
use crate::ids;
use crate::stretch::Stretch;
use crate::users;

/// The options of a deploy request that this org heeds. Others are accepted and echoed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "the flags of the Metadata API's DeployOptions")]
pub(crate) struct Options {
    pub(crate) allow_missing_files: bool,
    pub(crate) auto_update_package: bool,
    pub(crate) check_only: bool,
    pub(crate) ignore_warnings: bool,
    pub(crate) perform_retrieve: bool,
    pub(crate) purge_on_delete: bool,
    pub(crate) rollback_on_error: bool,
    pub(crate) single_package: bool,
    pub(crate) test_level: String,
    pub(crate) run_tests: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            allow_missing_files: false,
            auto_update_package: false,
            check_only: false,
            ignore_warnings: false,
            perform_retrieve: false,
            purge_on_delete: false,
            rollback_on_error: true,
            single_package: false,
            test_level: "NoTestRun".to_owned(),
            run_tests: Vec::new(),
        }
    }
}

/// Where a deployment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Pending,
    InProgress,
    Succeeded,
    SucceededPartial,
    Failed,
    Canceled,
}

impl Status {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::InProgress => "InProgress",
            Self::Succeeded => "Succeeded",
            Self::SucceededPartial => "SucceededPartial",
            Self::Failed => "Failed",
            Self::Canceled => "Canceled",
        }
    }

    fn from_name(name: &str) -> Self {
        match name {
            "Pending" => Self::Pending,
            "InProgress" => Self::InProgress,
            "Succeeded" => Self::Succeeded,
            "SucceededPartial" => Self::SucceededPartial,
            "Canceled" => Self::Canceled,
            _ => Self::Failed,
        }
    }

    const fn is_done(self) -> bool {
        !matches!(self, Self::Pending | Self::InProgress)
    }

    /// The end a finished run leads to.
    pub(crate) fn of(outcome: &Outcome, options: &Options) -> Self {
        match outcome.has_failed() {
            false => Self::Succeeded,
            true if options.rollback_on_error || options.check_only || outcome.error.is_some() => {
                Self::Failed
            }
            true => Self::SucceededPartial,
        }
    }
}

/// A deployment without its package.
#[derive(Debug)]
pub(crate) struct Deployment {
    pub(crate) id: String,
    pub(crate) status: Status,
    pub(crate) options: Options,
    pub(crate) created_by: String,
    pub(crate) created_by_name: String,
    pub(crate) created_micros: i64,
    pub(crate) started_micros: Option<i64>,
    pub(crate) completed_micros: Option<i64>,
    pub(crate) outcome: Option<Outcome>,
}

const SELECT: &str = "SELECT id, status, options, created_by, created_micros, started_micros, completed_micros, outcome FROM _deployment";

/// Takes a package in.
pub(crate) fn insert(
    tx: &Tx<'_>,
    package: &[u8],
    options: &Options,
    user_id: &str,
) -> Result<String, Failure> {
    let id = tx.new_id("0Af")?;
    tx.execute(
        "INSERT INTO _deployment (id, status, options, package, created_by, created_micros) VALUES (?1, 'Pending', ?2, ?3, ?4, ?5)",
        (&id, serde_json::to_string(options)?, package, user_id, tx.now_micros()),
    )?;
    Ok(id)
}

pub(crate) fn find(tx: &Tx<'_>, id: &str) -> Result<Option<Deployment>, Failure> {
    let row = tx.query_row(&format!("{SELECT} WHERE id = ?1"), [id], columns).optional()?;
    row.map(|row| from_columns(tx, row)).transpose()
}

/// Those with what is searched for in the id, the status or the name of who deployed.
const FOUND: &str =
    "WHERE has_words(?1, id, status, (SELECT u.\"Name\" FROM \"User\" u WHERE u.\"Id\" = created_by))";

/// How many are found.
pub(crate) fn count(tx: &Tx<'_>, find: &str) -> Result<usize, DbError> {
    let sql = format!("SELECT count(*) FROM _deployment {FOUND}");
    let count: i64 = tx.prepare_cached(&sql)?.query_row([find], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or_default())
}

/// The newest deployments, newest first.
pub(crate) fn newest(tx: &Tx<'_>, stretch: Stretch<'_>) -> Result<Vec<Deployment>, Failure> {
    let limit = stretch.limit();
    let mut statement =
        tx.prepare_cached(&format!("{SELECT} {FOUND} ORDER BY created_micros DESC, rowid DESC {limit}"))?;
    let rows = statement.query_map([stretch.find], columns)?.collect::<rusqlite::Result<Vec<_>>>()?;
    rows.into_iter().map(|row| from_columns(tx, row)).collect()
}

type Columns = (String, String, String, String, i64, Option<i64>, Option<i64>, Option<String>);

fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok((
        row.get(0)?,
        row.get(1)?,
        row.get(2)?,
        row.get(3)?,
        row.get(4)?,
        row.get(5)?,
        row.get(6)?,
        row.get(7)?,
    ))
}

fn from_columns(tx: &Tx<'_>, row: Columns) -> Result<Deployment, Failure> {
    let (id, status, options, created_by, created_micros, started_micros, completed_micros, outcome) = row;
    let created_by_name = users::by_id(tx, &created_by)?.map(|user| user.name).unwrap_or_default();
    Ok(Deployment {
        id,
        status: Status::from_name(&status),
        options: serde_json::from_str(&options)?,
        created_by,
        created_by_name,
        created_micros,
        started_micros,
        completed_micros,
        outcome: outcome.map(|outcome| serde_json::from_str(&outcome)).transpose()?,
    })
}

/// The oldest deployment that is not done. One at a time runs, as in an org.
pub(crate) fn next_due(tx: &Tx<'_>) -> Result<Option<Deployment>, Failure> {
    let sql =
        format!("{SELECT} WHERE status IN ('Pending', 'InProgress') ORDER BY created_micros, rowid LIMIT 1");
    let row = tx.query_row(&sql, [], columns).optional()?;
    row.map(|row| from_columns(tx, row)).transpose()
}

pub(crate) fn package(tx: &Tx<'_>, id: &str) -> Result<Vec<u8>, Failure> {
    let package = tx.query_row("SELECT package FROM _deployment WHERE id = ?1", [id], |row| {
        row.get::<_, Option<Vec<u8>>>(0)
    })?;
    Ok(package.unwrap_or_default())
}

pub(crate) fn start(tx: &Tx<'_>, id: &str) -> Result<(), Failure> {
    tx.execute("UPDATE _deployment SET status = 'InProgress', started_micros = ?2 WHERE id = ?1 AND status = 'Pending'", (id, tx.now_micros()))?;
    Ok(())
}

/// Writes the end down. The package has done its work and goes.
pub(crate) fn finish(tx: &Tx<'_>, id: &str, status: Status, outcome: &Outcome) -> Result<(), Failure> {
    tx.execute(
        "UPDATE _deployment SET status = ?2, completed_micros = ?3, outcome = ?4, package = NULL WHERE id = ?1",
        (id, status.name(), tx.now_micros(), serde_json::to_string(outcome)?),
    )?;
    Ok(())
}

/// Cancels a deployment that has not begun; `false` when it has.
pub(crate) fn cancel(tx: &Tx<'_>, id: &str) -> Result<bool, Failure> {
    let changed = tx.execute(
        "UPDATE _deployment SET status = 'Canceled', completed_micros = ?2, package = NULL WHERE id = ?1 AND status = 'Pending'",
        (id, tx.now_micros()),
    )?;
    Ok(changed == 1)
}

impl Deployment {
    /// `DeployResult` as the REST API words it (`metadata_api/DeployResult` of the WSDL, version 66).
    pub(crate) fn to_json(&self, with_details: bool) -> Value {
        let outcome = self.outcome.as_ref();
        let failed = outcome.map_or(0, |outcome| outcome.failures().count());
        let deployed =
            outcome.map_or(0, |outcome| components(outcome).filter(|message| message.success).count());
        let mut result = json!({
            "id": self.id,
            "status": self.status.name(),
            "done": self.status.is_done(),
            "success": matches!(self.status, Status::Succeeded | Status::SucceededPartial),
            "checkOnly": self.options.check_only,
            "ignoreWarnings": self.options.ignore_warnings,
            "rollbackOnError": self.options.rollback_on_error,
            "runTestsEnabled": false,
            "createdBy": ids::short(&self.created_by),
            "createdByName": self.created_by_name,
            "createdDate": timestamp(self.created_micros),
            "lastModifiedDate": timestamp(self.completed_micros.or(self.started_micros).unwrap_or(self.created_micros)),
            "numberComponentErrors": failed,
            "numberComponentsDeployed": deployed,
            "numberComponentsTotal": outcome.map_or(0, |outcome| components(outcome).count()),
            "numberTestErrors": 0,
            "numberTestsCompleted": 0,
            "numberTestsTotal": 0,
        });
        self.add_optional(&mut result);
        if with_details {
            result["details"] = self.details();
        }
        result
    }

    fn add_optional(&self, result: &mut Value) {
        if let Some(started) = self.started_micros {
            result["startDate"] = timestamp(started).into();
        }
        if let Some(completed) = self.completed_micros {
            result["completedDate"] = timestamp(completed).into();
        }
        let Some(outcome) = &self.outcome else { return };
        result["numberFiles"] = outcome.files.into();
        result["zipSize"] = outcome.zip_bytes.into();
        if let Some(error) = &outcome.error {
            result["errorStatusCode"] = "INVALID_PACKAGE".into();
            result["errorMessage"] = error.as_str().into();
        }
    }

    fn details(&self) -> Value {
        let date = timestamp(self.completed_micros.unwrap_or(self.created_micros));
        let rows = |success: bool| -> Vec<Value> {
            let messages = self.outcome.iter().flat_map(|outcome| &outcome.messages);
            messages
                .filter(|message| message.success == success)
                .map(|message| message.to_json(&date))
                .collect()
        };
        json!({
            "componentFailures": rows(false),
            "componentSuccesses": rows(true),
            "runTestResult": {
                "numFailures": 0, "numTestsRun": 0, "totalTime": 0.0,
                "successes": [], "failures": [], "codeCoverage": [], "codeCoverageWarnings": [],
            },
        })
    }

    /// A line for people: `Failed: PermissionSet X: Unknown user permission`.
    pub(crate) fn summary(&self) -> String {
        let first = self.outcome.as_ref().and_then(|outcome| outcome.failures().next());
        match first {
            Some(message) => {
                let problem = message.problem.as_deref().unwrap_or_default();
                format!("{}: {} {}: {problem}", self.status.name(), message.component_type, message.full_name)
            }
            None => self.status.name().to_owned(),
        }
    }
}

/// The rows that count as components: the manifest does not.
fn components(outcome: &Outcome) -> impl Iterator<Item = &super::message::Message> {
    outcome.messages.iter().filter(|message| message.full_name != "package.xml")
}

fn timestamp(micros: i64) -> String {
    Timestamp::from_microsecond(micros).unwrap_or_default().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// The answer of a deploy request and of its status.
pub(crate) fn answer(deployment: &Deployment, with_details: bool, with_options: bool) -> Value {
    let mut answer = Map::new();
    answer.insert("id".to_owned(), deployment.id.as_str().into());
    answer.insert("validatedDeployRequestId".to_owned(), Value::Null);
    if with_options {
        answer.insert(
            "deployOptions".to_owned(),
            serde_json::to_value(&deployment.options).unwrap_or_default(),
        );
    }
    answer.insert("deployResult".to_owned(), deployment.to_json(with_details));
    Value::Object(answer)
}
