//! Arguments and answers that cannot be cached.

use std::borrow::Cow;

use larder_macros::cached;

#[cached(class = products)]
async fn a_pattern((_a, _b): (i64, i64)) -> u32 {
    7
}

#[cached(class = products)]
async fn a_mutable_reference(_transaction: &mut i64, _id: i64) -> u32 {
    7
}

#[cached(class = products)]
async fn a_borrow_inside(_name: Option<&str>) -> u32 {
    7
}

#[cached(class = products)]
async fn a_lifetime(_name: &Cow<'_, str>) -> u32 {
    7
}

#[cached(class = products)]
async fn an_argument_of_many_types(_id: impl Into<i64>) -> u32 {
    7
}

#[cached(class = products)]
async fn nothing(_id: i64) {}

#[cached(class = products)]
async fn a_reference(_id: i64) -> Option<&'static str> {
    None
}

#[cached(class = products)]
async fn a_borrowed_value<'a>(_id: i64, name: &'a str) -> Result<Cow<'a, str>, ()> {
    Ok(name.into())
}

#[cached(class = products)]
async fn an_opaque_value(_id: i64) -> impl Clone {
    7
}

fn main() {}
