//! Tags of what the key has not, and what cannot be skipped.

use larder_macros::cached;

#[cached(class = pages, skip(_trace), tags = [tag("trace", _trace)])]
async fn skipped(_id: i64, _trace: u64) -> u32 {
    7
}

#[cached(class = pages, skip(_trace), tags = [format!("trace {_trace}")])]
async fn skipped_in_a_text(_id: i64, _trace: u64) -> u32 {
    7
}

#[cached(class = pages, key = _id, tags = [tag("category", category.id), "site"])]
async fn no_part_of_the_key(_id: i64, category: &Category) -> u32 {
    7
}

#[cached(class = pages, key = (category.id, _id), tags = tag("category", category.name()))]
async fn another_field(_id: i64, category: &Category) -> u32 {
    7
}

#[cached(class = pages, tags = |page| [tag("category", page.category)])]
async fn of_the_value(_id: i64) -> u32 {
    7
}

#[cached(class = pages, skip(_trace, _trace))]
async fn skipped_twice(_id: i64, _trace: u64) -> u32 {
    7
}

#[cached(class = pages, skip())]
async fn nothing_skipped(_id: i64) -> u32 {
    7
}

struct Pages;

impl Pages {
    #[cached(class = self.pages, tags = [tag("region", &self.region)])]
    async fn of_self(&self, _id: i64) -> u32 {
        7
    }

    #[cached(class = self.pages, key = (self.tenant.clone(), _id), tags = [tag("region", &self.region)])]
    async fn of_another_field(&self, _id: i64) -> u32 {
        7
    }

    #[cached(class = self.pages, tags = self.tags_of(_id))]
    async fn by_a_method(&self, _id: i64) -> u32 {
        7
    }

    #[cached(class = self.pages, skip(self))]
    async fn self_is_skipped(&self, _id: i64) -> u32 {
        7
    }
}

fn main() {}
