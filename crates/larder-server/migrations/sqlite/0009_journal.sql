-- Written by larder_sql::journal::migration; declared in src/store/journal.rs.

-- What each change touched, in its own transaction. Written by triggers, read by larder's relays, pruned by age.
-- The stamp tells two rows of one id apart after the file was restored from an older copy.
CREATE TABLE larder_outbox (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    stamp   BIGINT NOT NULL DEFAULT (random()),
    touched TEXT NOT NULL
);
-- Never empty: a position is a row.
INSERT INTO larder_outbox (touched) VALUES ('[]');

-- By when which rows were there.
CREATE TABLE larder_outbox_marks (
    taken_at BIGINT NOT NULL,
    floor    BIGINT NOT NULL
);

-- Which database this is. A copy of the file has the same one.
CREATE TABLE larder_identity (
    id       TEXT NOT NULL,
    only_row INTEGER NOT NULL DEFAULT 1 UNIQUE CHECK (only_row = 1)
);
INSERT INTO larder_identity (id) VALUES (lower(hex(randomblob(16))));

-- What a change of "users" touches.
DROP TRIGGER IF EXISTS larder_journal_users_inserted;
CREATE TRIGGER larder_journal_users_inserted AFTER INSERT ON "users"
BEGIN
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","user_list"]'
        || ',["tag","superadmin_user_list"]'
        || ',["tag","user_stats"]'
        || ',["tag","dashboard_stats"]'
        || CASE WHEN NEW."id" IS NOT NULL THEN ',' || json_array('entry', 'user_details', CAST(NEW."id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CAST(NEW."id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CAST(NEW."id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."email" IS NOT NULL THEN ',' || json_array('entry', 'user_email', CAST(NEW."email" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."username" IS NOT NULL THEN ',' || json_array('entry', 'user_username', CAST(NEW."username" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."phone" IS NOT NULL THEN ',' || json_array('entry', 'user_phone', CAST(NEW."phone" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."external_id" IS NOT NULL THEN ',' || json_array('entry', 'user_external', CAST(NEW."external_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS larder_journal_users_updated;
CREATE TRIGGER larder_journal_users_updated AFTER UPDATE ON "users"
BEGIN
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","user_list"]'
        || ',["tag","superadmin_user_list"]'
        || ',["tag","user_stats"]'
        || ',["tag","dashboard_stats"]'
        || CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'user_details', CAST(OLD."id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CAST(OLD."id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CAST(OLD."id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."email" IS NOT NULL THEN ',' || json_array('entry', 'user_email', CAST(OLD."email" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."username" IS NOT NULL THEN ',' || json_array('entry', 'user_username', CAST(OLD."username" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."phone" IS NOT NULL THEN ',' || json_array('entry', 'user_phone', CAST(OLD."phone" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."external_id" IS NOT NULL THEN ',' || json_array('entry', 'user_external', CAST(OLD."external_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."id" IS NOT NULL AND (CAST(OLD."id" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."id" AS TEXT)) THEN ',' || json_array('entry', 'user_details', CAST(NEW."id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."id" IS NOT NULL AND (CAST(OLD."id" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."id" AS TEXT)) THEN ',' || json_array('entry', 'auth_state', CAST(NEW."id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."id" IS NOT NULL AND (CAST(OLD."id" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."id" AS TEXT)) THEN ',' || json_array('entry', 'user_personal_stats', CAST(NEW."id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."email" IS NOT NULL AND (CAST(OLD."email" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."email" AS TEXT)) THEN ',' || json_array('entry', 'user_email', CAST(NEW."email" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."username" IS NOT NULL AND (CAST(OLD."username" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."username" AS TEXT)) THEN ',' || json_array('entry', 'user_username', CAST(NEW."username" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."phone" IS NOT NULL AND (CAST(OLD."phone" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."phone" AS TEXT)) THEN ',' || json_array('entry', 'user_phone', CAST(NEW."phone" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."external_id" IS NOT NULL AND (CAST(OLD."external_id" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."external_id" AS TEXT)) THEN ',' || json_array('entry', 'user_external', CAST(NEW."external_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS larder_journal_users_deleted;
CREATE TRIGGER larder_journal_users_deleted AFTER DELETE ON "users"
BEGIN
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","user_list"]'
        || ',["tag","superadmin_user_list"]'
        || ',["tag","user_stats"]'
        || ',["tag","dashboard_stats"]'
        || CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'user_details', CAST(OLD."id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CAST(OLD."id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CAST(OLD."id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."email" IS NOT NULL THEN ',' || json_array('entry', 'user_email', CAST(OLD."email" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."username" IS NOT NULL THEN ',' || json_array('entry', 'user_username', CAST(OLD."username" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."phone" IS NOT NULL THEN ',' || json_array('entry', 'user_phone', CAST(OLD."phone" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."external_id" IS NOT NULL THEN ',' || json_array('entry', 'user_external', CAST(OLD."external_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
-- The rows that a REPLACE will delete, which runs no trigger for them unless recursive_triggers is on.
DROP TRIGGER IF EXISTS larder_journal_users_insert_replaces;
CREATE TRIGGER larder_journal_users_insert_replaces BEFORE INSERT ON "users"
BEGIN
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        ',["tag","user_list"]'
        || ',["tag","superadmin_user_list"]'
        || ',["tag","user_stats"]'
        || ',["tag","dashboard_stats"]'
        || CASE WHEN victim."id" IS NOT NULL THEN ',' || json_array('entry', 'user_details', CAST(victim."id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CAST(victim."id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CAST(victim."id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."email" IS NOT NULL THEN ',' || json_array('entry', 'user_email', CAST(victim."email" AS TEXT)) ELSE '' END
        || CASE WHEN victim."username" IS NOT NULL THEN ',' || json_array('entry', 'user_username', CAST(victim."username" AS TEXT)) ELSE '' END
        || CASE WHEN victim."phone" IS NOT NULL THEN ',' || json_array('entry', 'user_phone', CAST(victim."phone" AS TEXT)) ELSE '' END
        || CASE WHEN victim."external_id" IS NOT NULL THEN ',' || json_array('entry', 'user_external', CAST(victim."external_id" AS TEXT)) ELSE '' END, 2) || ']'
        FROM "users" AS victim
        WHERE (victim."id" = NEW."id")
            OR (victim."email" = NEW."email")
            OR (victim."username" = NEW."username")
            OR (victim."phone" = NEW."phone")
            OR (victim."external_id" = NEW."external_id")
            OR (victim."rowid" = NEW."rowid");
END;
DROP TRIGGER IF EXISTS larder_journal_users_update_replaces;
CREATE TRIGGER larder_journal_users_update_replaces BEFORE UPDATE ON "users"
    WHEN NEW."id" IS NOT OLD."id"
        OR NEW."email" IS NOT OLD."email"
        OR NEW."username" IS NOT OLD."username"
        OR NEW."phone" IS NOT OLD."phone"
        OR NEW."external_id" IS NOT OLD."external_id"
        OR NEW."rowid" IS NOT OLD."rowid"
BEGIN
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        ',["tag","user_list"]'
        || ',["tag","superadmin_user_list"]'
        || ',["tag","user_stats"]'
        || ',["tag","dashboard_stats"]'
        || CASE WHEN victim."id" IS NOT NULL THEN ',' || json_array('entry', 'user_details', CAST(victim."id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CAST(victim."id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CAST(victim."id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."email" IS NOT NULL THEN ',' || json_array('entry', 'user_email', CAST(victim."email" AS TEXT)) ELSE '' END
        || CASE WHEN victim."username" IS NOT NULL THEN ',' || json_array('entry', 'user_username', CAST(victim."username" AS TEXT)) ELSE '' END
        || CASE WHEN victim."phone" IS NOT NULL THEN ',' || json_array('entry', 'user_phone', CAST(victim."phone" AS TEXT)) ELSE '' END
        || CASE WHEN victim."external_id" IS NOT NULL THEN ',' || json_array('entry', 'user_external', CAST(victim."external_id" AS TEXT)) ELSE '' END, 2) || ']'
        FROM "users" AS victim
        WHERE (NEW."id" IS NOT OLD."id") AND (victim."id" = NEW."id")
            OR (NEW."email" IS NOT OLD."email") AND (victim."email" = NEW."email")
            OR (NEW."username" IS NOT OLD."username") AND (victim."username" = NEW."username")
            OR (NEW."phone" IS NOT OLD."phone") AND (victim."phone" = NEW."phone")
            OR (NEW."external_id" IS NOT OLD."external_id") AND (victim."external_id" = NEW."external_id")
            OR (NEW."rowid" IS NOT OLD."rowid") AND (victim."rowid" = NEW."rowid");
END;

-- What a change of "credentials" touches.
DROP TRIGGER IF EXISTS larder_journal_credentials_inserted;
CREATE TRIGGER larder_journal_credentials_inserted AFTER INSERT ON "credentials"
BEGIN
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","superadmin_user_list"]'
        || CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CAST(NEW."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CAST(NEW."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS larder_journal_credentials_updated;
CREATE TRIGGER larder_journal_credentials_updated AFTER UPDATE ON "credentials"
BEGIN
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","superadmin_user_list"]'
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CAST(OLD."user_id" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."user_id" AS TEXT)) THEN ',' || json_array('entry', 'auth_state', CAST(NEW."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CAST(OLD."user_id" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."user_id" AS TEXT)) THEN ',' || json_array('entry', 'user_personal_stats', CAST(NEW."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS larder_journal_credentials_deleted;
CREATE TRIGGER larder_journal_credentials_deleted AFTER DELETE ON "credentials"
BEGIN
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","superadmin_user_list"]'
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CAST(OLD."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
-- The rows that a REPLACE will delete, which runs no trigger for them unless recursive_triggers is on.
DROP TRIGGER IF EXISTS larder_journal_credentials_insert_replaces;
CREATE TRIGGER larder_journal_credentials_insert_replaces BEFORE INSERT ON "credentials"
BEGIN
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        ',["tag","superadmin_user_list"]'
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CAST(victim."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CAST(victim."user_id" AS TEXT)) ELSE '' END, 2) || ']'
        FROM "credentials" AS victim
        WHERE (victim."user_id" = NEW."user_id")
            OR (victim."rowid" = NEW."rowid");
END;
DROP TRIGGER IF EXISTS larder_journal_credentials_update_replaces;
CREATE TRIGGER larder_journal_credentials_update_replaces BEFORE UPDATE ON "credentials"
    WHEN NEW."user_id" IS NOT OLD."user_id"
        OR NEW."rowid" IS NOT OLD."rowid"
BEGIN
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        ',["tag","superadmin_user_list"]'
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CAST(victim."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CAST(victim."user_id" AS TEXT)) ELSE '' END, 2) || ']'
        FROM "credentials" AS victim
        WHERE (NEW."user_id" IS NOT OLD."user_id") AND (victim."user_id" = NEW."user_id")
            OR (NEW."rowid" IS NOT OLD."rowid") AND (victim."rowid" = NEW."rowid");
END;

-- What a change of "sessions" touches.
DROP TRIGGER IF EXISTS larder_journal_sessions_inserted;
CREATE TRIGGER larder_journal_sessions_inserted AFTER INSERT ON "sessions"
BEGIN
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","superadmin_user_list"]'
        || CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CAST(NEW."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CAST(NEW."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS larder_journal_sessions_updated;
CREATE TRIGGER larder_journal_sessions_updated AFTER UPDATE ON "sessions"
BEGIN
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","superadmin_user_list"]'
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CAST(OLD."user_id" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."user_id" AS TEXT)) THEN ',' || json_array('entry', 'auth_state', CAST(NEW."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CAST(OLD."user_id" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."user_id" AS TEXT)) THEN ',' || json_array('entry', 'user_personal_stats', CAST(NEW."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS larder_journal_sessions_deleted;
CREATE TRIGGER larder_journal_sessions_deleted AFTER DELETE ON "sessions"
BEGIN
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","superadmin_user_list"]'
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CAST(OLD."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
-- The rows that a REPLACE will delete, which runs no trigger for them unless recursive_triggers is on.
DROP TRIGGER IF EXISTS larder_journal_sessions_insert_replaces;
CREATE TRIGGER larder_journal_sessions_insert_replaces BEFORE INSERT ON "sessions"
BEGIN
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        ',["tag","superadmin_user_list"]'
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CAST(victim."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CAST(victim."user_id" AS TEXT)) ELSE '' END, 2) || ']'
        FROM "sessions" AS victim
        WHERE (victim."id" = NEW."id")
            OR (victim."rowid" = NEW."rowid");
END;
DROP TRIGGER IF EXISTS larder_journal_sessions_update_replaces;
CREATE TRIGGER larder_journal_sessions_update_replaces BEFORE UPDATE ON "sessions"
    WHEN NEW."id" IS NOT OLD."id"
        OR NEW."rowid" IS NOT OLD."rowid"
BEGIN
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        ',["tag","superadmin_user_list"]'
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CAST(victim."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CAST(victim."user_id" AS TEXT)) ELSE '' END, 2) || ']'
        FROM "sessions" AS victim
        WHERE (NEW."id" IS NOT OLD."id") AND (victim."id" = NEW."id")
            OR (NEW."rowid" IS NOT OLD."rowid") AND (victim."rowid" = NEW."rowid");
END;

-- What a change of "user_counts" touches.
DROP TRIGGER IF EXISTS larder_journal_user_counts_inserted;
CREATE TRIGGER larder_journal_user_counts_inserted AFTER INSERT ON "user_counts"
BEGIN
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","user_list"]'
        || ',["tag","superadmin_user_list"]'
        || ',["tag","user_stats"]'
        || ',["tag","dashboard_stats"]', 2) || ']');
END;
DROP TRIGGER IF EXISTS larder_journal_user_counts_updated;
CREATE TRIGGER larder_journal_user_counts_updated AFTER UPDATE ON "user_counts"
BEGIN
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","user_list"]'
        || ',["tag","superadmin_user_list"]'
        || ',["tag","user_stats"]'
        || ',["tag","dashboard_stats"]', 2) || ']');
END;
DROP TRIGGER IF EXISTS larder_journal_user_counts_deleted;
CREATE TRIGGER larder_journal_user_counts_deleted AFTER DELETE ON "user_counts"
BEGIN
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","user_list"]'
        || ',["tag","superadmin_user_list"]'
        || ',["tag","user_stats"]'
        || ',["tag","dashboard_stats"]', 2) || ']');
END;
-- The rows that a REPLACE will delete, which runs no trigger for them unless recursive_triggers is on.
DROP TRIGGER IF EXISTS larder_journal_user_counts_insert_replaces;
CREATE TRIGGER larder_journal_user_counts_insert_replaces BEFORE INSERT ON "user_counts"
BEGIN
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        ',["tag","user_list"]'
        || ',["tag","superadmin_user_list"]'
        || ',["tag","user_stats"]'
        || ',["tag","dashboard_stats"]', 2) || ']'
        FROM "user_counts" AS victim
        WHERE (victim."shard" = NEW."shard" AND victim."role" = NEW."role" AND victim."is_active" = NEW."is_active")
            OR (victim."rowid" = NEW."rowid");
END;
DROP TRIGGER IF EXISTS larder_journal_user_counts_update_replaces;
CREATE TRIGGER larder_journal_user_counts_update_replaces BEFORE UPDATE ON "user_counts"
    WHEN NEW."shard" IS NOT OLD."shard" OR NEW."role" IS NOT OLD."role" OR NEW."is_active" IS NOT OLD."is_active"
        OR NEW."rowid" IS NOT OLD."rowid"
BEGIN
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        ',["tag","user_list"]'
        || ',["tag","superadmin_user_list"]'
        || ',["tag","user_stats"]'
        || ',["tag","dashboard_stats"]', 2) || ']'
        FROM "user_counts" AS victim
        WHERE (NEW."shard" IS NOT OLD."shard" OR NEW."role" IS NOT OLD."role" OR NEW."is_active" IS NOT OLD."is_active") AND (victim."shard" = NEW."shard" AND victim."role" = NEW."role" AND victim."is_active" = NEW."is_active")
            OR (NEW."rowid" IS NOT OLD."rowid") AND (victim."rowid" = NEW."rowid");
END;

-- What a change of "user_days" touches.
DROP TRIGGER IF EXISTS larder_journal_user_days_inserted;
CREATE TRIGGER larder_journal_user_days_inserted AFTER INSERT ON "user_days"
BEGIN
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","user_stats"]'
        || ',["tag","dashboard_stats"]', 2) || ']');
END;
DROP TRIGGER IF EXISTS larder_journal_user_days_updated;
CREATE TRIGGER larder_journal_user_days_updated AFTER UPDATE ON "user_days"
BEGIN
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","user_stats"]'
        || ',["tag","dashboard_stats"]', 2) || ']');
END;
DROP TRIGGER IF EXISTS larder_journal_user_days_deleted;
CREATE TRIGGER larder_journal_user_days_deleted AFTER DELETE ON "user_days"
BEGIN
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","user_stats"]'
        || ',["tag","dashboard_stats"]', 2) || ']');
END;
-- The rows that a REPLACE will delete, which runs no trigger for them unless recursive_triggers is on.
DROP TRIGGER IF EXISTS larder_journal_user_days_insert_replaces;
CREATE TRIGGER larder_journal_user_days_insert_replaces BEFORE INSERT ON "user_days"
BEGIN
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        ',["tag","user_stats"]'
        || ',["tag","dashboard_stats"]', 2) || ']'
        FROM "user_days" AS victim
        WHERE (victim."day" = NEW."day" AND victim."shard" = NEW."shard")
            OR (victim."rowid" = NEW."rowid");
END;
DROP TRIGGER IF EXISTS larder_journal_user_days_update_replaces;
CREATE TRIGGER larder_journal_user_days_update_replaces BEFORE UPDATE ON "user_days"
    WHEN NEW."day" IS NOT OLD."day" OR NEW."shard" IS NOT OLD."shard"
        OR NEW."rowid" IS NOT OLD."rowid"
BEGIN
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        ',["tag","user_stats"]'
        || ',["tag","dashboard_stats"]', 2) || ']'
        FROM "user_days" AS victim
        WHERE (NEW."day" IS NOT OLD."day" OR NEW."shard" IS NOT OLD."shard") AND (victim."day" = NEW."day" AND victim."shard" = NEW."shard")
            OR (NEW."rowid" IS NOT OLD."rowid") AND (victim."rowid" = NEW."rowid");
END;
