//! `GET /api/v1/users` and `GET /api/v1/superadmin/users`: lists by page and by cursor.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use larder_http::headers::{CACHE_STATUS, cache_status};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::answer::{JsonAnswer, rendered};
use crate::api::extract::{ConsistencyParams, Params, Strength};
use crate::api::openapi::answers::Refused;
use crate::api::problem::Problem;
use crate::api::users::View;
use crate::cached::lists::ListPage;
use crate::cached::rendered::Representation;
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
    params(ListParams, ConsistencyParams),
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
    let page = answer.value.as_deref().ok_or(ServiceError::NotFound)?;
    let status = [(CACHE_STATUS, cache_status(&answer))];
    let list = |page| list_of(&query, page, |user| View::of(user, caller));
    Ok(match representation_for(caller, page) {
        Some(representation) => (status, rendered(&service, &answer, representation, list)?).into_response(),
        None => (status, JsonAnswer(list(page))).into_response(),
    })
}

/// The representation that callers of this role see of the page. `None`: this caller has a view of its own, because it
/// sees itself with all fields and others of its role do not. An admin has one too, while its own row already says that it is a
/// superadmin and its authentication state does not say so yet.
fn representation_for(caller: Caller, page: &ListPage<User>) -> Option<Representation> {
    if page.users.iter().any(|user| user.id == caller.id && !caller.manages(user.role)) {
        return None;
    }
    Some(match caller.role {
        Role::User => Representation::ForUsers,
        Role::Admin => Representation::ForAdmins,
        Role::Superadmin => Representation::ForSuperadmins,
    })
}

/// Users with facts about their passwords and sessions, for superadmins.
#[utoipa::path(
    get,
    path = "/api/v1/superadmin/users",
    operation_id = "list_users_for_superadmins",
    tag = "users",
    security(("bearer" = []), ("api_key" = ["read"])),
    params(ListParams, ConsistencyParams),
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

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::domain::identity::UserId;
    use crate::domain::permission::Rights;
    use crate::service::access::Credential;

    fn caller(id: UserId, role: Role) -> Caller {
        Caller { id, role, credential: Credential::Session(Uuid::now_v7()), rights: Rights::default() }
    }

    /// A user as the cache would return it.
    fn user(id: UserId, role: Role) -> User {
        let user = json!({
            "id": id, "role": role, "username": "ann", "email": "ann@example.com", "is_active": true, "points": 0,
            "skills": [], "email_verified": true,
            "version": 1, "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
        });
        serde_json::from_value(user).unwrap()
    }

    /// The view of a page is kept for all callers of a role, so the page must look alike to all of them.
    #[test]
    fn a_caller_who_sees_more_of_itself_has_a_view_of_its_own() {
        let (own, other) = (UserId::generate(), UserId::generate());
        let roles = [Role::User, Role::Admin, Role::Superadmin];
        for (of_caller, of_row) in roles.iter().flat_map(|role| roles.map(|of_row| (*role, of_row))) {
            let page = ListPage { users: vec![user(own, of_row)], total: None, next: None };
            let fields = |id| View::representation(&page.users[0], caller(id, of_caller));
            let is_alike = fields(own) == fields(other);
            assert_eq!(
                representation_for(caller(own, of_caller), &page).is_some(),
                is_alike,
                "{of_caller:?} {of_row:?}"
            );
            assert!(representation_for(caller(other, of_caller), &page).is_some());
        }
    }
}
