//! Step 8: what no connected org vouches for stays outside.

use applink_api::headers::MESH_MARKER;
use reqwest::header::HeaderMap;

use super::{Failure, Seen, ensure};
use crate::dev::stack::Stack;

/// A protected route of the sample.
const ROUTE: &str = "/api/provisionServices";

pub(super) async fn walk(stack: &Stack, broken: bool) -> Result<Seen, Failure> {
    // The app's own port: as if the mesh were not in front of it.
    let door = if broken { &stack.facts.app_url } else { &stack.facts.mesh_url };
    let url = format!("{door}{ROUTE}");
    let forged = stack.forged_headers()?;
    let foreign = stack.headers_of_an_unconnected_org()?;
    let mut details = Vec::new();
    for (what, headers, expected) in [
        ("without headers", HeaderMap::new(), 401),
        ("with a forged token", forged, 403),
        ("with a token of an org that isn't connected", foreign, 403),
    ] {
        let (status, by_the_mesh) = answer_to(stack, &url, headers).await?;
        ensure(by_the_mesh, || format!("{what}: answered {status}, but not by the mesh"))?;
        ensure(status == expected, || format!("{what}: the mesh answered {status}, not {expected}"))?;
        details.push(format!("{what}: {status}"));
    }
    Ok(Seen { headline: format!("POST {url}"), details })
}

/// The status, and whether the mesh itself gave it.
async fn answer_to(stack: &Stack, url: &str, headers: HeaderMap) -> Result<(u16, bool), Failure> {
    let body = serde_json::json!({"opportunityIds": []});
    let response = stack.http.post(url).headers(headers).json(&body).send().await?;
    Ok((response.status().as_u16(), response.headers().contains_key(MESH_MARKER)))
}
