//! Step 4: the app's OpenAPI document becomes a service in the org, and the sales user gets its permission sets.

use applink_api::client::Package;
use applink_api::publication::{PERMISSION_SET_XML, PublishRequest, SPEC_YAML};

use super::{Failure, Seen, ensure};
use crate::dev::stack::{CONNECTION, PERMISSION_SET, SERVICE, Stack};

pub(super) async fn walk(stack: &Stack, broken: bool) -> Result<Seen, Failure> {
    let spec = provisioning_service::API_SPEC;
    let spec = if broken { spec.replace("operationId:", "x-operation:") } else { spec.to_owned() };
    let permission_set = provisioning_service::PERMISSION_SET_XML.as_bytes().to_vec();
    let files = [(SPEC_YAML, spec.into_bytes()), (PERMISSION_SET_XML, permission_set)];
    let zip = crate::publish_dir::zipped(&files).map_err(|error| Failure::because(&error))?;
    let request = PublishRequest { client_name: SERVICE.to_owned(), ..PublishRequest::default() };
    let client = stack.client()?;
    let published = client.publications().publish(CONNECTION, &Package { request, zip }).await?;
    let publication =
        published.first().ok_or_else(|| Failure::new("the control plane named no publication"))?;
    ensure(publication.components.iter().all(|component| component.success), || {
        "the org did not take every component".to_owned()
    })?;
    let mut details: Vec<String> = publication
        .components
        .iter()
        .map(|component| format!("{} {}", component.kind, component.name))
        .collect();
    for permission_set in [SERVICE, PERMISSION_SET] {
        stack.sim.assign(permission_set, stack.username("sales")).await?;
    }
    details.push(format!("{SERVICE} and {PERMISSION_SET} assigned to {}", stack.username("sales")));
    Ok(Seen { headline: format!("{SERVICE} in {CONNECTION}, made in the org:"), details })
}
