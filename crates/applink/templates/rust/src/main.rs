#[tokio::main]
async fn main() -> std::io::Result<()> {
    let port: u16 = std::env::var("APP_PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(3000);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on {port}");
    axum::serve(listener, app::app()).with_graceful_shutdown(stopped()).await
}

async fn stopped() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
