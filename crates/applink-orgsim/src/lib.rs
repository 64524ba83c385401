//! A simulator of a Salesforce org, for developing and testing against without one.
//!
//! One [`Org::start`] is one org on one port, with sample users and data in one SQLite database (in memory, or
//! in a directory that survives restarts). Several can run in one process.
//!
//! # What is simulated
//! - **Signing in**: the OAuth web server flow with PKCE, a login and a consent page for people, JWT bearer,
//!   refresh with optional rotation (a replaced refresh token that is used again ends its grant), revoke, introspect,
//!   userinfo, identity URLs, `/id/keys`; and a token endpoint that loses, delays and repeats on request.
//! - **Data**: sObjects as tables, SOQL compiled to SQL, create/read/update/delete/upsert, composite requests, files,
//!   Bulk API 2.0; object, field and sharing rights enforced in every statement, session-based permission sets
//!   included.
//! - **Metadata deploys**: packages with external service registrations, named and external credentials,
//!   permission sets, external client apps; checked and refused component by component.
//! - **Invoking**: the org calls a published app as Flow or Apex would, with the calling user's rights, a signed
//!   token and callbacks.
//! - **Data Cloud**: the token exchange, SQL over lake and model objects, streaming and bulk ingestion, data actions whose
//!   signed webhooks are sent until they are taken.
//! - **Pages**: Setup (Heroku Apps, API Catalog, External Services, credentials, users and permission sets to tick, client
//!   apps, deployments, log-ins), records, a form to invoke each operation, and what comes back, for people with a browser.
//! - **`/_sim`**: control of all of it for tests and tours, behind a key.
//!
//! # What is not
//! Apex, flows and triggers don't run; there are no Lightning pages, of SOAP only what deploying needs. Claims and texts that Salesforce
//! doesn't publish are close guesses, marked where they are made.
//!
//! # Control
//! Below `/_sim`, with the header `X-Sim-Key`; bodies are JSON, errors `{"error", "message", "detail"}`.
//!
//! | endpoint | does |
//! |---|---|
//! | `GET org`, `users`, `permission-sets`, `services`, `deployments`, `oauth-clients` | lists what there is |
//! | `POST permission-sets/assign`, `/unassign` | `{permission_set, username}` |
//! | `POST services/remove` | `{service}`: an admin deletes it in Setup |
//! | `POST users`; `POST profiles` | `{username, active}`; `{name, permissions}`: what the users of a profile may do, such as `{"ApiEnabled": false}` |
//! | `POST oauth-clients` | `{name, certificate_pem or public_key_pem, callbacks, scopes, …}` makes or changes a client |
//! | `POST grants/revoke` | `{username, newest}` takes from apps what a user has granted them, or with `newest` the last of it |
//! | `POST invoke` | `{service, operation, as, body, parameters, mode, callback_timeout_minutes}` calls a published app |
//! | `GET agents`; `POST agents/run` | lists agent topics and actions; `{service, action, as, person, agent}` uses one |
//! | `GET invocations`, `invocations/{id}`; `POST invocations/{id}/end` | shows them; ends one that waits for callbacks |
//! | `GET callbacks?invocation=…&wait_ms=…&at_least=…` | lists callbacks, waiting for them up to a minute |
//! | `POST sessions/probe` | `{username or session_id, soql}` runs a query as that session |
//! | `POST deployments/step` | moves a deployment on, see [`DeployMode::Stepped`] |
//! | `POST jobs/step` | moves a bulk job on, likewise |
//! | `GET data-cloud/streams`, `jobs`, `targets`, `actions`, `deliveries` | lists what Data Cloud has, and what became of each webhook |
//! | `POST data-cloud/streams`, `data-cloud/actions` | makes a stream with its objects; makes a data action |
//! | `POST data-cloud/targets/{name}/key` | gives a target another signing key |
//! | `POST data-cloud/step`, `run` | does the next thing that is due there, or all of it |
//! | `POST data-cloud/deliveries/{id}/again` | sends a webhook once more, under the same replay ids |
//! | `POST token-faults` | `{fault, times}`: the next requests with a refresh token or an assertion suffer it: `lose_request`, `lose_answer`, `delay` (with `millis`), `repeat`, `server_error`, `refuse` (with `error`, `description`); `GET` lists, `DELETE` forgets |
//! | `GET token-counts` | refreshes, replays of a replaced refresh token, grants ended by that, assertions, introspections |
//! | `POST sweep` | ends at once what is over by the org's clock |
//!
//! ```no_run
//! # async fn example() -> Result<(), applink_orgsim::OrgsimError> {
//! use applink_orgsim::{Org, OrgConfig};
//!
//! let org = Org::start(OrgConfig::new("Acme", "a long random key".to_owned().into())).await?;
//! println!("{} is org {}", org.url(), org.org_id());
//! org.stop().await;
//! # Ok(())
//! # }
//! ```

mod agents;
mod browser;
mod callbacks;
mod clock;
mod control;
mod data_cloud;
pub mod db;
mod entropy;
mod error;
mod failure;
mod guard;
pub mod ids;
mod invoke;
mod keys;
mod logins;
mod metadata;
mod oauth;
mod org;
mod pages;
pub mod records;
pub mod rest;
pub mod rights;
pub mod schema;
mod secrets;
pub mod seed;
mod services;
mod sessions;
pub mod soql;
mod state;
mod stretch;
mod tables;
mod times;
mod users;

pub use clock::{Clock, MICROS_PER_SECOND, MockClock};
pub use entropy::Entropy;
pub use error::OrgsimError;
pub use keys::KeyError;
pub use oauth::faults::{TokenCounts, TokenFault};
pub use org::{
    DEFAULT_API_VERSION, DataCloudSettings, DeployMode, OLDEST_API_VERSION, Org, OrgConfig, OrgKind,
    RunningOrg, SampleUser,
};
