//! it360acad: `/api/users/`, a plain array of users, paths with a slash at their end.

use axum::Json as Answer;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::extract::{Consistency, Params, Strength};
use crate::api::openapi::answers::Refused;
use crate::api::problem::Problem;
use crate::api::users::{self, View};
use crate::dialects::aliases::aliases;
use crate::domain::paging::ListParams;
use crate::service::Service;
use crate::service::access::Caller;
use crate::service::error::ServiceError;

/// The most users in one answer, which is composed of canonical pages with [`PAGE`] users each.
const MOST: usize = 1_000;
const PAGE: usize = 100;

pub(super) fn routes() -> OpenApiRouter<Service> {
    let rows = [
        ("/api/users/", routes!(list, users::create)),
        ("/api/users/{id}/", routes!(users::get, users::patch, users::put, users::delete)),
    ];
    aliases("it360acad", rows)
}

/// The position from which the array continues.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct After {
    /// The cursor in the `Link` of the previous answer.
    cursor: Option<String>,
}

/// All users, newest first: at most 1,000, and a `Link` with `rel="next"` where there are more.
#[utoipa::path(
    get,
    path = "/api/users/",
    operation_id = "list_users",
    tag = "it360acad",
    security(("bearer" = []), ("api_key" = ["read"])),
    params(After, Consistency),
    responses(
        (
            status = 200,
            body = Vec<View>,
            headers(("Link" = Option<String>, description = "where the array continues, `rel=\"next\"`"))
        ),
        Refused,
    )
)]
pub(crate) async fn list(
    State(service): State<Service>,
    caller: Caller,
    Params(After { mut cursor }): Params<After>,
    Strength(consistency): Strength,
) -> Result<Response, Problem> {
    let mut pages = Vec::with_capacity(MOST / PAGE);
    while pages.len() < MOST / PAGE {
        let params = ListParams { limit: Some(PAGE.to_string()), cursor, ..ListParams::default() };
        let (_, answer) = service.list(caller, &params, consistency).await?;
        let page = answer.value.ok_or(ServiceError::NotFound)?;
        cursor = page.next.as_ref().map(|cursor| cursor.encode());
        pages.push(page);
        if cursor.is_none() {
            break;
        }
    }
    let users: Vec<_> =
        pages.iter().flat_map(|page| &page.users).map(|user| View::of(user, caller)).collect();
    let mut headers = HeaderMap::new();
    if let Some(cursor) = cursor
        // A cursor is base64 for URLs, which is a legal header value.
        && let Ok(link) = HeaderValue::from_str(&format!("</api/users/?cursor={cursor}>; rel=\"next\""))
    {
        headers.insert(header::LINK, link);
    }
    Ok((headers, Answer(users)).into_response())
}
