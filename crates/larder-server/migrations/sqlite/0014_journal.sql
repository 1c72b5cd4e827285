-- Written by larder_sql::journal: the `triggers` that src/cached/classes.rs declares. A program of the preceding version does not notice them.

-- What a change of "users" touches.
-- A column that is missing fails the migration, and not the first write.
SELECT 1, "users"."avatar_url", "users"."email", "users"."external_id", "users"."full_name", "users"."id", "users"."is_active", "users"."phone", "users"."points", "users"."username" FROM "users" LIMIT 0;
DROP TRIGGER IF EXISTS "larder_journal_users_inserted";
CREATE TRIGGER "larder_journal_users_inserted" AFTER INSERT ON "users"
BEGIN
-- larder 5c294de5559c1a54
-- declares [["entry","user_details",["id"]],["entry","auth_state",["id"]],["entry","user_personal_stats",["id"]],["entry","user_email",["email"]],["entry","user_username",["username"]],["entry","user_phone",["phone"]],["entry","user_external",["external_id"]],["entry","profile",["id"]],["entry","full_profile",["id"]],["entry","preferences",["id"]],["entry","languages",["id"]],["entry","accessibility",["id"]],["entry","interests",["id"]],["tag","user_list",[]],["tag","superadmin_user_list",[]],["tag","user_stats",[]],["tag","dashboard_stats",[]],["tag_reading","leaderboard",["avatar_url","full_name","id","is_active","points","username"]],["tag_reading","recent_achievements",["avatar_url","full_name","id","is_active","username"]],["unique","",["id"]],["unique","",["email"]],["unique","",["username"]],["unique","",["phone"]],["unique","",["external_id"]]]
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
-- larder 43f198df803758e2
-- declares [["entry","user_details",["id"]],["entry","auth_state",["id"]],["entry","user_personal_stats",["id"]],["entry","user_email",["email"]],["entry","user_username",["username"]],["entry","user_phone",["phone"]],["entry","user_external",["external_id"]],["entry","profile",["id"]],["entry","full_profile",["id"]],["entry","preferences",["id"]],["entry","languages",["id"]],["entry","accessibility",["id"]],["entry","interests",["id"]],["tag","user_list",[]],["tag","superadmin_user_list",[]],["tag","user_stats",[]],["tag","dashboard_stats",[]],["tag_reading","leaderboard",["avatar_url","full_name","id","is_active","points","username"]],["tag_reading","recent_achievements",["avatar_url","full_name","id","is_active","username"]],["unique","",["id"]],["unique","",["email"]],["unique","",["username"]],["unique","",["phone"]],["unique","",["external_id"]]]
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
-- larder 7488993a314fdee3
-- declares [["entry","user_details",["id"]],["entry","auth_state",["id"]],["entry","user_personal_stats",["id"]],["entry","user_email",["email"]],["entry","user_username",["username"]],["entry","user_phone",["phone"]],["entry","user_external",["external_id"]],["entry","profile",["id"]],["entry","full_profile",["id"]],["entry","preferences",["id"]],["entry","languages",["id"]],["entry","accessibility",["id"]],["entry","interests",["id"]],["tag","user_list",[]],["tag","superadmin_user_list",[]],["tag","user_stats",[]],["tag","dashboard_stats",[]],["tag_reading","leaderboard",["avatar_url","full_name","id","is_active","points","username"]],["tag_reading","recent_achievements",["avatar_url","full_name","id","is_active","username"]],["unique","",["id"]],["unique","",["email"]],["unique","",["username"]],["unique","",["phone"]],["unique","",["external_id"]]]
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
-- larder 6624ce2d18181308
-- declares [["entry","user_details",["id"]],["entry","auth_state",["id"]],["entry","user_personal_stats",["id"]],["entry","user_email",["email"]],["entry","user_username",["username"]],["entry","user_phone",["phone"]],["entry","user_external",["external_id"]],["entry","profile",["id"]],["entry","full_profile",["id"]],["entry","preferences",["id"]],["entry","languages",["id"]],["entry","accessibility",["id"]],["entry","interests",["id"]],["tag","user_list",[]],["tag","superadmin_user_list",[]],["tag","user_stats",[]],["tag","dashboard_stats",[]],["tag_reading","leaderboard",["avatar_url","full_name","id","is_active","points","username"]],["tag_reading","recent_achievements",["avatar_url","full_name","id","is_active","username"]],["unique","",["id"]],["unique","",["email"]],["unique","",["username"]],["unique","",["phone"]],["unique","",["external_id"]]]
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
-- larder 5ef5a60846b3f679
-- declares [["entry","user_details",["id"]],["entry","auth_state",["id"]],["entry","user_personal_stats",["id"]],["entry","user_email",["email"]],["entry","user_username",["username"]],["entry","user_phone",["phone"]],["entry","user_external",["external_id"]],["entry","profile",["id"]],["entry","full_profile",["id"]],["entry","preferences",["id"]],["entry","languages",["id"]],["entry","accessibility",["id"]],["entry","interests",["id"]],["tag","user_list",[]],["tag","superadmin_user_list",[]],["tag","user_stats",[]],["tag","dashboard_stats",[]],["tag_reading","leaderboard",["avatar_url","full_name","id","is_active","points","username"]],["tag_reading","recent_achievements",["avatar_url","full_name","id","is_active","username"]],["unique","",["id"]],["unique","",["email"]],["unique","",["username"]],["unique","",["phone"]],["unique","",["external_id"]]]
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
-- larder 15760035852d717a
-- declares [["entry","auth_state",["user_id"]],["entry","user_personal_stats",["user_id"]],["tag","superadmin_user_list",[]],["unique","",["user_id"]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","superadmin_user_list"]'
        || CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CAST(NEW."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CAST(NEW."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_credentials_updated";
CREATE TRIGGER "larder_journal_credentials_updated" AFTER UPDATE ON "credentials"
BEGIN
-- larder c9f947213dd4406a
-- declares [["entry","auth_state",["user_id"]],["entry","user_personal_stats",["user_id"]],["tag","superadmin_user_list",[]],["unique","",["user_id"]]]
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
-- larder 48d821b189c1e57d
-- declares [["entry","auth_state",["user_id"]],["entry","user_personal_stats",["user_id"]],["tag","superadmin_user_list",[]],["unique","",["user_id"]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","superadmin_user_list"]'
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CAST(OLD."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_credentials_insert_replaces";
CREATE TRIGGER "larder_journal_credentials_insert_replaces" BEFORE INSERT ON "credentials"
BEGIN
-- larder 8725448951f2952b
-- declares [["entry","auth_state",["user_id"]],["entry","user_personal_stats",["user_id"]],["tag","superadmin_user_list",[]],["unique","",["user_id"]]]
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
-- larder 7fc6aef6934ba502
-- declares [["entry","auth_state",["user_id"]],["entry","user_personal_stats",["user_id"]],["tag","superadmin_user_list",[]],["unique","",["user_id"]]]
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
-- larder 82297e7619201548
-- declares [["entry","auth_state",["user_id"]],["entry","user_personal_stats",["user_id"]],["tag","superadmin_user_list",[]],["unique","",["id"]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","superadmin_user_list"]'
        || CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CAST(NEW."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CAST(NEW."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_sessions_updated";
CREATE TRIGGER "larder_journal_sessions_updated" AFTER UPDATE ON "sessions"
BEGIN
-- larder 5cc7c3cf0965b6ea
-- declares [["entry","auth_state",["user_id"]],["entry","user_personal_stats",["user_id"]],["tag","superadmin_user_list",[]],["unique","",["id"]]]
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
-- larder 16290f59dc56bc46
-- declares [["entry","auth_state",["user_id"]],["entry","user_personal_stats",["user_id"]],["tag","superadmin_user_list",[]],["unique","",["id"]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","superadmin_user_list"]'
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CAST(OLD."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_sessions_insert_replaces";
CREATE TRIGGER "larder_journal_sessions_insert_replaces" BEFORE INSERT ON "sessions"
BEGIN
-- larder 4a307ddf48f48f57
-- declares [["entry","auth_state",["user_id"]],["entry","user_personal_stats",["user_id"]],["tag","superadmin_user_list",[]],["unique","",["id"]]]
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
-- larder 61ab169e8758805c
-- declares [["entry","auth_state",["user_id"]],["entry","user_personal_stats",["user_id"]],["tag","superadmin_user_list",[]],["unique","",["id"]]]
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
-- larder ec6892e5d52592e0
-- declares [["entry","preferences",["user_id"]],["entry","full_profile",["user_id"]],["unique","",["user_id"]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'preferences', CAST(NEW."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CAST(NEW."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_preferences_updated";
CREATE TRIGGER "larder_journal_preferences_updated" AFTER UPDATE ON "preferences"
BEGIN
-- larder 61e0a0be17affcf0
-- declares [["entry","preferences",["user_id"]],["entry","full_profile",["user_id"]],["unique","",["user_id"]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'preferences', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CAST(OLD."user_id" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."user_id" AS TEXT)) THEN ',' || json_array('entry', 'preferences', CAST(NEW."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CAST(OLD."user_id" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."user_id" AS TEXT)) THEN ',' || json_array('entry', 'full_profile', CAST(NEW."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_preferences_deleted";
CREATE TRIGGER "larder_journal_preferences_deleted" AFTER DELETE ON "preferences"
BEGIN
-- larder 788bed7fcd418ab4
-- declares [["entry","preferences",["user_id"]],["entry","full_profile",["user_id"]],["unique","",["user_id"]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'preferences', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CAST(OLD."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_preferences_insert_replaces";
CREATE TRIGGER "larder_journal_preferences_insert_replaces" BEFORE INSERT ON "preferences"
BEGIN
-- larder 1f7f1e11b97d492e
-- declares [["entry","preferences",["user_id"]],["entry","full_profile",["user_id"]],["unique","",["user_id"]]]
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
-- larder 4f7bd1fd01d9ebfd
-- declares [["entry","preferences",["user_id"]],["entry","full_profile",["user_id"]],["unique","",["user_id"]]]
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
-- larder f15a71f204d9d674
-- declares [["entry","languages",["user_id"]],["entry","full_profile",["user_id"]],["unique","",["user_id"]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'languages', CAST(NEW."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CAST(NEW."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_languages_updated";
CREATE TRIGGER "larder_journal_languages_updated" AFTER UPDATE ON "languages"
BEGIN
-- larder ec9f68a123266634
-- declares [["entry","languages",["user_id"]],["entry","full_profile",["user_id"]],["unique","",["user_id"]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'languages', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CAST(OLD."user_id" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."user_id" AS TEXT)) THEN ',' || json_array('entry', 'languages', CAST(NEW."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CAST(OLD."user_id" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."user_id" AS TEXT)) THEN ',' || json_array('entry', 'full_profile', CAST(NEW."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_languages_deleted";
CREATE TRIGGER "larder_journal_languages_deleted" AFTER DELETE ON "languages"
BEGIN
-- larder 0b8e7c7087457595
-- declares [["entry","languages",["user_id"]],["entry","full_profile",["user_id"]],["unique","",["user_id"]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'languages', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CAST(OLD."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_languages_insert_replaces";
CREATE TRIGGER "larder_journal_languages_insert_replaces" BEFORE INSERT ON "languages"
BEGIN
-- larder 324f652a345a5ad0
-- declares [["entry","languages",["user_id"]],["entry","full_profile",["user_id"]],["unique","",["user_id"]]]
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
-- larder c41c0a479df32298
-- declares [["entry","languages",["user_id"]],["entry","full_profile",["user_id"]],["unique","",["user_id"]]]
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
-- larder 33c33064cfa13b49
-- declares [["entry","accessibility",["user_id"]],["entry","full_profile",["user_id"]],["unique","",["user_id"]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'accessibility', CAST(NEW."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CAST(NEW."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_accessibility_updated";
CREATE TRIGGER "larder_journal_accessibility_updated" AFTER UPDATE ON "accessibility"
BEGIN
-- larder 81b8529c5017feb6
-- declares [["entry","accessibility",["user_id"]],["entry","full_profile",["user_id"]],["unique","",["user_id"]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'accessibility', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CAST(OLD."user_id" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."user_id" AS TEXT)) THEN ',' || json_array('entry', 'accessibility', CAST(NEW."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CAST(OLD."user_id" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."user_id" AS TEXT)) THEN ',' || json_array('entry', 'full_profile', CAST(NEW."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_accessibility_deleted";
CREATE TRIGGER "larder_journal_accessibility_deleted" AFTER DELETE ON "accessibility"
BEGIN
-- larder 6729c1cc5fa6728f
-- declares [["entry","accessibility",["user_id"]],["entry","full_profile",["user_id"]],["unique","",["user_id"]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'accessibility', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CAST(OLD."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_accessibility_insert_replaces";
CREATE TRIGGER "larder_journal_accessibility_insert_replaces" BEFORE INSERT ON "accessibility"
BEGIN
-- larder 15f2afc4b84da54d
-- declares [["entry","accessibility",["user_id"]],["entry","full_profile",["user_id"]],["unique","",["user_id"]]]
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
-- larder 6bb45cb78e98ade0
-- declares [["entry","accessibility",["user_id"]],["entry","full_profile",["user_id"]],["unique","",["user_id"]]]
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
-- larder b8ba2e4977aeb41c
-- declares [["entry","interests",["user_id"]],["entry","full_profile",["user_id"]],["unique","",["user_id"]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'interests', CAST(NEW."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CAST(NEW."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_interests_updated";
CREATE TRIGGER "larder_journal_interests_updated" AFTER UPDATE ON "interests"
BEGIN
-- larder 6ddcc2c2f2b4a581
-- declares [["entry","interests",["user_id"]],["entry","full_profile",["user_id"]],["unique","",["user_id"]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'interests', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CAST(OLD."user_id" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."user_id" AS TEXT)) THEN ',' || json_array('entry', 'interests', CAST(NEW."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CAST(OLD."user_id" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."user_id" AS TEXT)) THEN ',' || json_array('entry', 'full_profile', CAST(NEW."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_interests_deleted";
CREATE TRIGGER "larder_journal_interests_deleted" AFTER DELETE ON "interests"
BEGIN
-- larder a4742744e034efd5
-- declares [["entry","interests",["user_id"]],["entry","full_profile",["user_id"]],["unique","",["user_id"]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'interests', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CAST(OLD."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_interests_insert_replaces";
CREATE TRIGGER "larder_journal_interests_insert_replaces" BEFORE INSERT ON "interests"
BEGIN
-- larder 33127cb56397c8f7
-- declares [["entry","interests",["user_id"]],["entry","full_profile",["user_id"]],["unique","",["user_id"]]]
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
-- larder 81168abd436dc60f
-- declares [["entry","interests",["user_id"]],["entry","full_profile",["user_id"]],["unique","",["user_id"]]]
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
-- larder d0233bde01d80e88
-- declares [["entry","api_key",["id"]],["unique","",["id"]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN NEW."id" IS NOT NULL THEN ',' || json_array('entry', 'api_key', CAST(NEW."id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_api_keys_updated";
CREATE TRIGGER "larder_journal_api_keys_updated" AFTER UPDATE ON "api_keys"
BEGIN
-- larder 62d85145cddf1755
-- declares [["entry","api_key",["id"]],["unique","",["id"]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'api_key', CAST(OLD."id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."id" IS NOT NULL AND (CAST(OLD."id" AS TEXT) COLLATE BINARY IS NOT CAST(NEW."id" AS TEXT)) THEN ',' || json_array('entry', 'api_key', CAST(NEW."id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_api_keys_deleted";
CREATE TRIGGER "larder_journal_api_keys_deleted" AFTER DELETE ON "api_keys"
BEGIN
-- larder d7b374a34d1d9ab6
-- declares [["entry","api_key",["id"]],["unique","",["id"]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'api_key', CAST(OLD."id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_api_keys_insert_replaces";
CREATE TRIGGER "larder_journal_api_keys_insert_replaces" BEFORE INSERT ON "api_keys"
BEGIN
-- larder 1a9ca30259fb2433
-- declares [["entry","api_key",["id"]],["unique","",["id"]]]
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
-- larder a7f39be14b71fb33
-- declares [["entry","api_key",["id"]],["unique","",["id"]]]
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
-- larder 750abdaa6c7b9561
-- declares [["entry","achievements",["user_id"]],["entry","achievement_summary",["user_id"]],["entry","achievement_stats",["user_id"]],["tag","leaderboard",[]],["tag","recent_achievements",[]],["unique","",["id"]],["unique","",["user_id","badge_type"]]]
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
-- larder 92175fe6a1dd4d6a
-- declares [["entry","achievements",["user_id"]],["entry","achievement_summary",["user_id"]],["entry","achievement_stats",["user_id"]],["tag","leaderboard",[]],["tag","recent_achievements",[]],["unique","",["id"]],["unique","",["user_id","badge_type"]]]
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
-- larder 1ce65ed832ad096b
-- declares [["entry","achievements",["user_id"]],["entry","achievement_summary",["user_id"]],["entry","achievement_stats",["user_id"]],["tag","leaderboard",[]],["tag","recent_achievements",[]],["unique","",["id"]],["unique","",["user_id","badge_type"]]]
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
-- larder 8493f64999b3c1d9
-- declares [["entry","achievements",["user_id"]],["entry","achievement_summary",["user_id"]],["entry","achievement_stats",["user_id"]],["tag","leaderboard",[]],["tag","recent_achievements",[]],["unique","",["id"]],["unique","",["user_id","badge_type"]]]
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
-- larder 860c721eb314c795
-- declares [["entry","achievements",["user_id"]],["entry","achievement_summary",["user_id"]],["entry","achievement_stats",["user_id"]],["tag","leaderboard",[]],["tag","recent_achievements",[]],["unique","",["id"]],["unique","",["user_id","badge_type"]]]
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
-- larder 64a601f85b4f7669
-- declares [["entry","permissions",["user_id"]],["entry","user_details",["user_id"]],["entry","auth_state",["user_id"]],["unique","",["user_id","permission"]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'permissions', CAST(NEW."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'user_details', CAST(NEW."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CAST(NEW."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_permissions_updated";
CREATE TRIGGER "larder_journal_permissions_updated" AFTER UPDATE ON "permissions"
BEGIN
-- larder 0c65372e9e5c93ce
-- declares [["entry","permissions",["user_id"]],["entry","user_details",["user_id"]],["entry","auth_state",["user_id"]],["unique","",["user_id","permission"]]]
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
-- larder d01a3635951abc31
-- declares [["entry","permissions",["user_id"]],["entry","user_details",["user_id"]],["entry","auth_state",["user_id"]],["unique","",["user_id","permission"]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'permissions', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'user_details', CAST(OLD."user_id" AS TEXT)) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CAST(OLD."user_id" AS TEXT)) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_permissions_insert_replaces";
CREATE TRIGGER "larder_journal_permissions_insert_replaces" BEFORE INSERT ON "permissions"
BEGIN
-- larder ba6dbd573d3cdbc7
-- declares [["entry","permissions",["user_id"]],["entry","user_details",["user_id"]],["entry","auth_state",["user_id"]],["unique","",["user_id","permission"]]]
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
-- larder 41696fafa96af7a8
-- declares [["entry","permissions",["user_id"]],["entry","user_details",["user_id"]],["entry","auth_state",["user_id"]],["unique","",["user_id","permission"]]]
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
-- larder ce5f86544ec1a2a8
-- declares [["tag","user_list",[]],["tag","superadmin_user_list",[]],["tag","user_stats",[]],["tag","dashboard_stats",[]],["unique","",["shard","role","is_active"]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","user_list"]'
        || ',["tag","superadmin_user_list"]'
        || ',["tag","user_stats"]'
        || ',["tag","dashboard_stats"]', 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_user_counts_updated";
CREATE TRIGGER "larder_journal_user_counts_updated" AFTER UPDATE ON "user_counts"
BEGIN
-- larder ce5f86544ec1a2a8
-- declares [["tag","user_list",[]],["tag","superadmin_user_list",[]],["tag","user_stats",[]],["tag","dashboard_stats",[]],["unique","",["shard","role","is_active"]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","user_list"]'
        || ',["tag","superadmin_user_list"]'
        || ',["tag","user_stats"]'
        || ',["tag","dashboard_stats"]', 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_user_counts_deleted";
CREATE TRIGGER "larder_journal_user_counts_deleted" AFTER DELETE ON "user_counts"
BEGIN
-- larder ce5f86544ec1a2a8
-- declares [["tag","user_list",[]],["tag","superadmin_user_list",[]],["tag","user_stats",[]],["tag","dashboard_stats",[]],["unique","",["shard","role","is_active"]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","user_list"]'
        || ',["tag","superadmin_user_list"]'
        || ',["tag","user_stats"]'
        || ',["tag","dashboard_stats"]', 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_user_counts_insert_replaces";
CREATE TRIGGER "larder_journal_user_counts_insert_replaces" BEFORE INSERT ON "user_counts"
BEGIN
-- larder 82c34f6c73b6be71
-- declares [["tag","user_list",[]],["tag","superadmin_user_list",[]],["tag","user_stats",[]],["tag","dashboard_stats",[]],["unique","",["shard","role","is_active"]]]
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
-- larder aaa692a110499cff
-- declares [["tag","user_list",[]],["tag","superadmin_user_list",[]],["tag","user_stats",[]],["tag","dashboard_stats",[]],["unique","",["shard","role","is_active"]]]
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
-- larder 424e0d86ad6adcf1
-- declares [["tag","user_stats",[]],["tag","dashboard_stats",[]],["unique","",["day","shard"]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","user_stats"]'
        || ',["tag","dashboard_stats"]', 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_user_days_updated";
CREATE TRIGGER "larder_journal_user_days_updated" AFTER UPDATE ON "user_days"
BEGIN
-- larder 424e0d86ad6adcf1
-- declares [["tag","user_stats",[]],["tag","dashboard_stats",[]],["unique","",["day","shard"]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","user_stats"]'
        || ',["tag","dashboard_stats"]', 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_user_days_deleted";
CREATE TRIGGER "larder_journal_user_days_deleted" AFTER DELETE ON "user_days"
BEGIN
-- larder 424e0d86ad6adcf1
-- declares [["tag","user_stats",[]],["tag","dashboard_stats",[]],["unique","",["day","shard"]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","user_stats"]'
        || ',["tag","dashboard_stats"]', 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_user_days_insert_replaces";
CREATE TRIGGER "larder_journal_user_days_insert_replaces" BEFORE INSERT ON "user_days"
BEGIN
-- larder 6a60eaedee3b2fb0
-- declares [["tag","user_stats",[]],["tag","dashboard_stats",[]],["unique","",["day","shard"]]]
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
-- larder 491b6887e4a6e372
-- declares [["tag","user_stats",[]],["tag","dashboard_stats",[]],["unique","",["day","shard"]]]
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        ',["tag","user_stats"]'
        || ',["tag","dashboard_stats"]', 2) || ']'
        FROM "user_days" AS victim
        WHERE (NEW."day" IS NOT OLD."day" OR NEW."shard" IS NOT OLD."shard") AND (victim."day" = NEW."day" AND victim."shard" = NEW."shard")
            OR (NEW."rowid" IS NOT OLD."rowid") AND (victim."rowid" = NEW."rowid");
END;

INSERT INTO larder_compatibility (version, oldest) VALUES (14, 13);
