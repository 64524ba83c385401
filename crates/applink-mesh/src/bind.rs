//! Binds what the caller wrote into `x-client-context` to what the org's token says.
//!
//! The public mesh passes the header on unread, so a valid token of one org could come with a client context of
//! another. Here request, org, user and app must be the same everywhere, and the address the app will call is
//! overwritten with the one stored for the verified org.

use applink_api::context::RequestContext;
use applink_api::ids::{AppUuid, RecordId};

use crate::authenticate::Verified;
use crate::classify::SalesforceCall;
use crate::client_context::SentClientContext;
use crate::respond::Refusal;

/// Checks that need no verdict, made before anybody is asked.
///
/// # Errors
/// [`Refusal`] with what differs.
pub(crate) fn ensure_consistent(
    call: &SalesforceCall,
    request_id: &str,
    app: Option<AppUuid>,
) -> Result<(), Refusal> {
    let (request_context, client_context) = (&call.request_context, &call.client_context);
    if client_context.request_id != request_id {
        return Err(Refusal::RequestId);
    }
    if !same_record(&client_context.org_id, &request_context.org_id) {
        return Err(Refusal::Org);
    }
    ensure_this_app(request_context, app)
}

fn ensure_this_app(context: &RequestContext, app: Option<AppUuid>) -> Result<(), Refusal> {
    let Some(app) = app else { return Ok(()) };
    if context.app_uuid.parse::<AppUuid>() == Ok(app) { Ok(()) } else { Err(Refusal::App) }
}

/// The client context the app may believe.
///
/// # Errors
/// [`Refusal::Org`] or [`Refusal::User`] when it speaks of another org or user than the token.
pub(crate) fn bind(
    mut context: SentClientContext,
    verified: &Verified,
) -> Result<SentClientContext, Refusal> {
    if !same_record(&context.org_id, &verified.org_id) {
        return Err(Refusal::Org);
    }
    if let Some(user_id) = &verified.user_id
        && !same_record(&context.user_id, user_id)
    {
        return Err(Refusal::User);
    }
    if let Some(instance_url) = &verified.instance_url {
        context.set_org_domain_url(instance_url);
    }
    Ok(context)
}

/// Salesforce writes ids with 15 or 18 characters; both forms of one id are the same record.
fn same_record(left: &str, right: &str) -> bool {
    let same = || matches!((left.parse::<RecordId>(), right.parse::<RecordId>()), (Ok(left), Ok(right)) if left == right);
    left == right || same()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_lengths_of_an_id_are_the_same_record() {
        assert!(same_record("00DSB00000VAyPF", "00DSB00000VAyPF2A1"));
        assert!(!same_record("00DSB00000VAyPf", "00DSB00000VAyPF2A1"));
        assert!(same_record("odd", "odd"));
        assert!(!same_record("odd", "even"));
        assert!(!same_record("", "00DSB00000VAyPF2A1"));
    }
}
