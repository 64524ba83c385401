//! Add-ons and attachments from the first to the last call of the CLI.

use applink_server::audit::Actor;
use applink_server::platform::{addons, people};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Platform, assert_has};

#[tokio::test]
async fn an_add_on_is_provisioned_in_the_background() {
    let platform = Platform::start().await;
    let body = json!({"attachment": {}, "config": {}, "plan": {"name": "heroku-applink"}});
    let made = platform.post("/apps/platform-app/addons", body).await;
    assert_eq!(made["state"], json!("provisioning"));
    assert_has(&made, &["id", "name", "app.name", "addon_service.name", "plan.name", "created_at"]);
    assert_eq!(
        made["plan"]["price"],
        json!({"cents": 0, "contract": false, "metered": false, "unit": "month"})
    );
    assert_eq!(made["billed_price"]["cents"], json!(0));
    assert_eq!(made["config_vars"], json!(["HEROKU_APPLINK_API_URL", "HEROKU_APPLINK_TOKEN"]));
    assert_eq!(
        platform.get("/apps/platform-app/config-vars").await,
        json!({}),
        "none before it is provisioned"
    );

    platform.stack.reconcile("platform add-ons").await;
    let path = format!("/apps/platform-app/addons/{}", made["name"].as_str().unwrap());
    assert_eq!(platform.get(&path).await["state"], json!("provisioned"));
    let vars = platform.get("/apps/platform-app/config-vars").await;
    let api_url = vars["HEROKU_APPLINK_API_URL"].as_str().unwrap();
    assert!(api_url.ends_with(made["id"].as_str().unwrap()), "{api_url}");
    assert_connections(&platform, &vars, "HEROKU_APPLINK", 200).await;

    platform.stack.reconcile("platform add-ons").await;
    assert_eq!(platform.get("/apps/platform-app/config-vars").await, vars, "done once");
}

/// Uses the token as the app would.
async fn assert_connections(platform: &Platform, vars: &Value, prefix: &str, status: u16) {
    let var = |name: &str| vars[format!("{prefix}_{name}")].as_str().unwrap().to_owned();
    let path = var("API_URL").strip_prefix(platform.stack.server.url()).unwrap().to_owned();
    let bearer = format!("Bearer {}", var("TOKEN"));
    let headers = [("authorization", bearer.as_str())];
    let answer = platform.stack.send(Method::GET, &format!("{path}/connections"), &headers, None).await;
    assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
}

