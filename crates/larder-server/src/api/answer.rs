//! Answers in JSON.

use std::sync::Arc;

use axum::body::Bytes;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use larder::class::Answer;
use larder::source::Source;
use serde::Serialize;

use crate::api::codes::Code;
use crate::api::problem::Problem;
use crate::cached::rendered::{Rendered, Representation};
use crate::service::Service;
use crate::service::error::ServiceError;

/// The capacity with which a body begins, in bytes: enough for one user.
const FIRST_BYTES: usize = 1024;

/// An answer in JSON, written into a `Vec`. axum's `Json` writes into a `BytesMut`, which makes one call for each token
/// to check its capacity. These calls took a quarter of the processor time of a page of users.
pub(crate) struct JsonAnswer<T>(pub(crate) T);

impl<T: Serialize> IntoResponse for JsonAnswer<T> {
    fn into_response(self) -> Response {
        match json(&self.0) {
            Ok(body) => JsonBody(body).into_response(),
            Err(problem) => problem.into_response(),
        }
    }
}

/// An answer whose body is JSON already.
pub(crate) struct JsonBody(pub(crate) Bytes);

impl IntoResponse for JsonBody {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], self.0).into_response()
    }
}

fn json(value: &impl Serialize) -> Result<Bytes, Problem> {
    let mut body = Vec::with_capacity(FIRST_BYTES);
    match serde_json::to_writer(&mut body, value) {
        Ok(()) => Ok(body.into()),
        Err(error) => {
            tracing::error!(%error, "an answer cannot be written in JSON");
            Err(Problem::new(Code::Failed))
        }
    }
}

/// The answer's value in JSON, as `view` shows it. [`Representation`] says on what the view may
/// depend. If memory holds the value, its JSON is kept with it.
///
/// # Errors
/// 404 if there is no value.
pub(crate) fn rendered<'a, T: Send + Sync + 'static, V: Serialize>(
    service: &Service,
    answer: &'a Answer<T>,
    representation: Representation,
    view: impl FnOnce(&'a T) -> V,
) -> Result<JsonBody, Problem> {
    tagged(service, answer, representation, view, |_| Ok(None)).map(|rendered| JsonBody(rendered.body))
}

/// As [`rendered`], with the entity tag that `tag` computes from the value.
///
/// # Errors
/// 404 if there is no value, and the errors of `tag`.
pub(crate) fn tagged<'a, T: Send + Sync + 'static, V: Serialize>(
    service: &Service,
    answer: &'a Answer<T>,
    representation: Representation,
    view: impl FnOnce(&'a T) -> V,
    tag: impl FnOnce(&T) -> Result<Option<Arc<str>>, Problem>,
) -> Result<Rendered, Problem> {
    let value = answer.value.as_ref().ok_or(ServiceError::NotFound)?;
    let render = |_: &T| Ok(Rendered { body: json(&view(value))?, tag: tag(value)? });
    match answer.source {
        Source::Memory => service.rendered().get_or_render(value, representation, render),
        // The next hit returns another copy of the value.
        _ => render(value),
    }
}
