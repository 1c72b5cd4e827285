//! A role that may write a table needs no right to the tables that its triggers write. PostgreSQL only: SQLite has no
//! roles.

use larder_server::store::Store;
use larder_testbed::{Database, Postgres};

use crate::foreign::{ANN, BOB, check_counts, fill};

/// A role; dropping this removes it from the server.
struct Role<'a> {
    database: &'a Database,
    name: String,
}

impl<'a> Role<'a> {
    fn new(database: &'a Database) -> Self {
        // Roles belong to the server, not to a database; the database's name makes this one unique.
        let name = format!("writer_of_{}", database.sql("SELECT current_database()").unwrap());
        database.sql(&format!("CREATE ROLE {name}; GRANT USAGE ON SCHEMA public TO {name}")).unwrap();
        Self { database, name }
    }

    /// Runs a statement as the role, which has only this right.
    fn with(&self, right: &str, statement: &str) -> anyhow::Result<String> {
        let (name, database) = (&self.name, self.database);
        database.sql(&format!("GRANT {right} TO {name}"))?;
        let done = database.sql(&format!("SET ROLE {name}; {statement}"));
        database.sql(&format!("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {name}"))?;
        done
    }
}

impl Drop for Role<'_> {
    fn drop(&mut self) {
        let name = &self.name;
        let _ = self.database.sql(&format!("DROP OWNED BY {name}; DROP ROLE {name}"));
    }
}

async fn filled() -> Database {
    let database = Database::fresh(&Postgres::shared().unwrap()).unwrap();
    drop(Store::open(&database.url()).await.unwrap());
    fill(&database);
    database
}

#[tokio::test]
async fn a_writer_needs_no_right_but_to_its_table() {
    let database = filled().await;
    let role = Role::new(&database);
    let dan = "0192f0c1-2345-7abc-8def-0123456789ad";
    for (right, statement) in [
        ("UPDATE ON users", "UPDATE users SET is_active = FALSE".to_owned()),
        (
            "UPDATE ON users",
            "UPDATE users SET is_active = TRUE, role = 'user', full_name = 'Dän', skills = '[]'".to_owned(),
        ),
        (
            "INSERT ON users",
            format!("INSERT INTO users (id, email, username) VALUES ('{dan}', 'dan@x', 'dan')"),
        ),
        (
            "INSERT ON points_ledger",
            format!("INSERT INTO points_ledger (user_id, amount, reason) VALUES ('{ANN}', 7, 'x')"),
        ),
        (
            "INSERT ON achievements",
            format!("INSERT INTO achievements (user_id, badge_type, points) VALUES ('{BOB}', 'c', 9)"),
        ),
        ("UPDATE ON achievements", "UPDATE achievements SET awarded_at = 7".to_owned()),
        ("DELETE ON achievements", "DELETE FROM achievements".to_owned()),
        (
            "INSERT ON permissions",
            format!("INSERT INTO permissions (user_id, permission) VALUES ('{BOB}', 'x')"),
        ),
        ("DELETE ON permissions", "DELETE FROM permissions".to_owned()),
        (
            "INSERT ON audit_log",
            format!("INSERT INTO audit_log (id, at, action, details) VALUES ('{dan}', 1, 'x', '{{}}')"),
        ),
        ("UPDATE ON credentials", "UPDATE credentials SET epoch = 9".to_owned()),
        ("UPDATE ON sessions", "UPDATE sessions SET ended_at = 9".to_owned()),
        ("UPDATE ON preferences", "UPDATE preferences SET theme = 'dark'".to_owned()),
        ("UPDATE ON interests", "UPDATE interests SET interests = '[\"a\"]'".to_owned()),
        ("UPDATE ON languages", "UPDATE languages SET languages = '[]'".to_owned()),
        ("DELETE ON api_keys", "DELETE FROM api_keys".to_owned()),
        ("INSERT ON signing_keys", "INSERT INTO signing_keys VALUES ('k', 'other', 'x', 1, NULL)".to_owned()),
        ("DELETE ON users", "DELETE FROM users".to_owned()),
    ] {
        role.with(right, &statement).unwrap_or_else(|error| panic!("{right}: {statement}: {error}"));
        check_counts(&database, &statement);
    }
    fill_again(&database);
    role.with("TRUNCATE ON ALL TABLES IN SCHEMA public", "TRUNCATE users CASCADE").unwrap();
    check_counts(&database, "TRUNCATE");
}

