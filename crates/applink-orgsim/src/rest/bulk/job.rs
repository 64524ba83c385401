//! Jobs: what a client asks for, the states a job goes through, and how it is told.

use serde::Deserialize;
use serde_json::{Number, Value, json};

use super::dialect::{Delimiter, Dialect, LineEnding};
use crate::rest::{ApiVersion, RestError};
use crate::rights::Caller;
use crate::soql::moment_json;

/// Which of the two families a job belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Ingest,
    Query,
}

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Insert,
    Update,
    Upsert,
    Delete,
    HardDelete,
    Query,
    QueryAll,
}

/// Where a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Open,
    UploadComplete,
    InProgress,
    JobComplete,
    Failed,
    Aborted,
}

/// A job without its data.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) id: String,
    pub(super) kind: Kind,
    pub(super) operation: Operation,
    pub(super) object: String,
    pub(super) external_id: Option<String>,
    pub(super) query: Option<String>,
    pub(super) assignment_rule: Option<String>,
    pub(super) dialect: Dialect,
    pub(super) version: ApiVersion,
    pub(super) state: State,
    pub(super) error: Option<String>,
    pub(super) user_id: String,
    pub(super) session_id: String,
    pub(super) created_micros: i64,
    pub(super) modified_micros: i64,
    pub(super) started_micros: Option<i64>,
    pub(super) completed_micros: Option<i64>,
    /// The upload that arrived whole.
    pub(super) upload: Option<String>,
    /// Rows that were dealt with, the failed ones among them.
    pub(super) processed: u32,
    pub(super) failed: u32,
}

/// The body of a `POST`. Whatever else it holds is ignored, unread: the official Node SDK sends its whole table along.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct JobRequest {
    pub(super) operation: Option<String>,
    pub(super) object: Option<String>,
    pub(super) query: Option<String>,
    pub(super) external_id_field_name: Option<String>,
    pub(super) assignment_rule_id: Option<String>,
    content_type: Option<String>,
    line_ending: Option<String>,
    column_delimiter: Option<String>,
}

impl Kind {
    /// The kind a path segment names.
    pub(super) fn from_segment(segment: &str) -> Option<Self> {
        match segment {
            "ingest" => Some(Self::Ingest),
            "query" => Some(Self::Query),
            _ => None,
        }
    }

    pub(super) const fn job_type(self) -> &'static str {
        match self {
            Self::Ingest => "V2Ingest",
            Self::Query => "V2Query",
        }
    }

    pub(super) const fn segment(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Query => "query",
        }
    }
}

impl Operation {
    const ALL: [Self; 7] = [
        Self::Insert,
        Self::Update,
        Self::Upsert,
        Self::Delete,
        Self::HardDelete,
        Self::Query,
        Self::QueryAll,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Upsert => "upsert",
            Self::Delete => "delete",
            Self::HardDelete => "hardDelete",
            Self::Query => "query",
            Self::QueryAll => "queryAll",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.name() == name)
    }

    pub(super) const fn kind(self) -> Kind {
        match self {
            Self::Query | Self::QueryAll => Kind::Query,
            _ => Kind::Ingest,
        }
    }
}

impl State {
    const ALL: [Self; 6] =
        [Self::Open, Self::UploadComplete, Self::InProgress, Self::JobComplete, Self::Failed, Self::Aborted];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Open => "Open",
            Self::UploadComplete => "UploadComplete",
            Self::InProgress => "InProgress",
            Self::JobComplete => "JobComplete",
            Self::Failed => "Failed",
            Self::Aborted => "Aborted",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    pub(super) const fn is_done(self) -> bool {
        matches!(self, Self::JobComplete | Self::Failed | Self::Aborted)
    }

    /// How messages call a state that is over.
    const fn adjective(self) -> &'static str {
        match self {
            Self::JobComplete => "Completed",
            other => other.name(),
        }
    }
}

impl JobRequest {
    /// Reads a body.
    ///
    /// # Errors
    /// `JSON_PARSER_ERROR` when it is no JSON, `API_ERROR` when a value has the wrong type.
    pub(super) fn read(body: &[u8]) -> Result<Self, RestError> {
        serde_json::from_slice(body).map_err(|error| json_error(&error))
    }

    /// The operation, which has to fit the family.
    pub(super) fn operation(&self, kind: Kind) -> Result<Operation, RestError> {
        let wanted = self.operation.as_deref().unwrap_or_default();
        Operation::from_name(wanted).filter(|operation| operation.kind() == kind).ok_or_else(|| {
            let known = Operation::ALL.iter().filter(|operation| operation.kind() == kind);
            let known: Vec<&str> = known.map(|operation| operation.name()).collect();
            invalid_job(format!("operation: '{wanted}' is none of {}", known.join(", ")))
        })
    }

    /// The delimiter and line ending asked for; comma and LF unless said otherwise.
    pub(super) fn dialect(&self) -> Result<Dialect, RestError> {
        if let Some(other) = self.content_type.as_deref().filter(|kind| *kind != "CSV") {
            return Err(invalid_job(format!("contentType: only CSV is supported, not '{other}'")));
        }
        let delimiter = self.column_delimiter.as_deref().unwrap_or(Delimiter::Comma.name());
        let line_ending = self.line_ending.as_deref().unwrap_or(LineEnding::Lf.name());
        Ok(Dialect {
            delimiter: Delimiter::from_name(delimiter).ok_or_else(|| {
                let known = Delimiter::ALL.map(Delimiter::name).join(", ");
                invalid_job(format!("columnDelimiter: '{delimiter}' is none of {known}"))
            })?,
            line_ending: LineEnding::from_name(line_ending)
                .ok_or_else(|| invalid_job(format!("lineEnding: '{line_ending}' is neither LF nor CRLF")))?,
        })
    }
}

