//! Several control planes on one PostgreSQL behave as one. On SQLite there is only ever one: a second is refused.

use std::sync::Arc;

use applink_api::clock::Clock;
use applink_server::db::OpenError;
use applink_server::{Server, ServerError};
use serde_json::Value;
use tokio::sync::Notify;

use crate::fake_org::Reply;
use crate::stack::{Stack, seeded};

#[tokio::test]
async fn several_processes_refresh_a_dead_token_once_or_the_second_is_refused() {
    let stack = Stack::start().await;
    if stack.backend.is_sqlite {
        let (clock, _hand) = Clock::mock(stack.clock.now());
        let refused = Server::start(Stack::config(&stack.backend, &stack.org, clock)).await.unwrap_err();
        assert!(matches!(refused, ServerError::Database(OpenError::InUse { .. })), "{refused:?}");
        return;
    }
    stack.authorize("worker").await;
    stack.org.script().rotate = true;
    stack.advance(3600);
    let mut urls = vec![stack.server.url().to_owned()];
    let mut others = Vec::new();
    for number in 0..3 {
        let (clock, hand) = Clock::mock(stack.clock.now());
        let mut config = Stack::config(&stack.backend, &stack.org, clock);
        config.entropy = seeded(100 + number);
        let server = Server::start(config).await.unwrap();
        urls.push(server.url().to_owned());
        others.push((server, hand));
    }
    let hold = Arc::new(Notify::new());
    stack.org.script().replies.push_back(Reply::Wait(Arc::clone(&hold)));
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut requests = tokio::task::JoinSet::new();
    for number in 0..40 {
        let url = format!("{}{}", urls[number % urls.len()], stack.path("/authorizations/worker"));
        let request = http.get(url).bearer_auth(&stack.tenant.token);
        requests.spawn(async move {
            let answer: Value = request.send().await.unwrap().json().await.unwrap();
            answer["org"]["user_auth"]["access_token"].as_str().map(str::to_owned)
        });
    }
    hold.notify_one();
    let tokens = requests.join_all().await;
    assert!(tokens.iter().all(|token| token.is_some() && *token == tokens[0]), "{tokens:?}");
    assert_eq!(stack.org.count("refresh"), 1);
    for (server, _) in others {
        server.stop().await;
    }
}
