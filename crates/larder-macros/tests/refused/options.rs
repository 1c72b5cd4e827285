//! Options that `#[cached]` does not have.

use larder_macros::cached;

#[cached]
async fn no_class(_id: i64) -> u32 {
    7
}

#[cached(class = products, ttl = "60s")]
async fn a_ttl(_id: i64) -> u32 {
    7
}

#[cached(class = products, tags("product", id))]
async fn tags(_id: i64) -> u32 {
    7
}

#[cached(class = products, key_prefix = "p")]
async fn a_prefix(_id: i64) -> u32 {
    7
}

#[cached(cache = cache)]
async fn a_cache(_id: i64) -> u32 {
    7
}

#[cached(class = products, sync_writes)]
async fn an_unknown_option(_id: i64) -> u32 {
    7
}

#[cached(class = products, class = others)]
async fn two_classes(_id: i64) -> u32 {
    7
}

#[cached(class = products, key = _id, skip(_trace))]
async fn a_key_and_skip(_id: i64, _trace: u64) -> u32 {
    7
}

#[cached(class = products, skip = _trace)]
async fn skip_as_a_value(_id: i64, _trace: u64) -> u32 {
    7
}

#[cached(class = products, skip(trace))]
async fn skip_of_no_argument(_id: i64, _trace: u64) -> u32 {
    7
}

fn main() {}
