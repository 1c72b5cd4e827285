//! The parameters that many routes take, each described once.

use utoipa::IntoParams;
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};

use crate::domain::identity::id_of_user;
use crate::domain::json::string;

/// Types for the annotations: each means one parameter. A row is where it is sent, its name, its schema, its description and,
/// if it has one, an example.
macro_rules! parameters {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident { $place:ident, $sent:literal, $schema:expr, $about:literal $(, $example:literal)? }
    )+) => {$(
        $(#[doc = $doc])+
        pub(crate) struct $name;

        impl IntoParams for $name {
            fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
                // utoipa declares every parameter of a path as required.
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
