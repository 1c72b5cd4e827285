//! `/api/v1/audit`: the audit log.

use axum::extract::State;
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::api::answer::JsonAnswer;
use crate::api::extract::Params;
use crate::api::openapi::answers::Refused;
use crate::api::problem::Problem;
use crate::domain::audit_query::{AuditParams, AuditQuery};
use crate::domain::identity::UserId;
use crate::domain::permission::Right;
use crate::domain::timestamp::Timestamp;
use crate::service::Service;
use crate::service::access::Caller;
use crate::store::audit::Entry;

/// Every route of this file.
pub(crate) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(list))
}

/// A line of the audit log.
#[derive(Serialize, ToSchema)]
pub(crate) struct AuditEntry {
    id: Uuid,
    at: Timestamp,
    /// The user that acted; `null` if no user was logged in.
    actor_id: Option<UserId>,
    /// What was done, such as `user.update`.
    action: String,
    /// The user that was acted on, who may be deleted by now.
    target_id: Option<UserId>,
    /// Names of fields, codes, roles and numbers, the request's `address` and `api_key`; never a field's value.
    #[schema(value_type = Object)]
    details: serde_json::Value,
}

impl From<Entry> for AuditEntry {
    fn from(entry: Entry) -> Self {
        let Entry { id, at, actor_id, action, target_id, details } = entry;
        Self { id, at, actor_id, action, target_id, details }
    }
}

/// A page of the audit log, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct AuditList {
    items: Vec<AuditEntry>,
    /// The cursor of the next page; `null` on the last page.
    next_cursor: Option<String>,
}

/// The audit log: who did what to which user, newest first. For admins; never cached.
#[utoipa::path(
    get,
    path = "/api/v1/audit",
    operation_id = "list_audit_entries",
    operation_id = "list_audit",
    tag = "audit",
    security(("bearer" = []), ("api_key" = ["read"])),
    params(AuditParams),
    responses(
        (status = 200, body = AuditList),
        Refused,
    )
)]
pub(crate) async fn list(
    State(service): State<Service>,
    caller: Caller,
    Params(params): Params<AuditParams>,
) -> Result<impl IntoResponse, Problem> {
    // The permission is checked before the parameters are parsed, so that a caller that may not read the log learns
    // nothing from their errors.
    caller.check_permission(Right::ReadAudit)?;
    let page = service.audit(caller, &AuditQuery::parse(&params)?).await?;
    Ok(JsonAnswer(AuditList {
        items: page.entries.into_iter().map(AuditEntry::from).collect(),
        next_cursor: page.next.map(|cursor| cursor.encode()),
    }))
}
