//! `salesforce:…`: what is done to Salesforce orgs and users; the commands that Data Cloud has too take the type of org.

pub(crate) mod authorizations;
pub(crate) mod connect;
pub(crate) mod connect_jwt;
pub(crate) mod disconnect;
pub(crate) mod history;
pub(crate) mod publications;
pub(crate) mod publish;
pub(crate) mod unpublish;

use applink_api::names::Name;
use applink_api::org::OrgType;

use crate::error::CliError;

/// What an org is one of, in words.
fn product(org_type: OrgType) -> &'static str {
    match org_type {
        OrgType::SalesforceOrg => "Salesforce",
        OrgType::DataCloudOrg => "Data Cloud",
    }
}

/// A new name, checked before anything is sent.
pub(crate) fn new_name(kind: &'static str, text: &str) -> Result<Name, CliError> {
    Name::parse(kind, text).map_err(|error| CliError::refused(error.to_string()))
}

/// `creation_failed` → `Creation Failed`, as status words are shown.
pub(crate) fn status_title(status: &str) -> String {
    let words = status.split('_').map(|word| {
        let mut word = word.to_owned();
        if let Some(first) = word.get_mut(0..1) {
            first.make_ascii_uppercase();
        }
        word
    });
    words.collect::<Vec<_>>().join(" ")
}
