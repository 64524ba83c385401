//! The tour of `applink dev`: the whole story once, over the same doors a person, an app and an org use.
//!
//! 1. `addon`: the add-on answers with its token.
//! 2. `connect`: an admin logs in at the org and connects it.
//! 3. `authorize`: an integration user is authorized, and the app reads campaigns as that user.
//! 4. `publish`: the app's OpenAPI document becomes a service in the org; its permission sets are assigned.
//! 5. `invoke`: the org calls the app as a sales user, who sees their own records and, while the call runs, more.
//! 6. `callbacks`: the app answers at once and reports later, as the same user.
//! 7. `intern`: a user without the permission sets is refused by the org.
//! 8. `mesh`: calls that no connected org vouches for are refused at the app's door.
//!
//! With `--data-cloud` it is another story: `lake` connects the org's Data Cloud and authorizes a user, `clicks` makes a
//! data action target, has the app send clicks, and sees the app react to what Data Cloud tells of them.
//!
//! `--break STEP` breaks one of them on purpose, so that one can see what a failure looks like and the tests can
//! see that each ✓ is able to be a ✗.

mod addon;
mod authorize;
mod callbacks;
mod clicks;
mod connect;
mod failure;
mod intern;
mod invoke;
mod lake;
mod mesh;
mod publish;

use std::fmt;
use std::time::Duration;

use clap::ValueEnum;

pub(crate) use failure::Failure;

use crate::dev::stack::Stack;

/// The steps, in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Step {
    /// Uses a wrong token, so the add-on does not answer.
    Addon,
    /// Connects as a user without *Manage Heroku AppLink*.
    Connect,
    /// The user denies access on the consent page.
    Authorize,
    /// Publishes a document with an operation that has no operationId.
    Publish,
    /// Leaves the user-plus permission set unassigned.
    Invoke,
    /// Invokes as Flow, which has no callbacks.
    Callbacks,
    /// Assigns the permission sets to the intern.
    Intern,
    /// Calls the app past the mesh.
    Mesh,
    /// The admin denies access to Data Cloud.
    Lake,
    /// The org makes another signing key, of which the control plane knows nothing.
    Clicks,
}

impl Step {
    /// Every step, in the order they run.
    pub(crate) const ALL: [Self; 8] = [
        Self::Addon,
        Self::Connect,
        Self::Authorize,
        Self::Publish,
        Self::Invoke,
        Self::Callbacks,
        Self::Intern,
        Self::Mesh,
    ];

    /// The steps of the tour through Data Cloud.
    const DATA_CLOUD: [Self; 3] = [Self::Addon, Self::Lake, Self::Clicks];

    /// The steps of a sample.
    pub(crate) fn of_sample(data_cloud: bool) -> &'static [Self] {
        if data_cloud { &Self::DATA_CLOUD } else { &Self::ALL }
    }

    /// The steps that make sense for any app, not only for the bundled sample.
    pub(crate) const FOR_OWN_APP: [Self; 2] = [Self::Addon, Self::Connect];

    fn title(self) -> &'static str {
        match self {
            Self::Addon => "add-on provisioned",
            Self::Connect => "org connected",
            Self::Authorize => "authorization added",
            Self::Publish => "service published",
            Self::Invoke => "invoked as sales",
            Self::Callbacks => "callbacks received as sales",
            Self::Intern => "invoked as intern: refused by the org",
            Self::Mesh => "calls nobody vouches for: refused by the mesh",
            Self::Lake => "Data Cloud connected and authorized",
            Self::Clicks => "clicks sent, and told back by a signed data action",
        }
    }

    /// The step whose result this one builds on.
    fn builds_on(self) -> Option<Self> {
        match self {
            Self::Addon => None,
            Self::Connect | Self::Mesh | Self::Lake => Some(Self::Addon),
            Self::Clicks => Some(Self::Lake),
            Self::Authorize | Self::Publish => Some(Self::Connect),
            Self::Invoke | Self::Intern => Some(Self::Publish),
            Self::Callbacks => Some(Self::Invoke),
        }
    }
}

