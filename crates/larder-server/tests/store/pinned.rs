//! The functions of the schema use larder's own tables and functions under every search path of the caller, and no
//! caller can substitute others. PostgreSQL only: SQLite has neither search paths nor stored functions.

use larder_server::store::Store;
use larder_testbed::{Database, Postgres};

use crate::foreign::{ANN, BOB, check_counts, fill};

/// Returns a fresh database after all migrations.
async fn migrated() -> Database {
    let database = Database::fresh(&Postgres::shared().unwrap()).unwrap();
    drop(Store::open(&database.url()).await.unwrap());
    database
}

/// A function as the catalog describes it: its name, its language, its settings, whether its body was resolved when it
/// was created, whether it runs as its owner, whether PUBLIC may execute it, and its body.
struct Function {
    name: String,
    settings: String,
    is_resolved: bool,
    runs_as_owner: bool,
    is_public: bool,
    body: String,
}

fn functions(database: &Database) -> Vec<Function> {
    let rows = database
        .sql(
            "SELECT json_build_array(proname, array_to_string(coalesce(proconfig, '{}'), ';'), prosqlbody IS NOT NULL,
                    prosecdef, has_function_privilege('public', pg_proc.oid, 'EXECUTE'), prosrc)
             FROM pg_proc WHERE pronamespace = 'public'::REGNAMESPACE ORDER BY proname",
        )
        .unwrap();
    let read = |row: &str| {
        let row: serde_json::Value = serde_json::from_str(row).unwrap();
        let text = |index: usize| row[index].as_str().unwrap().to_owned();
        let flag = |index: usize| row[index].as_bool().unwrap();
        Function {
            name: text(0),
            settings: text(1),
            is_resolved: flag(2),
            runs_as_owner: flag(3),
            is_public: flag(4),
            body: text(5),
        }
    };
    rows.lines().map(read).collect()
}

#[tokio::test]
async fn every_function_is_pinned() {
    let database = migrated().await;
    let functions = functions(&database);
    let transition_tables = database.sql(
        "SELECT DISTINCT unnest(ARRAY[tgoldtable, tgnewtable]) FROM pg_trigger WHERE coalesce(tgoldtable, tgnewtable) IS NOT NULL",
    );
    let transition_tables = transition_tables.unwrap();
    let transition_tables: Vec<_> = transition_tables.lines().collect();
    assert!(functions.len() > 30, "{}", functions.len());
    for function in &functions {
        let paths = ["search_path=pg_catalog, public, pg_temp", "search_path=pg_catalog, pg_temp"];
        let is_pinned = function.is_resolved || paths.contains(&function.settings.as_str());
        let loose = if is_pinned { Vec::new() } else { loose_names(&function.body, &transition_tables) };
        assert!(loose.is_empty(), "{} leaves to the caller's search path: {loose:?}", function.name);
        // larder_sql writes these functions. On another table they could only journal too much, so PUBLIC may execute
        // them.
        let is_journals =
            function.name.starts_with("larder_journal") || function.name.starts_with("larder_outbox");
        assert!(
            !function.runs_as_owner || !function.is_public || is_journals,
            "{} does its owner's work for any role that hangs it on a table",
            function.name
        );
    }
}

/// Returns the names and operators of a body that PostgreSQL looks up by the search path: functions and tables without a
/// schema, and operators that are not written OPERATOR(schema.…).
/// The transition tables of a trigger are exempt: PostgreSQL finds them before any name of the search path.
fn loose_names(body: &str, transition_tables: &[&str]) -> Vec<String> {
    // Words of the grammar; no search path changes them.
    const GRAMMAR: [&str; 38] = [
        "VALUES", "CASE", "WHEN", "ROW", "COALESCE", "GREATEST", "EXTRACT", "ARRAY", "OPERATOR", "IF",
        "ELSIF", "AND", "OR", "NOT", "THEN", "RETURN", "SELECT", "NULL", "CAST", "LEAST", "IN", "EXISTS",
        "USING", "UNION", "ALL", "OVER", "FILTER", "ANY", "BY", "ON", "WHERE", "AS", "DISTINCT", "ELSE",
        "HAVING", "FROM", "LATERAL", "CONFLICT",
    ];
    let words = words(body);
    let mut loose = Vec::new();
    for (index, word) in words.iter().enumerate() {
        let next = words.get(index + 1).map_or("", String::as_str);
        let before = index.checked_sub(1).map_or("", |index| words[index].as_str());
        let before_that = index.checked_sub(2).map_or("", |index| words[index].as_str());
        let is_name = word.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '"');
        let upper = word.to_uppercase();
        if is_name && before != "." && next == "(" && !GRAMMAR.contains(&upper.as_str()) {
            // In INSERT INTO schema.table (columns) the schema precedes the name, so the name is not loose.
            loose.push(word.clone());
        }
        // The grammar turns these words into operators, which the search path finds.
        let is_hidden = ["BETWEEN", "LIKE", "ILIKE", "NULLIF"].contains(&upper.as_str())
            || upper == "DISTINCT" && ["IS", "NOT"].contains(&before.to_uppercase().as_str());
        if is_hidden && next != "(" {
            loose.push(word.clone());
        }
        // Only INSERT INTO names a table; RETURNING … INTO names a variable.
        let names_table = ["UPDATE", "JOIN", "TABLE"].contains(&before.to_uppercase().as_str())
            || before.eq_ignore_ascii_case("INTO") && before_that.eq_ignore_ascii_case("INSERT")
            || before.eq_ignore_ascii_case("FROM") && !before_that.eq_ignore_ascii_case("EPOCH");
        if is_name && names_table && next != "." && !transition_tables.contains(&word.as_str()) {
            loose.push(word.clone());
        }
        let is_operator = word.chars().all(|c| "+-*/<>=~!@#%^&|`?".contains(c));
        let is_star = word == "*" && ["(", "SELECT", "RETURNING"].contains(&before);
        if is_operator && before != "." && !is_star {
            loose.push(word.clone());
        }
    }
    loose
}

