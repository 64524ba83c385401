//! What can be wrong between an app, its add-on and its orgs, and how to mend it.
//!
//! Each part looks at one thing and adds the faults it finds to one [`Report`]; nothing is changed anywhere:
//!
//! 1. [`files`]: the Procfile and the OpenAPI document of the current directory.
//! 2. [`service`]: address, token, app id and clock, as the app has them.
//! 3. [`rows`]: connections and authorizations, by what the service knows of them.
//! 4. [`published`]: what is published, whether somebody may call it, and whether it is what the document says.
//! 5. [`app`]: whether orgs reach the app, and the mesh in front of it.
//! 6. [`jwt`]: a key, when one is given: the org itself is asked.

pub(crate) mod app;
pub(crate) mod files;
pub(crate) mod jwt;
pub(crate) mod published;
pub(crate) mod rows;
pub(crate) mod service;

use serde::Serialize;

use crate::error::CliError;

/// Something that is wrong, and how to mend it.
#[derive(Debug, Serialize)]
pub(crate) struct Fault {
    /// Stable, for programs.
    pub(crate) id: &'static str,
    /// What it is about: a variable, a file, a connection.
    pub(crate) about: String,
    pub(crate) cause: String,
    pub(crate) fix: String,
}

/// A part that could not be looked at, which is no fault by itself.
#[derive(Debug, Serialize)]
pub(crate) struct Skipped {
    pub(crate) part: &'static str,
    pub(crate) why: String,
}

/// Everything found.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) checked: Vec<&'static str>,
    pub(crate) skipped: Vec<Skipped>,
    pub(crate) faults: Vec<Fault>,
}

impl Report {
    /// `part` was looked at.
    pub(crate) fn checked(&mut self, part: &'static str) {
        self.checked.push(part);
    }

    /// `part` could not be looked at.
    pub(crate) fn skipped(&mut self, part: &'static str, why: impl Into<String>) {
        let why = why.into();
        if !self.skipped.iter().any(|skipped| skipped.part == part && skipped.why == why) {
            self.skipped.push(Skipped { part, why });
        }
    }

    /// One more fault.
    pub(crate) fn fault(
        &mut self,
        id: &'static str,
        about: impl Into<String>,
        cause: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.faults.push(Fault { id, about: about.into(), cause: cause.into(), fix: fix.into() });
    }

    /// The fault that `error` is, under its code or `fallback`.
    pub(crate) fn error(&mut self, fallback: &'static str, about: impl Into<String>, error: &CliError) {
        let details = error.details();
        let cause = match details.first() {
            Some(detail) => format!("{error} ({detail})"),
            None => error.to_string(),
        };
        let fix = error.next_step().unwrap_or("mend what the cause says").to_owned();
        self.fault(error.known_as().unwrap_or(fallback), about, cause, fix);
    }
}
