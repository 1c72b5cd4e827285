//! Answers in JSON.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::api::codes::Code;
use crate::api::problem::Problem;

/// The capacity with which a body begins, in bytes: enough for one user.
const FIRST_BYTES: usize = 1024;

/// An answer in JSON, written into a `Vec`. axum's `Json` writes into a `BytesMut`, which makes one call for each token
/// to check its capacity. These calls took a quarter of the processor time of a page of users.
pub(crate) struct JsonAnswer<T>(pub(crate) T);

impl<T: Serialize> IntoResponse for JsonAnswer<T> {
    fn into_response(self) -> Response {
        let mut body = Vec::with_capacity(FIRST_BYTES);
        if let Err(error) = serde_json::to_writer(&mut body, &self.0) {
            tracing::error!(%error, "an answer cannot be written in JSON");
            return Problem::new(Code::Failed).into_response();
        }
        ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
    }
}
