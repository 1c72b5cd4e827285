//! The requests of the page.

use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::{Query, Request, State};
use axum::http::header;
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use larder::journal::Touch;
use larder::receipt::Receipt;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::admin::answers::{Problem, json};
use crate::admin::explained::Explained;
use crate::admin::hooks::{Access, AdminHooks, Clearing, SignIn};
use crate::admin::origin::is_of_page;
use crate::admin::page::AdminPage;
use crate::admin::stream::streamed;
use crate::admin::times::millis;
use crate::admin::tuned::Tuned;

/// The longest body of a request. A key of Redis and a pattern are shorter.
const BODY_BYTES: usize = 16 * 1024;
/// The shortest and the longest time of which a history is asked.
const HISTORY: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(86_400)];

/// What the page needs before its viewer has signed in; it holds no figure.
#[derive(Serialize)]
struct Settings {
    sign_in: SignIn,
}

pub(super) async fn settings<H: AdminHooks>(State(page): State<AdminPage<H>>) -> Response {
    json(&Settings { sign_in: page.hooks().sign_in() })
}

pub(super) async fn stream<H: AdminHooks>(
    State(page): State<AdminPage<H>>,
    request: Request,
) -> Result<Response, Response> {
    let (mut head, _) = request.into_parts();
    let caller = page.hooks().admit(&mut head, Access::Look).await?;
    Ok(streamed(page, head, caller))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExplainBody {
    class: String,
    key: Vec<Option<String>>,
}

pub(super) async fn explain<H: AdminHooks>(
    State(page): State<AdminPage<H>>,
    request: Request,
) -> Result<Response, Response> {
    let (caller, body) = posted(&page, request, Access::Look).await?;
    let ExplainBody { class, key: parts } = body;
    let entry = Touch::Entry { class, parts };
    let explanation = page.hooks().explain(page.cache(), &caller, &entry).await?;
    Ok(json(&Explained::from(explanation)))
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum ClearBody {
    Everything(bool),
    Class(String),
    Pattern(String),
}

/// What a clearing dropped.
#[derive(Serialize)]
struct Cleared {
    keys: usize,
    tags: usize,
    patterns: usize,
    /// `sent` or `queued`.
    delivery: String,
}

impl From<Receipt> for Cleared {
    fn from(receipt: Receipt) -> Self {
        let (keys, tags, patterns) = (receipt.keys(), receipt.tags(), receipt.patterns());
        Self { keys, tags, patterns, delivery: receipt.delivery().to_string() }
    }
}

pub(super) async fn clear<H: AdminHooks>(
    State(page): State<AdminPage<H>>,
    request: Request,
) -> Result<Response, Response> {
    let (caller, body) = posted(&page, request, Access::Act).await?;
    let what = match body {
        ClearBody::Everything(true) => Clearing::Everything,
        ClearBody::Everything(false) => return Err(Problem::BODY.into_response()),
        ClearBody::Class(class) => Clearing::Class(class),
        ClearBody::Pattern(pattern) => Clearing::Matching(pattern),
    };
    let receipt = page.hooks().clear(page.cache(), &caller, &what).await?;
    Ok(json(&Cleared::from(receipt)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SwitchBody {
    class: String,
    on: bool,
    /// The instance whose stream the viewer sees.
    instance: String,
}

pub(super) async fn switch<H: AdminHooks>(
    State(page): State<AdminPage<H>>,
    request: Request,
) -> Result<Response, Response> {
    let (caller, body) = posted(&page, request, Access::Act).await?;
    let SwitchBody { class, on, instance } = body;
    of_this(&page, &instance).map_err(Problem::into_response)?;
    page.hooks().switch(page.cache(), &caller, &class, on).await?;
    Ok(json(&()))
}

pub(super) async fn warm<H: AdminHooks>(
    State(page): State<AdminPage<H>>,
    request: Request,
) -> Result<Response, Response> {
    let (caller, ()) = posted(&page, request, Access::Act).await?;
    if !page.hooks().can_warm() {
        return Err(Problem::NO_WARMING.into_response());
    }
    Ok(json(&page.hooks().warm(&caller).await?))
}

#[derive(Deserialize)]
pub(super) struct Since {
    /// Seconds.
    since: u64,
}

pub(super) async fn history<H: AdminHooks>(
    State(page): State<AdminPage<H>>,
    Query(Since { since }): Query<Since>,
    request: Request,
) -> Result<Response, Response> {
    let (mut head, _) = request.into_parts();
    let caller = page.hooks().admit(&mut head, Access::Look).await?;
    let since = Duration::from_secs(since).clamp(HISTORY[0], HISTORY[1]);
    Ok(json(&page.hooks().history(&caller, since).await?))
}

pub(super) async fn tuning<H: AdminHooks>(
    State(page): State<AdminPage<H>>,
    request: Request,
) -> Result<Response, Response> {
    let (mut head, _) = request.into_parts();
    page.hooks().admit(&mut head, Access::Look).await?;
    let process = (page.hooks().instance(), millis(page.began()));
    Ok(json(&Tuned::of(page.cache(), process)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UndoBody {
    change: u64,
    /// The process whose changes the viewer sees.
    instance: String,
    began: u64,
}

pub(super) async fn undo<H: AdminHooks>(
    State(page): State<AdminPage<H>>,
    request: Request,
) -> Result<Response, Response> {
    let (caller, body) = posted(&page, request, Access::Act).await?;
    let UndoBody { change, instance, began } = body;
    of_this(&page, &instance).map_err(Problem::into_response)?;
    if began != millis(page.began()) {
        return Err(Problem::OTHER_INSTANCE.into_response());
    }
    page.hooks().undo_tuning(page.cache(), &caller, change).await?;
    Ok(json(&()))
}

/// Refuses a request about one instance that a load balancer has sent to another one.
fn of_this<H: AdminHooks>(page: &AdminPage<H>, instance: &str) -> Result<(), Problem> {
    match instance == page.hooks().instance() {
        true => Ok(()),
        false => Err(Problem::OTHER_INSTANCE),
    }
}

/// The caller and the body of a request that the page posts. The right to act is checked before the body is read.
async fn posted<H: AdminHooks, B: DeserializeOwned>(
    page: &AdminPage<H>,
    request: Request,
    access: Access,
) -> Result<(H::Caller, B), Response> {
    let (mut head, body) = request.into_parts();
    if !is_of_page(&head.uri, &head.headers) || !is_json(&head) {
        return Err(Problem::OTHER_SITE.into_response());
    }
    let caller = page.hooks().admit(&mut head, access).await?;
    let body = to_bytes(body, BODY_BYTES).await.map_err(|_| Problem::BODY.into_response())?;
    let body = serde_json::from_slice(&body).map_err(|_| Problem::BODY.into_response())?;
    Ok((caller, body))
}

/// A form of another site can send no body of this type without a preflight.
fn is_json(head: &Parts) -> bool {
    let kind = head.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.split(';').next().is_some_and(|kind| kind.trim() == "application/json"))
}
