//! Records the refused requests of every route for the audit log: the caller, the address, and the code of the refusal.

use axum::extract::{FromRequestParts as _, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::api::codes::Code;
use crate::api::extract::ClientAddress;
use crate::service::Service;
use crate::store::origin::Origin;

/// Answers a request with its [`Origin`] (the client's address and the caller), and records it if the answer is a 401,
/// 403 or 429.
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
