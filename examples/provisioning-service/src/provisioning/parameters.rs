//! Step 3: parameters that the calling user may read only while this service runs.

use std::collections::HashMap;

use applink_sdk::{Error, Org};

const PARAMETERS: &str = "SELECT Name__c, Value__c FROM ProvisioningParameter__mdt";
/// What an org says about an object the user may not see: it is as if it weren't there.
const NOT_PERMITTED: &str = "INVALID_TYPE";

/// The provisioning parameters.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    /// How many rows were read.
    pub(super) rows: usize,
    /// The org's code, when the user may not read them. The job goes on with the provider's defaults.
    pub(super) refused: Option<String>,
    values: HashMap<String, String>,
}

impl Parameters {
    /// A value by its name; names have no case.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(&name.to_lowercase()).map(String::as_str)
    }

    #[cfg(test)]
    pub(super) fn of(values: &[(&str, &str)]) -> Self {
        let values = values.iter().map(|(name, value)| (name.to_lowercase(), (*value).to_owned()));
        Self { values: values.collect(), ..Self::default() }
    }
}

pub(super) async fn read(org: &Org) -> Result<Parameters, Error> {
    let records = match org.data().query(PARAMETERS).all().collect().await {
        Ok(records) => records,
        Err(error) if error.codes().contains(&NOT_PERMITTED) => {
            return Ok(Parameters { refused: Some(NOT_PERMITTED.to_owned()), ..Parameters::default() });
        }
        Err(error) => return Err(error),
    };
    let pair = |name: Option<&str>, value: Option<&str>| Some((name?.to_lowercase(), value?.to_owned()));
    let values = records.iter().filter_map(|record| pair(record.text("Name__c"), record.text("Value__c")));
    Ok(Parameters { rows: records.len(), refused: None, values: values.collect() })
}
