//! The paths and answers of five older systems, each as its document prints them. If a route answers like an operation
//! of `api/`, a row of a table gives that operation a second path; otherwise the route has a handler here.

mod aliases;
mod away;
pub mod generic;
pub mod hiremebahamas;
pub mod hita;
pub mod it360acad;
pub mod katiba360;

use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;

use crate::dialects::away::Components;
use crate::service::Service;

/// The routes of all five systems.
pub(crate) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::with_openapi(Components::openapi())
        .merge(generic::routes())
        .merge(hita::routes())
        .merge(it360acad::routes())
        .merge(katiba360::routes())
        .merge(hiremebahamas::routes())
}
