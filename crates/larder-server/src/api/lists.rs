//! `GET /api/v1/users` and `GET /api/v1/superadmin/users`: lists by page and by cursor.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use larder_http::headers::{CACHE_STATUS, cache_status};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::answer::{JsonAnswer, rendered};
use crate::api::extract::{Consistency, Params, Strength};
use crate::api::openapi::answers::Refused;
use crate::api::problem::Problem;
use crate::api::users::View;
use crate::cached::lists::ListPage;
use crate::cached::rendered::Shape;
use crate::domain::paging::{ListParams, ListQuery, Page, Position};
use crate::domain::role::Role;
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
    let shape = match caller.role {
        Role::Superadmin => Some(Shape::ForSuperadmins),
        Role::Admin => Some(Shape::ForAdmins),
        Role::User => {
            // Users see themselves with all fields, so such a page has a view of its own.
            let has_caller = |page: &ListPage<User>| page.users.iter().any(|user| user.id == caller.id);
            (!answer.value.as_deref().is_some_and(has_caller)).then_some(Shape::ForUsers)
        }
    };
    let status = [(CACHE_STATUS, cache_status(&answer))];
    let list = |page| list_of(&query, page, |user| View::of(user, caller));
    Ok(match shape {
        Some(shape) => (status, rendered(&service, &answer, shape, list)?).into_response(),
        None => {
            (status, JsonAnswer(list(answer.value.as_deref().ok_or(ServiceError::NotFound)?))).into_response()
        }
    })
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
    // Whether a session can still be used depends on the time, so this answer is rendered each time.
    let page = answer.value.as_deref().ok_or(ServiceError::NotFound)?;
    let view = |overview| Overview::of(overview, service.live_sessions(&overview.sessions));
    Ok(([(CACHE_STATUS, cache_status(&answer))], JsonAnswer(list_of(&query, page, view))).into_response())
}

fn list_of<'a, T, V>(query: &ListQuery, page: &'a ListPage<T>, view: impl Fn(&'a T) -> V) -> List<V> {
    List {
        items: page.users.iter().map(view).collect(),
        page: match query.position {
            Position::Page(page) => Some(page),
            Position::Cursor(_) => None,
        },
        limit: query.limit.get(),
        total: page.total,
        next_cursor: page.next.as_ref().map(|cursor| cursor.encode()),
    }
}

impl From<ListError> for Problem {
    fn from(error: ListError) -> Self {
        match error {
            ListError::Invalid(errors) => errors.into(),
            ListError::Service(error) => error.into(),
        }
    }
}
