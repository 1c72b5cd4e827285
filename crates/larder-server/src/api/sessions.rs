//! `/api/v1/users/{id}/sessions`: listing and ending sessions.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::api::answer::JsonAnswer;
use crate::api::auth::acknowledged;
use crate::api::extract::{TargetSession, TargetUser};
use crate::api::openapi::answers::{NotFound, Refused};
use crate::api::openapi::parameters::UserPath;
use crate::api::problem::Problem;
use crate::domain::timestamp::Timestamp;
use crate::service::Service;
use crate::service::access::{Caller, Credential};
use crate::store::sessions::SessionRow;

/// Every route of this file.
pub(crate) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(list, end_all)).routes(routes!(end))
}

/// A live session.
#[derive(Serialize, ToSchema)]
pub(crate) struct SessionAnswer {
    id: Uuid,
    created_at: Timestamp,
    /// When the session was opened or last refreshed.
    last_used_at: Timestamp,
    /// When the session ends, however often it is refreshed.
    expires_at: Timestamp,
    /// Whether this request came in this session.
    current: bool,
}

/// The live sessions of a user.
#[derive(Serialize, ToSchema)]
pub(crate) struct SessionList {
    /// The most recently used first.
    items: Vec<SessionAnswer>,
}

/// The live sessions of a user. For the user itself and for admins that manage it.
#[utoipa::path(
    get,
    path = "/api/v1/users/{id}/sessions",
    operation_id = "list_sessions",
    tag = "sessions",
    security(("bearer" = []), ("api_key" = ["read"])),
    params(UserPath),
    responses((status = 200, body = SessionList), NotFound, Refused)
)]
pub(crate) async fn list(
    State(service): State<Service>,
    caller: Caller,
    TargetUser(user): TargetUser,
) -> Result<impl IntoResponse, Problem> {
    let rows = service.sessions(caller, caller.naming(user)).await?;
    let shown = |row: SessionRow| SessionAnswer {
        id: row.id,
        created_at: row.created_at,
        last_used_at: row.last_used_at,
        expires_at: row.expires_at,
        current: caller.credential == Credential::Session(row.id),
    };
    Ok(JsonAnswer(SessionList { items: rows.into_iter().map(shown).collect() }))
}

/// Ends a session. Its tokens end at once on this instance, and within the staleness bound on every other.
#[utoipa::path(
    delete,
    path = "/api/v1/users/{id}/sessions/{session_id}",
    operation_id = "delete_session",
    tag = "sessions",
    security(("bearer" = [])),
    params(UserPath, ("session_id" = Uuid, Path, description = "the id of a live session")),
    responses(
        (status = 204, description = "the session has ended", headers(("Cache-Invalidation" = String))),
        NotFound,
        Refused,
    )
)]
pub(crate) async fn end(
    State(service): State<Service>,
    caller: Caller,
    TargetSession(user, session): TargetSession,
) -> Result<impl IntoResponse, Problem> {
    let receipt = service.end_session(caller, caller.naming(user), session).await?;
    Ok((StatusCode::NO_CONTENT, acknowledged(receipt)))
}

/// Ends every session of a user. If the user is the caller, the session of this request ends too. API keys stay.
#[utoipa::path(
    delete,
    path = "/api/v1/users/{id}/sessions",
    operation_id = "delete_sessions",
    tag = "sessions",
    security(("bearer" = [])),
    params(UserPath),
    responses(
        (status = 204, description = "the sessions have ended", headers(("Cache-Invalidation" = String))),
        NotFound,
        Refused,
    )
)]
pub(crate) async fn end_all(
    State(service): State<Service>,
    caller: Caller,
    TargetUser(user): TargetUser,
) -> Result<impl IntoResponse, Problem> {
    let receipt = service.end_sessions(caller, caller.naming(user)).await?;
    Ok((StatusCode::NO_CONTENT, acknowledged(receipt)))
}
