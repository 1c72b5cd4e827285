//! Options that `#[cached]` does not have, and options whose values are not allowed.

use larder_macros::cached;

#[cached]
async fn no_class(_id: i64) -> u32 {
    7
}

#[cached(class = products, ttl = 60)]
async fn a_ttl_without_a_unit(_id: i64) -> u32 {
    7
}

#[cached(class = products, ttl = "10 parsecs")]
async fn a_ttl_in_no_unit_of_time(_id: i64) -> u32 {
    7
}

#[cached(class = products, ttl = "31 days")]
async fn a_ttl_that_is_too_long(_id: i64) -> u32 {
    7
}

#[cached(class = products, ttl = || Duration::from_secs(60))]
async fn a_ttl_of_nothing(_id: i64) -> u32 {
    7
}

#[cached(class = products, time = 60)]
async fn a_ttl_of_another_library(_id: i64) -> u32 {
    7
}

#[cached(class = products, absent_for = "60 s")]
async fn a_ttl_of_absence(_id: i64) -> u32 {
    7
}

#[cached(class = products, tags("product", id))]
async fn tags_in_parentheses(_id: i64) -> u32 {
    7
}

#[cached(class = products, tags = [])]
async fn no_tags(_id: i64) -> u32 {
    7
}

#[cached(class = products, tag = "products")]
async fn a_tag_of_another_library(_id: i64) -> u32 {
    7
}

#[cached(class = products, key_prefix = "")]
async fn an_empty_prefix(_id: i64) -> u32 {
    7
}

#[cached(class = products, prefix = "p")]
async fn a_prefix_of_another_library(_id: i64) -> u32 {
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
