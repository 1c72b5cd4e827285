//! The parameters that many routes take, each described once.

use utoipa::IntoParams;
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};

use crate::domain::identity::id_of_user;
use crate::domain::json::string;

/// Defines types for the `params(…)` of annotations. Each type means one parameter. A row has its place in the request,
/// its name, its schema, its description and, optionally, an example.
macro_rules! parameters {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident { $place:ident, $sent:literal, $schema:expr, $about:literal $(, $example:literal)? }
    )+) => {$(
        $(#[doc = $doc])+
        pub(crate) struct $name;

        impl IntoParams for $name {
            fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
                // A parameter of a path stays required: utoipa ignores this call for it.
                let parameter = ParameterBuilder::new()
                    .parameter_in(ParameterIn::$place)
                    .required(Required::False)
                    .name($sent)
                    .description(Some($about))
                    .schema(Some($schema))
                    $(.example(Some($example.into())))?;
                vec![parameter.build()]
            }
        }
    )+};
}

parameters! {
    /// The user that a path names.
    UserPath {
        Path, "id", id_of_user(), "A UUID of version 7, an external id, or `me`: the caller.", "me"
    }
    /// The state that a request expects.
    IfMatch {
        Header, "If-Match", string(),
        "The `ETag` that the caller has, several, or `*`: the request is refused unless the present one is among them.", "*"
    }
    /// The state that the caller has.
    IfNoneMatch {
        Header, "If-None-Match", string(),
        "The `ETag` that the caller has, several, or `*`: if the present one is among them, a read is answered 304, and a write is refused."
    }
}
