//! Functions that cannot be cached.

use larder_macros::cached;

#[derive(Clone)]
struct Products;

impl Products {
    #[cached(class = self.products)]
    async fn by_value(self, _id: i64) -> u32 {
        7
    }

    #[cached(class = self.products)]
    async fn mutable(&mut self, _id: i64) -> u32 {
        7
    }

    #[cached(class = self.products)]
    async fn typed(self: &mut Self, _id: i64) -> u32 {
        7
    }
}

#[cached(class = products)]
fn not_async(_id: i64) -> u32 {
    7
}

#[cached(class = products)]
async fn generic<T>(_id: i64) -> Option<T> {
    None
}

#[cached(class = products)]
async fn constant<const N: usize>(_id: i64) -> usize {
    N
}

#[cached(class = products)]
async fn many(_a: i64, _b: i64, _c: i64, _d: i64, _e: i64, _f: i64, _g: i64) -> u32 {
    7
}

#[cached(class = products)]
struct NoFunction;

// All that is wrong is said at once.
#[cached(class = products)]
fn twice<'a>(_id: &mut i64) -> &'a str {
    "seven"
}

fn main() {}
