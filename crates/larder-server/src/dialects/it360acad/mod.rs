//! it360acad: `/api/users/`, as Django REST framework serves a list: a plain array, or pages. Paths have a slash at their
//! end.

mod links;
mod query;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use larder::policy;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::answer::JsonAnswer;
use crate::api::extract::{ConsistencyParams, Params, Strength};
use crate::api::openapi::answers::Refused;
use crate::api::problem::Problem;
use crate::api::users::{self, View};
use crate::dialects::aliases::aliases;
use crate::dialects::it360acad::links::Links;
use crate::dialects::it360acad::query::{DjangoParams, PageNumber, UserQuery};
use crate::domain::paging::ListParams;
use crate::domain::role::Role;
use crate::domain::user::User;
use crate::service::Service;
use crate::service::access::Caller;
use crate::service::error::{ListError, ServiceError};

/// The most users in one array or one search result. To fill it, the handler reads pages of [`PART`] users from the canonical
/// list.
const MOST: usize = 1_000;
const PART: usize = 100;

pub(super) fn routes() -> OpenApiRouter<Service> {
    let rows = [
        ("/api/users/", routes!(list, users::create)),
        ("/api/users/{id}/", routes!(users::get, users::patch, users::put, users::delete)),
    ];
    aliases("it360acad", rows)
}

/// An array, or a page if the request asks for one with `page` or `page_size`.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum Listed<'a> {
    Array(Vec<View<'a>>),
    Page(UserPage<'a>),
}

/// A page of users.
#[derive(Serialize, ToSchema)]
struct UserPage<'a> {
    /// How many users all pages have.
    count: i64,
    /// The URL of the next page; `null` on the last one.
    next: Option<String>,
    /// The URL of the page before; `null` on the first one.
    previous: Option<String>,
    results: Vec<View<'a>>,
}

/// Users, newest first unless ordered otherwise: an array of at most 1,000, with a `Link` of `rel="next"` where there
/// are more. With `page` or `page_size`: one page of them, as Django REST framework's `PageNumberPagination` has it.
///
/// A filter that no user fulfils, a page that is no number, and other parameters are treated as the framework treats
/// them: an empty list, 404, and ignored. A search finds the newest 1,000 users that have its text.
#[utoipa::path(
    get,
    path = "/api/users/",
    operation_id = "list_users",
    tag = "it360acad",
    security(("bearer" = []), ("api_key" = ["read"])),
    params(DjangoParams, ConsistencyParams),
    responses(
        (
            status = 200,
            body = Listed,
            headers(("Link" = Option<String>, description = "where an array continues, `rel=\"next\"`"))
        ),
        (status = 404, body = crate::api::openapi::answers::ProblemBody, content_type = "application/problem+json", description = "there is no such page"),
        Refused,
    )
)]
async fn list(
    State(service): State<Service>,
    caller: Caller,
    links: Links,
    Params(params): Params<DjangoParams>,
    Strength(consistency): Strength,
) -> Result<Response, Problem> {
    let query = params.parse()?;
    let lists = Lists { service: &service, caller, consistency, query: &query };
    if let Some(page) = query.page.filter(|_| query.is_listed_by_page()) {
        return lists.page(page, &links).await;
    }
    let (users, cursor) = match &query.named {
        Some(_) => (lists.named().await?, None),
        None => lists.found().await?,
    };
    if let Some(page) = query.page {
        let (first, end) = (page.first(users.len())?, users.len());
        let last = end.min(first + page.size);
        let page_of = UserPage {
            count: i64::try_from(end).unwrap_or(i64::MAX),
            next: (last < end).then(|| links.page(page.number(end) + 1)),
            previous: links.before(page.number(end)),
            results: Vec::new(),
        };
        let results = views(users.get(first..last).unwrap_or_default(), caller);
        return Ok(JsonAnswer(Listed::Page(UserPage { results, ..page_of })).into_response());
    }
    let mut headers = HeaderMap::new();
    if let Some(cursor) = cursor
        // The query is percent-encoded, so it is a legal header value.
        && let Ok(link) = HeaderValue::from_str(&format!("<{}>; rel=\"next\"", links.path_after(&cursor)))
    {
        headers.insert(header::LINK, link);
    }
    Ok((headers, JsonAnswer(Listed::Array(views(&users, caller)))).into_response())
}

