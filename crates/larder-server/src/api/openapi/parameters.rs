//! The parameters that many routes take, each described once.
#![allow(dead_code, reason = "these types describe parameters in the document only")]

use utoipa::IntoParams;

/// The user that a path names.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct UserPath {
    /// A UUID of version 7, an external id, or `me`: the caller.
    #[param(
        min_length = 1,
        max_length = 64,
        pattern = "^[A-Za-z0-9._-]*[A-Za-z0-9][A-Za-z0-9._-]*$",
        example = "me"
    )]
    id: String,
}

/// The state that a write expects.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct IfMatch {
    /// The `ETag` that the caller has, several, or `*`: the write is refused unless the present one is among them.
    #[param(rename = "If-Match", example = "*")]
    if_match: Option<String>,
}

/// The state that the caller has.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct IfNoneMatch {
    /// The `ETag` that the caller has, or several: the answer is 304 when the present one is among them.
    #[param(rename = "If-None-Match")]
    if_none_match: Option<String>,
}
