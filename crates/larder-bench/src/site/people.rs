//! Creates many users at once: some common and many rare names, roles, points, and three years of sign-ups.

use std::time::Duration;

use anyhow::Result;
use larder_testbed::{Database, Sqlite};

/// A fresh database, which [`Server::fill`] fills with users.
pub(crate) enum Server {
    Postgres(Database),
    Sqlite(Sqlite),
}

const FIRST: &str = "Ann Zoë Juan María Wei Aisha Olga Peter Paul Mary John James Linda Susan Karen Thomas Daniel \
    Nancy Betty Mark Steven Emily Donna Kevin Brian George Edward Ronald Jason Ryan Jacob Gary Nicholas Eric Jonathan \
    Larry Justin Scott Brandon Benjamin Samuel Frank Gregory Raymond Patrick Jack Dennis Jerry Tyler Aaron Jose Henry \
    Adam Douglas Nathan Zachary Kyle Noah Ethan Jeremy Walter Keith";
const SYLLABLES: &str = "ar ber car dol em fen gar hol ing jor kal lan mor nor os per quin ros sten tor un ver wil xan \
    yor zel bach dahl feld hart holm kamp lund mann rath stein thal wald wick wood";

/// Books points for the admin, who sends the requests, so that the admin's rank is in the middle of all users.
const ADMIN_IN_THE_MIDDLE: &str = "INSERT INTO points_ledger (user_id, amount, reason)
    SELECT id, 350, 'to stand in the middle' FROM users WHERE username = 'admin';";

impl Server {
    pub(crate) fn url(&self) -> String {
        match self {
            Server::Postgres(database) => database.url(),
            Server::Sqlite(sqlite) => sqlite.url(),
        }
    }

    /// Runs SQL in psql or sqlite3.
    pub(crate) fn sql(&self, statement: &str) -> Result<String> {
        match self {
            Server::Postgres(database) => database.sql(statement),
            Server::Sqlite(sqlite) => sqlite.sql(statement),
        }
    }

    /// Adds `users` users. Their rows need no journal, because the cache is still empty. On PostgreSQL the users are
    /// not journalled, and only the triggers run that run for replication too. On SQLite all triggers run, and the rows
    /// of the outbox are deleted afterwards, except the last one.
    pub(crate) fn fill(&self, users: u64) -> Result<()> {
        match self {
            Server::Postgres(_) => {
                self.sql(&postgres(users))?;
                // Run before the measurement what autovacuum would run during it.
                self.sql("VACUUM (ANALYZE)")?;
                self.sql("CHECKPOINT")?;
            }
            Server::Sqlite(_) => {
                self.sql(&sqlite(users)?)?;
                self.sql("ANALYZE")?;
            }
        }
        // Wait until the machine's caches have settled.
        std::thread::sleep(Duration::from_secs(1));
        Ok(())
    }
}

fn list(words: &str) -> Vec<&str> {
    words.split_whitespace().collect()
}

fn postgres(users: u64) -> String {
    let (first, syllables) = (list(FIRST), list(SYLLABLES));
    let array = |words: &[&str]| format!("ARRAY['{}']", words.join("','"));
    let (firsts, syllable_count) = (first.len(), syllables.len());
    format!(
        "SET maintenance_work_mem = '256MB';
         SET work_mem = '64MB';
         -- As replication brings rows: balances come with their users, and their ledger is only written down.
         SET session_replication_role = replica;
         SELECT setseed(0.5);
         ALTER TABLE users DISABLE TRIGGER larder_journal;
         DROP INDEX users_by_search;
         INSERT INTO users (id, email, username, full_name, bio, role, is_active, points, created_at, updated_at)
         SELECT
             substr(moment, 1, 8) || '-' || substr(moment, 9, 4) || '-7' || substr(luck, 1, 3) || '-a'
                 || substr(luck, 4, 3) || '-' || substr(luck, 7, 12),
             lower(translate(first, 'ëí', 'ei')) || '.' || last || n || '@' || split_part('example.com mail.example \
             post.example corp.example', ' ', 1 + n % 4),
             last || '_' || n,
             first || ' ' || initcap(last),
             'Somebody of whom there is little to say.',
             CASE WHEN n % 1000 = 7 THEN 'superadmin' WHEN n % 100 = 4 THEN 'admin' ELSE 'user' END,
             n % 10 <> 3 AND n % 300 <> 4,
             floor(-ln(1 - random()) * 500)::BIGINT,
             micros, micros
         FROM (
             SELECT n, micros, lpad(to_hex(micros / 1000), 12, '0') AS moment, md5(n::text) AS luck,
                 ({first})[1 + floor(power(random(), 2) * {firsts})::INT] AS first,
                 ({syllables})[1 + floor(power(random(), 2) * {syllable_count})::INT]
                     || ({syllables})[1 + floor(random() * {syllable_count})::INT]
                     || ({syllables})[1 + floor(random() * {syllable_count})::INT] AS last
             FROM (
                 SELECT n, (extract(epoch FROM now()) * 1000000)::BIGINT
                     - ({users} - n) * (94608000000000 / {users}) AS micros
                 FROM generate_series(1, {users}) AS n
             ) AS numbered
         ) AS people;
         CREATE INDEX users_by_search ON users USING gin (users_search_grams(search_text, search_email))
             WITH (gin_pending_list_limit = 256);
         INSERT INTO points_ledger (user_id, amount, reason) SELECT id, points, 'welcome' FROM users WHERE points > 0;
         ALTER TABLE users ENABLE ALWAYS TRIGGER larder_journal;
         SET session_replication_role = origin;
         {ADMIN_IN_THE_MIDDLE}",
        first = array(&first),
        syllables = array(&syllables),
    )
}

