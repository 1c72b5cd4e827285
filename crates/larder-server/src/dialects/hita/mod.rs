//! The ITT Hotel API (HITA): `/v1.0`. Its cache routes have answers of their own; the others are canonical operations.

pub(crate) mod cache;
pub(crate) mod views;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::{permissions, points, users};
use crate::dialects::aliases::{aliases, and_post};
use crate::service::Service;

pub(crate) fn routes() -> OpenApiRouter<Service> {
    let permission = routes!(permissions::grant, permissions::revoke);
    let rows = [
        ("/v1.0/user/create", routes!(users::create)),
        ("/v1.0/user/update/{id}", routes!(users::patch, users::put)),
        ("/v1.0/user/delete/{id}", routes!(users::delete)),
        ("/v1.0/user/{id}/activate", routes!(users::activate)),
        ("/v1.0/user/{id}/deactivate", routes!(users::deactivate)),
        ("/v1.0/points/{id}", routes!(points::book)),
        ("/v1.0/permissions/{id}/{permission}", and_post(permission, permissions::grant)),
    ];
    cache::routes().merge(aliases("HITA", rows))
}
