//! A first cached value, in memory alone: `cargo run -p larder --example quickstart`.

#![allow(clippy::print_stdout, reason = "it shows what it does")]

use std::time::Duration;

use larder::{Cache, Class, Error};

/// Your query.
async fn find_room(id: u32) -> Result<Option<String>, Error> {
    println!("the database is asked for room {id}");
    Ok((id == 7).then(|| "sea view".to_owned()))
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let cache = Cache::builder("hotel").build().await?;
    let rooms: Class<u32, String> =
        cache.class("rooms").ttl(Duration::from_mins(10)).absent_for(Duration::from_secs(30)).open()?;
    for id in [7, 7, 8, 8] {
        let room = rooms.get_or_load(&id, || find_room(id)).await?;
        println!("room {id}: {}", room.as_deref().map_or("none", String::as_str));
    }
    let receipt = rooms.invalidate(&7).await; // after the commit of a write, before its answer
    println!("invalidated: {}", receipt.delivery());
    println!("then: {:?}", rooms.get(&7).await);
    Ok(())
}
