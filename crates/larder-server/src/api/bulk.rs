//! `/api/v1/users/bulk`: many users in one request and one transaction.

use axum::extract::State;
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::answer::JsonAnswer;
use crate::api::auth::acknowledged;
use crate::api::client_address::ClientAddress;
use crate::api::extract::Json;
use crate::api::openapi::answers::{Refused, RefusedBody, RefusedTooMany};
use crate::api::problem::Problem;
use crate::domain::bulk::{BulkBody, Outcome};
use crate::domain::identity::UserId;
use crate::service::Service;
use crate::service::access::Caller;

/// Every route of this file.
pub(crate) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(activate)).routes(routes!(deactivate))
}

/// The outcome for one of the ids.
#[derive(Serialize, ToSchema)]
pub(crate) struct BulkResult {
    /// The id as it was sent.
    id: String,
    /// `null` when there is no such user.
    user_id: Option<UserId>,
    outcome: Outcome,
}

/// The outcomes for all ids.
#[derive(Serialize, ToSchema)]
pub(crate) struct BulkAnswer {
    /// How many users were changed.
    changed: usize,
    /// One result for each id, in the order of the ids.
    results: Vec<BulkResult>,
}

/// Activates those of the users that the caller manages, in one transaction.
///
/// For users with a role above `user` or a permission, the caller sends its password and, if its second factor is on, a
/// code; without them these users are `forbidden`.
#[utoipa::path(
    post,
    path = "/api/v1/users/bulk/activate",
    operation_id = "activate_users",
    operation_id = "bulk_activate",
    tag = "users",
    security(("bearer" = []), ("api_key" = ["write"])),
    request_body = BulkBody,
    responses(
        (status = 200, body = BulkAnswer, headers(("Cache-Invalidation" = String))),
        Refused,
        RefusedBody,
        RefusedTooMany,
    )
)]
pub(crate) async fn activate(
    state: State<Service>,
    caller: Caller,
    from: ClientAddress,
    body: Json,
) -> Result<impl IntoResponse, Problem> {
    set_active(state, caller, from, body, true).await
}

/// Deactivates those of the users that the caller manages, in one transaction; their tokens end at once.
#[utoipa::path(
    post,
    path = "/api/v1/users/bulk/deactivate",
    operation_id = "deactivate_users",
    operation_id = "bulk_deactivate",
    tag = "users",
    security(("bearer" = []), ("api_key" = ["write"])),
    request_body = BulkBody,
    responses(
        (status = 200, body = BulkAnswer, headers(("Cache-Invalidation" = String))),
        Refused,
        RefusedBody,
    )
)]
pub(crate) async fn deactivate(
    state: State<Service>,
    caller: Caller,
    from: ClientAddress,
    body: Json,
) -> Result<impl IntoResponse, Problem> {
    set_active(state, caller, from, body, false).await
}

async fn set_active(
    State(service): State<Service>,
    caller: Caller,
    ClientAddress(from): ClientAddress,
    Json(body): Json,
    is_active: bool,
) -> Result<impl IntoResponse, Problem> {
    // The role is checked before the body is parsed, so that a caller that may not do this learns nothing from the
    // body's errors.
    caller.check_admin()?;
    let (outcomes, receipt) = service.set_active_of(caller, BulkBody::parse(body)?, is_active, from).await?;
    let results: Vec<_> = outcomes
        .into_iter()
        .map(|(asked, one)| BulkResult { id: asked.shown(), user_id: one.user_id, outcome: one.outcome })
        .collect();
    let mut changed: Vec<_> =
        results.iter().filter(|one| one.outcome == Outcome::Changed).filter_map(|one| one.user_id).collect();
    // The request may name one user twice; `changed` counts it once.
    changed.sort();
    changed.dedup();
    Ok((acknowledged(receipt), JsonAnswer(BulkAnswer { changed: changed.len(), results })))
}