#[tokio::test]
async fn what_cannot_be_provisioned_says_why() {
    let platform = Platform::start().await;
    let path = "/apps/platform-app/addons";
    let post = async |body: Value| platform.owner(Method::POST, path, Some(&body)).await;
    let refused = post(json!({"plan": {"name": "heroku-postgresql"}})).await;
    refused.expect_error(404, "not_found");
    post(json!({"plan": {}})).await.expect(422);
    post(json!({"plan": "heroku-applink", "name": "Bad Name"})).await.expect(422);
    post(json!({"plan": "heroku-applink", "attachment": {"name": "bad-name"}})).await.expect(422);
    assert_eq!(platform.get(path).await, json!([]), "nothing was stored");
    post(json!({"plan": "heroku-applink:local", "name": "mine", "attachment": {"name": "mine"}}))
        .await
        .expect(201);
    post(json!({"plan": "heroku-applink", "name": "mine"})).await.expect_error(409, "conflict");
    let second = post(json!({"plan": "heroku-applink", "attachment": {"name": "MINE"}})).await;
    second.expect_error(409, "conflict");
    assert_eq!(platform.get(path).await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn attachments_share_the_add_on_with_a_token_each() {
    let platform = Platform::start().await;
    platform.post("/apps", json!({"name": "other-app"})).await;
    let addon = platform.addon("platform-app").await;
    let name = addon["name"].as_str().unwrap();
    assert_eq!(platform.get(&format!("/addons/{name}")).await["id"], addon["id"]);
    let body = json!({"addon": {"name": name}, "app": {"name": "other-app"}, "name": "attached_applink"});
    let made = platform.post("/addon-attachments", body.clone()).await;
    assert_has(&made, &["id", "created_at", "addon.id"]);
    assert_eq!(made["name"], json!("ATTACHED_APPLINK"));
    assert_eq!(
        (&made["app"]["name"], &made["addon"]["app"]["name"]),
        (&json!("other-app"), &json!("platform-app"))
    );
    platform.owner(Method::POST, "/addon-attachments", Some(&body)).await.expect_error(409, "conflict");
    let vars = platform.get("/apps/other-app/config-vars").await;
    assert_connections(&platform, &vars, "ATTACHED_APPLINK", 200).await;
    assert_ne!(
        vars["ATTACHED_APPLINK_TOKEN"],
        platform.get("/apps/platform-app/config-vars").await["HEROKU_APPLINK_TOKEN"]
    );
    let protected = json!({"ATTACHED_APPLINK_TOKEN": "mine"});
    let refused = platform.owner(Method::PATCH, "/apps/other-app/config-vars", Some(&protected)).await;
    refused.expect_error(422, "invalid_params");

    let ids =
        |list: Value| list.as_array().unwrap().iter().map(|row| row["name"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(platform.get(&format!("/addons/{name}/addon-attachments")).await).len(), 2);
    assert_eq!(ids(platform.get("/addon-attachments").await).len(), 2);
    assert_eq!(ids(platform.get("/apps/other-app/addon-attachments").await), [json!("ATTACHED_APPLINK")]);
    assert_eq!(platform.get("/apps/other-app/addons").await[0]["app"]["name"], json!("platform-app"));

    let shown = platform.get("/apps/other-app/addon-attachments/ATTACHED_APPLINK").await;
    let path = format!("/addon-attachments/{}", shown["id"].as_str().unwrap());
    platform.owner(Method::DELETE, &path, None).await.expect(200);
    platform.owner(Method::GET, &path, None).await.expect(404);
    assert_connections(&platform, &vars, "ATTACHED_APPLINK", 401).await;
    let last = platform.get("/apps/platform-app/addon-attachments/HEROKU_APPLINK").await;
    let path = format!("/addon-attachments/{}", last["id"].as_str().unwrap());
    platform.owner(Method::DELETE, &path, None).await.expect_error(422, "invalid_params");
}

#[tokio::test]
async fn names_are_resolved_as_the_cli_asks() {
    let platform = Platform::start().await;
    let first = platform.addon("platform-app").await;
    let second = platform.addon("platform-app").await;
    let resolve = async |path: &str, body: Value| platform.owner(Method::POST, path, Some(&body)).await;
    let addons = "/actions/addons/resolve";
    for (named, app) in [
        (first["name"].clone(), Value::Null),
        (first["id"].clone(), json!("platform-app")),
        (json!("HEROKU_APPLINK"), json!("platform-app")),
        (json!("platform-app::HEROKU_APPLINK"), Value::Null),
    ] {
        let found = resolve(addons, json!({"addon": named, "app": app})).await.expect(200).json();
        assert_eq!(found, json!([first]), "{named}");
    }
    let both =
        resolve(addons, json!({"addon": "heroku-applink", "app": "platform-app"})).await.expect(200).json();
    assert_eq!(both.as_array().unwrap().len(), 2);
    let missing =
        resolve(addons, json!({"addon": "nothing", "app": "platform-app"})).await.expect(404).json();
    assert_eq!(missing["resource"], json!("add_on"));

    let attachments = "/actions/addon-attachments/resolve";
    let coloured = second["config_vars"][1].as_str().unwrap().strip_suffix("_TOKEN").unwrap().to_owned();
    assert!(coloured.starts_with("HEROKU_APPLINK_"), "{coloured}");
    let found = resolve(attachments, json!({"addon_attachment": coloured, "app": "platform-app"})).await;
    assert_eq!(found.expect(200).json()[0]["addon"]["id"], second["id"]);
    let by_service = json!({"addon_attachment": "heroku-applink", "app": "platform-app"});
    let missing = resolve(attachments, by_service).await.expect(404).json();
    assert_eq!(missing["resource"], json!("add_on attachment"), "the CLI then asks for an add-on");
}

#[tokio::test]
async fn a_destroyed_add_on_is_out_of_use_at_once_and_gone_without_grants() {
    let platform = Platform::start().await;
    let addon = platform.addon("platform-app").await;
    let vars = platform.get("/apps/platform-app/config-vars").await;
    let app = platform.get("/apps/platform-app").await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let path = format!("/apps/{}/addons/{}", text(&app["id"]), text(&addon["id"]));
    let gone = platform.owner(Method::DELETE, &path, Some(&json!({"force": false}))).await.expect(200).json();
    assert_eq!(gone["state"], json!("deprovisioned"));
    assert_connections(&platform, &vars, "HEROKU_APPLINK", 401).await;
    assert_eq!(platform.get("/apps/platform-app/config-vars").await, json!({}));
    assert_eq!(platform.get("/apps/platform-app/addons").await, json!([]));
    platform.owner(Method::GET, &path, None).await.expect(404);
    platform.owner(Method::DELETE, &path, None).await.expect(404);
}

#[tokio::test]
async fn it_is_gone_at_once_also_when_the_background_is_at_it_too() {
    let platform = Platform::start().await;
    for _ in 0..20 {
        let addon = platform.addon("platform-app").await;
        let path = format!("/apps/platform-app/addons/{}", addon["id"].as_str().unwrap());
        let background = async {
            for _ in 0..10 {
                platform.stack.reconcile("removals").await;
            }
        };
        let (gone, ()) = tokio::join!(platform.owner(Method::DELETE, &path, None), background);
        assert_eq!(gone.expect(200).json()["state"], json!("deprovisioned"));
    }
}

#[tokio::test]
async fn grants_are_revoked_at_the_org_before_an_add_on_is_erased() {
    let platform = Platform::start().await;
    let actor = Actor::system();
    let app = platform.stack.server.app();
    let owner = people::ensure(app, &actor, "owner@acme.example").await.unwrap();
    let token = platform.stack.tenant.token.clone().into();
    for _ in 0..2 {
        addons::adopt(app, &actor, &owner, &token).await.unwrap();
    }
    platform.stack.connect("prod").await;
    let addon = platform.stack.tenant.addon;
    let path = format!("/apps/my-app/addons/{addon}");
    let going = platform.owner(Method::DELETE, &path, None).await.expect(200).json();
    assert_eq!(going["state"], json!("deprovisioning"));
    assert_eq!(platform.get("/apps/my-app/addons").await, json!([]));
    assert_eq!(platform.get(&path).await["state"], json!("deprovisioning"), "the CLI polls this");
    platform.stack.reconcile("grants").await;
    platform.stack.advance(6);
    platform.stack.reconcile("removals").await;
    platform.owner(Method::GET, &path, None).await.expect(404);
}

#[tokio::test]
async fn attachments_share_connections_and_add_ons_on_one_app_do_not() {
    let platform = Platform::start().await;
    platform.post("/apps", json!({"name": "other-app"})).await;
    let first = platform.addon("platform-app").await;
    platform.addon("platform-app").await;
    let name = first["name"].as_str().unwrap();
    let body = json!({"addon": {"name": name}, "app": {"name": "other-app"}, "name": "SHARED"});
    platform.post("/addon-attachments", body).await;
    let sso = format!("/apps/platform-app/addons/{name}/sso");
    let blob = STANDARD.encode(platform.get(&sso).await.to_string());
    let own = platform.get("/apps/platform-app/config-vars").await;
    let prefix = first["config_vars"][1].as_str().unwrap().strip_suffix("_TOKEN").unwrap();
    let bearer = format!("Bearer {}", own[format!("{prefix}_TOKEN")].as_str().unwrap());
    let headers = [("authorization", bearer.as_str()), ("x-addon-sso", blob.as_str())];
    let path = format!("/addons/{}/connections/salesforce", first["id"].as_str().unwrap());
    let body = json!({"connection_name": "prod"});
    platform.stack.send(Method::POST, &path, &headers, Some(&body)).await.expect(202);

    let other = platform.get("/apps/other-app/config-vars").await;
    let mut seen = Vec::new();
    for vars in [&own, &other] {
        for (name, url) in vars.as_object().unwrap().iter().filter(|(name, _)| name.ends_with("_API_URL")) {
            let token = vars[name.replace("_API_URL", "_TOKEN")].as_str().unwrap();
            let bearer = format!("Bearer {token}");
            let path = url.as_str().unwrap().strip_prefix(platform.stack.server.url()).unwrap();
            let headers = [("authorization", bearer.as_str())];
            let list = platform.stack.send(Method::GET, &format!("{path}/connections"), &headers, None).await;
            seen.push((url.clone(), list.expect(200).json().as_array().unwrap().len()));
        }
    }
    let api_url = &own[format!("{prefix}_API_URL")];
    assert_eq!(seen.len(), 3);
    for (url, count) in seen {
        assert_eq!(count, usize::from(url == *api_url), "{url}");
    }
}

#[tokio::test]
async fn another_add_on_s_config_vars_are_overwritten_only_when_confirmed() {
    let platform = Platform::start().await;
    platform.post("/apps", json!({"name": "other-app"})).await;
    let first = platform.addon("platform-app").await;
    let second = platform.addon("platform-app").await;
    let attach = async |addon: &Value, confirm: Option<&str>| {
        let mut body =
            json!({"addon": {"name": addon["name"]}, "app": {"name": "other-app"}, "name": "HEROKU_APPLINK"});
        if let Some(confirm) = confirm {
            body["confirm"] = json!(confirm);
        }
        platform.owner(Method::POST, "/addon-attachments", Some(&body)).await
    };
    attach(&first, None).await.expect(201);
    attach(&first, Some("other-app")).await.expect_error(409, "conflict");
    let message = attach(&second, None).await.expect_error(423, "confirmation_required");
    assert!(message.contains(first["name"].as_str().unwrap()), "{message}");
    attach(&second, Some("platform-app")).await.expect_error(423, "confirmation_required");
    let made = attach(&second, Some("other-app")).await.expect(201).json();
    assert_eq!(made["addon"]["id"], second["id"]);
    let attached = platform.get("/apps/other-app/addon-attachments").await;
    assert_eq!(attached.as_array().unwrap().len(), 1, "{attached}");
    let vars = platform.get("/apps/other-app/config-vars").await;
    assert!(vars["HEROKU_APPLINK_API_URL"].as_str().unwrap().ends_with(second["id"].as_str().unwrap()));
}
