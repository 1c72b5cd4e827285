//! The paths and answers of five earlier systems, each as its document prints them: tables of aliases of the operations in `api/`,
//! and handlers where the answer differs.

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

/// The routes of all of them.
pub(crate) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::with_openapi(Components::openapi())
        .merge(generic::routes())
        .merge(hita::routes())
        .merge(it360acad::routes())
        .merge(katiba360::routes())
        .merge(hiremebahamas::routes())
}
