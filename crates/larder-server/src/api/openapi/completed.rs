//! Completes the document where the routes' annotations say nothing: names of operations, descriptions of statuses.

use axum::http::StatusCode;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::{Content, OpenApi as Document, RefOr, Required};

/// The body that a caller needs only to delete itself. The annotation of a body cannot say that it may be missing.
const OPTIONAL: &str = "/ConfirmationFields";

/// The document, completed.
pub(super) fn completed(mut document: Document) -> Document {
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            let words = path.split(|letter: char| !letter.is_ascii_alphanumeric());
            let words = words.filter(|word| !word.is_empty());
            // No two operations share a method and a path.
            operation.operation_id = Some(words.fold(method.to_owned(), |name, word| name + "_" + word));
            describe(operation);
            let may_be_missing = |content: &RefOr<Content>| match content {
                RefOr::T(Content { schema: Some(RefOr::Ref(schema)), .. }) => {
                    schema.ref_location.ends_with(OPTIONAL)
                }
                _ => false,
            };
            if let Some(RefOr::T(body)) = &mut operation.request_body
                && body.content.values().any(may_be_missing)
            {
                body.required = Some(Required::False);
            }
        }
    }
    document
}

/// The operations of a path, each with its method in lower case.
pub(crate) fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let all = [
        ("get", &mut item.get),
        ("post", &mut item.post),
        ("put", &mut item.put),
        ("patch", &mut item.patch),
        ("delete", &mut item.delete),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// Describes each answer that has no description by the reason phrase of its status.
fn describe(operation: &mut Operation) {
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && response.description.is_empty()
        {
            let status = status.parse().ok().and_then(|code: u16| StatusCode::from_u16(code).ok());
            let reason = status.and_then(|status| status.canonical_reason()).unwrap_or("An answer");
            reason.clone_into(&mut response.description);
        }
    }
}
