//! Notes the refusals of every route: who was refused what, from where.

use axum::extract::{FromRequestParts as _, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::api::codes::Code;
use crate::api::extract::ClientAddress;
use crate::service::Service;
use crate::store::origin::Origin;

/// Serves a request with its origin, and notes it if it is refused with 401, 403 or 429.
pub(crate) async fn watch(State(service): State<Service>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let address = match ClientAddress::from_request_parts(&mut parts, &service).await {
        Ok(ClientAddress(address)) => address,
        Err(problem) => return problem.into_response(),
    };
    let origin = Origin::of(address);
    let request = Request::from_parts(parts, body);
    let response = origin.clone().scope(next.run(request)).await;
    let status = response.status();
    let is_refused =
        [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::TOO_MANY_REQUESTS].contains(&status);
    if let Some(code) = response.extensions().get::<Code>().filter(|_| is_refused) {
        service.note_refusal(&origin, status.as_u16(), code.name());
    }
    response
}
