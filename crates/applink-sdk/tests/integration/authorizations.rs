//! Stored users: what is asked of the AppLink API, and what its refusals become.

use applink_sdk::{AppLink, Error};

use crate::stub::{APP, ORG_ID, Stub, applink, authorization, env, json, rows};

#[tokio::test]
async fn is_asked_for_once_with_the_add_on_token() {
    let org = Stub::start(|_| rows("")).await;
    let answer = authorization(&org, "00D!one");
    let api = Stub::start(move |_| json(200, answer.clone())).await;
    let applink = applink(&api);
    let first = applink.authorization("portal").await.unwrap();
    let second = applink.authorization("portal").await.unwrap();
    assert_eq!(second.id(), "b8bc7bcb-89c3-45c0-b7b7-4fb4427e598a");
    assert_eq!((first.developer_name().as_str(), first.status()), ("portal", "authorized"));
    assert_eq!(first.created_at(), "2025-03-06T18:20:42.226577Z");
    let (org, user) = (first.org(), first.org().user());
    assert_eq!((org.id().as_str(), org.api_version().as_str()), (ORG_ID, "66.0"));
    assert_eq!(user.username, "integration@acme.example");
    let asked = api.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].line, "GET /addons/1530f4b5-c63a-4221-b28c-bc9602119605/authorizations/portal");
    assert_eq!(asked[0].bearer(), "tok-default");
    assert_eq!(asked[0].headers["x-app-uuid"], APP);
    assert!(asked[0].headers.contains_key("x-request-id"));
    assert!(asked[0].headers["user-agent"].to_str().unwrap().starts_with("applink-sdk/"));
}

#[tokio::test]
async fn a_name_is_one_segment_of_the_path() {
    let api = Stub::start(|_| json(404, r#"{"id":"record_not_found","message":"record not found","title":"Record not found","detail":"record not found","status":404}"#)).await;
    for name in ["applink:my org/ü", "../x"] {
        let error = applink(&api).authorization(name).await.unwrap_err();
        let Error::AppLink { source, .. } = &error else { panic!("{error:?}") };
        assert!(source.is_not_found(), "{source}");
        assert_eq!(error.to_string(), format!("the authorization {name} could not be read"));
    }
    assert_eq!(
        api.lines(),
        [
            "GET /addons/1530f4b5-c63a-4221-b28c-bc9602119605/authorizations/applink%3Amy%20org%2F%C3%BC",
            "GET /addons/1530f4b5-c63a-4221-b28c-bc9602119605/authorizations/..%2Fx",
        ]
    );
    assert!(applink(&api).authorization("..").await.is_err());
    assert!(applink(&api).authorization("").await.is_err());
    assert!(api.lines().is_empty());
}

#[tokio::test]
async fn one_without_a_token_says_what_to_do() {
    let waiting = r#"{"id":"b8bc7bcb-89c3-45c0-b7b7-4fb4427e598a","status":"authorizing",
        "org":{"id":"","developer_name":"portal","instance_url":"","type":"SalesforceOrg"},
        "created_at":"2025-03-06T18:20:42.226577Z","created_by":"a@b.c","last_modified_at":"2025-03-06T18:20:42.226577Z"}"#;
    let api = Stub::start(move |_| json(200, waiting)).await;
    let error = applink(&api).authorization("portal").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the authorization portal is authorizing: authorize it again with applink salesforce:authorizations:add portal"
    );
}

#[tokio::test]
async fn an_org_url_a_token_may_not_go_to_is_refused() {
    for url in ["http://acme.example", "ftp://acme.example", "https://u:p@acme.my.salesforce.com"] {
        let answer = crate::stub::authorization_of(url, ORG_ID, "00D!one");
        let api = Stub::start(move |_| json(200, answer.clone())).await;
        let error = applink(&api).authorization("portal").await.unwrap_err();
        assert!(matches!(error, Error::OrgUrl(_)), "{url}: {error:?}");
    }
}

#[tokio::test]
async fn another_attachment_has_its_own_users() {
    let org = Stub::start(|_| rows("")).await;
    let (default, blue) = (authorization(&org, "00D!default"), authorization(&org, "00D!blue"));
    let api = Stub::start(move |_| json(200, default.clone())).await;
    let blue_api = Stub::start(move |_| json(200, blue.clone())).await;
    let mut variables = env(&api);
    variables.push(("HEROKU_APPLINK_BLUE_API_URL".to_owned(), format!("{}/addons/blue-addon", blue_api.url)));
    variables.push(("HEROKU_APPLINK_BLUE_TOKEN".to_owned(), "tok-blue".to_owned()));
    for name in ["blue", "blue-addon"] {
        let named = AppLink::from(variables.clone(), Some(name)).unwrap();
        named.authorization("portal").await.unwrap();
        assert_eq!(blue_api.asked()[0].bearer(), "tok-blue", "{name}");
    }
    assert!(AppLink::from(variables, Some("green")).is_err());
    assert!(api.asked().is_empty());
}
