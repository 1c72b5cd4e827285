//! Adds to the OpenAPI document what the annotations of the routes leave out: the URL of the server, the credentials
//! that each operation needs, and descriptions of statuses. Removes schemas that no operation uses.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use serde_json::Value;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::request_body::RequestBody;
use utoipa::openapi::{Content, OpenApi as Document, RefOr, Required, Server};

use crate::domain::json::nullable;

/// The schema of a body that may be missing or `null`, because not every caller needs it (`OptionalJson`). An annotation
/// cannot declare a body as optional.
const OPTIONAL: &str = "/ConfirmationFields";

const SCHEMAS: &str = "#/components/schemas/";

/// Completes the document of a service whose paths all begin with `base`.
pub(super) fn completed(mut document: Document, base: &str) -> Document {
    // A relative URL is right behind every proxy that keeps the path.
    document.servers = Some(vec![Server::new(if base.is_empty() { "/" } else { base })]);
    for item in document.paths.paths.values_mut() {
        for (_, operation) in operations(item) {
            // In OpenAPI an empty list says that the operation needs no credential; a missing list says nothing.
            operation.security.get_or_insert_default();
            let needs = needs(operation);
            operation.description = Some(match operation.description.take() {
                Some(about) if !about.is_empty() => format!("{about}\n\n{needs}"),
                _ => needs,
            });
            describe(operation);
            identify(operation);
            if let Some(RefOr::T(body)) = &mut operation.request_body {
                may_be_missing(body);
            }
        }
    }
    let used = used(&serde_json::to_value(&document).unwrap_or_default());
    if let Some(components) = &mut document.components {
        components.schemas.retain(|name, _| used.contains(name));
    }
    document
}

/// Declares a body of the schema [`OPTIONAL`] as what the service takes: it may be missing, and it may be `null`.
fn may_be_missing(body: &mut RequestBody) {
    for content in body.content.values_mut() {
        if let RefOr::T(Content { schema: Some(schema), .. }) = content
            && matches!(schema, RefOr::Ref(schema) if schema.ref_location.ends_with(OPTIONAL))
        {
            *schema = nullable(schema.clone());
            body.required = Some(Required::False);
        }
    }
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

/// The credentials that an operation needs, as a sentence.
fn needs(operation: &Operation) -> String {
    // utoipa keeps the scopes of a requirement private; only its JSON form shows them.
    let security = serde_json::to_value(&operation.security).unwrap_or_default();
    let mut scopes = security.as_array().into_iter().flatten().filter_map(|one| one["api_key"][0].as_str());
    match (security.as_array().is_some_and(Vec::is_empty), scopes.next()) {
        (true, _) => "Open: it needs no credentials.".to_owned(),
        (false, Some(scope)) => format!("Needs an access token, or an API key with the scope `{scope}`."),
        (false, None) => "Needs an access token; an API key is not enough.".to_owned(),
    }
}

/// The names of the schemas that the operations use, directly or in another schema.
fn used(document: &Value) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    let mut open = vec![&document["paths"], &document["components"]["responses"]];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(fields) => open.extend(fields.values()),
            Value::Array(entries) => open.extend(entries),
            Value::String(text) => {
                if let Some(name) = text.strip_prefix(SCHEMAS)
                    && used.insert(name.to_owned())
                {
                    open.push(&document["components"]["schemas"][name]);
                }
            }
            _ => {}
        }
    }
    used
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

/// Describes the id of the request, which every answer has.
fn identify(operation: &mut Operation) {
    let about = "The id of the request, as in the log: the one that the request had, if it is usable, else a new one.";
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            let header = HeaderBuilder::new().description(Some(about)).build();
            response.headers.insert("X-Request-Id".to_owned(), RefOr::T(header));
        }
    }
}
