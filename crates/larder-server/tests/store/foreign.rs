//! Helpers for tests of foreign writers on PostgreSQL: rows in every table, and a comparison of the counts with the rows.

use larder_testbed::Database;

/// The ids of the users differ only in their last character.
pub(crate) const ANN: &str = "0192f0c1-2345-7abc-8def-0123456789aa";
pub(crate) const BOB: &str = "0192f0c1-2345-7abc-8def-0123456789ab";
pub(crate) const CAT: &str = "0192f0c1-2345-7abc-8def-0123456789ac";

/// The tables whose rows a restore and replication copy unchanged.
pub(crate) const DATA: [&str; 18] = [
    "users",
    "credentials",
    "sessions",
    "refresh_tokens",
    "mail_tokens",
    "signing_keys",
    "preferences",
    "languages",
    "accessibility",
    "interests",
    "audit_log",
    "points_ledger",
    "achievements",
    "permissions",
    "totp",
    "recovery_codes",
    "api_keys",
    "api_key_uses",
];

/// Inserts rows into every table except `mail_tokens`: three users, one of them inactive, with points, an achievement,
/// sessions and keys.
pub(crate) fn fill(database: &Database) {
    let statement = format!(
        "INSERT INTO users (id, email, username, full_name, skills) VALUES
             ('{ANN}', 'ann@example.com', 'ann', 'Ann Ärger', '[\"rust\"]'), ('{BOB}', 'bob@example.com', 'bob', NULL, '[]'),
             ('{CAT}', 'cat@example.com', 'cat', NULL, '[]');
         UPDATE users SET role = 'admin' WHERE username = 'bob';
         INSERT INTO credentials (user_id, password_hash, changed_at) SELECT id, 'hash', 1 FROM users;
         INSERT INTO sessions (id, user_id, created_at, expires_at)
             SELECT replace(id, '7abc', '7abd'), id, 1, 9000000000000000 FROM users;
         INSERT INTO refresh_tokens (token_hash, session_id, issued_at) SELECT 'token ' || id, id, 1 FROM sessions;
         INSERT INTO preferences (user_id) SELECT id FROM users;
         INSERT INTO languages VALUES ('{ANN}', '[{{\"code\":\"en\",\"level\":\"fluent\"}}]');
         INSERT INTO accessibility (user_id) SELECT id FROM users;
         INSERT INTO interests VALUES ('{ANN}', '[\"sailing\"]');
         INSERT INTO permissions (user_id, permission) VALUES ('{ANN}', 'points.write');
         INSERT INTO totp (user_id, secret, created_at) VALUES ('{ANN}', 'plain.AAAA', 1);
         INSERT INTO recovery_codes (user_id, code_hash) VALUES ('{ANN}', 'hash');
         INSERT INTO api_keys (id, user_id, name, key_hash, scopes, created_at)
             SELECT '00000000000000a' || right(id, 1), id, 'ci', 'hash', 'read write', 1 FROM users;
         INSERT INTO api_key_uses SELECT id, '2026-11-21' FROM api_keys;
         INSERT INTO signing_keys VALUES ('brought', 'EdDSA', 'key', 1, NULL);
         INSERT INTO audit_log (id, at, action) VALUES ('{ANN}', 1, 'user_create');
         INSERT INTO points_ledger (user_id, amount, reason)
             VALUES ('{ANN}', 300, 'x'), ('{ANN}', -1, 'x'), ('{BOB}', 70000, 'x'), ('{CAT}', 5, 'x');
         INSERT INTO achievements (user_id, badge_type, points) VALUES ('{ANN}', 'first', 16), ('{BOB}', 'none', 0)"
    );
    database.sql(&statement).unwrap();
    database.sql(&format!("UPDATE users SET is_active = FALSE WHERE id = '{CAT}'")).unwrap();
}

/// Returns every row of the data tables.
pub(crate) fn data(database: &Database) -> String {
    let rows = |table: &str| format!("SELECT '{table}', * FROM public.{table} ORDER BY 2, 3");
    database.sql(&DATA.map(rows).join(";")).unwrap()
}

/// Compares the counts that triggers keep, and each balance, with the counted rows.
#[track_caller]
pub(crate) fn check_counts(database: &Database, about: &str) {
    let shard = "strpos('0123456789abcdef', right(id, 1)) - 1";
    for (kept, counted) in [
        (
            "SELECT shard, role, is_active, users, points FROM public.user_counts WHERE users <> 0 OR points <> 0
             ORDER BY 1, 2, 3"
                .to_owned(),
            format!(
                "SELECT {shard}, role, is_active, COUNT(*), SUM(points) FROM public.users GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
            ),
        ),
        (
            "SELECT day, shard, users FROM public.user_days WHERE users <> 0 ORDER BY 1, 2".to_owned(),
            format!(
                "SELECT created_at / 86400000000, {shard}, COUNT(*) FROM public.users GROUP BY 1, 2 ORDER BY 1, 2"
            ),
        ),
        (
            "SELECT level, prefix, shard, total FROM public.points_counts ORDER BY 1, 2, 3".to_owned(),
            format!(
                "SELECT level, points >> (4 * level), {shard}, COUNT(*) FROM public.users, generate_series(0, 9) AS level
                 WHERE is_active AND (points >> (4 * level)) & 15 <> 0 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
            ),
        ),
        (
            "SELECT id, points FROM public.users ORDER BY id".to_owned(),
            "SELECT id, COALESCE(SUM(amount), 0) FROM public.users LEFT JOIN public.points_ledger ON user_id = users.id
             GROUP BY users.id ORDER BY users.id"
                .replace("SELECT id,", "SELECT users.id,"),
        ),
        (
            "SELECT COUNT(*) FROM public.user_counts".to_owned(),
            "SELECT 96".to_owned(),
        ),
        ("SELECT COUNT(*) FROM public.users_to_count".to_owned(), "SELECT 0".to_owned()),
    ] {
        assert_eq!(database.sql(&kept).unwrap(), database.sql(&counted).unwrap(), "{about}: {kept}");
    }
}
