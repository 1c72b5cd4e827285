//! The start: the service listens at once, and tries to open its database until it succeeds.
//!
//! Invariant `ready_once`: the routes change once, from those of the start to those of the service, and never back.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::middleware::map_response;
use axum::routing::get;

use crate::api::codes::Code;
use crate::api::health;
use crate::api::problem::Problem;
use crate::app::{self, CreatedAdmin};
use crate::router::{self, Routes};
use crate::service::Service;
use crate::settings::Settings;
use crate::settings::http::Http;
use crate::store::error::StoreError;

/// The first and the longest pause between two attempts. Each pause is twice as long as the one before, so that a
/// database that is restarting is not flooded. A jitter makes each pause up to 25 % shorter or longer, so at most 3.75
/// s pass between two attempts.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(3));

/// Why the service is not ready: the error of the last attempt; empty before the first has failed. No guard of the
/// mutex lives across an `.await`, so that a blocking mutex suffices.
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

/// The routes until the service is open: `/livez` answers 200, `/readyz` answers 503 with the reason, the OpenAPI
/// document can be read, and every other path answers 503.
pub fn routes(reason: Reason, http: &Http) -> Routes {
    let router = Router::new()
        .route("/livez", get(health::livez))
        .route("/readyz", get(not_ready))
        .with_state(reason)
        .merge(router::pages(http))
        .fallback(not_yet)
        .layer(map_response(async |answer| router::with_common_headers(answer)));
    Routes::of_start(router, http)
}

async fn not_ready(State(reason): State<Reason>) -> Problem {
    let reason = reason.get();
    let detail = match reason.as_str() {
        "" => "the service is starting".to_owned(),
        reason => format!("the service cannot open its database yet: {reason}"),
    };
    Problem::new(Code::Starting).with_detail(detail)
}

/// Answers without the reason: it may name hosts and roles, so only `/readyz` shows it.
async fn not_yet() -> Problem {
    Problem::new(Code::Starting)
}

/// Opens the service, and retries while its database cannot be reached. Logs the error of an attempt if it differs from
/// the last one, and calls `waits` after each failed attempt.
///
/// # Errors
/// An error that a retry does not cure, for example a schema that cannot be used, or a secret key that does not decrypt
/// the second factors.
pub async fn open(
    settings: &Settings,
    reason: &Reason,
    mut waits: impl FnMut(),
) -> anyhow::Result<(Service, Option<CreatedAdmin>)> {
    let mut pause = PAUSES.0;
    loop {
        let error = match app::open(settings).await {
            Ok(opened) => return Ok(opened),
            // A SQLite file that cannot be opened is a mistake in the setting, which a retry does not cure.
            Err(error) if is_temporary(&error) && !settings.database_url.starts_with("sqlite") => error,
            Err(error) => return Err(error),
        };
        let text = format!("{error:#}");
        if reason.get() != text {
            tracing::warn!(reason = text, "the database cannot be opened; trying again until it can");
            reason.set(text);
        }
        waits();
        // Jitter, so that all the instances that wait for one database do not connect at the same instant.
        tokio::time::sleep(pause.mul_f64(rand::random_range(0.75..1.25))).await;
        pause = PAUSES.1.min(2 * pause);
    }
}

/// Whether a retry may help: the database could not be reached, or was lost while the service opened.
fn is_temporary(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| matches!(cause.downcast_ref(), Some(StoreError::Unavailable(_))))
}
