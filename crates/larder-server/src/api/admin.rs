//! `/admin/cache`: the page of `larder-http` about the cache of this instance, for admins.
//!
//! The page is no part of the OpenAPI document, as `/docs` is none: it is for people, and its requests may change with it.

use std::time::Duration;

use axum::extract::FromRequestParts as _;
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use larder::cache::Cache;
use larder::introspection::explain::Explanation;
use larder::journal::Touch;
use larder::receipt::Receipt;
use larder_http::admin::{Access, AdminHooks, AdminPage, Clearing, SignIn};
use serde_json::{Value, json};

use crate::api::cache::history::History;
use crate::api::problem::Problem;
use crate::cached::classes::keys_for;
use crate::domain::caches::{ExplainBody, HistoryParams, HistoryQuery, InvalidateBody};
use crate::domain::role::Role;
use crate::service::Service;
use crate::service::access::Caller;
use crate::service::error::ServiceError;

/// Where the page is, below the prefix of all paths.
pub(crate) const PATH: &str = "/admin/cache";

/// The page of this service.
pub(crate) type CachePage = AdminPage<Hooks>;

/// What the service decides for the page: as the routes under `/api/v1/cache` do.
pub(crate) struct Hooks(Service);

/// The page of the service's cache.
pub(crate) fn page(service: &Service) -> CachePage {
    AdminPage::new(service.cache(), Hooks(service.clone()))
}

fn refused(error: ServiceError) -> Response {
    Problem::from(error).into_response()
}

fn invalid(error: impl Into<Problem>) -> Response {
    error.into().into_response()
}

impl AdminHooks for Hooks {
    type Caller = Caller;

    async fn admit(&self, head: &mut Parts, _: Access) -> Result<Caller, Response> {
        // The operations of the page declare no scope, so no API key is admitted.
        let caller = Caller::from_request_parts(head, &self.0).await.map_err(invalid)?;
        self.0.present_admin(caller).await.map_err(refused)
    }

    fn may_see_keys(&self, caller: &Caller, class: &str) -> bool {
        // The log has the text of a key and not its parts. So an admin sees the keys of a class if it may see the one that
        // is hidden first: that of a list for superadmins.
        keys_for(class).admits(caller.role, &[Some(Role::Superadmin.as_str().to_owned())])
    }

    fn sign_in(&self) -> SignIn {
        // Relative to the page, so that a prefix of a proxy needs no setting.
        let to = |name: &str| format!("../../api/v1/auth/{name}");
        SignIn::Password { login: to("login"), refresh: to("refresh"), logout: to("logout") }
    }

    fn instance(&self) -> String {
        // A program that embeds the service keeps no history.
        self.0.instance().map_or_else(|| format!("process {}", std::process::id()), str::to_owned)
    }

    fn can_warm(&self) -> bool {
        true
    }

    async fn explain(&self, _: &Cache, caller: &Caller, entry: &Touch) -> Result<Explanation, Response> {
        let Touch::Entry { class, parts } = entry else { return Err(refused(ServiceError::NotFound)) };
        let body = ExplainBody::parse(json!({ "class": class, "key": parts })).map_err(invalid)?;
        let ExplainBody { class, key: parts } = body;
        self.0.explain(*caller, &Touch::Entry { class, parts }).await.map_err(refused)
    }

    async fn clear(&self, _: &Cache, caller: &Caller, what: &Clearing) -> Result<Receipt, Response> {
        let body: Value = match what {
            Clearing::Everything => json!({ "all": true }),
            Clearing::Class(class) => json!({ "class": class }),
            Clearing::Matching(pattern) => json!({ "pattern": pattern }),
        };
        let body = InvalidateBody::parse(body).map_err(invalid)?;
        self.0.drop_by_hand(*caller, &body.what).await.map_err(refused)
    }

    async fn switch(&self, _: &Cache, _: &Caller, class: &str, is_on: bool) -> Result<(), Response> {
        self.0.switch_class(class, is_on).map_err(refused)
    }

    async fn undo_tuning(&self, _: &Cache, _: &Caller, change: u64) -> Result<(), Response> {
        self.0.undo_tuning(change).map(drop).map_err(refused)
    }

    async fn warm(&self, _: &Caller) -> Result<Vec<String>, Response> {
        let warmed = self.0.warm_essential().await.map_err(refused)?;
        Ok(warmed.into_iter().map(str::to_owned).collect())
    }

    async fn history(&self, _: &Caller, since: Duration) -> Result<Option<Value>, Response> {
        if self.0.instance().is_none() {
            return Ok(None);
        }
        let params = HistoryParams { since: Some(since.as_secs().to_string()), ..HistoryParams::default() };
        let query = HistoryQuery::parse(&params).map_err(invalid)?;
        let summary = self.0.history(&query).await.map_err(refused)?;
        let history = serde_json::to_value(History::of(summary));
        history.map(Some).map_err(|error| refused(ServiceError::Internal(error.into())))
    }
}
