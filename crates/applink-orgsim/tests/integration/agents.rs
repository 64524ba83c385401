//! Agents: topics, actions, and who sees what.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::support::TestOrg;
use super::support::app::App;
use super::support::package::Package;

const DOCUMENT: &str = r#"
openapi: 3.0.3
info: {title: Returns, version: 1.0.0}
x-sfdc: {agent: {topic: {name: Returns, classificationDescription: Goods sent back., scope: Look up., instructions: [Ask first.]}}}
paths:
  /api/provision:
    post:
      operationId: openReturn
      description: Opens a return.
      x-sfdc: {agent: {action: {publishAsAgentAction: true}}, privacy: {isPii: true}}
      requestBody:
        required: true
        content:
          application/json:
            schema:
              type: object
              required: [order]
              properties:
                order: {type: string, x-sfdc: {agent: {action: {isUserInput: true}}}}
                channel: {type: string, x-sfdc: {agent: {action: {isUserInput: false}}}}
      responses:
        "201":
          description: Opened.
          content:
            application/json:
              schema:
                type: object
                properties:
                  jobId: {type: string, x-sfdc: {agent: {action: {isDisplayable: true}}}}
                  note: {type: string}
                  receivedAt:
                    type: string
                    x-sfdc: {agent: {action: {isDisplayable: true}}, privacy: {isPii: true}}
  /other:
    get: {operationId: other, responses: {"200": {description: ok}}}
"#;

async fn published() -> (TestOrg, App) {
    let (org, app) = (TestOrg::start().await, App::start().await);
    let access = "<externalCredentialPrincipalAccesses><enabled>true</enabled><externalCredentialPrincipal>Returns-Principal\
        </externalCredentialPrincipal></externalCredentialPrincipalAccesses><hasActivationRequired>false</hasActivationRequired>";
    let package = Package::new()
        .external_credential("Returns")
        .named_credential("Returns", &app.url)
        .permission_set("Returns", access)
        .registration("Returns", DOCUMENT, &["openReturn", "other"]);
    let result = org.deploy("admin", &package).await;
    assert_eq!(result["status"], "Succeeded", "{result}");
    org.assign("Returns", "sales").await;
    (org, app)
}

#[tokio::test]
async fn topics_and_actions_are_listed() {
    let (org, _app) = published().await;
    let listed = org.sim("/_sim/agents").await;
    let service = &listed[0];
    assert_eq!((&service["service"], &service["topic"]["name"]), (&json!("Returns"), &json!("Returns")));
    let actions = service["actions"].as_array().unwrap();
    assert_eq!(actions.len(), 1, "{service}");
    assert_eq!(actions[0]["reference"], "Returns.openReturn");
    assert_eq!(
        actions[0]["inputs"],
        json!([{"name": "order", "is_user_input": true}, {"name": "channel", "is_user_input": false}])
    );
}

#[tokio::test]
async fn an_agent_takes_from_the_person_and_shows_only_what_it_may() {
    let (org, app) = published().await;
    let ask = |person: Value| {
        json!({"service": "Returns", "action": "openReturn", "as": org.username("sales"), "person": person,
            "agent": {"channel": "chat"}})
    };
    let (status, answer) = org.sim_post("/_sim/agents/run", &ask(json!({"order": "4711"}))).await;
    assert_eq!((status, &answer["status"]), (StatusCode::OK, &json!(201)), "{answer}");
    assert_eq!(answer["shown"], json!({"jobId": "j1"}));
    assert_eq!(answer["asked"], json!({"order": "•••"}), "the operation's queries hold personal data");
    assert_eq!(app.last().body, json!({"order": "4711", "channel": "chat"}));

    let (status, answer) =
        org.sim_post("/_sim/agents/run", &ask(json!({"order": "1", "channel": "x"}))).await;
    assert_eq!(
        (status, &answer["error"]),
        (StatusCode::BAD_REQUEST, &json!("invalid_arguments")),
        "{answer}"
    );
    let unknown = json!({"service": "Returns", "action": "other", "as": org.username("sales")});
    let (status, answer) = org.sim_post("/_sim/agents/run", &unknown).await;
    assert_eq!((status, &answer["error"]), (StatusCode::NOT_FOUND, &json!("unknown_operation")), "{answer}");
    // The intern lacks the permission set, for agents as for anybody.
    let intern = json!({"service": "Returns", "action": "openReturn", "as": org.username("intern"), "person": {"order": "1"}});
    assert_ne!(org.sim_post("/_sim/agents/run", &intern).await.0, StatusCode::OK);
}

#[tokio::test]
async fn what_an_agent_may_not_show_is_withheld_and_personal_data_is_masked() {
    let (org, app) = published().await;
    let listed = org.sim("/_sim/agents").await;
    assert_eq!(
        listed[0]["actions"][0]["outputs"],
        json!([
            {"name": "jobId", "is_displayable": true, "is_pii": false},
            {"name": "note", "is_displayable": false, "is_pii": false},
            {"name": "receivedAt", "is_displayable": true, "is_pii": true},
        ])
    );
    app.says(
        json!({"jobId": "j1", "note": "not for you", "receivedAt": "Main Street 1", "more": "undeclared"}),
    );
    let ask = json!({"service": "Returns", "action": "openReturn", "as": org.username("sales"),
        "person": {"order": "4711"}});
    let (status, answer) = org.sim_post("/_sim/agents/run", &ask).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(answer["shown"], json!({"jobId": "j1", "receivedAt": "•••"}));
    let mut withheld: Vec<&str> =
        answer["withheld"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    withheld.sort_unstable();
    assert_eq!(withheld, ["more", "note"]);
    let text = answer.to_string();
    assert!(["not for you", "Main Street", "undeclared"].iter().all(|kept| !text.contains(kept)), "{text}");
}

#[tokio::test]
async fn an_agents_arguments_are_checked_against_the_document_like_flows_and_apexs() {
    let (org, app) = published().await;
    for (person, agent, words) in [
        (json!({"order": 4711}), json!({}), "body.order: expected string"),
        (json!({"order": "1"}), json!({"channel": ["chat"]}), "body.channel: expected string"),
        (json!({}), json!({"channel": "chat"}), "body.order: the property is required"),
    ] {
        let ask = json!({"service": "Returns", "action": "openReturn", "as": org.username("sales"),
            "person": person, "agent": agent});
        let (status, answer) = org.sim_post("/_sim/agents/run", &ask).await;
        assert_eq!(
            (status, &answer["error"]),
            (StatusCode::BAD_REQUEST, &json!("invalid_arguments")),
            "{answer}"
        );
        assert!(answer["detail"].as_str().unwrap().starts_with(words), "{answer}");
    }
    assert!(app.calls().is_empty(), "nothing is sent");
}
