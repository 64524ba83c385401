//! A client's secrets in turn, so that one can be rotated without an outage.

use applink_salesforce::oauth::{OAuthClient, Outcome, RefusalClass, TokenFailure};

use crate::config::ClientSecrets;

/// Calls with one secret after the other until one is not refused, while there `is_time`. An org that refuses the
/// secret has looked at nothing else: neither a code nor a refresh token is used up by it.
///
/// # Errors
/// [`TokenFailure`] of the last call.
pub async fn try_each<T, F>(
    client: &ClientSecrets,
    is_time: impl Fn() -> bool,
    mut call: impl FnMut(OAuthClient) -> F,
) -> Result<T, TokenFailure>
where
    F: Future<Output = Result<T, TokenFailure>>,
{
    let mut answer = call(client.first.clone()).await;
    for other in &client.others {
        if !is_wrong_secret(&answer) || !is_time() {
            break;
        }
        tracing::warn!(
            client_id = other.consumer_key,
            "the org refused a client secret; trying the next one"
        );
        answer = call(other.clone()).await;
    }
    answer
}

fn is_wrong_secret<T>(answer: &Result<T, TokenFailure>) -> bool {
    let wrong = Outcome::Answered(RefusalClass::WrongSecret);
    answer.as_ref().is_err_and(|failure| failure.outcome() == wrong)
}
