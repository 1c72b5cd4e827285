//! The OpenAPI document of every route, and the page that shows it.

pub(crate) mod answers;
mod completed;
pub(crate) mod parameters;

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderValue, header};
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::get;
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::api::openapi::answers::ProblemBody;
use crate::api::openapi::completed::completed;
pub(crate) use crate::api::openapi::completed::operations;
use crate::domain::parts::languages::{Language, Level};

/// The parts of the document that belong to no single route: title, tags, kinds of credentials, the schema of an error.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "larder",
        contact(name = "the operator of this installation"),
        description = "User management with a hybrid cache: a read is never more than two seconds behind the database. Log in under \
                       `/api/v1/auth/login`; reads say in `Cache-Status` which tier answered them, writes in \
                       `Cache-Invalidation` whether they reached every tier."
    ),
    components(schemas(ProblemBody, Language, Level)),
    modifiers(&Credentials),
    tags(
        (name = "auth", description = "Registering, logging in, tokens and their keys, the second factor."),
        (name = "users", description = "Users: finding, listing, creating, changing and deleting them."),
        (name = "profiles", description = "What a user says of itself, in parts, each with an `ETag` of its own."),
        (name = "statistics", description = "Figures about all users and about one."),
        (name = "points", description = "The ledger of points, and the leaderboard that follows from it."),
        (name = "achievements", description = "Badges: awarding them and looking at them."),
        (name = "permissions", description = "What single users may do beyond their role."),
        (name = "sessions", description = "Where a user is logged in, and ending that."),
        (name = "api keys", description = "Credentials for programs, which act for the user that made them."),
        (name = "audit", description = "Who changed what and when, as the transactions themselves wrote it."),
        (name = "cache", description = "The cache's health and counts, its entries, and invalidation by hand."),
        (name = "health", description = "For programs that start, watch and stop the service."),
        (name = "generic", description = "The cache routes of the generic system, as its document prints them."),
        (name = "HITA", description = "The routes of the hotel API, as its document prints them."),
        (name = "it360acad", description = "The routes of it360acad, as its document prints them."),
        (name = "katiba360", description = "The cache routes of katiba360, as its document prints them."),
        (name = "HireMeBahamas", description = "The health route of HireMeBahamas, as its document prints it."),
    ),
)]
pub(crate) struct Base;

/// The kinds of credentials: an access token, an API key, and, for introspection, an API key as the id and the secret
/// of an OAuth client.
struct Credentials;

impl Modify for Credentials {
    fn modify(&self, document: &mut Document) {
        let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", bearer);
        let key = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-API-Key")));
        components.add_security_scheme("api_key", key);
        let client = SecurityScheme::Http(Http::new(HttpAuthScheme::Basic));
        components.add_security_scheme("client", client);
    }
}

/// `/openapi.json`, and under `/docs` a page to browse it, served from this binary. `base` is the prefix of all paths.
///
/// The document is made at its first request, and only its text is kept: as a tree it takes megabytes, and most processes
/// are never asked for it.
pub(crate) fn pages<S: Clone + Send + Sync + 'static>(document: fn() -> Document, base: &str) -> Router<S> {
    let (text, base) = (Arc::new(OnceLock::<Bytes>::new()), base.to_owned());
    let document = move || async move {
        let make = || serde_json::to_vec(&completed(document(), &base)).unwrap_or_default().into();
        ([(header::CONTENT_TYPE, "application/json")], text.get_or_init(make).clone())
    };
    // The page refers to the document by a relative URL, so that it finds the document under every prefix.
    let pages: Router<S> = SwaggerUi::new("/docs").config(Config::from("../openapi.json")).into();
    pages.route("/openapi.json", get(document)).layer(map_response(guarded))
}

/// Sets a Content-Security-Policy: the page loads nothing from another origin, and no site may frame it.
async fn guarded(mut response: Response) -> Response {
    let policy = HeaderValue::from_static(
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    );
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}
