//! If a changed schema would make the journal miss changes, the service does not start, and `larder doctor` says why.

use crate::support::app::Stack;
use crate::support::larder::Larder;

#[test]
fn a_key_column_that_became_citext_is_refused_at_the_start_and_shown_by_doctor() {
    let app = Stack::postgres_memory().start();
    let url = app.stack.database_url();
    let settings = [("DATABASE_URL", url.as_str())];
    let examined = app.command(&["doctor"]);
    assert!(examined.is_success, "{}", examined.output);

    app.stack.sql("CREATE EXTENSION IF NOT EXISTS citext; ALTER TABLE users ALTER COLUMN phone TYPE CITEXT");
    let words =
        "table \"users\": the key column \"phone\" is of type citext: it finds a row by any case of its text";
    let examined = app.command(&["doctor"]);
    assert!(!examined.is_success && examined.output.contains(words), "{}", examined.output);
    let mut second = Larder::start(&["serve"], &std::env::temp_dir(), &settings);
    assert_eq!(second.wait().code(), Some(1));
    assert!(second.stderr().contains(words), "{}", second.printed());
    // An instance that is already running stays ready.
    app.anonymous().get("/readyz").expect(200);
}
