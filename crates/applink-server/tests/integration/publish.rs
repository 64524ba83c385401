//! `POST` and `GET /addons/{addon}/connections/salesforce/{connection}/apps`, against a scripted org.

use std::io::{Cursor, Write};
use std::time::Duration;

use applink_api::publication::PublishRequest;
use serde_json::{Value, json};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::publishing_stack::{Answer, Publishing};
use crate::scripted_org::Take;

const SPEC: &str = include_str!("../../../applink-publish/tests/fixtures/specs/callbacks.yaml");
const WITH_CLIENT_APP: &str =
    include_str!("../../../applink-publish/tests/fixtures/specs/user-plus-eca.yaml");
const USER_PLUS: &str = include_str!("../../../applink-publish/tests/fixtures/specs/connected-app.yaml");

pub(crate) fn zip_of(files: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(content.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

pub(crate) fn yaml(spec: &str) -> Vec<u8> {
    zip_of(&[("api-spec.yaml", spec)])
}

pub(crate) fn named(client: &str) -> PublishRequest {
    PublishRequest { client_name: client.to_owned(), ..PublishRequest::default() }
}

fn message(answer: &Answer) -> &str {
    answer.body["message"].as_str().unwrap()
}

#[tokio::test]
async fn an_app_is_published_and_listed() {
    let stack = Publishing::start().await;
    let answer = stack.publish(yaml(SPEC), &named("Reports")).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let publication = &answer.body[0];
    assert_eq!(publication["esr_name"], "Reports");
    assert_eq!(publication["esr_id"], "0xSB00000000001");
    assert_eq!(publication["org_id"], "00DSB00000VAyPF2A1");
    assert_eq!(publication["connection_name"], "production-org");
    assert_eq!(publication["heroku_applink_id"], stack.addon.to_string());
    let components: Vec<String> = publication["components"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| format!("{} {} {} {}", one["type"], one["name"], one["success"], one["created"]))
        .collect();
    assert_eq!(
        components,
        [
            "\"ExternalCredential\" \"Reports\" true true",
            "\"ExternalServiceRegistration\" \"Reports\" true true",
            "\"NamedCredential\" \"Reports\" true true",
            "\"PermissionSet\" \"Reports\" true true",
        ]
    );
    let listed = stack.publications().await;
    assert_eq!((listed.status, &listed.body), (200, &answer.body));
    let sent = stack.org.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].paths()[0], "package.xml");
    let credential = sent[0].file("namedCredentials/Reports.namedCredential").unwrap();
    assert!(credential.contains("<parameterValue>https://reports.example.com</parameterValue>"));
}

