//! Runs the sample app by itself.

use applink_sdk::env::ProcessEnv;
use click_events::{Settings, StartError};
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> Result<(), StartError> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).init();
    click_events::run(Settings::from_env(ProcessEnv)?).await
}
