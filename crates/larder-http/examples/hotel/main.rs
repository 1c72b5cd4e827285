//! A hotel's API whose writes do not use the cache: `cargo run -p larder-http --example hotel`.
//!
//! With `REDIS_URL`, instances share the cache. `INSTALLATION` names their database (default: `hotel`). `PORT` is the
//! port (default: 3000).

#![allow(clippy::print_stdout, reason = "it prints commands to try")]

mod app;

use larder::cache::Cache;
use tokio::net::TcpListener;

use crate::app::{Database, User, app};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().init();
    let mut builder = Cache::builder("hotel");
    if let Ok(url) = std::env::var("REDIS_URL") {
        // This database has no journal, so larder cannot read its identity.
        let installation = std::env::var("INSTALLATION").unwrap_or_else(|_| "hotel".to_owned());
        builder = builder.redis(url).installation(installation);
    }
    let cache = builder.build().await?;
    let database = Database::default();
    database.insert(User { id: "5779356081".to_owned(), name: "Ada".to_owned(), is_active: true });
    let port = std::env::var("PORT").ok().map_or(Ok(3000), |port| port.parse::<u16>())?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let at = format!("http://{}/v1.0", listener.local_addr()?);
    println!("curl -i {at}/user/list                                 # twice: the second is a hit");
    println!("curl -i -X POST {at}/user/5779356081/deactivate        # drops lists, statistics and details");
    println!("curl -i {at}/user/list                                 # loaded again");
    println!("curl {at}/cache/stats");
    axum::serve(listener, app(&cache, database)?).await?;
    Ok(())
}
