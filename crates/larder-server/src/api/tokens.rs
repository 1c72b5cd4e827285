//! The keys that verify tokens (RFC 7517), introspection of a token (RFC 7662), and its revocation (RFC 7009).

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::api::answer::JsonAnswer;
use crate::api::auth::acknowledged;
use crate::api::client_address::ClientAddress;
use crate::api::codes::Code;
use crate::api::extract::{TokenForm, TokenFormBody};
use crate::api::openapi::answers::{Failed, NoIssuer, Refused, RefusedForm, RefusedTooMany};
use crate::api::problem::Problem;
use crate::domain::identity::UserId;
use crate::domain::role::Role;
use crate::domain::timestamp::Timestamp;
use crate::service::Service;
use crate::service::access::Caller;
use crate::service::introspection::Worth;
use crate::service::signing_keys::Rotation;

/// Every route of this file.
pub(crate) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(jwks))
        .routes(routes!(discovery))
        .routes(routes!(rotate))
        .routes(routes!(introspect))
        .routes(routes!(revoke))
}

/// A key that verifies access tokens, as RFC 8037 writes Ed25519.
#[derive(Serialize, ToSchema)]
pub(crate) struct Jwk {
    kty: &'static str,
    crv: &'static str,
    x: String,
    kid: String,
    alg: &'static str,
    #[serde(rename = "use")]
    purpose: &'static str,
}

/// Every key that verifies access tokens.
#[derive(Serialize, ToSchema)]
pub(crate) struct JwkSet {
    keys: Vec<Jwk>,
}

/// The public keys that verify access tokens. A retired key stays among them while tokens that it signed are valid.
#[utoipa::path(
    get,
    path = "/.well-known/jwks.json",
    operation_id = "get_key_set",
    tag = "auth",
    responses((status = 200, body = JwkSet, content_type = "application/jwk-set+json"))
)]
pub(crate) async fn jwks(State(service): State<Service>) -> Response {
    let jwk = |(kid, x)| Jwk { kty: "OKP", crv: "Ed25519", x, kid, alg: "EdDSA", purpose: "sig" };
    let keys = service.public_keys().await.into_iter().map(jwk).collect();
    let content_type = HeaderValue::from_static("application/jwk-set+json");
    ([(header::CONTENT_TYPE, content_type)], JsonAnswer(JwkSet { keys })).into_response()
}