/// Splits a body into words, names, strings, operators and punctuation marks, without comments.
fn words(body: &str) -> Vec<String> {
    let characters: Vec<char> = body.chars().collect();
    let (mut words, mut at) = (Vec::new(), 0);
    let run = |from: usize, is_part: &dyn Fn(char) -> bool| {
        let length = characters[from..].iter().take_while(|c| is_part(**c)).count();
        characters[from..from + length].iter().collect::<String>()
    };
    while at < characters.len() {
        let rest: String = characters[at..characters.len().min(at + 2)].iter().collect();
        let word = match characters[at] {
            c if c.is_whitespace() => String::from(c),
            '\'' => format!("'{}'", run(at + 1, &|c| c != '\'')),
            '"' => format!("\"{}\"", run(at + 1, &|c| c != '"')),
            '-' if rest == "--" => run(at, &|c| c != '\n'),
            ':' if rest == ":=" || rest == "::" => rest,
            c if c.is_alphanumeric() || c == '_' => run(at, &|c| c.is_alphanumeric() || c == '_'),
            c if "+-*/<>=~!@#%^&|`?".contains(c) => run(at, &|c| "+-*/<>=~!@#%^&|`?".contains(c)),
            c => String::from(c),
        };
        at += word.chars().count();
        if !word.trim().is_empty() && !word.starts_with("--") {
            words.push(word);
        }
    }
    words
}

#[test]
fn loose_names_are_found() {
    for (body, found) in [
        ("BEGIN RETURN lower(NEW.a); END", vec!["lower"]),
        ("UPDATE users SET a = 1", vec!["users", "="]),
        ("SELECT pg_catalog.count(*) FROM changed", vec![]),
        ("IF a IS DISTINCT FROM 'b' THEN", vec!["DISTINCT"]),
        ("IF a IS NOT DISTINCT FROM 'b' OR nullif(a, 'b') THEN", vec!["DISTINCT", "nullif"]),
        ("IF a BETWEEN 1 AND 2 THEN", vec!["BETWEEN"]),
        ("SELECT a * 2 FROM changes", vec!["*", "changes"]),
        ("SELECT 1 FROM public.users JOIN other ON TRUE", vec!["other"]),
        ("RETURN pg_catalog.lower(a) || 'b'", vec!["||"]),
        ("RETURN a OPERATOR(pg_catalog.||) 'lower(x) || y' -- lower(x)", vec![]),
        ("INSERT INTO public.users VALUES (extract(epoch FROM pg_catalog.now()))", vec![]),
    ] {
        assert_eq!(loose_names(body, &["changed"]), found, "{body}");
    }
}

/// Returns statements that fire different triggers. None contains an operator or a function, so the search path affects
/// only the triggers.
fn statements() -> Vec<String> {
    vec![
        "INSERT INTO public.users (id, email, username, full_name)
         VALUES ('0192f0c1-2345-7abc-8def-0123456789ad', 'dan@example.com', 'dan', 'Dän')"
            .to_owned(),
        "INSERT INTO public.points_ledger (user_id, amount, reason) VALUES ('0192f0c1-2345-7abc-8def-0123456789ad', 7, 'x')"
            .to_owned(),
        "INSERT INTO public.achievements (user_id, badge_type, points)
         VALUES ('0192f0c1-2345-7abc-8def-0123456789ad', 'b', 9)"
            .to_owned(),
        "UPDATE public.users SET full_name = 'Än', role = 'admin', skills = '[\"a\"]'".to_owned(),
        "UPDATE public.users SET created_at = 5, is_active = FALSE".to_owned(),
        "UPDATE public.users SET is_active = TRUE".to_owned(),
        "SET session_replication_role = replica; UPDATE public.users SET is_active = FALSE".to_owned(),
        "SET session_replication_role = replica; UPDATE public.users SET version = 99, is_active = TRUE".to_owned(),
        "SET session_replication_role = replica; DELETE FROM public.points_ledger; DELETE FROM public.users".to_owned(),
        "TRUNCATE public.users CASCADE".to_owned(),
    ]
}

