//! Step 1: what is asked.

use applink_sdk::{Org, RecordId};
use serde::Deserialize;

use crate::problem::Problem;

/// As many ids as fit into one query with room to spare.
const MAX_OPPORTUNITIES: usize = 200;

/// The body of the operation.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProvisionRequest {
    opportunity_ids: Vec<String>,
    #[serde(default)]
    callback_url: Option<String>,
}

/// The body, checked.
#[derive(Debug)]
pub(super) struct Asked {
    /// Different ones, in the order they were named.
    pub(super) opportunities: Vec<RecordId>,
    /// A URL of the caller's own org.
    pub(super) callback: Option<String>,
}

impl Asked {
    pub(super) fn of(body: ProvisionRequest, org: &Org) -> Result<Self, Problem> {
        let callback = body.callback_url.filter(|url| !url.is_empty());
        if let Some(url) = &callback {
            org.callback(url)
                .check()
                .map_err(|error| Problem::invalid("callbackUrl", format!("{error}.")))?;
        }
        Ok(Self { opportunities: opportunity_ids(&body.opportunity_ids)?, callback })
    }
}

fn opportunity_ids(texts: &[String]) -> Result<Vec<RecordId>, Problem> {
    if texts.is_empty() {
        return Err(Problem::invalid("opportunityIds", "Name at least one opportunity."));
    }
    if texts.len() > MAX_OPPORTUNITIES {
        return Err(Problem::invalid("opportunityIds", "Name 200 opportunities at most."));
    }
    let mut ids: Vec<RecordId> = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        let id = text.parse::<RecordId>().and_then(|id| id.expect_prefix("006"));
        let id =
            id.map_err(|error| Problem::invalid(format!("opportunityIds[{index}]"), format!("{error}.")))?;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
}
