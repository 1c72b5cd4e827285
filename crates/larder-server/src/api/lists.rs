//! `GET /api/v1/users` and `GET /api/v1/superadmin/users`: lists by page and by cursor.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use larder::class;
use larder_http::headers::{CACHE_STATUS, cache_status};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::answer::JsonAnswer;
use crate::api::extract::{Consistency, Params, Strength};
use crate::api::openapi::answers::Refused;
use crate::api::problem::Problem;
use crate::api::users::View;
use crate::cached::lists::ListPage;
use crate::domain::paging::{ListParams, ListQuery, Page, Position};
use crate::domain::statistics::AccountOverview;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::User;
use crate::service::Service;
use crate::service::access::Caller;
use crate::service::error::{ListError, ServiceError};

/// Every route of this file.
pub(crate) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(superadmin_list))
}

/// A page of a list.
#[derive(Serialize, ToSchema)]
struct List<T> {
    items: Vec<T>,
    /// The page's number; `null` if the request named a cursor.
    #[schema(value_type = Option<u32>)]
    page: Option<Page>,
    limit: u32,
    /// How many users the complete list has; `null` for a search, whose results are not counted.
    total: Option<i64>,
    /// The cursor of the next page; `null` on the last page.
    next_cursor: Option<String>,
}

/// A user as only superadmins see it.
#[derive(Serialize, ToSchema)]
struct Overview<'a> {
    #[serde(flatten)]
    user: &'a User,
    /// Whether the user can log in with a password.
    has_password: bool,
    /// When the password was set.
    password_changed_at: Option<Timestamp>,
    /// How often the user's tokens were voided, counted from 1: a new password or a deactivation does that. 0 without a
    /// password.
    credentials_epoch: i64,
    /// When the user opened the latest of its sessions that are still stored.
    last_login_at: Option<Timestamp>,
    /// How many sessions of the user can still be used.
    live_sessions: usize,
}

impl<'a> Overview<'a> {
    fn of(overview: &'a AccountOverview, live_sessions: usize) -> Self {
        Self {
            user: &overview.user,
            has_password: overview.has_password,
            password_changed_at: overview.password_changed_at,
            credentials_epoch: overview.epoch,
            last_login_at: overview.last_login_at,
            live_sessions,
        }
    }
}

/// Users, newest first unless sorted otherwise.
///
/// Ordinary users see active users only, without e-mail addresses, telephone numbers and external ids. Admins see every
/// user; only superadmins see these three fields of superadmins.
#[utoipa::path(
    get,
    path = "/api/v1/users",
    operation_id = "list_users",
    tag = "users",
    security(("bearer" = []), ("api_key" = ["read"])),
    params(ListParams, Consistency),
    responses(
        (status = 200, body = List<View>, headers(("Cache-Status" = String))),
        Refused,
    )
)]
pub(crate) async fn list(
    State(service): State<Service>,
    caller: Caller,
    Params(params): Params<ListParams>,
    Strength(consistency): Strength,
) -> Result<Response, Problem> {
    let (query, answer) = service.list(caller, &params, consistency).await?;
    listed(&query, &answer, |user| View::of(user, caller))
}

/// Users with facts about their passwords and sessions, for superadmins.
#[utoipa::path(
    get,
    path = "/api/v1/superadmin/users",
    operation_id = "list_users_for_superadmins",
    tag = "users",
    security(("bearer" = []), ("api_key" = ["read"])),
    params(ListParams, Consistency),
    responses(
        (status = 200, body = List<Overview>, headers(("Cache-Status" = String))),
        Refused,
    )
)]
pub(crate) async fn superadmin_list(
    State(service): State<Service>,
    caller: Caller,
    Params(params): Params<ListParams>,
    Strength(consistency): Strength,
) -> Result<Response, Problem> {
    let (query, answer) = service.overviews(caller, &params, consistency).await?;
    listed(&query, &answer, |overview| Overview::of(overview, service.live_sessions(&overview.sessions)))
}

fn listed<'a, T, V: Serialize>(
    query: &ListQuery,
    answer: &'a class::Answer<ListPage<T>>,
    view: impl Fn(&'a T) -> V,
) -> Result<Response, Problem> {
    let part = answer.value.as_deref().ok_or(ServiceError::NotFound)?;
    let list = List {
        items: part.users.iter().map(view).collect(),
        page: match query.position {
            Position::Page(page) => Some(page),
            Position::Cursor(_) => None,
        },
        limit: query.limit.get(),
        total: part.total,
        next_cursor: part.next.as_ref().map(|cursor| cursor.encode()),
    };
    Ok(([(CACHE_STATUS, cache_status(answer))], JsonAnswer(list)).into_response())
}

impl From<ListError> for Problem {
    fn from(error: ListError) -> Self {
        match error {
            ListError::Invalid(errors) => errors.into(),
            ListError::Service(error) => error.into(),
        }
    }
}