#[tokio::test]
async fn writes_work_from_any_search_path() {
    let database = migrated().await;
    // A schema with the same names as larder's, where each table and function is wrong.
    let names = database
        .sql(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::REGNAMESPACE AND relkind = 'r' ORDER BY 1",
        )
        .unwrap();
    let tables: String =
        names.lines().map(|name| format!("CREATE TABLE evil.{name} (nothing TEXT);")).collect();
    let broken = "LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'of the caller''s path'; END $$;";
    database
        .sql(&format!(
            "CREATE SCHEMA evil; {tables}
             CREATE FUNCTION evil.strpos(TEXT, TEXT) RETURNS INT {broken}
             CREATE FUNCTION evil.right(TEXT, INT) RETURNS TEXT {broken}
             CREATE FUNCTION evil.lower(TEXT) RETURNS TEXT {broken}
             CREATE FUNCTION evil.substr(TEXT, INT, INT) RETURNS TEXT {broken}
             CREATE FUNCTION evil.gen_random_uuid() RETURNS UUID {broken}
             CREATE FUNCTION evil.clock_timestamp() RETURNS TIMESTAMPTZ {broken}
             CREATE FUNCTION evil.users_folded(TEXT) RETURNS TEXT {broken}
             CREATE FUNCTION evil.rows_are_brought() RETURNS BOOLEAN {broken}
             CREATE FUNCTION evil.same(TEXT, TEXT) RETURNS BOOLEAN {broken}
             CREATE FUNCTION evil.more(BIGINT, BIGINT) RETURNS BIGINT {broken}
             CREATE OPERATOR evil.= (LEFTARG = TEXT, RIGHTARG = TEXT, FUNCTION = evil.same);
             CREATE OPERATOR evil.+ (LEFTARG = BIGINT, RIGHTARG = BIGINT, FUNCTION = evil.more);
             CREATE OPERATOR evil.- (LEFTARG = BIGINT, RIGHTARG = BIGINT, FUNCTION = evil.more);
             CREATE OPERATOR evil.* (LEFTARG = BIGINT, RIGHTARG = BIGINT, FUNCTION = evil.more);"
        ))
        .unwrap();
    let temporary =
        "CREATE TEMP TABLE credentials (nothing TEXT); CREATE TEMP TABLE user_counts (nothing TEXT);";
    for path in ["SET search_path = ''", "SET search_path = evil, pg_catalog, public", temporary] {
        fill(&database);
        for statement in statements() {
            database
                .sql(&format!("{path}; {statement}"))
                .unwrap_or_else(|error| panic!("{path}; {statement}: {error}"));
            if !statement.contains("replica; DELETE") {
                check_counts(&database, &format!("{path}; {statement}"));
            }
        }
        assert_eq!(database.sql("SELECT COUNT(*) FROM users").unwrap(), "0");
        database
            .sql("DELETE FROM signing_keys; DROP TRIGGER audit_log_kept ON audit_log; TRUNCATE audit_log")
            .unwrap();
        database
            .sql(
                "CREATE TRIGGER audit_log_kept BEFORE TRUNCATE ON audit_log FOR EACH STATEMENT EXECUTE FUNCTION audit_log_kept();
                 TRUNCATE sessions, credentials, refresh_tokens, preferences, languages, accessibility, interests, permissions,
                 totp, recovery_codes, api_keys, api_key_uses, achievements",
            )
            .unwrap();
    }
}

/// The functions name the schema in which the migrations ran; it need not be `public`.
#[tokio::test]
async fn writes_work_in_any_schema() {
    let database = Database::fresh(&Postgres::shared().unwrap()).unwrap();
    let home = "\"The tenant's\"";
    let name = database.sql("SELECT current_database()").unwrap();
    database.sql(&format!("CREATE SCHEMA {home}; ALTER DATABASE {name} SET search_path = {home}")).unwrap();
    drop(Store::open(&database.url()).await.unwrap());
    fill(&database);
    let here = |statement: &str| statement.replace("public.", &format!("{home}."));
    let counts = "SELECT SUM(users), SUM(points) FROM public.user_counts";
    assert_eq!(database.sql(&here(counts)).unwrap(), "3|70320");
    for statement in statements() {
        database
            .sql(&format!("SET search_path = ''; {}", here(&statement)))
            .unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    assert_eq!(database.sql(&here(counts)).unwrap(), "0|0");
    database.sql(&here("SET search_path = ''; SELECT public.larder_recount()")).unwrap();
}

/// The index is over one of the functions. The planner uses it only if it recognises the same function in the query.
#[tokio::test]
async fn searches_still_find_their_index() {
    let database = migrated().await;
    fill(&database);
    let plan = database
        .sql(
            "SET enable_seqscan = off; EXPLAIN SELECT id FROM users
             WHERE users_search_grams(search_text, search_email) @> users_grams_of('arger', '')",
        )
        .unwrap();
    assert!(plan.contains("users_by_search"), "{plan}");
    let found = "SELECT id FROM users WHERE users_search_grams(search_text, search_email) @> users_grams_of('arger', '')";
    assert_eq!(database.sql(found).unwrap(), ANN);
    assert_ne!(ANN, BOB);
}
