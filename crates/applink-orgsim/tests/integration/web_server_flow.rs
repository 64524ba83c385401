//! Signing in with a browser.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, CONTENT_SECURITY_POLICY, ORIGIN};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use url::Url;

use super::support::browser::{Browser, location, query};
use super::support::{CALLBACK, TestOrg, VERIFIER};

#[tokio::test]
async fn a_user_logs_in_allows_and_the_client_gets_tokens() {
    let org = TestOrg::start().await;
    let tokens = org.tokens_of("sales").await;
    let access = tokens["access_token"].as_str().unwrap();
    assert!(access.starts_with(&format!("{}!AQ", &org.org.org_id()[..15])));
    assert!(tokens["refresh_token"].as_str().unwrap().starts_with("5Aep"));
    assert_eq!(tokens["instance_url"], org.org.url());
    assert_eq!(tokens["token_type"], "Bearer");
    assert_eq!(tokens["issued_at"], "1790000000000");
    assert_eq!(tokens.get("expires_in"), None);
    let user_id = &org.user("sales").user_id;
    assert_eq!(tokens["id"], format!("{}/id/{}/{user_id}", org.org.url(), org.org.org_id()));

    let me: Value = org.get("/services/oauth2/userinfo", access).await.json().await.unwrap();
    assert_eq!(
        (&me["user_id"], &me["organization_id"]),
        (&user_id.as_str().into(), &org.org.org_id().into())
    );
    let identity: Value = org
        .http
        .get(tokens["id"].as_str().unwrap())
        .query(&[("oauth_token", access)])
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(identity["username"], org.username("sales"));
    assert!(identity["urls"]["rest"].as_str().unwrap().contains("v{version}"));
}

#[tokio::test]
async fn the_consent_page_says_each_scope_in_words() {
    let org = TestOrg::start().await;
    let mut browser = Browser::new(&org);
    let (request, path) = browser.open(&org.authorize_url(&[("scope", "api refresh_token")])).await;
    assert_eq!(path, "/login");
    let login = browser.get(&org.url(&format!("/login?request={request}"))).await;
    let policy = login.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
    assert!(policy.contains("frame-ancestors 'none'") && policy.contains("default-src 'none'"), "{policy}");
    assert!(login.text().await.unwrap().contains("AppLink Control Plane"));
    let answer = browser.log_in(&request, "sales").await;
    let page = browser.get(&org.url(&location(&answer))).await.text().await.unwrap();
    assert!(page.contains("Read and change data through the APIs"), "{page}");
    assert!(page.contains("Keep its access while you are away"), "{page}");
    assert!(!page.contains("e-mail address"), "not asked for: {page}");
}

#[tokio::test]
async fn a_live_session_skips_the_login_unless_the_client_demands_it() {
    let org = TestOrg::start().await;
    let mut browser = Browser::new(&org);
    browser.authorize_and_allow(&org.authorize_url(&[]), "sales").await;
    let (_, path) = browser.open(&org.authorize_url(&[])).await;
    assert_eq!(path, "/consent");
    let (request, path) = browser.open(&org.authorize_url(&[("prompt", "login")])).await;
    assert_eq!(path, "/login");
    // Going to the consent page directly doesn't get around it.
    let skipped = browser.get(&org.url(&format!("/consent?request={request}"))).await;
    assert!(location(&skipped).starts_with("/login"));
    org.clock.advance_seconds(2 * 60 * 60 + 1);
    let (_, path) = browser.open(&org.authorize_url(&[])).await;
    assert_eq!(path, "/login", "the session is over");
}

