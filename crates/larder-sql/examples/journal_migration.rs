//! Prints the migration that gives a database a journal: `cargo run --example journal_migration postgres`.
#![allow(clippy::print_stdout, reason = "this is what it is for")]

use larder_sql::dialect::Dialect;
use larder_sql::error::Error;
use larder_sql::journal::{Table, migration};

fn main() -> Result<(), Error> {
    let dialect = match std::env::args().nth(1).as_deref() {
        Some("sqlite") => Dialect::Sqlite,
        _ => Dialect::Postgres,
    };
    let rooms = Table::new("rooms").entry("room", &["id"]).tag("room_list").unique(&["id"]);
    // A change of a booking touches its room and the guest's list of bookings.
    let bookings = Table::new("bookings")
        .entry("room", &["room_id"])
        .entry("bookings_of_guest", &["guest_id"])
        .unique(&["id"]);
    print!("{}", migration(dialect, &[rooms, bookings])?);
    Ok(())
}
