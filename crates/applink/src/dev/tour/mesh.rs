//! Step 8: what no connected org vouches for stays outside.

use reqwest::header::HeaderMap;

use super::{Failure, Seen, ensure};
use crate::dev::stack::Stack;

/// A protected route of the sample.
const ROUTE: &str = "/api/provisionServices";

pub(super) async fn walk(stack: &Stack) -> Result<Seen, Failure> {
    let forged = stack.forged_headers()?;
    let foreign = stack.headers_of_an_unconnected_org()?;
    let mut details = Vec::new();
    for (what, headers, expected) in [
        ("without headers", HeaderMap::new(), 401),
        ("with a forged token", forged, 403),
        ("with a token of an org that isn't connected", foreign, 403),
    ] {
        let status = status_of(stack, headers).await?;
        ensure(status == expected, || format!("{what}: the mesh answered {status}, not {expected}"))?;
        details.push(format!("{what}: {status}"));
    }
    Ok(Seen { headline: format!("POST {}{ROUTE}", stack.facts.mesh_url), details })
}

async fn status_of(stack: &Stack, headers: HeaderMap) -> Result<u16, Failure> {
    let url = format!("{}{ROUTE}", stack.facts.mesh_url);
    let body = serde_json::json!({"opportunityIds": []});
    let response = stack.http.post(url).headers(headers).json(&body).send().await?;
    Ok(response.status().as_u16())
}