#[tokio::test]
async fn publishing_again_updates_in_place() {
    let stack = Publishing::start().await;
    let first = stack.publish(yaml(SPEC), &named("Reports")).await;
    stack.clock.advance(Duration::from_secs(60));
    let second =
        stack.publish(yaml(&SPEC.replace("Builds a report", "Makes a report")), &named("Reports")).await;
    assert_eq!((first.status, second.status), (201, 201), "{}", second.body);
    let (before, after) = (&first.body[0], &second.body[0]);
    assert_eq!((&before["esr_id"], &before["created_at"]), (&after["esr_id"], &after["created_at"]));
    assert_ne!(before["last_modified_at"], after["last_modified_at"]);
    assert_eq!(stack.publications().await.body.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_org_is_asked_until_the_deploy_is_done() {
    let stack = Publishing::start().await;
    stack.org.done_after(2);
    assert_eq!(stack.publish(yaml(SPEC), &named("Reports")).await.status, 201);
}

#[tokio::test]
async fn the_orgs_refusals_come_back_with_the_lines_of_the_document() {
    let stack = Publishing::start().await;
    stack.org.takes([Take::Fail(vec![
        (
            "ExternalServiceRegistration",
            "Credit",
            "The operation checkCredit uses a media type that is not supported.",
        ),
        ("PermissionSet", "CreditPermissions", "no CustomObject named Account__x found"),
        ("NamedCredential", "Credit", "The URL is not allowed."),
    ])]);
    let answer = stack.publish(yaml(USER_PLUS), &named("Credit")).await;
    assert_eq!((answer.status, answer.body["id"].as_str()), (422, Some("deploy_failed")));
    assert_eq!(
        message(&answer),
        "The org refused the package: ExternalServiceRegistration Credit: The operation checkCredit uses a media type \
         that is not supported. (api-spec.yaml:5:5) (and 2 more)"
    );
    let lines: Vec<&Value> =
        answer.body["problems"].as_array().unwrap().iter().map(|one| &one["line"]).collect();
    assert_eq!(lines, [&json!(5), &Value::Null, &json!(15)]);
    assert_eq!(stack.publications().await.body, json!([]));
}

#[tokio::test]
async fn a_failed_republish_leaves_what_was_published() {
    let stack = Publishing::start().await;
    let first = stack.publish(yaml(SPEC), &named("Reports")).await;
    stack.org.takes([Take::Fail(vec![("ExternalServiceRegistration", "Reports", "no")])]);
    assert_eq!(stack.publish(yaml(&SPEC.replace("Builds", "Breaks")), &named("Reports")).await.status, 422);
    assert_eq!(stack.publications().await.body, first.body);
}

#[tokio::test]
async fn a_document_that_cannot_be_published_is_refused_before_the_org_is_called() {
    let stack = Publishing::start().await;
    let connected = stack.org.connected();
    for (spec, place) in [
        ("openapi: 3.0.3\npaths: {\n", "api-spec.yaml:"),
        ("openapi: 3.2.0\npaths: {}\n", "api-spec.yaml:1:10:"),
        (
            "openapi: 3.0.3\npaths:\n  /a:\n    get: {}\n",
            "api-spec.yaml:4:5: this operation has no `operationId`",
        ),
    ] {
        let answer = stack.publish(yaml(spec), &named("Reports")).await;
        assert_eq!(
            (answer.status, answer.body["id"].as_str()),
            (422, Some("spec_invalid")),
            "{}",
            answer.body
        );
        assert!(message(&answer).starts_with(place), "{}", message(&answer));
        assert!(answer.body["problems"][0]["line"].is_u64());
    }
    assert_eq!((stack.org.connected(), stack.org.sent().len()), (connected, 0));
}

#[tokio::test]
async fn a_bad_upload_names_what_is_wrong() {
    let stack = Publishing::start().await;
    let cases = [
        (yaml(SPEC), named("9lives"), "`9lives` is not a valid client name: it becomes an Apex class"),
        (zip_of(&[]), named("Reports"), "the zip archive holds no OpenAPI document"),
        (b"not a zip".to_vec(), named("Reports"), "the part `metadata` is not a readable zip archive"),
        (
            zip_of(&[("../api-spec.yaml", SPEC)]),
            named("Reports"),
            "`../api-spec.yaml` is not a safe file name",
        ),
    ];
    for (archive, request, expected) in cases {
        let answer = stack.publish(archive, &request).await;
        assert_eq!(answer.status, 422, "{}", answer.body);
        assert!(message(&answer).starts_with(expected), "{}", message(&answer));
    }
    let only_zip = stack.post_parts(vec![("metadata", "application/zip", yaml(SPEC))]).await;
    assert_eq!((only_zip.status, message(&only_zip).contains("`app_request`")), (422, true));
    let unreadable = vec![
        ("app_request", "application/json", b"{\"client_name\": 1}".to_vec()),
        ("metadata", "application/zip", yaml(SPEC)),
    ];
    let unreadable = stack.post_parts(unreadable).await;
    assert_eq!(
        (unreadable.status, message(&unreadable).contains("$.client_name")),
        (422, true),
        "{}",
        unreadable.body
    );
    let unknown = stack.post_parts(vec![("other", "text/plain", b"x".to_vec())]).await;
    assert_eq!((unknown.status, message(&unknown).contains("`other`")), (422, true));
    assert!(stack.org.sent().is_empty());
}

#[tokio::test]
async fn flags_and_files_follow_the_precedence() {
    let stack = Publishing::start().await;
    let both =
        PublishRequest { authorization_permission_set_name: Some("Elevated".to_owned()), ..named("Credit") };
    let xml = "<PermissionSet xmlns=\"http://soap.sforce.com/2006/04/metadata\"><label>Given</label></PermissionSet>";
    let archive = zip_of(&[("api-spec.yaml", USER_PLUS), ("permissionset-meta.xml", xml)]);
    let answer = stack.publish(archive.clone(), &both).await;
    assert_eq!(answer.status, 422);
    assert!(message(&answer).contains("by file and by flag"), "{}", message(&answer));

    assert_eq!(stack.publish(archive, &named("Credit")).await.status, 201);
    let sent = stack.org.sent();
    let set = sent[0].file("permissionsets/CreditPermissions.permissionset").unwrap();
    assert!(
        set.contains("<label>Given</label>")
            && set.contains("<hasActivationRequired>true</hasActivationRequired>")
    );
}

#[tokio::test]
async fn a_set_of_the_org_that_is_not_session_based_is_a_finding() {
    let stack = Publishing::start().await;
    stack.org.has_permission_set("CreditPermissions", false);
    let answer = stack.publish(yaml(USER_PLUS), &named("Credit")).await;
    assert_eq!(answer.status, 422);
    assert!(
        message(&answer).starts_with("api-spec.yaml:15:28: the org has a permission set `CreditPermissions`"),
        "{}",
        message(&answer)
    );
}

#[tokio::test]
async fn rights_the_connections_user_lacks_are_named_before_anything_is_sent() {
    for (lacking, spec, named_right) in [
        (vec!["PermissionsManageHerokuAppLink"], SPEC, "\"Manage Heroku AppLink\""),
        (vec!["PermissionsCustomizeApplication"], SPEC, "\"Customize Application\""),
        (
            vec!["PermissionsModifyAllData", "PermissionsExternalClientAppAdmin"],
            WITH_CLIENT_APP,
            "\"Modify All Data or Manage External Client Apps\"",
        ),
    ] {
        let stack = Publishing::start().await;
        for right in &lacking {
            stack.org.takes_away(right);
        }
        let answer = stack.publish(yaml(spec), &named("Reports")).await;
        assert_eq!(
            (answer.status, answer.body["id"].as_str()),
            (422, Some("spec_invalid")),
            "{}",
            answer.body
        );
        assert!(answer.body.to_string().contains(&named_right.replace('"', "\\\"")), "{}", answer.body);
        assert!(stack.org.sent().is_empty());
    }
    // Who may do the one may make client apps without the other, and who makes none needs neither.
    let stack = Publishing::start().await;
    for right in ["PermissionsModifyAllData", "PermissionsExternalClientAppAdmin"] {
        stack.org.takes_away(right);
    }
    assert_eq!(stack.publish(yaml(SPEC), &named("Reports")).await.status, 201);
    assert_eq!(stack.org.sent().len(), 1);
}

#[tokio::test]
async fn somebody_elses_registration_is_left_alone() {
    let stack = Publishing::start().await;
    stack.org.has_registration("Made by hand");
    let answer = stack.publish(yaml(SPEC), &named("Reports")).await;
    assert_eq!(answer.status, 422);
    assert!(
        message(&answer).contains("the org already has an external service `Reports`"),
        "{}",
        message(&answer)
    );
    assert!(stack.org.sent().is_empty());
}

#[tokio::test]
async fn unknown_connections_are_404_and_those_not_connected_409() {
    let stack = Publishing::start().await;
    assert_eq!(stack.publish_through("nowhere", yaml(SPEC), &named("Reports")).await.status, 404);
    stack.disconnect().await;
    let answer = stack.publish(yaml(SPEC), &named("Reports")).await;
    assert_eq!(answer.status, 409, "{}", answer.body);
    assert!(message(&answer).contains("salesforce:connect production-org"), "{}", message(&answer));
}

#[tokio::test]
async fn an_app_without_a_url_is_told_how_to_set_one() {
    let stack = Publishing::without_app_url().await;
    let answer = stack.publish(yaml(SPEC), &named("Reports")).await;
    assert_eq!(
        (answer.status, answer.body["id"].as_str()),
        (422, Some("app_url_missing")),
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn a_refused_session_is_replaced() {
    let stack = Publishing::start().await;
    stack.org.refuse_sessions(1);
    let answer = stack.publish(yaml(SPEC), &named("Reports")).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
}

#[tokio::test]
async fn an_org_that_refuses_the_request_says_why() {
    let stack = Publishing::start().await;
    let text = "This user may not deploy metadata";
    stack.org.takes([Take::Refuse(http::StatusCode::FORBIDDEN, "INSUFFICIENT_ACCESS", text)]);
    let answer = stack.publish(yaml(SPEC), &named("Reports")).await;
    assert_eq!(answer.status, 422, "{}", answer.body);
    assert!(message(&answer).contains(text), "{}", message(&answer));
}

#[tokio::test]
async fn a_lost_answer_is_settled_by_asking_and_the_package_is_not_sent_twice() {
    let stack = Publishing::start().await;
    stack.org.takes([Take::DeploySilently]);
    let answer = stack.publish(yaml(SPEC), &named("Reports")).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert_eq!(stack.org.sent().len(), 1);
    assert_eq!(answer.body[0]["esr_id"], "0xSB00000000001");
    assert_eq!(answer.body[0]["components"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn a_lost_package_is_sent_again_once_the_org_surely_has_nothing_of_it() {
    let stack = Publishing::start().await;
    stack.org.takes([Take::LoseSilently]);
    let request = named("Reports");
    let publishing = stack.publish(yaml(SPEC), &request);
    // The org may show a deploy late: only then is it settled that there is none.
    let later = async {
        stack.org.package_arrived().await;
        stack.clock.advance(Duration::from_secs(6));
    };
    let (answer, ()) = tokio::join!(publishing, later);
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert_eq!(stack.org.sent().len(), 2);
}

#[tokio::test]
async fn a_server_killed_while_sending_is_continued_by_the_next_one() {
    for (take, packages) in [(Take::DeployAndHang, 1), (Take::LoseAndHang, 2)] {
        let mut stack = Publishing::start().await;
        stack.org.takes([take]);
        stack.publish_and_kill(yaml(SPEC), &named("Reports")).await;
        // Past the dead server's lease and the time an org may take to show a deploy.
        stack.clock.advance(Duration::from_secs(120));
        stack.restart().await;
        let listed = stack.publications_when_there().await;
        assert_eq!(listed.body[0]["esr_name"], "Reports");
        assert_eq!(stack.org.sent().len(), packages);
    }
}

#[tokio::test]
async fn what_the_org_finished_while_no_server_ran_is_published_however_late() {
    let mut stack = Publishing::start().await;
    stack.org.takes([Take::DeployAndHang]);
    stack.publish_and_kill(yaml(SPEC), &named("Reports")).await;
    stack.clock.advance(Duration::from_secs(31 * 60));
    stack.restart().await;
    assert_eq!(stack.publications_when_there().await.body[0]["esr_name"], "Reports");
    assert_eq!(stack.org.sent().len(), 1);
}

const OTHER_ORG: &str = "00DSG00000DGEIr2AP";

#[tokio::test]
async fn a_package_for_one_org_is_not_sent_to_the_one_connected_next() {
    let mut stack = Publishing::start().await;
    stack.org.takes([Take::LoseAndHang]);
    stack.publish_and_kill(yaml(SPEC), &named("Reports")).await;
    stack.restart_by_hand().await;
    stack.disconnect().await;
    stack.reconcile("grants").await;
    stack.org.becomes(OTHER_ORG);
    stack.connect().await;
    for _ in 0..4 {
        stack.clock.advance(Duration::from_secs(120));
        stack.reconcile("publications").await;
    }
    assert_eq!(stack.org.sent().len(), 1, "only the package that was lost");
    assert_eq!(stack.publications().await.body, json!([]));
}

#[tokio::test]
async fn a_connection_that_changes_orgs_while_a_package_is_made_is_409() {
    let stack = Publishing::start().await;
    let told = stack.org.holds_a_question();
    let request = named("Reports");
    let meanwhile = async {
        stack.org.package_arrived().await;
        stack.disconnect().await;
        told.notify_one();
    };
    let (answer, ()) = tokio::join!(stack.publish(yaml(SPEC), &request), meanwhile);
    assert_eq!(answer.status, 409, "{}", answer.body);
    assert!(stack.org.sent().is_empty());
}
