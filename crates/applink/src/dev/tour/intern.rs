//! Step 7: a user without the service's permission sets is refused by the org, before the app hears of it.

use super::invoke::{call, own_opportunities};
use super::{Failure, Seen};
use crate::dev::stack::{PERMISSION_SET, SERVICE, Stack};
use crate::sim::{Mode, SimError};

pub(super) async fn walk(stack: &Stack, broken: bool) -> Result<Seen, Failure> {
    if broken {
        for permission_set in [SERVICE, PERMISSION_SET] {
            stack.sim.assign(permission_set, stack.username("intern")).await?;
        }
    }
    let opportunities = own_opportunities(stack, "sales").await?;
    match call(stack, "intern", Mode::Flow, &opportunities).await {
        Err(SimError::Refused { status: 403, message }) => Ok(Seen::of(message)),
        Err(other) => Err(other.into()),
        Ok(invoked) => {
            Err(Failure::new(format!("the org let the intern through: the app answered {}", invoked.status)))
        }
    }
}
