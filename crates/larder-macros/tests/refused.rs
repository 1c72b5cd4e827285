//! What `#[cached]` refuses, and what it says about it. `TRYBUILD=overwrite` writes the expected texts.
//!
//! Errors of the types, which need larder, are `compile_fail` doctests of `larder::cached`.

#[test]
fn what_cannot_be_cached_is_refused_where_it_is_written() {
    trybuild::TestCases::new().compile_fail("tests/refused/*.rs");
}
