//! The routes `/cache` of the generic user-management system. The handlers are those of the ITT Hotel API
//! (`/v1.0/cache`).

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::dialects::aliases::aliases;
use crate::dialects::hita::cache;
use crate::service::Service;

pub(super) fn routes() -> OpenApiRouter<Service> {
    let rows = [
        ("/cache/health", routes!(cache::health)),
        ("/cache/stats", routes!(cache::stats)),
        ("/cache/test", routes!(cache::test)),
        ("/cache/warm", routes!(cache::warm)),
        ("/cache/clear", routes!(cache::clear)),
        ("/cache/clear/user/{user_id}", routes!(cache::clear_user)),
    ];
    aliases("generic", rows)
}