#[tokio::test]
async fn deny_answers_access_denied_and_the_request_is_spent() {
    let org = TestOrg::start().await;
    let mut browser = Browser::new(&org);
    let (request, _) = browser.open(&org.authorize_url(&[])).await;
    browser.log_in(&request, "sales").await;
    let callback = browser.decide(&request, "deny").await;
    assert_eq!(query(&callback, "error").as_deref(), Some("access_denied"));
    assert_eq!(query(&callback, "state").as_deref(), Some("s1"));
    assert_eq!(query(&callback, "code"), None);
    let again = browser.get(&org.url(&format!("/consent?request={request}"))).await;
    assert_eq!(again.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_wrong_password_is_refused_without_telling_more() {
    let org = TestOrg::start().await;
    let mut browser = Browser::new(&org);
    let sales = org.username("sales");
    for username in [sales.as_str(), "nobody@acme.example"] {
        let answer = browser.post("/login", &[("username", username), ("password", "wrong")]).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        assert!(answer.text().await.unwrap().contains("Please check your username and password."));
    }
    assert!(browser.cookie.is_none());
}

#[tokio::test]
async fn callbacks_must_be_registered() {
    let org =
        TestOrg::start_with(|config| config.callbacks.push("https://applink.example/cb".to_owned())).await;
    let mut browser = Browser::new(&org);
    for registered in ["http://localhost:1234/oauth/callback", "https://applink.example/cb"] {
        let (_, path) = browser.open(&org.authorize_url(&[("redirect_uri", registered)])).await;
        assert_eq!(path, "/login", "{registered}");
    }
    for foreign in [
        "http://evil.example/oauth/callback",
        "http://127.0.0.1:7700/oauth/callback/x",
        "https://applink.example/cb?x=1",
    ] {
        let page = browser.get(&org.authorize_url(&[("redirect_uri", foreign)])).await;
        assert_eq!(page.status(), StatusCode::BAD_REQUEST, "{foreign}");
        assert!(page.text().await.unwrap().contains("redirect_uri must match configuration"));
    }
    let page = browser.get(&org.authorize_url(&[("client_id", "3MVGnobody")])).await;
    assert!(page.text().await.unwrap().contains("client identifier invalid"));
}

#[tokio::test]
async fn bad_requests_go_back_to_the_client() {
    let org = TestOrg::start().await;
    let mut browser = Browser::new(&org);
    let cases = [
        (("response_type", "token"), "unsupported_response_type"),
        (("code_challenge", ""), "invalid_request"),
        (("code_challenge", "short"), "invalid_request"),
        (("code_challenge_method", "plain"), "invalid_request"),
        (("scope", "api web"), "invalid_scope"),
    ];
    for (parameter, error) in cases {
        let answer = browser.get(&org.authorize_url(&[parameter])).await;
        let callback = Url::parse(&location(&answer)).unwrap();
        assert!(callback.as_str().starts_with(CALLBACK));
        assert_eq!(query(&callback, "error").as_deref(), Some(error), "{parameter:?}");
    }
}

#[tokio::test]
async fn the_verifier_must_be_there_and_right() {
    let org = TestOrg::start().await;
    for (verifier, error) in
        [("", "invalid_grant"), ("wrong-wrong-wrong-wrong-wrong-wrong-wrong-wrong", "invalid_request")]
    {
        let code = Browser::new(&org).authorize_and_allow(&org.authorize_url(&[]), "sales").await;
        let (status, answer) = org.exchange(&code, verifier).await;
        assert_eq!((status, answer["error"].as_str()), (StatusCode::BAD_REQUEST, Some(error)));
        // One guess only.
        let (_, answer) = org.exchange(&code, VERIFIER).await;
        assert_eq!(answer["error"], "invalid_grant");
    }
}

#[tokio::test]
async fn a_code_works_once_for_fifteen_minutes_and_reuse_revokes() {
    let org = TestOrg::start().await;
    let code = Browser::new(&org).authorize_and_allow(&org.authorize_url(&[]), "sales").await;
    let (status, tokens) = org.exchange(&code, VERIFIER).await;
    assert_eq!(status, StatusCode::OK);
    let (status, answer) = org.exchange(&code, VERIFIER).await;
    assert_eq!(
        (status, &answer["error_description"]),
        (StatusCode::BAD_REQUEST, &"expired authorization code".into())
    );
    let access = tokens["access_token"].as_str().unwrap();
    assert_eq!(
        org.get("/services/oauth2/userinfo", access).await.status(),
        StatusCode::FORBIDDEN,
        "a stolen code's tokens die"
    );

    let code = Browser::new(&org).authorize_and_allow(&org.authorize_url(&[]), "sales").await;
    org.clock.advance_seconds(15 * 60 + 1);
    let (_, answer) = org.exchange(&code, VERIFIER).await;
    assert_eq!(answer["error_description"], "expired authorization code");
    let (_, answer) = org.exchange("aPrxNothing", VERIFIER).await;
    assert_eq!(answer["error_description"], "invalid authorization code");
}

#[tokio::test]
async fn the_secret_may_come_as_basic_and_must_be_right() {
    let org = TestOrg::start().await;
    let (key, secret) = org.org.oauth_client();
    let code = Browser::new(&org).authorize_and_allow(&org.authorize_url(&[]), "sales").await;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    let basic = |secret: &str| format!("Basic {}", STANDARD.encode(format!("{key}:{secret}")));
    let post = |header: String| {
        org.http.post(org.url("/services/oauth2/token")).header(AUTHORIZATION, header).form(&form).send()
    };
    let wrong: Value = post(basic("wrong")).await.unwrap().json().await.unwrap();
    assert_eq!(wrong["error"], "invalid_client");
    assert_eq!(post(basic(secret.expose_secret())).await.unwrap().status(), StatusCode::OK);
    let (_, answer) = org
        .token(&[
            ("grant_type", "authorization_code"),
            ("code", "x"),
            ("redirect_uri", CALLBACK),
            ("client_id", "3MVGx"),
        ])
        .await;
    assert_eq!(answer["error"], "invalid_client_id");
    let (_, answer) = org.token(&[("grant_type", "password")]).await;
    assert_eq!(answer["error"], "unsupported_grant_type");
}

#[tokio::test]
async fn refreshing_keeps_the_token_unless_the_client_rotates() {
    let org = TestOrg::start().await;
    let tokens = org.tokens_of("sales").await;
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let (status, answer) = org.token(&[("grant_type", "refresh_token"), ("refresh_token", refresh)]).await;
    assert_eq!((status, answer.get("refresh_token")), (StatusCode::OK, None));
    assert_ne!(answer["access_token"], tokens["access_token"]);

    let rotating = serde_json::json!({"name": "AppLink_Control_Plane", "rotates_refresh_tokens": true,
        "keeps_grant_on_replay": true});
    org.sim_post("/_sim/oauth-clients", &rotating).await;
    let (_, answer) = org.token(&[("grant_type", "refresh_token"), ("refresh_token", refresh)]).await;
    let next = answer["refresh_token"].as_str().unwrap();
    assert_ne!(next, refresh);
    let (status, answer) = org.token(&[("grant_type", "refresh_token"), ("refresh_token", refresh)]).await;
    assert_eq!(
        (status, &answer["error_description"]),
        (StatusCode::BAD_REQUEST, &"expired access/refresh token".into())
    );
    let (status, _) = org.token(&[("grant_type", "refresh_token"), ("refresh_token", next)]).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn revoking_a_refresh_token_kills_its_access_tokens() {
    let org = TestOrg::start().await;
    let tokens = org.tokens_of("sales").await;
    let other = org.access_token_of("sales").await;
    let access = tokens["access_token"].as_str().unwrap();
    let revoke =
        |token: String| org.http.post(org.url("/services/oauth2/revoke")).form(&[("token", token)]).send();
    let answer = revoke(tokens["refresh_token"].as_str().unwrap().to_owned()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(org.get("/services/oauth2/userinfo", access).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(
        org.get("/services/oauth2/userinfo", &other).await.status(),
        StatusCode::OK,
        "another grant lives on"
    );
    let again = revoke(tokens["refresh_token"].as_str().unwrap().to_owned()).await.unwrap();
    assert_eq!(again.status(), StatusCode::BAD_REQUEST);
    assert!(again.text().await.unwrap().starts_with("error=invalid_token"));
}

#[tokio::test]
async fn a_sixth_grant_kills_the_oldest() {
    let org = TestOrg::start().await;
    let first = org.tokens_of("sales").await;
    for _ in 0..4 {
        org.tokens_of("sales").await;
    }
    let refresh = first["refresh_token"].as_str().unwrap();
    let (status, _) = org.token(&[("grant_type", "refresh_token"), ("refresh_token", refresh)]).await;
    assert_eq!(status, StatusCode::OK, "five live side by side");
    org.tokens_of("sales").await;
    let (status, _) = org.token(&[("grant_type", "refresh_token"), ("refresh_token", refresh)]).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn sessions_expire_when_unused_and_introspection_tells() {
    let org = TestOrg::start().await;
    let access = org.access_token_of("sales").await;
    let introspect = async || -> Value {
        let (key, secret) = org.org.oauth_client();
        let form =
            [("token", access.as_str()), ("client_id", &key), ("client_secret", secret.expose_secret())];
        org.http
            .post(org.url("/services/oauth2/introspect"))
            .form(&form)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    };
    let active = introspect().await;
    assert_eq!((&active["active"], &active["username"]), (&true.into(), &org.username("sales").into()));
    assert_eq!(active["exp"].as_i64().unwrap() - active["iat"].as_i64().unwrap(), 2 * 60 * 60);
    org.clock.advance_seconds(90 * 60);
    assert_eq!(org.get("/services/oauth2/userinfo", &access).await.status(), StatusCode::OK);
    org.clock.advance_seconds(90 * 60);
    assert_eq!(
        org.get("/services/oauth2/userinfo", &access).await.status(),
        StatusCode::OK,
        "the use before pushed it out"
    );
    org.clock.advance_seconds(2 * 60 * 60 + 1);
    assert_eq!(org.get("/services/oauth2/userinfo", &access).await.text().await.unwrap(), "Bad_OAuth_Token");
    assert_eq!(introspect().await, serde_json::json!({"active": false}));
}

#[tokio::test]
async fn forms_of_other_sites_are_refused() {
    let org = TestOrg::start().await;
    let user = org.user("sales");
    let form = [("username", user.username.as_str()), ("password", user.password.expose_secret())];
    let answer = org
        .http
        .post(org.url("/login"))
        .header(ORIGIN, "http://127.0.0.1:3000")
        .form(&form)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn another_session_cannot_confirm_a_request() {
    let org = TestOrg::start().await;
    let mut sales = Browser::new(&org);
    let (request, _) = sales.open(&org.authorize_url(&[])).await;
    sales.log_in(&request, "sales").await;
    let page = sales.get(&org.url(&format!("/consent?request={request}"))).await.text().await.unwrap();
    let confirmation = super::support::browser::field(&page, "confirmation");
    let mut admin = Browser::new(&org);
    admin.log_in("", "admin").await;
    let form = [("request", request.as_str()), ("confirmation", &confirmation), ("decision", "allow")];
    let answer = admin.post("/consent", &form).await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn an_api_session_opens_a_browser_once() {
    let org = TestOrg::start().await;
    let plain = org.access_token_of("sales").await;
    let refused = org.get("/services/oauth2/singleaccess", &plain).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN, "the client has no web scope");
    let scopes = serde_json::json!({"name": "AppLink_Control_Plane", "scopes": ["api", "web"]});
    org.sim_post("/_sim/oauth-clients", &scopes).await;
    let token = org.access_token_of("sales").await;
    let link: Value = org.get("/services/oauth2/singleaccess", &token).await.json().await.unwrap();
    let link = link["frontdoor_uri"].as_str().unwrap();
    let mut browser = Browser::new(&org);
    assert_eq!(location(&browser.get(link).await), "/");
    let (_, path) = browser.open(&org.authorize_url(&[])).await;
    assert_eq!(path, "/consent", "the browser is logged in");
    assert_eq!(location(&Browser::new(&org).get(link).await), "/login", "the link is spent");
}

#[tokio::test]
async fn client_credentials_need_a_user_to_run_as() {
    let org = TestOrg::start().await;
    let (status, answer) = org.token(&[("grant_type", "client_credentials")]).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(answer["error_description"], "no client credentials user enabled");
    let run_as = serde_json::json!({"name": "AppLink_Control_Plane", "client_credentials_user": org.username("integration")});
    org.sim_post("/_sim/oauth-clients", &run_as).await;
    let (status, answer) = org.token(&[("grant_type", "client_credentials"), ("scope", "api")]).await;
    assert_eq!((status, answer.get("refresh_token")), (StatusCode::OK, None), "{answer}");
    let me = org.get("/services/oauth2/userinfo", answer["access_token"].as_str().unwrap()).await;
    assert_eq!(me.json::<Value>().await.unwrap()["preferred_username"], org.username("integration"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_replayed_while_it_is_redeemed_leaves_no_live_token() {
    let org = TestOrg::start().await;
    let mut browser = Browser::new(&org);
    for _ in 0..8 {
        let code = browser.authorize_and_allow(&org.authorize_url(&[]), "sales").await;
        let (first, second) = tokio::join!(org.exchange(&code, VERIFIER), org.exchange(&code, VERIFIER));
        let given: Vec<_> = [first, second].into_iter().filter(|(status, _)| status.is_success()).collect();
        assert_eq!(given.len(), 1);
        let token = given[0].1["access_token"].as_str().unwrap();
        let used = org.get("/services/data/v66.0/limits", token).await;
        assert_eq!(used.status(), StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn an_admin_takes_from_apps_what_a_user_granted_last_or_all_of_it() {
    let org = TestOrg::start().await;
    let mut tokens = Vec::new();
    for user in ["sales", "sales", "sales", "admin"] {
        tokens.push(org.tokens_of(user).await);
    }
    let works = async || {
        let mut works = Vec::new();
        for tokens in &tokens {
            let form = [
                ("grant_type", "refresh_token"),
                ("refresh_token", tokens["refresh_token"].as_str().unwrap()),
            ];
            let access = tokens["access_token"].as_str().unwrap();
            let lives = org.get("/services/oauth2/userinfo", access).await.status() == StatusCode::OK;
            works.push((org.token(&form).await.0 == StatusCode::OK, lives));
        }
        works
    };
    let (yes, no) = ((true, true), (false, false));
    let body = json!({"username": org.username("sales"), "newest": true});
    assert_eq!(org.sim_post("/_sim/grants/revoke", &body).await.1, json!({"revoked": 1}));
    assert_eq!(works().await, [yes, yes, no, yes]);
    let body = json!({"username": org.username("sales")});
    assert_eq!(org.sim_post("/_sim/grants/revoke", &body).await.1, json!({"revoked": 2}));
    assert_eq!(works().await, [no, no, no, yes]);
    let (status, _) = org.sim_post("/_sim/grants/revoke", &json!({"username": "nobody@acme.example"})).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}
