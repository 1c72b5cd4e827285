//! `#[derive(Key)]` refuses each of these types.

use larder_macros::Key;

#[derive(Key)]
struct Borrowed<'a> {
    name: &'a str,
}

#[derive(Key)]
enum WithFields {
    Free,
    Taken(u64),
}

#[derive(Key)]
enum Nothing {}

#[derive(Key)]
enum Twice {
    #[key(rename = "B")]
    A,
    B,
}

#[derive(Key)]
#[key(rename_all = "Snake")]
enum UnknownRule {
    A,
}

#[derive(Key)]
#[key(rename = "a")]
enum UnknownOption {
    A,
}

#[derive(Key)]
union Union {
    a: u8,
}

fn main() {}
