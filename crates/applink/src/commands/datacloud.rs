//! `datacloud:…`: what is done to Data Cloud orgs and users. Connecting and authorizing is the same as for Salesforce orgs;
//! webhooks are only here.

pub(crate) mod data_action_target;