impl Job {
    /// With whose rights it runs: its creator's, in the session it was created in.
    pub(super) fn caller(&self) -> Caller {
        Caller::user(self.user_id.clone(), self.session_id.clone())
    }

    /// The state a `PATCH` leads to.
    ///
    /// # Errors
    /// `INVALIDJOBSTATE` when the job is past it, `INVALIDJOB` when no client can ask for it.
    pub(super) fn next_state(&self, wanted: &str) -> Result<State, RestError> {
        match (State::from_name(wanted), self.kind, self.state) {
            (Some(State::Aborted), _, state) if state.is_done() => {
                Err(invalid_state(format!("Aborting already {} Job not allowed", state.adjective())))
            }
            (Some(State::Aborted), _, _) => Ok(State::Aborted),
            (Some(State::UploadComplete), Kind::Ingest, State::Open) => Ok(State::UploadComplete),
            (Some(State::UploadComplete), Kind::Ingest, state) => {
                Err(invalid_state(format!("Closing already {} Job not allowed", state.adjective())))
            }
            _ => Err(invalid_job(format!("state: a job can't be set to '{wanted}'"))),
        }
    }

    /// What creating and changing a job answers.
    pub(super) fn summary(&self) -> Value {
        let mut summary = json!({
            "id": self.id,
            "operation": self.operation.name(),
            "object": self.object,
            "createdById": self.user_id,
            "createdDate": moment_json(self.created_micros),
            "systemModstamp": moment_json(self.modified_micros),
            "state": self.state.name(),
            "concurrencyMode": "Parallel",
            "contentType": "CSV",
            "apiVersion": Number::from_f64(f64::from(self.version.number())),
            "lineEnding": self.dialect.line_ending.name(),
            "columnDelimiter": self.dialect.delimiter.name(),
        });
        if self.kind == Kind::Ingest {
            let url = format!("services/data/v{}/jobs/ingest/{}/batches", self.version, self.id);
            summary["contentUrl"] = json!(url);
        }
        for (key, value) in
            [("externalIdFieldName", &self.external_id), ("assignmentRuleId", &self.assignment_rule)]
        {
            if let Some(value) = value {
                summary[key] = json!(value);
            }
        }
        summary
    }

    /// What `GET` answers: how far it is as well.
    pub(super) fn info(&self, now_micros: i64) -> Value {
        let mut info = self.summary();
        let end = self.completed_micros.unwrap_or(now_micros);
        let millis = self.started_micros.map_or(0, |start| (end - start).max(0) / 1_000);
        info["jobType"] = json!(self.kind.job_type());
        info["numberRecordsProcessed"] = json!(self.processed);
        info["retries"] = json!(0);
        info["totalProcessingTime"] = json!(millis);
        if self.kind == Kind::Ingest {
            info["numberRecordsFailed"] = json!(self.failed);
            info["apiActiveProcessingTime"] = json!(millis);
            info["apexProcessingTime"] = json!(0);
        }
        if let Some(error) = &self.error {
            info["errorMessage"] = json!(error);
        }
        info
    }
}

/// `INVALIDJOB`: the job as asked for makes no sense.
pub(super) fn invalid_job(message: impl Into<String>) -> RestError {
    RestError::new(400, "INVALIDJOB", message)
}

/// `INVALIDJOBSTATE`: not while the job is where it is.
pub(super) fn invalid_state(message: impl Into<String>) -> RestError {
    RestError::new(400, "INVALIDJOBSTATE", message)
}

/// What is wrong with a JSON body, with the place.
pub(super) fn json_error(error: &serde_json::Error) -> RestError {
    if error.is_data() {
        let place = format!("[line:{}, column:{}]", error.line(), error.column());
        return RestError::new(
            400,
            "API_ERROR",
            format!("Value does not match expected type at {place}: {error}"),
        );
    }
    RestError::bad_json(format!("{error} [line:{}, column:{}]", error.line(), error.column()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_sent_along_is_ignored() {
        let body = br#"{"object":"Account","operation":"insert","dataTable":[{},{},{"x":[1]}]}"#;
        let request = JobRequest::read(body).unwrap();
        assert_eq!(request.object.as_deref(), Some("Account"));
        assert_eq!(request.operation(Kind::Ingest).unwrap(), Operation::Insert);
        assert_eq!(request.operation(Kind::Query).unwrap_err().code, "INVALIDJOB");
    }

    #[test]
    fn a_wrong_type_is_named_with_its_place() {
        let error = JobRequest::read(br#"{"object":5}"#).unwrap_err();
        assert_eq!(error.code, "API_ERROR");
        assert!(error.message.contains("line:1, column:11"), "{}", error.message);
        assert_eq!(JobRequest::read(b"{").unwrap_err().code, "JSON_PARSER_ERROR");
    }
}
