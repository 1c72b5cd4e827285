//! The floor: axum handlers that answer with a number of bytes, without a token and with one.

use std::sync::Arc;

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use clap::Args;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

/// The key of the tokens. It protects nothing.
const KEY: &[u8] = b"a key of thirty-two bytes or more";

/// Serve bodies of these sizes, until the process is killed.
#[derive(Args)]
pub(crate) struct Options {
    /// The size of each body in bytes
    sizes: Vec<usize>,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: String,
    exp: u64,
}

/// A token that the handlers accept.
pub(super) fn token() -> Result<String> {
    let claims = Claims { sub: "0198c7a2-6d0f-7000-8000-000000000001".to_owned(), exp: 32_503_680_000 };
    Ok(encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(KEY))?)
}

struct Floor {
    bodies: Vec<Bytes>,
    key: DecodingKey,
    validation: Validation,
}

/// Serves on a free port, and prints the address as `larder serve` does.
pub(crate) async fn serve(options: &Options) -> Result<(String, bool)> {
    let floor = Floor {
        bodies: options.sizes.iter().map(|bytes| "x".repeat(*bytes).into()).collect(),
        key: DecodingKey::from_secret(KEY),
        validation: Validation::new(Algorithm::HS256),
    };
    let router = Router::new()
        .route("/bare/{number}/{id}", get(bare))
        .route("/token/{number}/{id}", get(with_token))
        .with_state(Arc::new(floor));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    announce(&format!("Listening on http://{}", listener.local_addr()?));
    axum::serve(listener, router).await?;
    Ok((String::new(), true))
}

#[allow(clippy::print_stdout, reason = "the parent process reads the address")]
fn announce(line: &str) {
    println!("{line}");
}

type Target = Path<(usize, String)>;

async fn bare(State(floor): State<Arc<Floor>>, Path((number, _)): Target) -> Response {
    floor.body(number)
}

async fn with_token(
    State(floor): State<Arc<Floor>>,
    Path((number, _)): Target,
    headers: HeaderMap,
) -> Response {
    let token =
        headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let claims = token.and_then(|token| decode::<Claims>(token, &floor.key, &floor.validation).ok());
    match claims {
        Some(_) => floor.body(number),
        None => StatusCode::UNAUTHORIZED.into_response(),
    }
}

impl Floor {
    fn body(&self, number: usize) -> Response {
        let Some(body) = self.bodies.get(number) else { return StatusCode::NOT_FOUND.into_response() };
        ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body.clone()).into_response()
    }
}
