//! The canonical routes under `/api/v1`, and health.

pub mod achievements;
pub(crate) mod admin;
pub(crate) mod answer;
pub mod api_keys;
pub mod audit;
pub mod auth;
pub(crate) mod bodies;
pub(crate) mod body_memory;
pub mod bulk;
pub mod cache;
pub(crate) mod client_address;
pub(crate) mod codes;
pub(crate) mod correlation;
pub(crate) mod enrolling;
pub mod extract;
pub mod health;
pub mod importing;
pub mod incidents;
pub mod lists;
pub mod mails;
pub mod metrics;
pub mod openapi;
pub mod parts;
pub mod permissions;
pub mod points;
pub mod preconditions;
pub mod problem;
pub mod profiles;
mod reading;
pub(crate) mod scopes;
pub mod sessions;
pub mod statistics;
pub mod tokens;
pub mod totp;
pub mod users;

use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;

use crate::api::problem::Problem;
use crate::service::Service;
use crate::service::error::ServiceError;

/// Every canonical route, and health.
pub(crate) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .merge(auth::routes())
        .merge(mails::routes())
        .merge(users::routes())
        .merge(lists::routes())
        .merge(statistics::routes())
        .merge(api_keys::routes())
        .merge(sessions::routes())
        .merge(tokens::routes())
        .merge(totp::routes())
        .merge(bulk::routes())
        .merge(importing::routes())
        .merge(profiles::routes())
        .merge(parts::routes())
        .merge(audit::routes())
        .merge(points::routes())
        .merge(achievements::routes())
        .merge(permissions::routes())
        .merge(cache::routes())
        .merge(health::routes())
}

impl IntoResponse for ServiceError {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}