/// What a step saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// In one line.
    pub(crate) headline: String,
    /// In more lines, when there is more to see.
    pub(crate) details: Vec<String>,
}

impl Seen {
    fn of(headline: impl Into<String>) -> Self {
        Self { headline: headline.into(), details: Vec::new() }
    }
}

/// How a step ended.
#[derive(Debug)]
enum Outcome {
    Passed(Seen),
    Failed(Failure),
    Skipped(Step),
}

/// One line of the tour.
#[derive(Debug)]
pub(crate) struct StepReport {
    step: Step,
    outcome: Outcome,
    took: Duration,
}

impl StepReport {
    /// Whether it is a ✓.
    pub(crate) fn passed(&self) -> bool {
        matches!(self.outcome, Outcome::Passed(_))
    }
}

impl fmt::Display for StepReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = self.step.title();
        let seconds = self.took.as_secs_f32();
        match &self.outcome {
            Outcome::Passed(seen) => {
                write!(f, "✓ {title} ({seconds:.2} s)\n    {}", seen.headline)?;
                seen.details.iter().try_for_each(|detail| write!(f, "\n      {detail}"))
            }
            Outcome::Failed(failure) => write!(f, "✗ {title} ({seconds:.2} s)\n    {failure}"),
            Outcome::Skipped(needed) => {
                write!(f, "✗ {title}\n    not tried: it builds on “{}”", needed.title())
            }
        }
    }
}

/// Runs `steps` and hands each line to `show` as it comes. Whether every step passed.
pub(crate) async fn run(
    stack: &Stack,
    steps: &[Step],
    broken: Option<Step>,
    mut show: impl FnMut(&StepReport),
) -> bool {
    let mut failed: Vec<Step> = Vec::new();
    for step in steps {
        let started = tokio::time::Instant::now();
        let missing = step.builds_on().filter(|needed| failed.contains(needed));
        let outcome = match missing {
            Some(needed) => Outcome::Skipped(needed),
            None => match walk(stack, *step, broken == Some(*step)).await {
                Ok(seen) => Outcome::Passed(seen),
                Err(failure) => Outcome::Failed(failure),
            },
        };
        let report = StepReport { step: *step, outcome, took: started.elapsed() };
        if !report.passed() {
            failed.push(*step);
        }
        show(&report);
    }
    failed.is_empty()
}

async fn walk(stack: &Stack, step: Step, broken: bool) -> Result<Seen, Failure> {
    match step {
        Step::Addon => addon::walk(stack, broken).await,
        Step::Connect => connect::walk(stack, broken).await,
        Step::Authorize => authorize::walk(stack, broken).await,
        Step::Publish => publish::walk(stack, broken).await,
        Step::Invoke => invoke::walk(stack, broken).await,
        Step::Callbacks => callbacks::walk(stack, broken).await,
        Step::Intern => intern::walk(stack, broken).await,
        Step::Mesh => mesh::walk(stack, broken).await,
        Step::Lake => lake::walk(stack, broken).await,
        Step::Clicks => clicks::walk(stack, broken).await,
    }
}

/// Fails with `reason` unless `fact` holds.
fn ensure(fact: bool, reason: impl FnOnce() -> String) -> Result<(), Failure> {
    if fact { Ok(()) } else { Err(Failure::new(reason())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_builds_on_an_earlier_one() {
        for (position, step) in Step::ALL.iter().enumerate() {
            if let Some(needed) = step.builds_on() {
                assert!(Step::ALL.iter().position(|other| *other == needed).unwrap() < position, "{step:?}");
            }
        }
    }

    #[test]
    fn a_line_says_what_was_seen_or_why_not() {
        let report = |outcome| {
            StepReport { step: Step::Connect, outcome, took: Duration::from_millis(210) }.to_string()
        };
        let seen = Seen { headline: "acme".into(), details: vec!["one".into()] };
        assert_eq!(report(Outcome::Passed(seen)), "✓ org connected (0.21 s)\n    acme\n      one");
        assert!(report(Outcome::Failed(Failure::new("why"))).starts_with("✗ org connected"));
        assert!(report(Outcome::Skipped(Step::Addon)).contains("add-on provisioned"));
    }
}
