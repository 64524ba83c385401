//! `org`: a local Salesforce org, and what is set up in it.

pub(crate) mod permsets;
pub(crate) mod run;