fn views(users: &[User], caller: Caller) -> Vec<View<'_>> {
    users.iter().map(|user| View::of(user, caller)).collect()
}

/// The lists that one request reads.
struct Lists<'a> {
    service: &'a Service,
    caller: Caller,
    consistency: policy::Consistency,
    query: &'a UserQuery,
}

impl Lists<'_> {
    /// A page of the users, read as a canonical page.
    async fn page(&self, page: PageNumber, links: &Links) -> Result<Response, Problem> {
        let part = |page: usize| ListParams {
            page: self.query.cursor.is_none().then(|| page.to_string()),
            limit: Some(self.query.size().to_string()),
            ..self.query.list_params()
        };
        let read = |number| {
            let params = part(number);
            async move { self.service.list(self.caller, &params, self.consistency).await.map_err(renamed) }
        };
        // Only the count of a list says which of its pages is the last, and whether a page far behind is one.
        let is_far = |number: usize| number.saturating_mul(page.size) > query::PAGED;
        let mut number = page.number.filter(|number| !is_far(*number)).unwrap_or(1);
        let (_, mut answer) = read(number).await?;
        let count = answer.value.as_deref().and_then(|part| part.total).unwrap_or_default();
        page.first(usize::try_from(count).unwrap_or_default())?;
        let last = page.number(usize::try_from(count).unwrap_or_default());
        if last != number && self.query.cursor.is_none() {
            number = last;
            (_, answer) = read(number).await?;
        }
        let part = answer.value.as_deref().ok_or(ServiceError::NotFound)?;
        let is_by_cursor = self.query.cursor.is_some();
        let next = part.next.as_ref().map(|cursor| match is_by_cursor || is_far(number + 1) {
            // Pages by number end at the 10,000th user, and the list goes on by cursor.
            true => links.after(&cursor.encode()),
            false => links.page(number + 1),
        });
        let results = views(&part.users, self.caller);
        let previous = if is_by_cursor { None } else { links.before(number) };
        Ok(JsonAnswer(Listed::Page(UserPage { count, next, previous, results })).into_response())
    }

    /// The first [`MOST`] users of the list, in its order, and the cursor behind them.
    async fn found(&self) -> Result<(Vec<User>, Option<String>), Problem> {
        let mut cursor = self.query.cursor.clone();
        let mut users = Vec::new();
        while users.len() < MOST {
            let params = ListParams { limit: Some(PART.to_string()), cursor, ..self.query.list_params() };
            let (_, answer) =
                self.service.list(self.caller, &params, self.consistency).await.map_err(renamed)?;
            let part = answer.value.ok_or(ServiceError::NotFound)?;
            users.extend(part.users.iter().cloned());
            cursor = part.next.as_ref().map(|cursor| cursor.encode());
            if cursor.is_none() {
                break;
            }
        }
        self.query.sort_found(&mut users);
        Ok((users, cursor))
    }

    /// The user that the query names, if it is in the list and fulfils the other filters.
    async fn named(&self) -> Result<Vec<User>, Problem> {
        let Some(Some(name)) = self.query.named.as_ref().map(|names| names.first()) else {
            return Ok(Vec::new());
        };
        let found = match self.service.look_up(self.caller, name, self.consistency).await {
            Err(ServiceError::NotFound) => None,
            found => found?.value,
        };
        let is_listed = |user: &User| user.is_active || self.caller.role > Role::User;
        let user = found.filter(|user| is_listed(user) && self.query.holds_of(user, self.caller));
        Ok(user.into_iter().map(|user| User::clone(&user)).collect())
    }
}

/// The error with the names that the parameters have here.
fn renamed(error: ListError) -> Problem {
    match error {
        ListError::Invalid(errors) => query::renamed(&errors).into(),
        ListError::Service(error) => error.into(),
    }
}
