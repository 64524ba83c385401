//! What deploys leave in the org, as rows: the sObjects by which a publisher finds its own work again. They are
//! views over the components and deployments; only a deploy changes them.

use super::{Access, Declaration, Field, SObject};

/// Whoever may look at the set-up, or publishes.
const SEE: &[&str] = &["ViewSetup", "CustomizeApplication", "ManageHerokuAppLink"];

pub(super) fn objects() -> Vec<SObject> {
    vec![
        external_service_registration(),
        external_client_application(),
        connected_application(),
        deploy_request(),
    ]
}

fn read_only(declaration: Declaration) -> Declaration {
    declaration.access(Access::Setup { read: SEE, own: None, write: &[] })
}

fn text(name: &str) -> Field {
    Field::text(name, 255).read_only().system()
}

fn external_service_registration() -> SObject {
    let view = "(SELECT id AS \"Id\", full_name AS \"DeveloperName\", \
         json_extract(definition, '$.ExternalServiceRegistration.label') AS \"MasterLabel\", \
         json_extract(definition, '$.ExternalServiceRegistration.description') AS \"Description\", \
         json_extract(definition, '$.ExternalServiceRegistration.status') AS \"Status\" \
         FROM _component WHERE type = 'ExternalServiceRegistration')";
    read_only(Declaration::new(
        "ExternalServiceRegistration",
        "External Service Registration",
        "External Service Registrations",
        "0xS",
    ))
    .view(view.to_owned())
    .bare_fields(vec![text("DeveloperName"), text("MasterLabel"), text("Description"), text("Status")])
}

fn external_client_application() -> SObject {
    let view = "(SELECT id AS \"Id\", full_name AS \"DeveloperName\" \
         FROM _component WHERE type = 'ExternalClientApplication')";
    read_only(Declaration::new(
        "ExternalClientApplication",
        "External Client Application",
        "External Client Applications",
        "0xI",
    ))
    .view(view.to_owned())
    .bare_fields(vec![text("DeveloperName")])
}

fn connected_application() -> SObject {
    let view = "(SELECT id AS \"Id\", full_name AS \"Name\" FROM _component WHERE type = 'ConnectedApp')";
    read_only(Declaration::new("ConnectedApplication", "Connected App", "Connected Apps", "0H4"))
        .view(view.to_owned())
        .bare_fields(vec![text("Name")])
}

fn deploy_request() -> SObject {
    let view = "(SELECT id AS \"Id\", status AS \"Status\" FROM _deployment)";
    read_only(Declaration::new("DeployRequest", "Deploy Request", "Deploy Requests", "0Af"))
        .view(view.to_owned())
        .bare_fields(vec![text("Status")])
}
