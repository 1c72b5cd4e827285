//! The answer of the older systems' cache routes while Redis is away, for the OpenAPI document.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::{Content, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, OpenApi, ToSchema};

use crate::api::openapi::answers::ProblemBody;

/// Redis is configured and does not answer.
#[derive(Serialize, ToSchema)]
#[schema(as = HitaUnavailable)]
pub(crate) struct Unavailable {
    pub(super) success: bool,
    pub(super) error: &'static str,
    pub(super) cache_available: bool,
    /// What was done although Redis is away.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) detail: Option<&'static str>,
}

/// The schema that the dialects add to the OpenAPI document.
#[derive(OpenApi)]
#[openapi(components(schemas(Unavailable)))]
pub(super) struct Components;

/// The two forms of a 503. If Redis is away, the body is the one that the document of the ITT Hotel API prints;
/// otherwise it is a problem, as on every other route.
pub(crate) struct RedisAway;

impl IntoResponses for RedisAway {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let content = |name| Content::new(Some(Ref::from_schema_name(name)));
        let header = |description| HeaderBuilder::new().description(Some(description)).build();
        let away = ResponseBuilder::new()
            .description("Redis is configured and does not answer, or the database does not")
            .content("application/json", content(Unavailable::name()))
            .content("application/problem+json", content(ProblemBody::name()))
            .header("Retry-After", header("in seconds, when it is the database"))
            .header("Cache-Invalidation", header("of a write, whether it reached every tier"));
        BTreeMap::from([("503".to_owned(), RefOr::T(away.build()))])
    }
}
