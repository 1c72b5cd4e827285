//! `/api/v1/users/{id}/api-keys`: making, listing and deleting API keys.

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::answer::JsonAnswer;
use crate::api::auth::acknowledged;
use crate::api::client_address::ClientAddress;
use crate::api::extract::{Json, TargetKey, TargetUser};
use crate::api::openapi::answers::{NotFound, Refused, RefusedBody, RefusedTooMany};
use crate::api::openapi::parameters::UserPath;
use crate::api::problem::Problem;
use crate::domain::api_key::{ApiKeyState, NewApiKey, Scope};
use crate::domain::timestamp::Timestamp;
use crate::service::Service;
use crate::service::access::Caller;
use crate::store::api_keys::ApiKeyRow;

/// Every route of this file.
pub(crate) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(delete))
}

/// A key without its secret.
#[derive(Serialize, ToSchema)]
pub(crate) struct ApiKeyAnswer {
    /// The key's public id: the part of the key that follows `lk_`.
    id: String,
    name: String,
    scopes: Vec<Scope>,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    /// The last day on which the key was used, in UTC.
    last_used_on: Option<String>,
}

impl ApiKeyAnswer {
    fn new(state: &ApiKeyState, name: &str, last_used_on: Option<String>) -> Self {
        Self {
            id: state.id.to_string(),
            name: name.to_owned(),
            scopes: state.scopes.iter().collect(),
            created_at: state.created_at,
            expires_at: state.expires_at,
            last_used_on,
        }
    }
}

/// A key that was just made.
#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedApiKey {
    /// The key itself. Only this answer shows it.
    key: String,
    #[serde(flatten)]
    about: ApiKeyAnswer,
}

/// The keys of a user.
#[derive(Serialize, ToSchema)]
pub(crate) struct ApiKeyList {
    /// Newest first.
    items: Vec<ApiKeyAnswer>,
}

/// Makes an API key for the caller. The caller sends its password and, if its second factor is on, a code. Only this
/// answer shows the key.
#[utoipa::path(
    post,
    path = "/api/v1/users/{id}/api-keys",
    operation_id = "create_api_key",
    tag = "api keys",
    security(("bearer" = [])),
    params(UserPath),
    request_body = NewApiKey,
    responses(
        (status = 201, body = CreatedApiKey, headers(("Location" = String), ("Cache-Invalidation" = String))),
        NotFound,
        Refused,
        RefusedBody,
        RefusedTooMany,
    )
)]
pub(crate) async fn create(
    State(service): State<Service>,
    caller: Caller,
    ClientAddress(address): ClientAddress,
    TargetUser(user): TargetUser,
    Json(body): Json,
) -> Result<Response, Problem> {
    let new = NewApiKey::parse(body)?;
    let name = new.name.as_str().to_owned();
    let (key, state, receipt) = service.create_api_key(caller, caller.naming(user), new, address).await?;
    let location = format!("/api/v1/users/{}/api-keys/{}", state.user_id, state.id);
    let location = HeaderValue::from_str(&location).unwrap_or_else(|_| HeaderValue::from_static("/"));
    let about = ApiKeyAnswer::new(&state, &name, None);
    let created = CreatedApiKey { key: key.expose().to_owned(), about };
    let headers = (acknowledged(receipt), [(header::LOCATION, location)]);
    Ok((StatusCode::CREATED, headers, JsonAnswer(created)).into_response())
}

/// The API keys of a user, without their secrets.
#[utoipa::path(
    get,
    path = "/api/v1/users/{id}/api-keys",
    operation_id = "list_api_keys",
    tag = "api keys",
    security(("bearer" = []), ("api_key" = ["read"])),
    params(UserPath),
    responses(
        (status = 200, body = ApiKeyList),
        NotFound,
        Refused,
    )
)]
pub(crate) async fn list(
    State(service): State<Service>,
    caller: Caller,
    TargetUser(user): TargetUser,
) -> Result<impl IntoResponse, Problem> {
    let keys = service.api_keys(caller, caller.naming(user)).await?;
    let shown = |row: ApiKeyRow| ApiKeyAnswer::new(&row.state, row.name.as_str(), row.last_used_on);
    Ok(JsonAnswer(ApiKeyList { items: keys.into_iter().map(shown).collect() }))
}

/// Deletes an API key. The key ends at once on this instance, and within the staleness bound on every other.
#[utoipa::path(
    delete,
    path = "/api/v1/users/{id}/api-keys/{key_id}",
    operation_id = "delete_api_key",
    tag = "api keys",
    security(("bearer" = [])),
    params(
        UserPath,
        ("key_id" = String, Path, pattern = "^[0-9a-f]{16}$", description = "16 hexadecimal digits"),
    ),
    responses(
        (status = 204, description = "the key is gone", headers(("Cache-Invalidation" = String))),
        NotFound,
        Refused,
    )
)]
pub(crate) async fn delete(
    State(service): State<Service>,
    caller: Caller,
    TargetKey(user, key): TargetKey,
) -> Result<impl IntoResponse, Problem> {
    let receipt = service.delete_api_key(caller, caller.naming(user), key).await?;
    Ok((StatusCode::NO_CONTENT, acknowledged(receipt)))
}
