//! A minimal version of the hotel's API. Reads use larder, writes do not, and the layer invalidates after writes.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use larder::cache::Cache;
use larder::class::{Answer, Class};
use larder::error::Error;
use larder::policy::{Consistency, Policy};
use larder_http::consistency;
use larder_http::headers::{CACHE_STATUS, cache_status};
use larder_http::invalidation::layer::InvalidationLayer;
use larder_http::invalidation::rules::Rules;
use larder_http::stats::Lookups;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct User {
    pub id: String,
    pub name: String,
    pub is_active: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserStats {
    pub users: usize,
    pub active: usize,
}

/// Replaces the database that all instances share. The lock is never held across an await.
#[derive(Clone, Default)]
pub struct Database(Arc<Mutex<BTreeMap<String, User>>>);

impl Database {
    fn rows(&self) -> MutexGuard<'_, BTreeMap<String, User>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn insert(&self, user: User) {
        self.rows().insert(user.id.clone(), user);
    }

    fn user(&self, id: &str) -> Option<User> {
        self.rows().get(id).cloned()
    }

    fn users(&self) -> Vec<User> {
        self.rows().values().cloned().collect()
    }

    fn stats(&self) -> UserStats {
        let users = self.users();
        UserStats { users: users.len(), active: users.iter().filter(|user| user.is_active).count() }
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut User)) -> StatusCode {
        match self.rows().get_mut(id) {
            Some(user) => {
                change(user);
                StatusCode::NO_CONTENT
            }
            None => StatusCode::NOT_FOUND,
        }
    }
}

#[derive(Clone)]
struct Hotel {
    database: Database,
    cache: Cache,
    details: Class<str, User>,
    lists: Class<str, Vec<User>>,
    /// A superadmin's list of users. Here it has the same rows, but its own class: a list must never leak from one role
    /// to another.
    superadmin_lists: Class<str, Vec<User>>,
    stats: Class<str, UserStats>,
    dashboard: Class<str, UserStats>,
}

/// The complete application. The layer is outside of all routes, so that it sees complete paths.
///
/// # Errors
///
/// If a class cannot be opened.
pub fn app(cache: &Cache, database: Database) -> Result<Router, Error> {
    let seconds = |seconds| Policy::ttl(std::time::Duration::from_secs(seconds));
    let hotel = Hotel {
        database,
        cache: cache.clone(),
        details: cache.class("user_details").policy(seconds(180)).open()?,
        lists: cache.class("user_list").policy(seconds(60)).open()?,
        superadmin_lists: cache.class("superadmin_user_list").policy(seconds(900)).open()?,
        stats: cache.class("user_stats").policy(seconds(300)).open()?,
        dashboard: cache.class("dashboard_stats").policy(seconds(600)).open()?,
    };
    let rules = Rules::parse(include_str!("hotel.toml")).expect("the table beside this file is right");
    debug_assert!(rules.unknown_names(cache).is_empty(), "every name in the rules is an opened class");
    Ok(Router::new()
        .route("/v1.0/user/list", get(list))
        .route("/v1.0/user/superadmin/list", get(superadmin_list))
        .route("/v1.0/user/stats", get(stats))
        .route("/v1.0/dashboard/stats", get(dashboard))
        .route("/v1.0/user/details/{id}", get(details))
        .route("/v1.0/user/create", post(create))
        .route("/v1.0/user/update/{id}", any(update))
        .route("/v1.0/user/delete/{id}", axum::routing::delete(delete))
        .route("/v1.0/user/{id}/activate", post(activate))
        .route("/v1.0/user/{id}/deactivate", post(deactivate))
        .route("/v1.0/points/transaction", post(async || StatusCode::NO_CONTENT))
        .route("/v1.0/permissions/grant", post(async || StatusCode::NO_CONTENT))
        .route("/v1.0/cache/stats", get(cache_stats))
        .layer(InvalidationLayer::new(cache, rules))
        .with_state(hotel))
}

#[derive(Deserialize)]
struct Strength {
    consistency: Option<String>,
}

impl Strength {
    fn consistency(&self) -> Consistency {
        self.consistency.as_deref().and_then(|word| consistency::parse(word).ok()).unwrap_or_default()
    }
}

fn answer<V: Serialize>(read: Result<Answer<V>, Error>) -> Response {
    match read {
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
        Ok(answer) => {
            let status = [(CACHE_STATUS, cache_status(&answer))];
            match answer.value.as_deref() {
                Some(value) => (status, Json(value)).into_response(),
                None => (StatusCode::NOT_FOUND, status).into_response(),
            }
        }
    }
}

async fn list(State(hotel): State<Hotel>, Query(strength): Query<Strength>) -> Response {
    let read = hotel.lists.read("all").consistency(strength.consistency());
    let database = hotel.database.clone();
    answer(read.or_load(async move || Ok::<_, Infallible>(database.users())).await)
}

async fn superadmin_list(State(hotel): State<Hotel>, Query(strength): Query<Strength>) -> Response {
    let read = hotel.superadmin_lists.read("all").consistency(strength.consistency());
    let database = hotel.database.clone();
    answer(read.or_load(async move || Ok::<_, Infallible>(database.users())).await)
}

async fn stats(State(hotel): State<Hotel>, Query(strength): Query<Strength>) -> Response {
    let read = hotel.stats.read("all").consistency(strength.consistency());
    let database = hotel.database.clone();
    answer(read.or_load(async move || Ok::<_, Infallible>(database.stats())).await)
}

async fn dashboard(State(hotel): State<Hotel>, Query(strength): Query<Strength>) -> Response {
    let read = hotel.dashboard.read("all").consistency(strength.consistency());
    let database = hotel.database.clone();
    answer(read.or_load(async move || Ok::<_, Infallible>(database.stats())).await)
}

async fn details(
    State(hotel): State<Hotel>,
    Path(id): Path<String>,
    Query(strength): Query<Strength>,
) -> Response {
    let read = hotel.details.read(id.as_str()).consistency(strength.consistency());
    let (database, id) = (hotel.database.clone(), id.clone());
    answer(read.or_load(async move || Ok::<_, Infallible>(database.user(&id))).await)
}

// The writes do not use the cache: the layer drops what they touched.

async fn create(State(hotel): State<Hotel>, Json(user): Json<User>) -> StatusCode {
    hotel.database.insert(user);
    StatusCode::CREATED
}

#[derive(Deserialize)]
struct Patch {
    name: String,
}

async fn update(State(hotel): State<Hotel>, Path(id): Path<String>, Json(patch): Json<Patch>) -> StatusCode {
    hotel.database.change(&id, |user| user.name = patch.name)
}

async fn delete(State(hotel): State<Hotel>, Path(id): Path<String>) -> StatusCode {
    match hotel.database.rows().remove(&id) {
        Some(_) => StatusCode::NO_CONTENT,
        None => StatusCode::NOT_FOUND,
    }
}

async fn activate(State(hotel): State<Hotel>, Path(id): Path<String>) -> StatusCode {
    hotel.database.change(&id, |user| user.is_active = true)
}

async fn deactivate(State(hotel): State<Hotel>, Path(id): Path<String>) -> StatusCode {
    hotel.database.change(&id, |user| user.is_active = false)
}

async fn cache_stats(State(hotel): State<Hotel>) -> Json<Lookups> {
    Json(Lookups::from(&hotel.cache.stats()))
}
