//! Records the refused requests of every route for the audit log: the caller, the address, and the code of the refusal.

use axum::http::StatusCode;
use axum::response::Response;

use crate::api::codes::Code;
use crate::service::Service;
use crate::store::origin::RequestOrigin;

/// Records a request if its answer is a 401, 403 or 429.
pub(crate) fn note(service: &Service, origin: &RequestOrigin, answer: &Response) {
    let status = answer.status();
    let is_refused =
        [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::TOO_MANY_REQUESTS].contains(&status);
    if let Some(code) = answer.extensions().get::<Code>().filter(|_| is_refused) {
        service.note_refusal(origin, status.as_u16(), code.name());
    }
}
