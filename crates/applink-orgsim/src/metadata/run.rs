//! Runs one deployment: the whole package in one transaction, each component in a savepoint of its own.

use serde::{Deserialize, Serialize};

use super::apply::{Applied, Applier};
use super::archive;
use super::component::{self, ComponentType};
use super::deployment::{self, Deployment, Status};
use super::message::Message;
use super::package::{ComponentFile, Deletion, Package};
use super::shapes::Problem;
use crate::db::{DbError, Tx};
use crate::failure::Failure;
use crate::rights::{self, Caller};
use crate::state::OrgState;

/// How a deployment came out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) messages: Vec<Message>,
    /// Set when the deployment as a whole could not be run.
    pub(crate) error: Option<String>,
    pub(crate) files: usize,
    pub(crate) zip_bytes: usize,
}

/// What a run left behind.
#[derive(Debug)]
pub(crate) enum Run {
    /// Components, and the end of the deployment with them.
    Committed(Status),
    /// Nothing; the end has still to be written down.
    Undone(Outcome),
}

/// Ends the transaction: either a failure of the org itself, or a deliberate roll-back with its outcome.
enum Stop {
    Failed(Failure),
    RolledBack(Outcome),
}

impl From<DbError> for Stop {
    fn from(error: DbError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Outcome {
    pub(crate) fn failures(&self) -> impl Iterator<Item = &Message> {
        self.messages.iter().filter(|message| !message.success)
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.error.is_some() || self.failures().next().is_some()
    }
}

/// Runs a package with the rights of the user who deployed it. What it applies and the deployment's end are one
/// transaction, so that no package is applied and then run again.
pub(crate) fn run(state: &OrgState, due: &Deployment, zip: &[u8]) -> Result<Run, Failure> {
    let options = &due.options;
    let files = match archive::unpack(zip) {
        Ok(files) => files,
        Err(error) => {
            let messages = Vec::new();
            let error = Some(error.to_string());
            return Ok(Run::Undone(Outcome { messages, error, files: 0, zip_bytes: zip.len() }));
        }
    };
    let file_count = files.len();
    let package = Package::read(files, options.single_package);
    let caller = Caller::user(due.created_by.clone(), String::new());
    let result = state.db().write(|tx| {
        let permissions = rights::user_permissions(tx, &caller)?;
        let messages = Deploy { tx, applier: Applier::new(state, tx, permissions) }.package(package)?;
        let outcome = Outcome { messages, error: None, files: file_count, zip_bytes: zip.len() };
        let undo = options.check_only || (options.rollback_on_error && outcome.has_failed());
        if undo {
            return Err(Stop::RolledBack(outcome));
        }
        let status = Status::of(&outcome, options);
        deployment::finish(tx, &due.id, status, &outcome)?;
        Ok(status)
    });
    match result {
        Ok(status) => Ok(Run::Committed(status)),
        Err(Stop::RolledBack(outcome)) => Ok(Run::Undone(outcome)),
        Err(Stop::Failed(failure)) => Err(failure),
    }
}

struct Deploy<'a, 'c> {
    tx: &'a Tx<'c>,
    applier: Applier<'a, 'c>,
}

/// What a savepoint ends with: a component's own fault is undone alone.
enum Fault {
    Component(Problem),
    Org(Failure),
}

impl From<DbError> for Fault {
    fn from(error: DbError) -> Self {
        Self::Org(error.into())
    }
}

impl Deploy<'_, '_> {
    fn package(&self, package: Package) -> Result<Vec<Message>, Failure> {
        let mut messages = Vec::new();
        if !package.faults.iter().any(|fault| fault.file_name == "package.xml") {
            messages.push(Message::manifest());
        }
        for fault in &package.faults {
            messages.push(Message::failed(
                &fault.component_type,
                &fault.full_name,
                &fault.file_name,
                &fault.problem,
            ));
        }
        for deletion in &package.deletions_before {
            messages.push(self.delete(deletion)?);
        }
        for file in &package.components {
            messages.push(self.component(file)?);
        }
        for deletion in &package.deletions_after {
            messages.push(self.delete(deletion)?);
        }
        Ok(messages)
    }

    fn component(&self, file: &ComponentFile) -> Result<Message, Failure> {
        let type_name = file.component_type.name();
        let applied = self.contained(|| {
            let definition = component::read(file.component_type, &file.content)?;
            self.applier.apply(file.component_type, &file.full_name, &definition)
        })?;
        Ok(match applied {
            Ok(Applied { id, created, changed, warning }) => {
                Message::applied(type_name, &file.full_name, &file.file_name, id, created, changed)
                    .with_warning(warning)
            }
            Err(problem) => Message::failed(type_name, &file.full_name, &file.file_name, &problem),
        })
    }

    fn delete(&self, deletion: &Deletion) -> Result<Message, Failure> {
        let (type_name, name) = (ComponentType::name(deletion.component_type), &deletion.full_name);
        let removed = self.contained(|| self.applier.remove(deletion.component_type, name))?;
        Ok(match removed {
            Ok(Some(id)) => Message::deleted(type_name, name, &deletion.file_name, id),
            Ok(None) => Message::nothing_to_delete(type_name, name, &deletion.file_name),
            Err(problem) => Message::failed(type_name, name, &deletion.file_name, &problem),
        })
    }

    /// Runs work on one component; its own fault undoes only what it did.
    fn contained<R>(
        &self,
        work: impl FnOnce() -> Result<R, ApplyError>,
    ) -> Result<Result<R, Problem>, Failure> {
        let result = self.tx.savepoint(|| {
            work().map_err(|error| match error {
                ApplyError::Problem(problem) => Fault::Component(problem),
                ApplyError::Failure(failure) => Fault::Org(failure),
            })
        });
        match result {
            Ok(done) => Ok(Ok(done)),
            Err(Fault::Component(problem)) => Ok(Err(problem)),
            Err(Fault::Org(failure)) => Err(failure),
        }
    }
}

/// Why a component was not applied.
pub(crate) enum ApplyError {
    /// The component's own fault.
    Problem(Problem),
    /// The org's.
    Failure(Failure),
}

impl From<Problem> for ApplyError {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl<E: Into<Failure>> From<E> for ApplyError {
    fn from(error: E) -> Self {
        Self::Failure(error.into())
    }
}