fn fill_again(database: &Database) {
    let statement = format!(
        "INSERT INTO users (id, email, username) VALUES ('{ANN}', 'a@x', 'ann');
         INSERT INTO points_ledger (user_id, amount, reason) VALUES ('{ANN}', 7, 'x')"
    );
    database.sql(&statement).unwrap();
}

/// PostgreSQL lets PUBLIC execute new functions; some databases revoke this right.
#[tokio::test]
async fn a_writer_needs_no_right_to_functions() {
    let database = Database::fresh(&Postgres::shared().unwrap()).unwrap();
    database.sql("ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC").unwrap();
    drop(Store::open(&database.url()).await.unwrap());
    fill(&database);
    let role = Role::new(&database);
    let dan = "0192f0c1-2345-7abc-8def-0123456789ad";
    for (right, statement) in [
        (
            "INSERT ON users",
            format!(
                "INSERT INTO users (id, email, username, full_name) VALUES ('{dan}', 'dan@x', 'dan', 'Dän')"
            ),
        ),
        ("UPDATE ON users", "UPDATE users SET full_name = 'Än', is_active = FALSE".to_owned()),
        (
            "INSERT ON points_ledger",
            format!("INSERT INTO points_ledger (user_id, amount, reason) VALUES ('{dan}', 7, 'x')"),
        ),
    ] {
        role.with(right, &statement).unwrap_or_else(|error| panic!("{right}: {statement}: {error}"));
        check_counts(&database, &statement);
    }
}

#[tokio::test]
async fn a_deactivation_with_that_right_alone_ends_all_access() {
    let database = filled().await;
    let role = Role::new(&database);
    role.with("UPDATE ON users", "UPDATE users SET is_active = FALSE").unwrap();
    let left = database.sql(
        "SELECT (SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL), (SELECT COUNT(*) FROM api_keys),
                (SELECT MIN(epoch) FROM credentials)",
    );
    assert_eq!(left.unwrap(), "0|0|2");
}

/// A function that runs with its owner's rights runs for larder's tables only, and for no table of the caller.
#[tokio::test]
async fn no_role_borrows_the_owners_rights() {
    let database = filled().await;
    let role = Role::new(&database);
    let before = database.sql("SELECT SUM(points) FROM users").unwrap();
    for function in
        ["achievements_booked", "users_deactivated", "users_deactivated_keys", "points_ledger_booked"]
    {
        let borrowed = format!(
            "CREATE TEMP TABLE mine (id TEXT, user_id TEXT, points BIGINT, badge_type TEXT, awarded_by TEXT, awarded_at BIGINT);
             CREATE TRIGGER mine AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION public.{function}();
             INSERT INTO mine VALUES ('{ANN}', '{ANN}', 1000, 'b', NULL, 1)"
        );
        let error = role.with("SELECT ON users", &borrowed).unwrap_err().to_string();
        assert!(error.contains("permission denied for function"), "{error}");
    }
    let error = role.with("SELECT ON users", "SELECT public.larder_recount()").unwrap_err().to_string();
    assert!(error.contains("permission denied for function"), "{error}");
    // Only the owner can skip the booking by a restore: settings that every role may change do not skip it.
    let pretend = "SET check_function_bodies = off; SET row_security = off; INSERT INTO points_ledger (user_id, amount, reason)";
    role.with("INSERT ON points_ledger", &format!("{pretend} VALUES ('{ANN}', 5, 'x')")).unwrap();
    check_counts(&database, "a pretended restore");
    let award = "SET check_function_bodies = off; SET row_security = off; INSERT INTO achievements (user_id, badge_type, points)";
    role.with("INSERT ON achievements", &format!("{award} VALUES ('{ANN}', 'pretended', 5)")).unwrap();
    check_counts(&database, "a pretended restore of an achievement");
    let rich = "SET check_function_bodies = off; SET row_security = off; INSERT INTO users (id, email, username, points)
                VALUES ('0192f0c1-2345-7abc-8def-0123456789ad', 'dan@x', 'dan', 5)";
    assert!(role.with("INSERT ON users", rich).is_err());
    assert_ne!(database.sql("SELECT SUM(points) FROM users").unwrap(), before, "the one booking");
}
