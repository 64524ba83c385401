//! Step 8: what no connected org vouches for stays outside.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::{Failure, Seen, ensure};
use crate::dev::stack::Stack;

/// A protected route of the sample.
const ROUTE: &str = "/api/provisionServices";

pub(super) async fn walk(stack: &Stack) -> Result<Seen, Failure> {
    let forged = stack.forged_headers()?;
    let foreign = stack.headers_of_an_unconnected_org().await?;
    let mut details = Vec::new();
    for (what, headers, expected) in [
        ("without headers", Vec::new(), 401),
        ("with a forged token", forged, 403),
        ("with a token of an org that isn't connected", foreign, 403),
    ] {
        let status = status_of(stack, &headers).await?;
        ensure(status == expected, || format!("{what}: the mesh answered {status}, not {expected}"))?;
        details.push(format!("{what}: {status}"));
    }
    Ok(Seen { headline: format!("POST {}{ROUTE}", stack.facts.mesh_url), details })
}

async fn status_of(stack: &Stack, headers: &[(String, String)]) -> Result<u16, Failure> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name = HeaderName::try_from(name).map_err(|error| Failure::because(&error))?;
        let value = HeaderValue::try_from(value).map_err(|error| Failure::because(&error))?;
        map.insert(name, value);
    }
    let url = format!("{}{ROUTE}", stack.facts.mesh_url);
    let body = serde_json::json!({"opportunityIds": []});
    let response = stack.http.post(url).headers(map).json(&body).send().await?;
    Ok(response.status().as_u16())
}