fn sqlite(users: u64) -> Result<String> {
    let (first, syllables) = (list(FIRST), list(SYLLABLES));
    let table = |name: &str, words: &[&str]| {
        let rows: Vec<_> =
            words.iter().enumerate().map(|(number, word)| format!("({number}, '{word}')")).collect();
        format!(
            "CREATE TEMP TABLE {name} (number INTEGER PRIMARY KEY, word TEXT); INSERT INTO {name} VALUES {};",
            rows.join(", ")
        )
    };
    let skewed = |count: usize| format!("(abs(random()) % {count}) * (abs(random()) % {count}) / {count}");
    let luck = |digits: usize| format!("lower(substr(hex(randomblob(8)), 1, {digits}))");
    Ok(format!(
        "{firsts} {parts}
         CREATE TEMP TABLE people AS
         WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {users})
         SELECT n,
             CAST(strftime('%s') AS BIGINT) * 1000000 - ({users} - n) * (94608000000000 / {users}) AS micros,
             {first_pick} AS first, {last_pick} AS a, abs(random()) % {syllable_count} AS b,
             abs(random()) % {syllable_count} AS c
         FROM numbers;
         BEGIN;
         INSERT INTO users (id, email, username, full_name, bio, role, is_active, created_at, updated_at)
         SELECT
             substr(printf('%012x', micros / 1000), 1, 8) || '-' || substr(printf('%012x', micros / 1000), 9, 4) || '-7'
                 || {three} || '-a' || {three} || '-' || {twelve},
             lower(replace(replace(f.word, 'ë', 'e'), 'í', 'i')) || '.' || a.word || b.word || c.word || n || '@'
                 || CASE n % 4 WHEN 0 THEN 'example.com' WHEN 1 THEN 'mail.example' WHEN 2 THEN 'post.example'
                    ELSE 'corp.example' END,
             a.word || b.word || c.word || '_' || n,
             f.word || ' ' || upper(substr(a.word, 1, 1)) || substr(a.word, 2) || b.word || c.word,
             'Somebody of whom there is little to say.',
             CASE WHEN n % 1000 = 7 THEN 'superadmin' WHEN n % 100 = 4 THEN 'admin' ELSE 'user' END,
             n % 10 <> 3 AND n % 300 <> 4, micros, micros
         FROM people
         JOIN firsts AS f ON f.number = people.first JOIN parts AS a ON a.number = people.a JOIN parts AS b ON b.number = people.b
         JOIN parts AS c ON c.number = people.c ORDER BY n;
         INSERT INTO points_ledger (user_id, amount, reason)
         SELECT id, 1 + {points}, 'welcome' FROM users WHERE username <> 'admin';
         {ADMIN_IN_THE_MIDDLE}
         DELETE FROM larder_outbox WHERE rowid < (SELECT MAX(rowid) FROM larder_outbox);
         COMMIT;",
        firsts = table("firsts", &first),
        parts = table("parts", &syllables),
        first_pick = skewed(first.len()),
        last_pick = skewed(syllables.len()),
        syllable_count = syllables.len(),
        three = luck(3),
        twelve = luck(12),
        points = skewed(5000),
    ))
}
