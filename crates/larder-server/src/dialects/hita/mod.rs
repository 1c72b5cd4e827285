//! The ITT Hotel API (HITA): `/v1.0`.

pub(crate) mod cache;
mod rights;
mod users;
pub(crate) mod views;

use utoipa_axum::router::OpenApiRouter;

use crate::service::Service;

pub(crate) fn routes() -> OpenApiRouter<Service> {
    cache::routes().merge(users::routes()).merge(rights::routes())
}