/// The service's metadata as an authorization server (RFC 8414).
#[derive(Serialize, ToSchema)]
pub(crate) struct ServerMetadata {
    issuer: String,
    jwks_uri: String,
    introspection_endpoint: String,
    introspection_endpoint_auth_methods_supported: [&'static str; 1],
    revocation_endpoint: String,
    revocation_endpoint_auth_methods_supported: [&'static str; 1],
    scopes_supported: [&'static str; 2],
    /// Empty: tokens are granted by `/api/v1/auth/login`, and by none of OAuth's grants.
    grant_types_supported: [&'static str; 0],
    response_types_supported: [&'static str; 0],
}

/// The path of the discovery document.
pub(crate) const DISCOVERY: &str = "/.well-known/oauth-authorization-server";

/// Where a resource server finds the keys, introspection and revocation (RFC 8414). 404 unless `LARDER_ISSUER` is set.
#[utoipa::path(
    get,
    path = "/.well-known/oauth-authorization-server",
    operation_id = "get_server_metadata",
    tag = "auth",
    responses((status = 200, body = ServerMetadata), NoIssuer)
)]
pub(crate) async fn discovery(State(service): State<Service>) -> Result<JsonAnswer<ServerMetadata>, Problem> {
    let issuer = service.issuer().ok_or(Problem::new(Code::IssuerUnset))?;
    let at = |path: &str| format!("{issuer}{path}");
    Ok(JsonAnswer(ServerMetadata {
        issuer: issuer.to_owned(),
        jwks_uri: at("/.well-known/jwks.json"),
        introspection_endpoint: at("/api/v1/auth/introspect"),
        introspection_endpoint_auth_methods_supported: ["client_secret_basic"],
        revocation_endpoint: at("/api/v1/auth/revoke"),
        revocation_endpoint_auth_methods_supported: ["none"],
        scopes_supported: ["read", "write"],
        grant_types_supported: [],
        response_types_supported: [],
    }))
}

/// The new key.
#[derive(Serialize, ToSchema)]
pub(crate) struct RotatedKey {
    kid: String,
    /// When the key begins to sign. The key set has the key from now on.
    signs_from: Timestamp,
}

/// Publishes a new key, which signs access tokens two minutes later. The previous key verifies until its last token has
/// ended. For superadmins.
#[utoipa::path(
    post,
    path = "/api/v1/auth/keys/rotate",
    operation_id = "rotate_keys",
    tag = "auth",
    security(("bearer" = [])),
    responses((status = 201, body = RotatedKey, headers(("Cache-Invalidation" = String))), Refused)
)]
pub(crate) async fn rotate(
    State(service): State<Service>,
    caller: Caller,
) -> Result<impl IntoResponse, Problem> {
    let (Rotation { kid, signs_from }, receipt) = service.rotate_keys(caller).await?;
    Ok((StatusCode::CREATED, acknowledged(receipt), JsonAnswer(RotatedKey { kid, signs_from })))
}

/// The state of a token. If it is not valid, `active` is the only field.
#[derive(Serialize, ToSchema, Default)]
pub(crate) struct Introspection {
    active: bool,
    /// The user that owns the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<UserId>,
    /// `access_token`, `refresh_token` or `api_key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    /// The token's scopes, separated by spaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    /// When the token expires, in seconds since 1970; absent for an API key that does not expire.
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<u64>,
    /// When the token was issued, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<String>,
    /// The client that an access token was issued to: always `larder`.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<Uuid>,
    /// The token's session, which ends if the token is revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<Uuid>,
    /// The user's present role.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<Role>,
}

impl Introspection {
    fn of(worth: Worth) -> Self {
        let about = Self { active: true, sub: Some(worth.user_id()), ..Self::default() };
        match worth {
            Worth::Access(claims, role) => Self {
                token_type: Some("access_token"),
                scope: Some("read write".to_owned()),
                exp: Some(claims.exp),
                iat: Some(claims.iat),
                iss: Some(claims.iss.clone()),
                aud: Some(claims.aud.clone()),
                client_id: Some(claims.client_id.clone()),
                jti: Some(claims.jti),
                sid: Some(claims.sid),
                role: Some(role),
                ..about
            },
            Worth::Refresh(row) => Self {
                token_type: Some("refresh_token"),
                exp: Some(seconds(row.expires_at)),
                iat: Some(seconds(row.issued_at)),
                sid: Some(row.session),
                ..about
            },
            Worth::ApiKey(state, role) => Self {
                token_type: Some("api_key"),
                scope: Some(state.scopes.to_text()),
                exp: state.expires_at.map(seconds),
                iat: Some(seconds(state.created_at)),
                role: Some(role),
                ..about
            },
        }
    }
}

fn seconds(time: Timestamp) -> u64 {
    time.as_micros().unsigned_abs() / 1_000_000
}

/// The present state of a token, as the database has it. For admins, and for their API keys with the scope `introspect`.
#[utoipa::path(
    post,
    path = "/api/v1/auth/introspect",
    operation_id = "introspect_token",
    tag = "auth",
    security(("bearer" = []), ("api_key" = ["introspect"]), ("client" = [])),
    request_body(content = TokenFormBody, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = Introspection), Refused, RefusedForm, RefusedTooMany)
)]
pub(crate) async fn introspect(
    State(service): State<Service>,
    caller: Caller,
    ClientAddress(address): ClientAddress,
    TokenForm(token): TokenForm,
) -> Result<impl IntoResponse, Problem> {
    let worth = service.introspect(caller, &token, address).await?;
    Ok(JsonAnswer(worth.map(Introspection::of).unwrap_or_default()))
}

/// Revokes a token: ends its session, or the API key itself. The answer to an unknown token is the same.
#[utoipa::path(
    post,
    path = "/api/v1/auth/revoke",
    operation_id = "revoke_token",
    tag = "auth",
    request_body(content = TokenFormBody, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, headers(("Cache-Invalidation" = String))),
        Failed,
        RefusedForm,
        RefusedTooMany,
    )
)]
pub(crate) async fn revoke(
    State(service): State<Service>,
    ClientAddress(address): ClientAddress,
    TokenForm(token): TokenForm,
) -> Result<impl IntoResponse, Problem> {
    let receipt = service.revoke_token(token, address).await?;
    Ok((StatusCode::OK, acknowledged(receipt)))
}
