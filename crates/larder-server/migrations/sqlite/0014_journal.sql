-- Written by larder_sql::journal: the `triggers` that src/cached/classes.rs declares. A program of the preceding version does not notice them.

-- What a change of "users" touches.
-- A column that is missing fails the migration, and not the first write.
SELECT 1, "users"."avatar_url", "users"."email", "users"."external_id", "users"."full_name", "users"."id", "users"."is_active", "users"."phone", "users"."points", "users"."username" FROM "users" LIMIT 0;
DROP TRIGGER IF EXISTS "larder_journal_users_inserted";
CREATE TRIGGER "larder_journal_users_inserted" AFTER INSERT ON "users"
BEGIN
-- larder 6c7d2f0116cd7930
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","user_list"]'
        || ',["tag","superadmin_user_list"]'
        || ',["tag","user_stats"]'
        || ',["tag","dashboard_stats"]'
        || ',["tag","leaderboard"]'
        || ',["tag","recent_achievements"]'
        || CASE WHEN NEW."id" IS NOT NULL THEN ',' || json_array('entry', 'user_details', CAST(NEW."id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CAST(NEW."id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CAST(NEW."id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."email" IS NOT NULL THEN ',' || json_array('entry', 'user_email', CAST(NEW."email" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."username" IS NOT NULL THEN ',' || json_array('entry', 'user_username', CAST(NEW."username" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."phone" IS NOT NULL THEN ',' || json_array('entry', 'user_phone', CAST(NEW."phone" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."external_id" IS NOT NULL THEN ',' || json_array('entry', 'user_external', CAST(NEW."external_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."id" IS NOT NULL THEN ',' || json_array('entry', 'profile', CAST(NEW."id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CAST(NEW."id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."id" IS NOT NULL THEN ',' || json_array('entry', 'preferences', CAST(NEW."id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."id" IS NOT NULL THEN ',' || json_array('entry', 'languages', CAST(NEW."id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."id" IS NOT NULL THEN ',' || json_array('entry', 'accessibility', CAST(NEW."id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."id" IS NOT NULL THEN ',' || json_array('entry', 'interests', CAST(NEW."id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_users_updated";
CREATE TRIGGER "larder_journal_users_updated" AFTER UPDATE ON "users"
BEGIN
-- larder 0d39d5ac1efadf8c
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","user_list"]'
        || ',["tag","superadmin_user_list"]'
        || ',["tag","user_stats"]'
        || ',["tag","dashboard_stats"]'
        || CASE WHEN OLD."avatar_url" COLLATE BINARY IS NOT NEW."avatar_url" OR typeof(OLD."avatar_url") IS NOT typeof(NEW."avatar_url")
            OR OLD."full_name" COLLATE BINARY IS NOT NEW."full_name" OR typeof(OLD."full_name") IS NOT typeof(NEW."full_name")
            OR OLD."id" COLLATE BINARY IS NOT NEW."id" OR typeof(OLD."id") IS NOT typeof(NEW."id")
            OR OLD."is_active" COLLATE BINARY IS NOT NEW."is_active" OR typeof(OLD."is_active") IS NOT typeof(NEW."is_active")
            OR OLD."points" COLLATE BINARY IS NOT NEW."points" OR typeof(OLD."points") IS NOT typeof(NEW."points")
            OR OLD."username" COLLATE BINARY IS NOT NEW."username" OR typeof(OLD."username") IS NOT typeof(NEW."username") THEN ',["tag","leaderboard"]' ELSE '' END
        || CASE WHEN OLD."avatar_url" COLLATE BINARY IS NOT NEW."avatar_url" OR typeof(OLD."avatar_url") IS NOT typeof(NEW."avatar_url")
            OR OLD."full_name" COLLATE BINARY IS NOT NEW."full_name" OR typeof(OLD."full_name") IS NOT typeof(NEW."full_name")
            OR OLD."id" COLLATE BINARY IS NOT NEW."id" OR typeof(OLD."id") IS NOT typeof(NEW."id")
            OR OLD."is_active" COLLATE BINARY IS NOT NEW."is_active" OR typeof(OLD."is_active") IS NOT typeof(NEW."is_active")
            OR OLD."username" COLLATE BINARY IS NOT NEW."username" OR typeof(OLD."username") IS NOT typeof(NEW."username") THEN ',["tag","recent_achievements"]' ELSE '' END
        || CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'user_details', CAST(OLD."id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CAST(OLD."id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CAST(OLD."id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."email" IS NOT NULL THEN ',' || json_array('entry', 'user_email', CAST(OLD."email" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."username" IS NOT NULL THEN ',' || json_array('entry', 'user_username', CAST(OLD."username" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."phone" IS NOT NULL THEN ',' || json_array('entry', 'user_phone', CAST(OLD."phone" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."external_id" IS NOT NULL THEN ',' || json_array('entry', 'user_external', CAST(OLD."external_id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'profile', CAST(OLD."id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CAST(OLD."id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'preferences', CAST(OLD."id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'languages', CAST(OLD."id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'accessibility', CAST(OLD."id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'interests', CAST(OLD."id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."id" IS NOT NULL AND (CAST(OLD."id" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."id" AS TEXT)) THEN ',' || json_array('entry', 'user_details', CAST(NEW."id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."id" IS NOT NULL AND (CAST(OLD."id" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."id" AS TEXT)) THEN ',' || json_array('entry', 'auth_state', CAST(NEW."id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."id" IS NOT NULL AND (CAST(OLD."id" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."id" AS TEXT)) THEN ',' || json_array('entry', 'user_personal_stats', CAST(NEW."id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."email" IS NOT NULL AND (CAST(OLD."email" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."email" AS TEXT)) THEN ',' || json_array('entry', 'user_email', CAST(NEW."email" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."username" IS NOT NULL AND (CAST(OLD."username" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."username" AS TEXT)) THEN ',' || json_array('entry', 'user_username', CAST(NEW."username" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."phone" IS NOT NULL AND (CAST(OLD."phone" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."phone" AS TEXT)) THEN ',' || json_array('entry', 'user_phone', CAST(NEW."phone" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."external_id" IS NOT NULL AND (CAST(OLD."external_id" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."external_id" AS TEXT)) THEN ',' || json_array('entry', 'user_external', CAST(NEW."external_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."id" IS NOT NULL AND (CAST(OLD."id" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."id" AS TEXT)) THEN ',' || json_array('entry', 'profile', CAST(NEW."id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."id" IS NOT NULL AND (CAST(OLD."id" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."id" AS TEXT)) THEN ',' || json_array('entry', 'full_profile', CAST(NEW."id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."id" IS NOT NULL AND (CAST(OLD."id" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."id" AS TEXT)) THEN ',' || json_array('entry', 'preferences', CAST(NEW."id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."id" IS NOT NULL AND (CAST(OLD."id" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."id" AS TEXT)) THEN ',' || json_array('entry', 'languages', CAST(NEW."id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."id" IS NOT NULL AND (CAST(OLD."id" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."id" AS TEXT)) THEN ',' || json_array('entry', 'accessibility', CAST(NEW."id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."id" IS NOT NULL AND (CAST(OLD."id" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."id" AS TEXT)) THEN ',' || json_array('entry', 'interests', CAST(NEW."id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_users_deleted";
CREATE TRIGGER "larder_journal_users_deleted" AFTER DELETE ON "users"
BEGIN
-- larder 1b697a5fff097fa4
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","user_list"]'
        || ',["tag","superadmin_user_list"]'
        || ',["tag","user_stats"]'
        || ',["tag","dashboard_stats"]'
        || ',["tag","leaderboard"]'
        || ',["tag","recent_achievements"]'
        || CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'user_details', CAST(OLD."id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CAST(OLD."id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CAST(OLD."id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."email" IS NOT NULL THEN ',' || json_array('entry', 'user_email', CAST(OLD."email" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."username" IS NOT NULL THEN ',' || json_array('entry', 'user_username', CAST(OLD."username" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."phone" IS NOT NULL THEN ',' || json_array('entry', 'user_phone', CAST(OLD."phone" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."external_id" IS NOT NULL THEN ',' || json_array('entry', 'user_external', CAST(OLD."external_id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'profile', CAST(OLD."id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CAST(OLD."id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'preferences', CAST(OLD."id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'languages', CAST(OLD."id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'accessibility', CAST(OLD."id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'interests', CAST(OLD."id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_users_insert_replaces";
CREATE TRIGGER "larder_journal_users_insert_replaces" BEFORE INSERT ON "users"
BEGIN
-- larder fe41373e31ac5c35
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        ',["tag","user_list"]'
        || ',["tag","superadmin_user_list"]'
        || ',["tag","user_stats"]'
        || ',["tag","dashboard_stats"]'
        || ',["tag","leaderboard"]'
        || ',["tag","recent_achievements"]'
        || CASE WHEN victim."id" IS NOT NULL THEN ',' || json_array('entry', 'user_details', CAST(victim."id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CAST(victim."id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CAST(victim."id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."email" IS NOT NULL THEN ',' || json_array('entry', 'user_email', CAST(victim."email" AS TEXT)) ELSE '' END
        || CASE WHEN victim."username" IS NOT NULL THEN ',' || json_array('entry', 'user_username', CAST(victim."username" AS TEXT)) ELSE '' END
        || CASE WHEN victim."phone" IS NOT NULL THEN ',' || json_array('entry', 'user_phone', CAST(victim."phone" AS TEXT)) ELSE '' END
        || CASE WHEN victim."external_id" IS NOT NULL THEN ',' || json_array('entry', 'user_external', CAST(victim."external_id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."id" IS NOT NULL THEN ',' || json_array('entry', 'profile', CAST(victim."id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CAST(victim."id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."id" IS NOT NULL THEN ',' || json_array('entry', 'preferences', CAST(victim."id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."id" IS NOT NULL THEN ',' || json_array('entry', 'languages', CAST(victim."id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."id" IS NOT NULL THEN ',' || json_array('entry', 'accessibility', CAST(victim."id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."id" IS NOT NULL THEN ',' || json_array('entry', 'interests', CAST(victim."id" AS TEXT)) ELSE '' END, 2) || ']'
        FROM "users" AS victim
        WHERE (victim."id" = NEW."id")
            OR (victim."email" = NEW."email")
            OR (victim."username" = NEW."username")
            OR (victim."phone" = NEW."phone")
            OR (victim."external_id" = NEW."external_id")
            OR (victim."rowid" = NEW."rowid");
END;
DROP TRIGGER IF EXISTS "larder_journal_users_update_replaces";
CREATE TRIGGER "larder_journal_users_update_replaces" BEFORE UPDATE ON "users"
    WHEN NEW."id" IS NOT OLD."id"
        OR NEW."email" IS NOT OLD."email"
        OR NEW."username" IS NOT OLD."username"
        OR NEW."phone" IS NOT OLD."phone"
        OR NEW."external_id" IS NOT OLD."external_id"
        OR NEW."rowid" IS NOT OLD."rowid"
BEGIN
-- larder 6f53a3ac61466335
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        ',["tag","user_list"]'
        || ',["tag","superadmin_user_list"]'
        || ',["tag","user_stats"]'
        || ',["tag","dashboard_stats"]'
        || ',["tag","leaderboard"]'
        || ',["tag","recent_achievements"]'
        || CASE WHEN victim."id" IS NOT NULL THEN ',' || json_array('entry', 'user_details', CAST(victim."id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CAST(victim."id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CAST(victim."id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."email" IS NOT NULL THEN ',' || json_array('entry', 'user_email', CAST(victim."email" AS TEXT)) ELSE '' END
        || CASE WHEN victim."username" IS NOT NULL THEN ',' || json_array('entry', 'user_username', CAST(victim."username" AS TEXT)) ELSE '' END
        || CASE WHEN victim."phone" IS NOT NULL THEN ',' || json_array('entry', 'user_phone', CAST(victim."phone" AS TEXT)) ELSE '' END
        || CASE WHEN victim."external_id" IS NOT NULL THEN ',' || json_array('entry', 'user_external', CAST(victim."external_id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."id" IS NOT NULL THEN ',' || json_array('entry', 'profile', CAST(victim."id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CAST(victim."id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."id" IS NOT NULL THEN ',' || json_array('entry', 'preferences', CAST(victim."id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."id" IS NOT NULL THEN ',' || json_array('entry', 'languages', CAST(victim."id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."id" IS NOT NULL THEN ',' || json_array('entry', 'accessibility', CAST(victim."id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."id" IS NOT NULL THEN ',' || json_array('entry', 'interests', CAST(victim."id" AS TEXT)) ELSE '' END, 2) || ']'
        FROM "users" AS victim
        WHERE (NEW."id" IS NOT OLD."id") AND (victim."id" = NEW."id")
            OR (NEW."email" IS NOT OLD."email") AND (victim."email" = NEW."email")
            OR (NEW."username" IS NOT OLD."username") AND (victim."username" = NEW."username")
            OR (NEW."phone" IS NOT OLD."phone") AND (victim."phone" = NEW."phone")
            OR (NEW."external_id" IS NOT OLD."external_id") AND (victim."external_id" = NEW."external_id")
            OR (NEW."rowid" IS NOT OLD."rowid") AND (victim."rowid" = NEW."rowid");
END;

-- What a change of "credentials" touches.
-- A column that is missing fails the migration, and not the first write.
SELECT 1, "credentials"."user_id" FROM "credentials" LIMIT 0;
DROP TRIGGER IF EXISTS "larder_journal_credentials_inserted";
CREATE TRIGGER "larder_journal_credentials_inserted" AFTER INSERT ON "credentials"
BEGIN
-- larder 92411b7940791a85
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","superadmin_user_list"]'
        || CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CAST(NEW."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CAST(NEW."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_credentials_updated";
CREATE TRIGGER "larder_journal_credentials_updated" AFTER UPDATE ON "credentials"
BEGIN
-- larder 9fcc6dc0a6bf246c
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","superadmin_user_list"]'
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CAST(OLD."user_id" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."user_id" AS TEXT)) THEN ',' || json_array('entry', 'auth_state', CAST(NEW."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CAST(OLD."user_id" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."user_id" AS TEXT)) THEN ',' || json_array('entry', 'user_personal_stats', CAST(NEW."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_credentials_deleted";
CREATE TRIGGER "larder_journal_credentials_deleted" AFTER DELETE ON "credentials"
BEGIN
-- larder bae724456f85b156
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","superadmin_user_list"]'
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CAST(OLD."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_credentials_insert_replaces";
CREATE TRIGGER "larder_journal_credentials_insert_replaces" BEFORE INSERT ON "credentials"
BEGIN
-- larder f5f63d781537bd1e
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        ',["tag","superadmin_user_list"]'
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CAST(victim."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CAST(victim."user_id" AS TEXT)) ELSE '' END, 2) || ']'
        FROM "credentials" AS victim
        WHERE (victim."user_id" = NEW."user_id")
            OR (victim."rowid" = NEW."rowid");
END;
DROP TRIGGER IF EXISTS "larder_journal_credentials_update_replaces";
CREATE TRIGGER "larder_journal_credentials_update_replaces" BEFORE UPDATE ON "credentials"
    WHEN NEW."user_id" IS NOT OLD."user_id"
        OR NEW."rowid" IS NOT OLD."rowid"
BEGIN
-- larder 95b0b8d3fd49195e
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        ',["tag","superadmin_user_list"]'
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CAST(victim."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CAST(victim."user_id" AS TEXT)) ELSE '' END, 2) || ']'
        FROM "credentials" AS victim
        WHERE (NEW."user_id" IS NOT OLD."user_id") AND (victim."user_id" = NEW."user_id")
            OR (NEW."rowid" IS NOT OLD."rowid") AND (victim."rowid" = NEW."rowid");
END;

-- What a change of "sessions" touches.
-- A column that is missing fails the migration, and not the first write.
SELECT 1, "sessions"."id", "sessions"."user_id" FROM "sessions" LIMIT 0;
DROP TRIGGER IF EXISTS "larder_journal_sessions_inserted";
CREATE TRIGGER "larder_journal_sessions_inserted" AFTER INSERT ON "sessions"
BEGIN
-- larder 92411b7940791a85
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","superadmin_user_list"]'
        || CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CAST(NEW."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CAST(NEW."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_sessions_updated";
CREATE TRIGGER "larder_journal_sessions_updated" AFTER UPDATE ON "sessions"
BEGIN
-- larder 9fcc6dc0a6bf246c
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","superadmin_user_list"]'
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CAST(OLD."user_id" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."user_id" AS TEXT)) THEN ',' || json_array('entry', 'auth_state', CAST(NEW."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CAST(OLD."user_id" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."user_id" AS TEXT)) THEN ',' || json_array('entry', 'user_personal_stats', CAST(NEW."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_sessions_deleted";
CREATE TRIGGER "larder_journal_sessions_deleted" AFTER DELETE ON "sessions"
BEGIN
-- larder bae724456f85b156
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","superadmin_user_list"]'
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CAST(OLD."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_sessions_insert_replaces";
CREATE TRIGGER "larder_journal_sessions_insert_replaces" BEFORE INSERT ON "sessions"
BEGIN
-- larder 22135d7127694550
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        ',["tag","superadmin_user_list"]'
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CAST(victim."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CAST(victim."user_id" AS TEXT)) ELSE '' END, 2) || ']'
        FROM "sessions" AS victim
        WHERE (victim."id" = NEW."id")
            OR (victim."rowid" = NEW."rowid");
END;
DROP TRIGGER IF EXISTS "larder_journal_sessions_update_replaces";
CREATE TRIGGER "larder_journal_sessions_update_replaces" BEFORE UPDATE ON "sessions"
    WHEN NEW."id" IS NOT OLD."id"
        OR NEW."rowid" IS NOT OLD."rowid"
BEGIN
-- larder 25a4b5827c351a98
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        ',["tag","superadmin_user_list"]'
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CAST(victim."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CAST(victim."user_id" AS TEXT)) ELSE '' END, 2) || ']'
        FROM "sessions" AS victim
        WHERE (NEW."id" IS NOT OLD."id") AND (victim."id" = NEW."id")
            OR (NEW."rowid" IS NOT OLD."rowid") AND (victim."rowid" = NEW."rowid");
END;

-- What a change of "preferences" touches.
-- A column that is missing fails the migration, and not the first write.
SELECT 1, "preferences"."user_id" FROM "preferences" LIMIT 0;
DROP TRIGGER IF EXISTS "larder_journal_preferences_inserted";
CREATE TRIGGER "larder_journal_preferences_inserted" AFTER INSERT ON "preferences"
BEGIN
-- larder 9fc11a189da358d8
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'preferences', CAST(NEW."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CAST(NEW."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_preferences_updated";
CREATE TRIGGER "larder_journal_preferences_updated" AFTER UPDATE ON "preferences"
BEGIN
-- larder 3a84f9a99ab6842a
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'preferences', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CAST(OLD."user_id" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."user_id" AS TEXT)) THEN ',' || json_array('entry', 'preferences', CAST(NEW."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CAST(OLD."user_id" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."user_id" AS TEXT)) THEN ',' || json_array('entry', 'full_profile', CAST(NEW."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_preferences_deleted";
CREATE TRIGGER "larder_journal_preferences_deleted" AFTER DELETE ON "preferences"
BEGIN
-- larder 4d112b00ef594c29
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'preferences', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CAST(OLD."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_preferences_insert_replaces";
CREATE TRIGGER "larder_journal_preferences_insert_replaces" BEFORE INSERT ON "preferences"
BEGIN
-- larder 94a2188b7590b564
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'preferences', CAST(victim."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CAST(victim."user_id" AS TEXT)) ELSE '' END, 2) || ']'
        FROM "preferences" AS victim
        WHERE (victim."user_id" = NEW."user_id")
            OR (victim."rowid" = NEW."rowid");
END;
DROP TRIGGER IF EXISTS "larder_journal_preferences_update_replaces";
CREATE TRIGGER "larder_journal_preferences_update_replaces" BEFORE UPDATE ON "preferences"
    WHEN NEW."user_id" IS NOT OLD."user_id"
        OR NEW."rowid" IS NOT OLD."rowid"
BEGIN
-- larder d1de1751021ca833
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'preferences', CAST(victim."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CAST(victim."user_id" AS TEXT)) ELSE '' END, 2) || ']'
        FROM "preferences" AS victim
        WHERE (NEW."user_id" IS NOT OLD."user_id") AND (victim."user_id" = NEW."user_id")
            OR (NEW."rowid" IS NOT OLD."rowid") AND (victim."rowid" = NEW."rowid");
END;

-- What a change of "languages" touches.
-- A column that is missing fails the migration, and not the first write.
SELECT 1, "languages"."user_id" FROM "languages" LIMIT 0;
DROP TRIGGER IF EXISTS "larder_journal_languages_inserted";
CREATE TRIGGER "larder_journal_languages_inserted" AFTER INSERT ON "languages"
BEGIN
-- larder 9470955310c5313a
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'languages', CAST(NEW."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CAST(NEW."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_languages_updated";
CREATE TRIGGER "larder_journal_languages_updated" AFTER UPDATE ON "languages"
BEGIN
-- larder a9c9b55346787264
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'languages', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CAST(OLD."user_id" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."user_id" AS TEXT)) THEN ',' || json_array('entry', 'languages', CAST(NEW."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CAST(OLD."user_id" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."user_id" AS TEXT)) THEN ',' || json_array('entry', 'full_profile', CAST(NEW."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_languages_deleted";
CREATE TRIGGER "larder_journal_languages_deleted" AFTER DELETE ON "languages"
BEGIN
-- larder 63594189b8c0b082
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'languages', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CAST(OLD."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_languages_insert_replaces";
CREATE TRIGGER "larder_journal_languages_insert_replaces" BEFORE INSERT ON "languages"
BEGIN
-- larder b24faf7a337aee9e
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'languages', CAST(victim."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CAST(victim."user_id" AS TEXT)) ELSE '' END, 2) || ']'
        FROM "languages" AS victim
        WHERE (victim."user_id" = NEW."user_id")
            OR (victim."rowid" = NEW."rowid");
END;
DROP TRIGGER IF EXISTS "larder_journal_languages_update_replaces";
CREATE TRIGGER "larder_journal_languages_update_replaces" BEFORE UPDATE ON "languages"
    WHEN NEW."user_id" IS NOT OLD."user_id"
        OR NEW."rowid" IS NOT OLD."rowid"
BEGIN
-- larder 989224a8dab40c4f
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'languages', CAST(victim."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CAST(victim."user_id" AS TEXT)) ELSE '' END, 2) || ']'
        FROM "languages" AS victim
        WHERE (NEW."user_id" IS NOT OLD."user_id") AND (victim."user_id" = NEW."user_id")
            OR (NEW."rowid" IS NOT OLD."rowid") AND (victim."rowid" = NEW."rowid");
END;

-- What a change of "accessibility" touches.
-- A column that is missing fails the migration, and not the first write.
SELECT 1, "accessibility"."user_id" FROM "accessibility" LIMIT 0;
DROP TRIGGER IF EXISTS "larder_journal_accessibility_inserted";
CREATE TRIGGER "larder_journal_accessibility_inserted" AFTER INSERT ON "accessibility"
BEGIN
-- larder 3cd6a69a6a893967
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'accessibility', CAST(NEW."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CAST(NEW."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_accessibility_updated";
CREATE TRIGGER "larder_journal_accessibility_updated" AFTER UPDATE ON "accessibility"
BEGIN
-- larder cc70d7534eede5de
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'accessibility', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CAST(OLD."user_id" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."user_id" AS TEXT)) THEN ',' || json_array('entry', 'accessibility', CAST(NEW."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CAST(OLD."user_id" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."user_id" AS TEXT)) THEN ',' || json_array('entry', 'full_profile', CAST(NEW."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_accessibility_deleted";
CREATE TRIGGER "larder_journal_accessibility_deleted" AFTER DELETE ON "accessibility"
BEGIN
-- larder fba774f7381b6d03
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'accessibility', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CAST(OLD."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_accessibility_insert_replaces";
CREATE TRIGGER "larder_journal_accessibility_insert_replaces" BEFORE INSERT ON "accessibility"
BEGIN
-- larder 54fc4d83e5fe26a2
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'accessibility', CAST(victim."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CAST(victim."user_id" AS TEXT)) ELSE '' END, 2) || ']'
        FROM "accessibility" AS victim
        WHERE (victim."user_id" = NEW."user_id")
            OR (victim."rowid" = NEW."rowid");
END;
DROP TRIGGER IF EXISTS "larder_journal_accessibility_update_replaces";
CREATE TRIGGER "larder_journal_accessibility_update_replaces" BEFORE UPDATE ON "accessibility"
    WHEN NEW."user_id" IS NOT OLD."user_id"
        OR NEW."rowid" IS NOT OLD."rowid"
BEGIN
-- larder 4c66aa9c51a22d99
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'accessibility', CAST(victim."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CAST(victim."user_id" AS TEXT)) ELSE '' END, 2) || ']'
        FROM "accessibility" AS victim
        WHERE (NEW."user_id" IS NOT OLD."user_id") AND (victim."user_id" = NEW."user_id")
            OR (NEW."rowid" IS NOT OLD."rowid") AND (victim."rowid" = NEW."rowid");
END;

-- What a change of "interests" touches.
-- A column that is missing fails the migration, and not the first write.
SELECT 1, "interests"."user_id" FROM "interests" LIMIT 0;
DROP TRIGGER IF EXISTS "larder_journal_interests_inserted";
CREATE TRIGGER "larder_journal_interests_inserted" AFTER INSERT ON "interests"
BEGIN
-- larder cb3704d80ccdab68
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'interests', CAST(NEW."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CAST(NEW."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_interests_updated";
CREATE TRIGGER "larder_journal_interests_updated" AFTER UPDATE ON "interests"
BEGIN
-- larder ec7404acbaceb6d7
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'interests', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CAST(OLD."user_id" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."user_id" AS TEXT)) THEN ',' || json_array('entry', 'interests', CAST(NEW."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CAST(OLD."user_id" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."user_id" AS TEXT)) THEN ',' || json_array('entry', 'full_profile', CAST(NEW."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_interests_deleted";
CREATE TRIGGER "larder_journal_interests_deleted" AFTER DELETE ON "interests"
BEGIN
-- larder c802c23a3eb83963
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'interests', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CAST(OLD."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_interests_insert_replaces";
CREATE TRIGGER "larder_journal_interests_insert_replaces" BEFORE INSERT ON "interests"
BEGIN
-- larder 84839ccd3d7581b5
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'interests', CAST(victim."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CAST(victim."user_id" AS TEXT)) ELSE '' END, 2) || ']'
        FROM "interests" AS victim
        WHERE (victim."user_id" = NEW."user_id")
            OR (victim."rowid" = NEW."rowid");
END;
DROP TRIGGER IF EXISTS "larder_journal_interests_update_replaces";
CREATE TRIGGER "larder_journal_interests_update_replaces" BEFORE UPDATE ON "interests"
    WHEN NEW."user_id" IS NOT OLD."user_id"
        OR NEW."rowid" IS NOT OLD."rowid"
BEGIN
-- larder ff99d7dbe3a5462b
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'interests', CAST(victim."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CAST(victim."user_id" AS TEXT)) ELSE '' END, 2) || ']'
        FROM "interests" AS victim
        WHERE (NEW."user_id" IS NOT OLD."user_id") AND (victim."user_id" = NEW."user_id")
            OR (NEW."rowid" IS NOT OLD."rowid") AND (victim."rowid" = NEW."rowid");
END;

-- What a change of "api_keys" touches.
-- A column that is missing fails the migration, and not the first write.
SELECT 1, "api_keys"."id" FROM "api_keys" LIMIT 0;
DROP TRIGGER IF EXISTS "larder_journal_api_keys_inserted";
CREATE TRIGGER "larder_journal_api_keys_inserted" AFTER INSERT ON "api_keys"
BEGIN
-- larder f3cf7b0d1568fc39
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN NEW."id" IS NOT NULL THEN ',' || json_array('entry', 'api_key', CAST(NEW."id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_api_keys_updated";
CREATE TRIGGER "larder_journal_api_keys_updated" AFTER UPDATE ON "api_keys"
BEGIN
-- larder 367c78add0c5b9eb
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'api_key', CAST(OLD."id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."id" IS NOT NULL AND (CAST(OLD."id" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."id" AS TEXT)) THEN ',' || json_array('entry', 'api_key', CAST(NEW."id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_api_keys_deleted";
CREATE TRIGGER "larder_journal_api_keys_deleted" AFTER DELETE ON "api_keys"
BEGIN
-- larder b97c555038efb2ac
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'api_key', CAST(OLD."id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_api_keys_insert_replaces";
CREATE TRIGGER "larder_journal_api_keys_insert_replaces" BEFORE INSERT ON "api_keys"
BEGIN
-- larder ea9608140416699d
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        CASE WHEN victim."id" IS NOT NULL THEN ',' || json_array('entry', 'api_key', CAST(victim."id" AS TEXT)) ELSE '' END, 2) || ']'
        FROM "api_keys" AS victim
        WHERE (victim."id" = NEW."id")
            OR (victim."rowid" = NEW."rowid");
END;
DROP TRIGGER IF EXISTS "larder_journal_api_keys_update_replaces";
CREATE TRIGGER "larder_journal_api_keys_update_replaces" BEFORE UPDATE ON "api_keys"
    WHEN NEW."id" IS NOT OLD."id"
        OR NEW."rowid" IS NOT OLD."rowid"
BEGIN
-- larder 02994fac34c934ac
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        CASE WHEN victim."id" IS NOT NULL THEN ',' || json_array('entry', 'api_key', CAST(victim."id" AS TEXT)) ELSE '' END, 2) || ']'
        FROM "api_keys" AS victim
        WHERE (NEW."id" IS NOT OLD."id") AND (victim."id" = NEW."id")
            OR (NEW."rowid" IS NOT OLD."rowid") AND (victim."rowid" = NEW."rowid");
END;

-- What a change of "achievements" touches.
-- A column that is missing fails the migration, and not the first write.
SELECT 1, "achievements"."badge_type", "achievements"."id", "achievements"."user_id" FROM "achievements" LIMIT 0;
DROP TRIGGER IF EXISTS "larder_journal_achievements_inserted";
CREATE TRIGGER "larder_journal_achievements_inserted" AFTER INSERT ON "achievements"
BEGIN
-- larder a970bf1496dbcc31
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","leaderboard"]'
        || ',["tag","recent_achievements"]'
        || CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'achievements', CAST(NEW."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'achievement_summary', CAST(NEW."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'achievement_stats', CAST(NEW."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_achievements_updated";
CREATE TRIGGER "larder_journal_achievements_updated" AFTER UPDATE ON "achievements"
BEGIN
-- larder bf696bae41525211
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","leaderboard"]'
        || ',["tag","recent_achievements"]'
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'achievements', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'achievement_summary', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'achievement_stats', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CAST(OLD."user_id" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."user_id" AS TEXT)) THEN ',' || json_array('entry', 'achievements', CAST(NEW."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CAST(OLD."user_id" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."user_id" AS TEXT)) THEN ',' || json_array('entry', 'achievement_summary', CAST(NEW."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CAST(OLD."user_id" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."user_id" AS TEXT)) THEN ',' || json_array('entry', 'achievement_stats', CAST(NEW."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_achievements_deleted";
CREATE TRIGGER "larder_journal_achievements_deleted" AFTER DELETE ON "achievements"
BEGIN
-- larder 9e0e8f3d35839966
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","leaderboard"]'
        || ',["tag","recent_achievements"]'
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'achievements', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'achievement_summary', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'achievement_stats', CAST(OLD."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_achievements_insert_replaces";
CREATE TRIGGER "larder_journal_achievements_insert_replaces" BEFORE INSERT ON "achievements"
BEGIN
-- larder 8207a8152360c327
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        ',["tag","leaderboard"]'
        || ',["tag","recent_achievements"]'
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'achievements', CAST(victim."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'achievement_summary', CAST(victim."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'achievement_stats', CAST(victim."user_id" AS TEXT)) ELSE '' END, 2) || ']'
        FROM "achievements" AS victim
        WHERE (victim."id" = NEW."id")
            OR (victim."user_id" = NEW."user_id" AND victim."badge_type" = NEW."badge_type")
            OR (victim."rowid" = NEW."rowid");
END;
DROP TRIGGER IF EXISTS "larder_journal_achievements_update_replaces";
CREATE TRIGGER "larder_journal_achievements_update_replaces" BEFORE UPDATE ON "achievements"
    WHEN NEW."id" IS NOT OLD."id"
        OR NEW."user_id" IS NOT OLD."user_id" OR NEW."badge_type" IS NOT OLD."badge_type"
        OR NEW."rowid" IS NOT OLD."rowid"
BEGIN
-- larder 6c8ddf3de0e85919
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        ',["tag","leaderboard"]'
        || ',["tag","recent_achievements"]'
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'achievements', CAST(victim."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'achievement_summary', CAST(victim."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'achievement_stats', CAST(victim."user_id" AS TEXT)) ELSE '' END, 2) || ']'
        FROM "achievements" AS victim
        WHERE (NEW."id" IS NOT OLD."id") AND (victim."id" = NEW."id")
            OR (NEW."user_id" IS NOT OLD."user_id" OR NEW."badge_type" IS NOT OLD."badge_type") AND (victim."user_id" = NEW."user_id" AND victim."badge_type" = NEW."badge_type")
            OR (NEW."rowid" IS NOT OLD."rowid") AND (victim."rowid" = NEW."rowid");
END;

-- What a change of "permissions" touches.
-- A column that is missing fails the migration, and not the first write.
SELECT 1, "permissions"."permission", "permissions"."user_id" FROM "permissions" LIMIT 0;
DROP TRIGGER IF EXISTS "larder_journal_permissions_inserted";
CREATE TRIGGER "larder_journal_permissions_inserted" AFTER INSERT ON "permissions"
BEGIN
-- larder 3176fef290eb992b
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'permissions', CAST(NEW."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'user_details', CAST(NEW."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CAST(NEW."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_permissions_updated";
CREATE TRIGGER "larder_journal_permissions_updated" AFTER UPDATE ON "permissions"
BEGIN
-- larder 4b00e025f656ae7f
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'permissions', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'user_details', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CAST(OLD."user_id" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."user_id" AS TEXT)) THEN ',' || json_array('entry', 'permissions', CAST(NEW."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CAST(OLD."user_id" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."user_id" AS TEXT)) THEN ',' || json_array('entry', 'user_details', CAST(NEW."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CAST(OLD."user_id" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."user_id" AS TEXT)) THEN ',' || json_array('entry', 'auth_state', CAST(NEW."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_permissions_deleted";
CREATE TRIGGER "larder_journal_permissions_deleted" AFTER DELETE ON "permissions"
BEGIN
-- larder 3e98b7e49397d5be
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'permissions', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'user_details', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CAST(OLD."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_permissions_insert_replaces";
CREATE TRIGGER "larder_journal_permissions_insert_replaces" BEFORE INSERT ON "permissions"
BEGIN
-- larder 9189d65463c94bdb
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'permissions', CAST(victim."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'user_details', CAST(victim."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CAST(victim."user_id" AS TEXT)) ELSE '' END, 2) || ']'
        FROM "permissions" AS victim
        WHERE (victim."user_id" = NEW."user_id" AND victim."permission" = NEW."permission")
            OR (victim."rowid" = NEW."rowid");
END;
DROP TRIGGER IF EXISTS "larder_journal_permissions_update_replaces";
CREATE TRIGGER "larder_journal_permissions_update_replaces" BEFORE UPDATE ON "permissions"
    WHEN NEW."user_id" IS NOT OLD."user_id" OR NEW."permission" IS NOT OLD."permission"
        OR NEW."rowid" IS NOT OLD."rowid"
BEGIN
-- larder fd9acab5ba7784ef
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'permissions', CAST(victim."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'user_details', CAST(victim."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CAST(victim."user_id" AS TEXT)) ELSE '' END, 2) || ']'
        FROM "permissions" AS victim
        WHERE (NEW."user_id" IS NOT OLD."user_id" OR NEW."permission" IS NOT OLD."permission") AND (victim."user_id" = NEW."user_id" AND victim."permission" = NEW."permission")
            OR (NEW."rowid" IS NOT OLD."rowid") AND (victim."rowid" = NEW."rowid");
END;

-- What a change of "user_counts" touches.
-- A column that is missing fails the migration, and not the first write.
SELECT 1, "user_counts"."is_active", "user_counts"."role", "user_counts"."shard" FROM "user_counts" LIMIT 0;
DROP TRIGGER IF EXISTS "larder_journal_user_counts_inserted";
CREATE TRIGGER "larder_journal_user_counts_inserted" AFTER INSERT ON "user_counts"
BEGIN
-- larder d7a4710aa0f17970
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","user_list"]'
        || ',["tag","superadmin_user_list"]'
        || ',["tag","user_stats"]'
        || ',["tag","dashboard_stats"]', 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_user_counts_updated";
CREATE TRIGGER "larder_journal_user_counts_updated" AFTER UPDATE ON "user_counts"
BEGIN
-- larder d7a4710aa0f17970
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","user_list"]'
        || ',["tag","superadmin_user_list"]'
        || ',["tag","user_stats"]'
        || ',["tag","dashboard_stats"]', 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_user_counts_deleted";
CREATE TRIGGER "larder_journal_user_counts_deleted" AFTER DELETE ON "user_counts"
BEGIN
-- larder d7a4710aa0f17970
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","user_list"]'
        || ',["tag","superadmin_user_list"]'
        || ',["tag","user_stats"]'
        || ',["tag","dashboard_stats"]', 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_user_counts_insert_replaces";
CREATE TRIGGER "larder_journal_user_counts_insert_replaces" BEFORE INSERT ON "user_counts"
BEGIN
-- larder 6b1fa6f032aad6dd
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        ',["tag","user_list"]'
        || ',["tag","superadmin_user_list"]'
        || ',["tag","user_stats"]'
        || ',["tag","dashboard_stats"]', 2) || ']'
        FROM "user_counts" AS victim
        WHERE (victim."shard" = NEW."shard" AND victim."role" = NEW."role" AND victim."is_active" = NEW."is_active")
            OR (victim."rowid" = NEW."rowid");
END;
DROP TRIGGER IF EXISTS "larder_journal_user_counts_update_replaces";
CREATE TRIGGER "larder_journal_user_counts_update_replaces" BEFORE UPDATE ON "user_counts"
    WHEN NEW."shard" IS NOT OLD."shard" OR NEW."role" IS NOT OLD."role" OR NEW."is_active" IS NOT OLD."is_active"
        OR NEW."rowid" IS NOT OLD."rowid"
BEGIN
-- larder 77b98331b72faed0
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
-- A column that is missing fails the migration, and not the first write.
SELECT 1, "user_days"."day", "user_days"."shard" FROM "user_days" LIMIT 0;
DROP TRIGGER IF EXISTS "larder_journal_user_days_inserted";
CREATE TRIGGER "larder_journal_user_days_inserted" AFTER INSERT ON "user_days"
BEGIN
-- larder 0e364d66dad78f99
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","user_stats"]'
        || ',["tag","dashboard_stats"]', 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_user_days_updated";
CREATE TRIGGER "larder_journal_user_days_updated" AFTER UPDATE ON "user_days"
BEGIN
-- larder 0e364d66dad78f99
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","user_stats"]'
        || ',["tag","dashboard_stats"]', 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_user_days_deleted";
CREATE TRIGGER "larder_journal_user_days_deleted" AFTER DELETE ON "user_days"
BEGIN
-- larder 0e364d66dad78f99
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","user_stats"]'
        || ',["tag","dashboard_stats"]', 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_user_days_insert_replaces";
CREATE TRIGGER "larder_journal_user_days_insert_replaces" BEFORE INSERT ON "user_days"
BEGIN
-- larder 2900b984b7ffef3b
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        ',["tag","user_stats"]'
        || ',["tag","dashboard_stats"]', 2) || ']'
        FROM "user_days" AS victim
        WHERE (victim."day" = NEW."day" AND victim."shard" = NEW."shard")
            OR (victim."rowid" = NEW."rowid");
END;
DROP TRIGGER IF EXISTS "larder_journal_user_days_update_replaces";
CREATE TRIGGER "larder_journal_user_days_update_replaces" BEFORE UPDATE ON "user_days"
    WHEN NEW."day" IS NOT OLD."day" OR NEW."shard" IS NOT OLD."shard"
        OR NEW."rowid" IS NOT OLD."rowid"
BEGIN
-- larder f6bfcb25668119d3
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        ',["tag","user_stats"]'
        || ',["tag","dashboard_stats"]', 2) || ']'
        FROM "user_days" AS victim
        WHERE (NEW."day" IS NOT OLD."day" OR NEW."shard" IS NOT OLD."shard") AND (victim."day" = NEW."day" AND victim."shard" = NEW."shard")
            OR (NEW."rowid" IS NOT OLD."rowid") AND (victim."rowid" = NEW."rowid");
END;

INSERT INTO larder_compatibility (version, oldest) VALUES (14, 13);
