//! The start: the service listens at once, and opens its database as soon as that can be had.
//!
//! Invariant `ready_once`: the routes change once, from those of the start to those of the service, and never back.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware::map_response;
use axum::routing::get;

use crate::api::health;
use crate::api::problem::Problem;
use crate::app::{self, CreatedAdmin};
use crate::router;
use crate::service::Service;
use crate::settings::Settings;
use crate::store::error::StoreError;

/// The first and the longest pause between two attempts. The longest is what a service may come later than its database.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(3));

/// Why the service is not ready, as the last attempt said it. Guarded by a lock that is never held across a wait.
#[derive(Clone, Default)]
pub struct Reason(Arc<Mutex<String>>);

impl Reason {
    fn set(&self, reason: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    fn get(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The routes until the service is open: it lives, it is not ready, its document can be read, and everything else is answered
/// with 503.
pub fn routes(reason: Reason) -> Router {
    Router::new()
        .route("/livez", get(health::livez))
        .route("/readyz", get(not_ready))
        .with_state(reason)
        .merge(router::pages())
        .fallback(not_yet)
        .layer(map_response(router::private))
}

async fn not_ready(State(reason): State<Reason>) -> Problem {
    let reason = reason.get();
    let detail = match reason.as_str() {
        "" => "the service is starting".to_owned(),
        reason => format!("the service cannot open its database yet: {reason}"),
    };
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
}

/// Without the reason, which names hosts and roles: only `/readyz` says it.
async fn not_yet() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the service is starting and not ready yet, try again")
}

/// Opens the service, again and again for as long as its database cannot be reached. Says so once for each reason, and calls
/// `waits` after the first failure.
///
/// # Errors
/// What will not pass by itself: a schema that cannot be used, a key that does not open the second factors, …
pub async fn open(
    settings: &Settings,
    reason: &Reason,
    mut waits: impl FnMut(),
) -> anyhow::Result<(Service, Option<CreatedAdmin>)> {
    let mut pause = PAUSES.0;
    loop {
        let error = match app::open(settings).await {
            Ok(opened) => return Ok(opened),
            // A file that cannot be opened is a mistake in the setting.
            Err(error) if passes(&error) && !settings.database_url.starts_with("sqlite") => error,
            Err(error) => return Err(error),
        };
        let text = format!("{error:#}");
        if reason.get() != text {
            tracing::warn!(reason = text, "the database cannot be opened; trying again until it can");
            reason.set(text);
        }
        waits();
        // Drawn, so that the instances that a database's restart has stopped do not all come at once.
        tokio::time::sleep(pause.mul_f64(rand::random_range(0.75..1.25))).await;
        pause = PAUSES.1.min(2 * pause);
    }
}

/// Whether trying again may help: the database could not be reached, or went away meanwhile.
fn passes(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| matches!(cause.downcast_ref(), Some(StoreError::Unavailable(_))))
}
