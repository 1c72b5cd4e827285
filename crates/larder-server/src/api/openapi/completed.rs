//! Completes the document where the routes' annotations say nothing: names of operations, descriptions of statuses, bodies that
//! allow no other field.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::schema::AdditionalProperties;
use utoipa::openapi::{Components, Object, OpenApi as Document, RefOr, Schema};

/// The document, completed.
pub(super) fn completed(mut document: Document) -> Document {
    let mut bodies = BTreeSet::new();
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            let words = path.split(|letter: char| !letter.is_ascii_alphanumeric());
            let words = words.filter(|word| !word.is_empty());
            // No two operations share a method and a path.
            operation.operation_id = Some(words.fold(method.to_owned(), |name, word| name + "_" + word));
            describe(operation);
            bodies.extend(bodies_of(operation));
        }
    }
    if let Some(components) = &mut document.components {
        for name in bodies {
            close(components, &name);
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

/// The names of the schemas that this operation's body has.
fn bodies_of(operation: &Operation) -> impl Iterator<Item = String> + use<> {
    // A form may hold unknown fields: RFC 7662 allows them in its requests.
    let json = operation.request_body.iter().filter_map(|body| match body {
        RefOr::T(body) => body.content.get("application/json"),
        RefOr::Ref(_) => None,
    });
    let names: Vec<_> = json
        .filter_map(|content| match content {
            RefOr::T(content) => match content.schema.as_ref()? {
                RefOr::Ref(reference) => reference.ref_location.rsplit('/').next().map(str::to_owned),
                RefOr::T(_) => None,
            },
            RefOr::Ref(_) => None,
        })
        .collect();
    names.into_iter()
}

/// Declares that a body allows no other field, because `domain/fields.rs` refuses unknown ones. A body that is composed of
/// several schemas becomes one object, because each of them alone would refuse the others' fields.
fn close(components: &mut Components, name: &str) {
    let whole = components.schemas.get(name).and_then(|schema| object(components, schema));
    if let Some(mut whole) = whole {
        whole.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
        components.schemas.insert(name.to_owned(), RefOr::T(Schema::Object(whole)));
    }
}

fn object(components: &Components, schema: &RefOr<Schema>) -> Option<Object> {
    match schema {
        RefOr::Ref(reference) => {
            let name = reference.ref_location.rsplit('/').next()?;
            object(components, components.schemas.get(name)?)
        }
        RefOr::T(Schema::Object(object)) => Some(object.clone()),
        RefOr::T(Schema::AllOf(parts)) => {
            let mut whole = Object::new();
            for part in &parts.items {
                let part = object(components, part)?;
                whole.schema_type = part.schema_type;
                whole.properties.extend(part.properties);
                whole.required.extend(part.required);
            }
            whole.description.clone_from(&parts.description);
            whole.examples.clone_from(&parts.examples);
            whole.example.clone_from(&parts.example);
            Some(whole)
        }
        RefOr::T(_) => None,
    }
}
