//! The answer of the older systems' cache routes while Redis is away, for the OpenAPI document.

use std::collections::BTreeMap;

use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::{Content, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, OpenApi, ToSchema};

use crate::api::openapi::answers::ProblemBody;
use crate::dialects::hita::views::Unavailable;

/// What the dialects' routes add to the document's components.
#[derive(OpenApi)]
#[openapi(components(schemas(Unavailable)))]
pub(super) struct Components;

/// 503: as the hotel's document has it if Redis is away; a problem, as on all routes, if the database is.
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
            .header("Cache-Invalidation", header("of a write, whom it told"));
        BTreeMap::from([("503".to_owned(), RefOr::T(away.build()))])
    }
}
