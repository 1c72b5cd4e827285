//! Tables of aliases: operations that an older system has under another path, unchanged otherwise.

use axum::handler::Handler;
use utoipa::openapi::path::{PathItem, Paths};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use crate::api::openapi::operations;
use crate::service::Service;

/// What `routes!` makes: handlers with their methods and their annotations.
pub(super) type Operations = UtoipaMethodRouter<Service>;

/// Routes of the system that `tag` names. A row is a path and the operations that it has there: their methods, parameters, bodies,
/// answers and scopes are those of their annotations, and the path has the same variable segments. The router panics at the
/// start if two rows have one path and one method.
pub(super) fn aliases<const ROWS: usize>(
    tag: &str,
    rows: [(&str, Operations); ROWS],
) -> OpenApiRouter<Service> {
    rows.into_iter().fold(OpenApiRouter::new(), |router, (path, (schemas, annotated, handlers))| {
        let mut item = PathItem::default();
        annotated.paths.into_values().for_each(|of| item.merge_operations(of));
        for (_, operation) in operations(&mut item) {
            operation.tags = Some(vec![tag.to_owned()]);
            // A name is unique in the document. An alias of another system's operation loses that system's name.
            let name = operation.operation_id.take().unwrap_or_default();
            let name = name.strip_prefix("hita_").unwrap_or(&name);
            operation.operation_id = Some(format!("{}_{name}", tag.to_lowercase()));
        }
        let mut paths = Paths::new();
        paths.paths.insert(path.to_owned(), item);
        router.routes((schemas, paths, handlers))
    })
}

/// Operations of which PUT answers POST too; `put` is its handler.
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
