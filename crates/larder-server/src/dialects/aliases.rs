//! Aliases: an older system has an operation of `api/` under another path. A row of a table gives the operation that
//! path.

use axum::handler::Handler;
use utoipa::openapi::path::{PathItem, Paths};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use crate::api::openapi::operations;
use crate::service::Service;

/// The result of `routes!`: handlers with their methods and their annotations.
pub(super) type Operations = UtoipaMethodRouter<Service>;

/// The routes of the older system that `tag` names. A row is a path and the operations that it has. An operation keeps
/// the methods, parameters, bodies, answers and scopes of its annotation, and the path has the same variable segments.
/// If two rows have the same path and method, the router panics at the start of the service.
pub(super) fn aliases<const ROWS: usize>(
    tag: &str,
    rows: [(&str, Operations); ROWS],
) -> OpenApiRouter<Service> {
    rows.into_iter().fold(OpenApiRouter::new(), |router, (path, (schemas, annotated, handlers))| {
        let mut item = PathItem::default();
        annotated.paths.into_values().for_each(|of| item.merge_operations(of));
        for (_, operation) in operations(&mut item) {
            operation.tags = Some(vec![tag.to_owned()]);
            // An `operation_id` is unique in the document, so the alias gets one that begins with its own tag. If the
            // operation is a handler of the ITT Hotel API, that system's prefix is removed first.
            let name = operation.operation_id.take().unwrap_or_default();
            let name = name.strip_prefix("hita_").unwrap_or(&name);
            operation.operation_id = Some(format!("{}_{name}", tag.to_lowercase()));
        }
        let mut paths = Paths::new();
        paths.paths.insert(path.to_owned(), item);
        router.routes((schemas, paths, handlers))
    })
}

/// Adds POST to operations that have PUT: both methods call the handler `put`.
pub(super) fn and_post<H, T>((schemas, mut annotated, handlers): Operations, put: H) -> Operations
where
    H: Handler<T, Service>,
    T: 'static,
{
    for item in annotated.paths.values_mut() {
        item.post.clone_from(&item.put);
        if let Some(id) = item.post.as_mut().and_then(|post| post.operation_id.as_mut()) {
            id.push_str("_by_post");
        }
    }
    (schemas, annotated, handlers.post(put))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use utoipa_axum::routes;

    use super::*;

    #[utoipa::path(get, path = "/canonical/{id}", tag = "canonical", responses((status = 200)))]
    async fn one() {}

    #[utoipa::path(put, path = "/canonical/{id}/name", tag = "canonical", responses((status = 204)))]
    async fn rename() {}

    fn paths(router: OpenApiRouter<Service>) -> Value {
        serde_json::to_value(router.into_openapi().paths).unwrap()
    }

    #[test]
    fn operations_of_several_paths_move_to_one_path_and_one_tag() {
        let paths = paths(aliases("old", [("/old/{id}/", routes!(one, rename))]));
        let names: Vec<_> = paths.as_object().unwrap().keys().collect();
        assert_eq!(names, ["/old/{id}/"]);
        let item = &paths["/old/{id}/"];
        for (method, status) in [("get", "200"), ("put", "204")] {
            assert_eq!(item[method]["tags"], json!(["old"]), "{item}");
            assert!(item[method]["operationId"].as_str().unwrap().starts_with("old_"), "{item}");
            assert!(item[method]["responses"][status].is_object(), "{item}");
        }
    }

    #[test]
    fn a_post_is_described_as_the_put_that_answers_it() {
        let paths = paths(aliases("old", [("/old/{id}", and_post(routes!(rename), rename))]));
        let item = &paths["/old/{id}"];
        assert_eq!(item["post"]["operationId"], "old_rename_by_post");
        let mut post = item["post"].clone();
        post["operationId"] = item["put"]["operationId"].clone();
        assert_eq!(post, item["put"]);
        assert!(item["post"]["responses"]["204"].is_object(), "{item}");
    }

    #[test]
    #[should_panic(expected = "Overlapping method route")]
    fn two_rows_with_one_method_of_one_path_panic() {
        aliases("old", [("/old/{id}", routes!(one)), ("/old/{id}", routes!(one, rename))]);
    }
}
