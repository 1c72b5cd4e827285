-- Written by larder_sql::journal: the `triggers` that src/cached/classes.rs declares. A program of the preceding version does not notice them.

-- What a change of "users" touches.
-- A column that is missing fails the migration, and not the first write.
SELECT 1, "users"."avatar_url", "users"."email", "users"."external_id", "users"."full_name", "users"."id", "users"."is_active", "users"."phone", "users"."points", "users"."username" FROM "users" LIMIT 0;
DROP TRIGGER IF EXISTS "larder_journal_users_inserted";
CREATE TRIGGER "larder_journal_users_inserted" AFTER INSERT ON "users"
BEGIN
-- larder 6a23ec0ec257ccc6
-- declares [["entry","user_details",["id"]],["entry","auth_state",["id"]],["entry","user_personal_stats",["id"]],["entry","user_email",["email"]],["entry","user_username",["username"]],["entry","user_phone",["phone"]],["entry","user_external",["external_id"]],["entry","profile",["id"]],["entry","full_profile",["id"]],["entry","preferences",["id"]],["entry","languages",["id"]],["entry","accessibility",["id"]],["entry","interests",["id"]],["tag","user_list",[]],["tag","superadmin_user_list",[]],["tag","user_stats",[]],["tag","dashboard_stats",[]],["tag_reading","leaderboard",["avatar_url","full_name","id","is_active","points","username"]],["tag_reading","recent_achievements",["avatar_url","full_name","id","is_active","username"]],["unique","",["id"]],["unique","",["email"]],["unique","",["username"]],["unique","",["phone"]],["unique","",["external_id"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","user_list"]'
        || ',["tag","superadmin_user_list"]'
        || ',["tag","user_stats"]'
        || ',["tag","dashboard_stats"]'
        || ',["tag","leaderboard"]'
        || ',["tag","recent_achievements"]'
        || CASE WHEN NEW."id" IS NOT NULL THEN ',' || json_array('entry', 'user_details', CASE WHEN typeof(NEW."id") = 'blob' AND length(NEW."id") = 16 THEN hex(NEW."id") ELSE CAST(NEW."id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CASE WHEN typeof(NEW."id") = 'blob' AND length(NEW."id") = 16 THEN hex(NEW."id") ELSE CAST(NEW."id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CASE WHEN typeof(NEW."id") = 'blob' AND length(NEW."id") = 16 THEN hex(NEW."id") ELSE CAST(NEW."id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."email" IS NOT NULL THEN ',' || json_array('entry', 'user_email', CASE WHEN typeof(NEW."email") = 'blob' AND length(NEW."email") = 16 THEN hex(NEW."email") ELSE CAST(NEW."email" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."username" IS NOT NULL THEN ',' || json_array('entry', 'user_username', CASE WHEN typeof(NEW."username") = 'blob' AND length(NEW."username") = 16 THEN hex(NEW."username") ELSE CAST(NEW."username" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."phone" IS NOT NULL THEN ',' || json_array('entry', 'user_phone', CASE WHEN typeof(NEW."phone") = 'blob' AND length(NEW."phone") = 16 THEN hex(NEW."phone") ELSE CAST(NEW."phone" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."external_id" IS NOT NULL THEN ',' || json_array('entry', 'user_external', CASE WHEN typeof(NEW."external_id") = 'blob' AND length(NEW."external_id") = 16 THEN hex(NEW."external_id") ELSE CAST(NEW."external_id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."id" IS NOT NULL THEN ',' || json_array('entry', 'profile', CASE WHEN typeof(NEW."id") = 'blob' AND length(NEW."id") = 16 THEN hex(NEW."id") ELSE CAST(NEW."id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CASE WHEN typeof(NEW."id") = 'blob' AND length(NEW."id") = 16 THEN hex(NEW."id") ELSE CAST(NEW."id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."id" IS NOT NULL THEN ',' || json_array('entry', 'preferences', CASE WHEN typeof(NEW."id") = 'blob' AND length(NEW."id") = 16 THEN hex(NEW."id") ELSE CAST(NEW."id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."id" IS NOT NULL THEN ',' || json_array('entry', 'languages', CASE WHEN typeof(NEW."id") = 'blob' AND length(NEW."id") = 16 THEN hex(NEW."id") ELSE CAST(NEW."id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."id" IS NOT NULL THEN ',' || json_array('entry', 'accessibility', CASE WHEN typeof(NEW."id") = 'blob' AND length(NEW."id") = 16 THEN hex(NEW."id") ELSE CAST(NEW."id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."id" IS NOT NULL THEN ',' || json_array('entry', 'interests', CASE WHEN typeof(NEW."id") = 'blob' AND length(NEW."id") = 16 THEN hex(NEW."id") ELSE CAST(NEW."id" AS TEXT) END) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_users_updated";
CREATE TRIGGER "larder_journal_users_updated" AFTER UPDATE ON "users"
BEGIN
-- larder 576a43436f931dd0
-- declares [["entry","user_details",["id"]],["entry","auth_state",["id"]],["entry","user_personal_stats",["id"]],["entry","user_email",["email"]],["entry","user_username",["username"]],["entry","user_phone",["phone"]],["entry","user_external",["external_id"]],["entry","profile",["id"]],["entry","full_profile",["id"]],["entry","preferences",["id"]],["entry","languages",["id"]],["entry","accessibility",["id"]],["entry","interests",["id"]],["tag","user_list",[]],["tag","superadmin_user_list",[]],["tag","user_stats",[]],["tag","dashboard_stats",[]],["tag_reading","leaderboard",["avatar_url","full_name","id","is_active","points","username"]],["tag_reading","recent_achievements",["avatar_url","full_name","id","is_active","username"]],["unique","",["id"]],["unique","",["email"]],["unique","",["username"]],["unique","",["phone"]],["unique","",["external_id"]],["spelling","uuid",[]]]
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
        || CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'user_details', CASE WHEN typeof(OLD."id") = 'blob' AND length(OLD."id") = 16 THEN hex(OLD."id") ELSE CAST(OLD."id" AS TEXT) END) ELSE '' END
        || CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CASE WHEN typeof(OLD."id") = 'blob' AND length(OLD."id") = 16 THEN hex(OLD."id") ELSE CAST(OLD."id" AS TEXT) END) ELSE '' END
        || CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CASE WHEN typeof(OLD."id") = 'blob' AND length(OLD."id") = 16 THEN hex(OLD."id") ELSE CAST(OLD."id" AS TEXT) END) ELSE '' END
        || CASE WHEN OLD."email" IS NOT NULL THEN ',' || json_array('entry', 'user_email', CASE WHEN typeof(OLD."email") = 'blob' AND length(OLD."email") = 16 THEN hex(OLD."email") ELSE CAST(OLD."email" AS TEXT) END) ELSE '' END
        || CASE WHEN OLD."username" IS NOT NULL THEN ',' || json_array('entry', 'user_username', CASE WHEN typeof(OLD."username") = 'blob' AND length(OLD."username") = 16 THEN hex(OLD."username") ELSE CAST(OLD."username" AS TEXT) END) ELSE '' END
        || CASE WHEN OLD."phone" IS NOT NULL THEN ',' || json_array('entry', 'user_phone', CASE WHEN typeof(OLD."phone") = 'blob' AND length(OLD."phone") = 16 THEN hex(OLD."phone") ELSE CAST(OLD."phone" AS TEXT) END) ELSE '' END
        || CASE WHEN OLD."external_id" IS NOT NULL THEN ',' || json_array('entry', 'user_external', CASE WHEN typeof(OLD."external_id") = 'blob' AND length(OLD."external_id") = 16 THEN hex(OLD."external_id") ELSE CAST(OLD."external_id" AS TEXT) END) ELSE '' END
        || CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'profile', CASE WHEN typeof(OLD."id") = 'blob' AND length(OLD."id") = 16 THEN hex(OLD."id") ELSE CAST(OLD."id" AS TEXT) END) ELSE '' END
        || CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CASE WHEN typeof(OLD."id") = 'blob' AND length(OLD."id") = 16 THEN hex(OLD."id") ELSE CAST(OLD."id" AS TEXT) END) ELSE '' END
        || CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'preferences', CASE WHEN typeof(OLD."id") = 'blob' AND length(OLD."id") = 16 THEN hex(OLD."id") ELSE CAST(OLD."id" AS TEXT) END) ELSE '' END
        || CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'languages', CASE WHEN typeof(OLD."id") = 'blob' AND length(OLD."id") = 16 THEN hex(OLD."id") ELSE CAST(OLD."id" AS TEXT) END) ELSE '' END
        || CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'accessibility', CASE WHEN typeof(OLD."id") = 'blob' AND length(OLD."id") = 16 THEN hex(OLD."id") ELSE CAST(OLD."id" AS TEXT) END) ELSE '' END
        || CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'interests', CASE WHEN typeof(OLD."id") = 'blob' AND length(OLD."id") = 16 THEN hex(OLD."id") ELSE CAST(OLD."id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."id" IS NOT NULL AND (CASE WHEN typeof(OLD."id") = 'blob' AND length(OLD."id") = 16 THEN hex(OLD."id") ELSE CAST(OLD."id" AS TEXT) END COLLATE BINARY IS NOT CASE WHEN typeof(NEW."id") = 'blob' AND length(NEW."id") = 16 THEN hex(NEW."id") ELSE CAST(NEW."id" AS TEXT) END) THEN ',' || json_array('entry', 'user_details', CASE WHEN typeof(NEW."id") = 'blob' AND length(NEW."id") = 16 THEN hex(NEW."id") ELSE CAST(NEW."id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."id" IS NOT NULL AND (CASE WHEN typeof(OLD."id") = 'blob' AND length(OLD."id") = 16 THEN hex(OLD."id") ELSE CAST(OLD."id" AS TEXT) END COLLATE BINARY IS NOT CASE WHEN typeof(NEW."id") = 'blob' AND length(NEW."id") = 16 THEN hex(NEW."id") ELSE CAST(NEW."id" AS TEXT) END) THEN ',' || json_array('entry', 'auth_state', CASE WHEN typeof(NEW."id") = 'blob' AND length(NEW."id") = 16 THEN hex(NEW."id") ELSE CAST(NEW."id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."id" IS NOT NULL AND (CASE WHEN typeof(OLD."id") = 'blob' AND length(OLD."id") = 16 THEN hex(OLD."id") ELSE CAST(OLD."id" AS TEXT) END COLLATE BINARY IS NOT CASE WHEN typeof(NEW."id") = 'blob' AND length(NEW."id") = 16 THEN hex(NEW."id") ELSE CAST(NEW."id" AS TEXT) END) THEN ',' || json_array('entry', 'user_personal_stats', CASE WHEN typeof(NEW."id") = 'blob' AND length(NEW."id") = 16 THEN hex(NEW."id") ELSE CAST(NEW."id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."email" IS NOT NULL AND (CASE WHEN typeof(OLD."email") = 'blob' AND length(OLD."email") = 16 THEN hex(OLD."email") ELSE CAST(OLD."email" AS TEXT) END COLLATE BINARY IS NOT CASE WHEN typeof(NEW."email") = 'blob' AND length(NEW."email") = 16 THEN hex(NEW."email") ELSE CAST(NEW."email" AS TEXT) END) THEN ',' || json_array('entry', 'user_email', CASE WHEN typeof(NEW."email") = 'blob' AND length(NEW."email") = 16 THEN hex(NEW."email") ELSE CAST(NEW."email" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."username" IS NOT NULL AND (CASE WHEN typeof(OLD."username") = 'blob' AND length(OLD."username") = 16 THEN hex(OLD."username") ELSE CAST(OLD."username" AS TEXT) END COLLATE BINARY IS NOT CASE WHEN typeof(NEW."username") = 'blob' AND length(NEW."username") = 16 THEN hex(NEW."username") ELSE CAST(NEW."username" AS TEXT) END) THEN ',' || json_array('entry', 'user_username', CASE WHEN typeof(NEW."username") = 'blob' AND length(NEW."username") = 16 THEN hex(NEW."username") ELSE CAST(NEW."username" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."phone" IS NOT NULL AND (CASE WHEN typeof(OLD."phone") = 'blob' AND length(OLD."phone") = 16 THEN hex(OLD."phone") ELSE CAST(OLD."phone" AS TEXT) END COLLATE BINARY IS NOT CASE WHEN typeof(NEW."phone") = 'blob' AND length(NEW."phone") = 16 THEN hex(NEW."phone") ELSE CAST(NEW."phone" AS TEXT) END) THEN ',' || json_array('entry', 'user_phone', CASE WHEN typeof(NEW."phone") = 'blob' AND length(NEW."phone") = 16 THEN hex(NEW."phone") ELSE CAST(NEW."phone" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."external_id" IS NOT NULL AND (CASE WHEN typeof(OLD."external_id") = 'blob' AND length(OLD."external_id") = 16 THEN hex(OLD."external_id") ELSE CAST(OLD."external_id" AS TEXT) END COLLATE BINARY IS NOT CASE WHEN typeof(NEW."external_id") = 'blob' AND length(NEW."external_id") = 16 THEN hex(NEW."external_id") ELSE CAST(NEW."external_id" AS TEXT) END) THEN ',' || json_array('entry', 'user_external', CASE WHEN typeof(NEW."external_id") = 'blob' AND length(NEW."external_id") = 16 THEN hex(NEW."external_id") ELSE CAST(NEW."external_id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."id" IS NOT NULL AND (CASE WHEN typeof(OLD."id") = 'blob' AND length(OLD."id") = 16 THEN hex(OLD."id") ELSE CAST(OLD."id" AS TEXT) END COLLATE BINARY IS NOT CASE WHEN typeof(NEW."id") = 'blob' AND length(NEW."id") = 16 THEN hex(NEW."id") ELSE CAST(NEW."id" AS TEXT) END) THEN ',' || json_array('entry', 'profile', CASE WHEN typeof(NEW."id") = 'blob' AND length(NEW."id") = 16 THEN hex(NEW."id") ELSE CAST(NEW."id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."id" IS NOT NULL AND (CASE WHEN typeof(OLD."id") = 'blob' AND length(OLD."id") = 16 THEN hex(OLD."id") ELSE CAST(OLD."id" AS TEXT) END COLLATE BINARY IS NOT CASE WHEN typeof(NEW."id") = 'blob' AND length(NEW."id") = 16 THEN hex(NEW."id") ELSE CAST(NEW."id" AS TEXT) END) THEN ',' || json_array('entry', 'full_profile', CASE WHEN typeof(NEW."id") = 'blob' AND length(NEW."id") = 16 THEN hex(NEW."id") ELSE CAST(NEW."id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."id" IS NOT NULL AND (CASE WHEN typeof(OLD."id") = 'blob' AND length(OLD."id") = 16 THEN hex(OLD."id") ELSE CAST(OLD."id" AS TEXT) END COLLATE BINARY IS NOT CASE WHEN typeof(NEW."id") = 'blob' AND length(NEW."id") = 16 THEN hex(NEW."id") ELSE CAST(NEW."id" AS TEXT) END) THEN ',' || json_array('entry', 'preferences', CASE WHEN typeof(NEW."id") = 'blob' AND length(NEW."id") = 16 THEN hex(NEW."id") ELSE CAST(NEW."id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."id" IS NOT NULL AND (CASE WHEN typeof(OLD."id") = 'blob' AND length(OLD."id") = 16 THEN hex(OLD."id") ELSE CAST(OLD."id" AS TEXT) END COLLATE BINARY IS NOT CASE WHEN typeof(NEW."id") = 'blob' AND length(NEW."id") = 16 THEN hex(NEW."id") ELSE CAST(NEW."id" AS TEXT) END) THEN ',' || json_array('entry', 'languages', CASE WHEN typeof(NEW."id") = 'blob' AND length(NEW."id") = 16 THEN hex(NEW."id") ELSE CAST(NEW."id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."id" IS NOT NULL AND (CASE WHEN typeof(OLD."id") = 'blob' AND length(OLD."id") = 16 THEN hex(OLD."id") ELSE CAST(OLD."id" AS TEXT) END COLLATE BINARY IS NOT CASE WHEN typeof(NEW."id") = 'blob' AND length(NEW."id") = 16 THEN hex(NEW."id") ELSE CAST(NEW."id" AS TEXT) END) THEN ',' || json_array('entry', 'accessibility', CASE WHEN typeof(NEW."id") = 'blob' AND length(NEW."id") = 16 THEN hex(NEW."id") ELSE CAST(NEW."id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."id" IS NOT NULL AND (CASE WHEN typeof(OLD."id") = 'blob' AND length(OLD."id") = 16 THEN hex(OLD."id") ELSE CAST(OLD."id" AS TEXT) END COLLATE BINARY IS NOT CASE WHEN typeof(NEW."id") = 'blob' AND length(NEW."id") = 16 THEN hex(NEW."id") ELSE CAST(NEW."id" AS TEXT) END) THEN ',' || json_array('entry', 'interests', CASE WHEN typeof(NEW."id") = 'blob' AND length(NEW."id") = 16 THEN hex(NEW."id") ELSE CAST(NEW."id" AS TEXT) END) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_users_deleted";
CREATE TRIGGER "larder_journal_users_deleted" AFTER DELETE ON "users"
BEGIN
-- larder d152ba469f51b218
-- declares [["entry","user_details",["id"]],["entry","auth_state",["id"]],["entry","user_personal_stats",["id"]],["entry","user_email",["email"]],["entry","user_username",["username"]],["entry","user_phone",["phone"]],["entry","user_external",["external_id"]],["entry","profile",["id"]],["entry","full_profile",["id"]],["entry","preferences",["id"]],["entry","languages",["id"]],["entry","accessibility",["id"]],["entry","interests",["id"]],["tag","user_list",[]],["tag","superadmin_user_list",[]],["tag","user_stats",[]],["tag","dashboard_stats",[]],["tag_reading","leaderboard",["avatar_url","full_name","id","is_active","points","username"]],["tag_reading","recent_achievements",["avatar_url","full_name","id","is_active","username"]],["unique","",["id"]],["unique","",["email"]],["unique","",["username"]],["unique","",["phone"]],["unique","",["external_id"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","user_list"]'
        || ',["tag","superadmin_user_list"]'
        || ',["tag","user_stats"]'
        || ',["tag","dashboard_stats"]'
        || ',["tag","leaderboard"]'
        || ',["tag","recent_achievements"]'
        || CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'user_details', CASE WHEN typeof(OLD."id") = 'blob' AND length(OLD."id") = 16 THEN hex(OLD."id") ELSE CAST(OLD."id" AS TEXT) END) ELSE '' END
        || CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CASE WHEN typeof(OLD."id") = 'blob' AND length(OLD."id") = 16 THEN hex(OLD."id") ELSE CAST(OLD."id" AS TEXT) END) ELSE '' END
        || CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CASE WHEN typeof(OLD."id") = 'blob' AND length(OLD."id") = 16 THEN hex(OLD."id") ELSE CAST(OLD."id" AS TEXT) END) ELSE '' END
        || CASE WHEN OLD."email" IS NOT NULL THEN ',' || json_array('entry', 'user_email', CASE WHEN typeof(OLD."email") = 'blob' AND length(OLD."email") = 16 THEN hex(OLD."email") ELSE CAST(OLD."email" AS TEXT) END) ELSE '' END
        || CASE WHEN OLD."username" IS NOT NULL THEN ',' || json_array('entry', 'user_username', CASE WHEN typeof(OLD."username") = 'blob' AND length(OLD."username") = 16 THEN hex(OLD."username") ELSE CAST(OLD."username" AS TEXT) END) ELSE '' END
        || CASE WHEN OLD."phone" IS NOT NULL THEN ',' || json_array('entry', 'user_phone', CASE WHEN typeof(OLD."phone") = 'blob' AND length(OLD."phone") = 16 THEN hex(OLD."phone") ELSE CAST(OLD."phone" AS TEXT) END) ELSE '' END
        || CASE WHEN OLD."external_id" IS NOT NULL THEN ',' || json_array('entry', 'user_external', CASE WHEN typeof(OLD."external_id") = 'blob' AND length(OLD."external_id") = 16 THEN hex(OLD."external_id") ELSE CAST(OLD."external_id" AS TEXT) END) ELSE '' END
        || CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'profile', CASE WHEN typeof(OLD."id") = 'blob' AND length(OLD."id") = 16 THEN hex(OLD."id") ELSE CAST(OLD."id" AS TEXT) END) ELSE '' END
        || CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CASE WHEN typeof(OLD."id") = 'blob' AND length(OLD."id") = 16 THEN hex(OLD."id") ELSE CAST(OLD."id" AS TEXT) END) ELSE '' END
        || CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'preferences', CASE WHEN typeof(OLD."id") = 'blob' AND length(OLD."id") = 16 THEN hex(OLD."id") ELSE CAST(OLD."id" AS TEXT) END) ELSE '' END
        || CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'languages', CASE WHEN typeof(OLD."id") = 'blob' AND length(OLD."id") = 16 THEN hex(OLD."id") ELSE CAST(OLD."id" AS TEXT) END) ELSE '' END
        || CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'accessibility', CASE WHEN typeof(OLD."id") = 'blob' AND length(OLD."id") = 16 THEN hex(OLD."id") ELSE CAST(OLD."id" AS TEXT) END) ELSE '' END
        || CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'interests', CASE WHEN typeof(OLD."id") = 'blob' AND length(OLD."id") = 16 THEN hex(OLD."id") ELSE CAST(OLD."id" AS TEXT) END) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_users_insert_replaces";
CREATE TRIGGER "larder_journal_users_insert_replaces" BEFORE INSERT ON "users"
BEGIN
-- larder 94078be74c7117f1
-- declares [["entry","user_details",["id"]],["entry","auth_state",["id"]],["entry","user_personal_stats",["id"]],["entry","user_email",["email"]],["entry","user_username",["username"]],["entry","user_phone",["phone"]],["entry","user_external",["external_id"]],["entry","profile",["id"]],["entry","full_profile",["id"]],["entry","preferences",["id"]],["entry","languages",["id"]],["entry","accessibility",["id"]],["entry","interests",["id"]],["tag","user_list",[]],["tag","superadmin_user_list",[]],["tag","user_stats",[]],["tag","dashboard_stats",[]],["tag_reading","leaderboard",["avatar_url","full_name","id","is_active","points","username"]],["tag_reading","recent_achievements",["avatar_url","full_name","id","is_active","username"]],["unique","",["id"]],["unique","",["email"]],["unique","",["username"]],["unique","",["phone"]],["unique","",["external_id"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        ',["tag","user_list"]'
        || ',["tag","superadmin_user_list"]'
        || ',["tag","user_stats"]'
        || ',["tag","dashboard_stats"]'
        || ',["tag","leaderboard"]'
        || ',["tag","recent_achievements"]'
        || CASE WHEN victim."id" IS NOT NULL THEN ',' || json_array('entry', 'user_details', CASE WHEN typeof(victim."id") = 'blob' AND length(victim."id") = 16 THEN hex(victim."id") ELSE CAST(victim."id" AS TEXT) END) ELSE '' END
        || CASE WHEN victim."id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CASE WHEN typeof(victim."id") = 'blob' AND length(victim."id") = 16 THEN hex(victim."id") ELSE CAST(victim."id" AS TEXT) END) ELSE '' END
        || CASE WHEN victim."id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CASE WHEN typeof(victim."id") = 'blob' AND length(victim."id") = 16 THEN hex(victim."id") ELSE CAST(victim."id" AS TEXT) END) ELSE '' END
        || CASE WHEN victim."email" IS NOT NULL THEN ',' || json_array('entry', 'user_email', CASE WHEN typeof(victim."email") = 'blob' AND length(victim."email") = 16 THEN hex(victim."email") ELSE CAST(victim."email" AS TEXT) END) ELSE '' END
        || CASE WHEN victim."username" IS NOT NULL THEN ',' || json_array('entry', 'user_username', CASE WHEN typeof(victim."username") = 'blob' AND length(victim."username") = 16 THEN hex(victim."username") ELSE CAST(victim."username" AS TEXT) END) ELSE '' END
        || CASE WHEN victim."phone" IS NOT NULL THEN ',' || json_array('entry', 'user_phone', CASE WHEN typeof(victim."phone") = 'blob' AND length(victim."phone") = 16 THEN hex(victim."phone") ELSE CAST(victim."phone" AS TEXT) END) ELSE '' END
        || CASE WHEN victim."external_id" IS NOT NULL THEN ',' || json_array('entry', 'user_external', CASE WHEN typeof(victim."external_id") = 'blob' AND length(victim."external_id") = 16 THEN hex(victim."external_id") ELSE CAST(victim."external_id" AS TEXT) END) ELSE '' END
        || CASE WHEN victim."id" IS NOT NULL THEN ',' || json_array('entry', 'profile', CASE WHEN typeof(victim."id") = 'blob' AND length(victim."id") = 16 THEN hex(victim."id") ELSE CAST(victim."id" AS TEXT) END) ELSE '' END
        || CASE WHEN victim."id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CASE WHEN typeof(victim."id") = 'blob' AND length(victim."id") = 16 THEN hex(victim."id") ELSE CAST(victim."id" AS TEXT) END) ELSE '' END
        || CASE WHEN victim."id" IS NOT NULL THEN ',' || json_array('entry', 'preferences', CASE WHEN typeof(victim."id") = 'blob' AND length(victim."id") = 16 THEN hex(victim."id") ELSE CAST(victim."id" AS TEXT) END) ELSE '' END
        || CASE WHEN victim."id" IS NOT NULL THEN ',' || json_array('entry', 'languages', CASE WHEN typeof(victim."id") = 'blob' AND length(victim."id") = 16 THEN hex(victim."id") ELSE CAST(victim."id" AS TEXT) END) ELSE '' END
        || CASE WHEN victim."id" IS NOT NULL THEN ',' || json_array('entry', 'accessibility', CASE WHEN typeof(victim."id") = 'blob' AND length(victim."id") = 16 THEN hex(victim."id") ELSE CAST(victim."id" AS TEXT) END) ELSE '' END
        || CASE WHEN victim."id" IS NOT NULL THEN ',' || json_array('entry', 'interests', CASE WHEN typeof(victim."id") = 'blob' AND length(victim."id") = 16 THEN hex(victim."id") ELSE CAST(victim."id" AS TEXT) END) ELSE '' END, 2) || ']'
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
-- larder 9b5924a0cd2acc45
-- declares [["entry","user_details",["id"]],["entry","auth_state",["id"]],["entry","user_personal_stats",["id"]],["entry","user_email",["email"]],["entry","user_username",["username"]],["entry","user_phone",["phone"]],["entry","user_external",["external_id"]],["entry","profile",["id"]],["entry","full_profile",["id"]],["entry","preferences",["id"]],["entry","languages",["id"]],["entry","accessibility",["id"]],["entry","interests",["id"]],["tag","user_list",[]],["tag","superadmin_user_list",[]],["tag","user_stats",[]],["tag","dashboard_stats",[]],["tag_reading","leaderboard",["avatar_url","full_name","id","is_active","points","username"]],["tag_reading","recent_achievements",["avatar_url","full_name","id","is_active","username"]],["unique","",["id"]],["unique","",["email"]],["unique","",["username"]],["unique","",["phone"]],["unique","",["external_id"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        ',["tag","user_list"]'
        || ',["tag","superadmin_user_list"]'
        || ',["tag","user_stats"]'
        || ',["tag","dashboard_stats"]'
        || ',["tag","leaderboard"]'
        || ',["tag","recent_achievements"]'
        || CASE WHEN victim."id" IS NOT NULL THEN ',' || json_array('entry', 'user_details', CASE WHEN typeof(victim."id") = 'blob' AND length(victim."id") = 16 THEN hex(victim."id") ELSE CAST(victim."id" AS TEXT) END) ELSE '' END
        || CASE WHEN victim."id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CASE WHEN typeof(victim."id") = 'blob' AND length(victim."id") = 16 THEN hex(victim."id") ELSE CAST(victim."id" AS TEXT) END) ELSE '' END
        || CASE WHEN victim."id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CASE WHEN typeof(victim."id") = 'blob' AND length(victim."id") = 16 THEN hex(victim."id") ELSE CAST(victim."id" AS TEXT) END) ELSE '' END
        || CASE WHEN victim."email" IS NOT NULL THEN ',' || json_array('entry', 'user_email', CASE WHEN typeof(victim."email") = 'blob' AND length(victim."email") = 16 THEN hex(victim."email") ELSE CAST(victim."email" AS TEXT) END) ELSE '' END
        || CASE WHEN victim."username" IS NOT NULL THEN ',' || json_array('entry', 'user_username', CASE WHEN typeof(victim."username") = 'blob' AND length(victim."username") = 16 THEN hex(victim."username") ELSE CAST(victim."username" AS TEXT) END) ELSE '' END
        || CASE WHEN victim."phone" IS NOT NULL THEN ',' || json_array('entry', 'user_phone', CASE WHEN typeof(victim."phone") = 'blob' AND length(victim."phone") = 16 THEN hex(victim."phone") ELSE CAST(victim."phone" AS TEXT) END) ELSE '' END
        || CASE WHEN victim."external_id" IS NOT NULL THEN ',' || json_array('entry', 'user_external', CASE WHEN typeof(victim."external_id") = 'blob' AND length(victim."external_id") = 16 THEN hex(victim."external_id") ELSE CAST(victim."external_id" AS TEXT) END) ELSE '' END
        || CASE WHEN victim."id" IS NOT NULL THEN ',' || json_array('entry', 'profile', CASE WHEN typeof(victim."id") = 'blob' AND length(victim."id") = 16 THEN hex(victim."id") ELSE CAST(victim."id" AS TEXT) END) ELSE '' END
        || CASE WHEN victim."id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CASE WHEN typeof(victim."id") = 'blob' AND length(victim."id") = 16 THEN hex(victim."id") ELSE CAST(victim."id" AS TEXT) END) ELSE '' END
        || CASE WHEN victim."id" IS NOT NULL THEN ',' || json_array('entry', 'preferences', CASE WHEN typeof(victim."id") = 'blob' AND length(victim."id") = 16 THEN hex(victim."id") ELSE CAST(victim."id" AS TEXT) END) ELSE '' END
        || CASE WHEN victim."id" IS NOT NULL THEN ',' || json_array('entry', 'languages', CASE WHEN typeof(victim."id") = 'blob' AND length(victim."id") = 16 THEN hex(victim."id") ELSE CAST(victim."id" AS TEXT) END) ELSE '' END
        || CASE WHEN victim."id" IS NOT NULL THEN ',' || json_array('entry', 'accessibility', CASE WHEN typeof(victim."id") = 'blob' AND length(victim."id") = 16 THEN hex(victim."id") ELSE CAST(victim."id" AS TEXT) END) ELSE '' END
        || CASE WHEN victim."id" IS NOT NULL THEN ',' || json_array('entry', 'interests', CASE WHEN typeof(victim."id") = 'blob' AND length(victim."id") = 16 THEN hex(victim."id") ELSE CAST(victim."id" AS TEXT) END) ELSE '' END, 2) || ']'
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
-- larder a0bee832eec99521
-- declares [["entry","auth_state",["user_id"]],["entry","user_personal_stats",["user_id"]],["tag","superadmin_user_list",[]],["unique","",["user_id"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","superadmin_user_list"]'
        || CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_credentials_updated";
CREATE TRIGGER "larder_journal_credentials_updated" AFTER UPDATE ON "credentials"
BEGIN
-- larder 4baa24e3db25528b
-- declares [["entry","auth_state",["user_id"]],["entry","user_personal_stats",["user_id"]],["tag","superadmin_user_list",[]],["unique","",["user_id"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","superadmin_user_list"]'
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END COLLATE BINARY IS NOT CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) THEN ',' || json_array('entry', 'auth_state', CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END COLLATE BINARY IS NOT CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) THEN ',' || json_array('entry', 'user_personal_stats', CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_credentials_deleted";
CREATE TRIGGER "larder_journal_credentials_deleted" AFTER DELETE ON "credentials"
BEGIN
-- larder f671aacee309f59f
-- declares [["entry","auth_state",["user_id"]],["entry","user_personal_stats",["user_id"]],["tag","superadmin_user_list",[]],["unique","",["user_id"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","superadmin_user_list"]'
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_credentials_insert_replaces";
CREATE TRIGGER "larder_journal_credentials_insert_replaces" BEFORE INSERT ON "credentials"
BEGIN
-- larder 9eb7d0b1f1ba8d32
-- declares [["entry","auth_state",["user_id"]],["entry","user_personal_stats",["user_id"]],["tag","superadmin_user_list",[]],["unique","",["user_id"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        ',["tag","superadmin_user_list"]'
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CASE WHEN typeof(victim."user_id") = 'blob' AND length(victim."user_id") = 16 THEN hex(victim."user_id") ELSE CAST(victim."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CASE WHEN typeof(victim."user_id") = 'blob' AND length(victim."user_id") = 16 THEN hex(victim."user_id") ELSE CAST(victim."user_id" AS TEXT) END) ELSE '' END, 2) || ']'
        FROM "credentials" AS victim
        WHERE (victim."user_id" = NEW."user_id")
            OR (victim."rowid" = NEW."rowid");
END;
DROP TRIGGER IF EXISTS "larder_journal_credentials_update_replaces";
CREATE TRIGGER "larder_journal_credentials_update_replaces" BEFORE UPDATE ON "credentials"
    WHEN NEW."user_id" IS NOT OLD."user_id"
        OR NEW."rowid" IS NOT OLD."rowid"
BEGIN
-- larder 1341ddb200001158
-- declares [["entry","auth_state",["user_id"]],["entry","user_personal_stats",["user_id"]],["tag","superadmin_user_list",[]],["unique","",["user_id"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        ',["tag","superadmin_user_list"]'
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CASE WHEN typeof(victim."user_id") = 'blob' AND length(victim."user_id") = 16 THEN hex(victim."user_id") ELSE CAST(victim."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CASE WHEN typeof(victim."user_id") = 'blob' AND length(victim."user_id") = 16 THEN hex(victim."user_id") ELSE CAST(victim."user_id" AS TEXT) END) ELSE '' END, 2) || ']'
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
-- larder c0f206b1cd464467
-- declares [["entry","auth_state",["user_id"]],["entry","user_personal_stats",["user_id"]],["tag","superadmin_user_list",[]],["unique","",["id"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","superadmin_user_list"]'
        || CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_sessions_updated";
CREATE TRIGGER "larder_journal_sessions_updated" AFTER UPDATE ON "sessions"
BEGIN
-- larder f42e2fe06f7db464
-- declares [["entry","auth_state",["user_id"]],["entry","user_personal_stats",["user_id"]],["tag","superadmin_user_list",[]],["unique","",["id"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","superadmin_user_list"]'
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END COLLATE BINARY IS NOT CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) THEN ',' || json_array('entry', 'auth_state', CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END COLLATE BINARY IS NOT CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) THEN ',' || json_array('entry', 'user_personal_stats', CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_sessions_deleted";
CREATE TRIGGER "larder_journal_sessions_deleted" AFTER DELETE ON "sessions"
BEGIN
-- larder 2cb5c9760ba9237e
-- declares [["entry","auth_state",["user_id"]],["entry","user_personal_stats",["user_id"]],["tag","superadmin_user_list",[]],["unique","",["id"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","superadmin_user_list"]'
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_sessions_insert_replaces";
CREATE TRIGGER "larder_journal_sessions_insert_replaces" BEFORE INSERT ON "sessions"
BEGIN
-- larder e897761ae44df012
-- declares [["entry","auth_state",["user_id"]],["entry","user_personal_stats",["user_id"]],["tag","superadmin_user_list",[]],["unique","",["id"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        ',["tag","superadmin_user_list"]'
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CASE WHEN typeof(victim."user_id") = 'blob' AND length(victim."user_id") = 16 THEN hex(victim."user_id") ELSE CAST(victim."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CASE WHEN typeof(victim."user_id") = 'blob' AND length(victim."user_id") = 16 THEN hex(victim."user_id") ELSE CAST(victim."user_id" AS TEXT) END) ELSE '' END, 2) || ']'
        FROM "sessions" AS victim
        WHERE (victim."id" = NEW."id")
            OR (victim."rowid" = NEW."rowid");
END;
DROP TRIGGER IF EXISTS "larder_journal_sessions_update_replaces";
CREATE TRIGGER "larder_journal_sessions_update_replaces" BEFORE UPDATE ON "sessions"
    WHEN NEW."id" IS NOT OLD."id"
        OR NEW."rowid" IS NOT OLD."rowid"
BEGIN
-- larder dadbd92ce8445cb2
-- declares [["entry","auth_state",["user_id"]],["entry","user_personal_stats",["user_id"]],["tag","superadmin_user_list",[]],["unique","",["id"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        ',["tag","superadmin_user_list"]'
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CASE WHEN typeof(victim."user_id") = 'blob' AND length(victim."user_id") = 16 THEN hex(victim."user_id") ELSE CAST(victim."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'user_personal_stats', CASE WHEN typeof(victim."user_id") = 'blob' AND length(victim."user_id") = 16 THEN hex(victim."user_id") ELSE CAST(victim."user_id" AS TEXT) END) ELSE '' END, 2) || ']'
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
-- larder c873dfae8e6931e5
-- declares [["entry","preferences",["user_id"]],["entry","full_profile",["user_id"]],["unique","",["user_id"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'preferences', CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_preferences_updated";
CREATE TRIGGER "larder_journal_preferences_updated" AFTER UPDATE ON "preferences"
BEGIN
-- larder 0f4061373a505f6b
-- declares [["entry","preferences",["user_id"]],["entry","full_profile",["user_id"]],["unique","",["user_id"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'preferences', CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END COLLATE BINARY IS NOT CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) THEN ',' || json_array('entry', 'preferences', CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END COLLATE BINARY IS NOT CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) THEN ',' || json_array('entry', 'full_profile', CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_preferences_deleted";
CREATE TRIGGER "larder_journal_preferences_deleted" AFTER DELETE ON "preferences"
BEGIN
-- larder eb1efe744c2091fe
-- declares [["entry","preferences",["user_id"]],["entry","full_profile",["user_id"]],["unique","",["user_id"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'preferences', CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_preferences_insert_replaces";
CREATE TRIGGER "larder_journal_preferences_insert_replaces" BEFORE INSERT ON "preferences"
BEGIN
-- larder ccba809505efffa1
-- declares [["entry","preferences",["user_id"]],["entry","full_profile",["user_id"]],["unique","",["user_id"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'preferences', CASE WHEN typeof(victim."user_id") = 'blob' AND length(victim."user_id") = 16 THEN hex(victim."user_id") ELSE CAST(victim."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CASE WHEN typeof(victim."user_id") = 'blob' AND length(victim."user_id") = 16 THEN hex(victim."user_id") ELSE CAST(victim."user_id" AS TEXT) END) ELSE '' END, 2) || ']'
        FROM "preferences" AS victim
        WHERE (victim."user_id" = NEW."user_id")
            OR (victim."rowid" = NEW."rowid");
END;
DROP TRIGGER IF EXISTS "larder_journal_preferences_update_replaces";
CREATE TRIGGER "larder_journal_preferences_update_replaces" BEFORE UPDATE ON "preferences"
    WHEN NEW."user_id" IS NOT OLD."user_id"
        OR NEW."rowid" IS NOT OLD."rowid"
BEGIN
-- larder 0a2c38b87161f18d
-- declares [["entry","preferences",["user_id"]],["entry","full_profile",["user_id"]],["unique","",["user_id"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'preferences', CASE WHEN typeof(victim."user_id") = 'blob' AND length(victim."user_id") = 16 THEN hex(victim."user_id") ELSE CAST(victim."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CASE WHEN typeof(victim."user_id") = 'blob' AND length(victim."user_id") = 16 THEN hex(victim."user_id") ELSE CAST(victim."user_id" AS TEXT) END) ELSE '' END, 2) || ']'
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
-- larder af6b7eec2ca6bd5c
-- declares [["entry","languages",["user_id"]],["entry","full_profile",["user_id"]],["unique","",["user_id"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'languages', CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_languages_updated";
CREATE TRIGGER "larder_journal_languages_updated" AFTER UPDATE ON "languages"
BEGIN
-- larder e61a7274fae41e85
-- declares [["entry","languages",["user_id"]],["entry","full_profile",["user_id"]],["unique","",["user_id"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'languages', CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END COLLATE BINARY IS NOT CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) THEN ',' || json_array('entry', 'languages', CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END COLLATE BINARY IS NOT CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) THEN ',' || json_array('entry', 'full_profile', CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_languages_deleted";
CREATE TRIGGER "larder_journal_languages_deleted" AFTER DELETE ON "languages"
BEGIN
-- larder d7f55e3dfd32afb2
-- declares [["entry","languages",["user_id"]],["entry","full_profile",["user_id"]],["unique","",["user_id"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'languages', CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_languages_insert_replaces";
CREATE TRIGGER "larder_journal_languages_insert_replaces" BEFORE INSERT ON "languages"
BEGIN
-- larder 1ffe6efc937865ab
-- declares [["entry","languages",["user_id"]],["entry","full_profile",["user_id"]],["unique","",["user_id"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'languages', CASE WHEN typeof(victim."user_id") = 'blob' AND length(victim."user_id") = 16 THEN hex(victim."user_id") ELSE CAST(victim."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CASE WHEN typeof(victim."user_id") = 'blob' AND length(victim."user_id") = 16 THEN hex(victim."user_id") ELSE CAST(victim."user_id" AS TEXT) END) ELSE '' END, 2) || ']'
        FROM "languages" AS victim
        WHERE (victim."user_id" = NEW."user_id")
            OR (victim."rowid" = NEW."rowid");
END;
DROP TRIGGER IF EXISTS "larder_journal_languages_update_replaces";
CREATE TRIGGER "larder_journal_languages_update_replaces" BEFORE UPDATE ON "languages"
    WHEN NEW."user_id" IS NOT OLD."user_id"
        OR NEW."rowid" IS NOT OLD."rowid"
BEGIN
-- larder b5ad046d448bbbd9
-- declares [["entry","languages",["user_id"]],["entry","full_profile",["user_id"]],["unique","",["user_id"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'languages', CASE WHEN typeof(victim."user_id") = 'blob' AND length(victim."user_id") = 16 THEN hex(victim."user_id") ELSE CAST(victim."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CASE WHEN typeof(victim."user_id") = 'blob' AND length(victim."user_id") = 16 THEN hex(victim."user_id") ELSE CAST(victim."user_id" AS TEXT) END) ELSE '' END, 2) || ']'
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
-- larder cd7a512da262203a
-- declares [["entry","accessibility",["user_id"]],["entry","full_profile",["user_id"]],["unique","",["user_id"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'accessibility', CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_accessibility_updated";
CREATE TRIGGER "larder_journal_accessibility_updated" AFTER UPDATE ON "accessibility"
BEGIN
-- larder ffcc99f00b7930b6
-- declares [["entry","accessibility",["user_id"]],["entry","full_profile",["user_id"]],["unique","",["user_id"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'accessibility', CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END COLLATE BINARY IS NOT CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) THEN ',' || json_array('entry', 'accessibility', CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END COLLATE BINARY IS NOT CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) THEN ',' || json_array('entry', 'full_profile', CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_accessibility_deleted";
CREATE TRIGGER "larder_journal_accessibility_deleted" AFTER DELETE ON "accessibility"
BEGIN
-- larder b244d78d2673af2c
-- declares [["entry","accessibility",["user_id"]],["entry","full_profile",["user_id"]],["unique","",["user_id"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'accessibility', CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_accessibility_insert_replaces";
CREATE TRIGGER "larder_journal_accessibility_insert_replaces" BEFORE INSERT ON "accessibility"
BEGIN
-- larder 68f709ad05902171
-- declares [["entry","accessibility",["user_id"]],["entry","full_profile",["user_id"]],["unique","",["user_id"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'accessibility', CASE WHEN typeof(victim."user_id") = 'blob' AND length(victim."user_id") = 16 THEN hex(victim."user_id") ELSE CAST(victim."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CASE WHEN typeof(victim."user_id") = 'blob' AND length(victim."user_id") = 16 THEN hex(victim."user_id") ELSE CAST(victim."user_id" AS TEXT) END) ELSE '' END, 2) || ']'
        FROM "accessibility" AS victim
        WHERE (victim."user_id" = NEW."user_id")
            OR (victim."rowid" = NEW."rowid");
END;
DROP TRIGGER IF EXISTS "larder_journal_accessibility_update_replaces";
CREATE TRIGGER "larder_journal_accessibility_update_replaces" BEFORE UPDATE ON "accessibility"
    WHEN NEW."user_id" IS NOT OLD."user_id"
        OR NEW."rowid" IS NOT OLD."rowid"
BEGIN
-- larder dba083caeccf79ac
-- declares [["entry","accessibility",["user_id"]],["entry","full_profile",["user_id"]],["unique","",["user_id"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'accessibility', CASE WHEN typeof(victim."user_id") = 'blob' AND length(victim."user_id") = 16 THEN hex(victim."user_id") ELSE CAST(victim."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CASE WHEN typeof(victim."user_id") = 'blob' AND length(victim."user_id") = 16 THEN hex(victim."user_id") ELSE CAST(victim."user_id" AS TEXT) END) ELSE '' END, 2) || ']'
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
-- larder 016c49f67a4dfde8
-- declares [["entry","interests",["user_id"]],["entry","full_profile",["user_id"]],["unique","",["user_id"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'interests', CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_interests_updated";
CREATE TRIGGER "larder_journal_interests_updated" AFTER UPDATE ON "interests"
BEGIN
-- larder 1297228546585e92
-- declares [["entry","interests",["user_id"]],["entry","full_profile",["user_id"]],["unique","",["user_id"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'interests', CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END COLLATE BINARY IS NOT CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) THEN ',' || json_array('entry', 'interests', CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END COLLATE BINARY IS NOT CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) THEN ',' || json_array('entry', 'full_profile', CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_interests_deleted";
CREATE TRIGGER "larder_journal_interests_deleted" AFTER DELETE ON "interests"
BEGIN
-- larder 1e06fb8eb4d1bba3
-- declares [["entry","interests",["user_id"]],["entry","full_profile",["user_id"]],["unique","",["user_id"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'interests', CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_interests_insert_replaces";
CREATE TRIGGER "larder_journal_interests_insert_replaces" BEFORE INSERT ON "interests"
BEGIN
-- larder 24ebfbc0e13ba604
-- declares [["entry","interests",["user_id"]],["entry","full_profile",["user_id"]],["unique","",["user_id"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'interests', CASE WHEN typeof(victim."user_id") = 'blob' AND length(victim."user_id") = 16 THEN hex(victim."user_id") ELSE CAST(victim."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CASE WHEN typeof(victim."user_id") = 'blob' AND length(victim."user_id") = 16 THEN hex(victim."user_id") ELSE CAST(victim."user_id" AS TEXT) END) ELSE '' END, 2) || ']'
        FROM "interests" AS victim
        WHERE (victim."user_id" = NEW."user_id")
            OR (victim."rowid" = NEW."rowid");
END;
DROP TRIGGER IF EXISTS "larder_journal_interests_update_replaces";
CREATE TRIGGER "larder_journal_interests_update_replaces" BEFORE UPDATE ON "interests"
    WHEN NEW."user_id" IS NOT OLD."user_id"
        OR NEW."rowid" IS NOT OLD."rowid"
BEGIN
-- larder f32432db28db1ced
-- declares [["entry","interests",["user_id"]],["entry","full_profile",["user_id"]],["unique","",["user_id"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'interests', CASE WHEN typeof(victim."user_id") = 'blob' AND length(victim."user_id") = 16 THEN hex(victim."user_id") ELSE CAST(victim."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'full_profile', CASE WHEN typeof(victim."user_id") = 'blob' AND length(victim."user_id") = 16 THEN hex(victim."user_id") ELSE CAST(victim."user_id" AS TEXT) END) ELSE '' END, 2) || ']'
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
-- larder b4b27df82f4740bf
-- declares [["entry","api_key",["id"]],["unique","",["id"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN NEW."id" IS NOT NULL THEN ',' || json_array('entry', 'api_key', CASE WHEN typeof(NEW."id") = 'blob' AND length(NEW."id") = 16 THEN hex(NEW."id") ELSE CAST(NEW."id" AS TEXT) END) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_api_keys_updated";
CREATE TRIGGER "larder_journal_api_keys_updated" AFTER UPDATE ON "api_keys"
BEGIN
-- larder f5d01d007a8cf028
-- declares [["entry","api_key",["id"]],["unique","",["id"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'api_key', CASE WHEN typeof(OLD."id") = 'blob' AND length(OLD."id") = 16 THEN hex(OLD."id") ELSE CAST(OLD."id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."id" IS NOT NULL AND (CASE WHEN typeof(OLD."id") = 'blob' AND length(OLD."id") = 16 THEN hex(OLD."id") ELSE CAST(OLD."id" AS TEXT) END COLLATE BINARY IS NOT CASE WHEN typeof(NEW."id") = 'blob' AND length(NEW."id") = 16 THEN hex(NEW."id") ELSE CAST(NEW."id" AS TEXT) END) THEN ',' || json_array('entry', 'api_key', CASE WHEN typeof(NEW."id") = 'blob' AND length(NEW."id") = 16 THEN hex(NEW."id") ELSE CAST(NEW."id" AS TEXT) END) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_api_keys_deleted";
CREATE TRIGGER "larder_journal_api_keys_deleted" AFTER DELETE ON "api_keys"
BEGIN
-- larder db327eff4188af72
-- declares [["entry","api_key",["id"]],["unique","",["id"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN OLD."id" IS NOT NULL THEN ',' || json_array('entry', 'api_key', CASE WHEN typeof(OLD."id") = 'blob' AND length(OLD."id") = 16 THEN hex(OLD."id") ELSE CAST(OLD."id" AS TEXT) END) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_api_keys_insert_replaces";
CREATE TRIGGER "larder_journal_api_keys_insert_replaces" BEFORE INSERT ON "api_keys"
BEGIN
-- larder 0fa787469a0e538e
-- declares [["entry","api_key",["id"]],["unique","",["id"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        CASE WHEN victim."id" IS NOT NULL THEN ',' || json_array('entry', 'api_key', CASE WHEN typeof(victim."id") = 'blob' AND length(victim."id") = 16 THEN hex(victim."id") ELSE CAST(victim."id" AS TEXT) END) ELSE '' END, 2) || ']'
        FROM "api_keys" AS victim
        WHERE (victim."id" = NEW."id")
            OR (victim."rowid" = NEW."rowid");
END;
DROP TRIGGER IF EXISTS "larder_journal_api_keys_update_replaces";
CREATE TRIGGER "larder_journal_api_keys_update_replaces" BEFORE UPDATE ON "api_keys"
    WHEN NEW."id" IS NOT OLD."id"
        OR NEW."rowid" IS NOT OLD."rowid"
BEGIN
-- larder f7a5f75edc99d55c
-- declares [["entry","api_key",["id"]],["unique","",["id"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        CASE WHEN victim."id" IS NOT NULL THEN ',' || json_array('entry', 'api_key', CASE WHEN typeof(victim."id") = 'blob' AND length(victim."id") = 16 THEN hex(victim."id") ELSE CAST(victim."id" AS TEXT) END) ELSE '' END, 2) || ']'
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
-- larder be30b662a0a5cd28
-- declares [["entry","achievements",["user_id"]],["entry","achievement_summary",["user_id"]],["entry","achievement_stats",["user_id"]],["tag","leaderboard",[]],["tag","recent_achievements",[]],["unique","",["id"]],["unique","",["user_id","badge_type"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","leaderboard"]'
        || ',["tag","recent_achievements"]'
        || CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'achievements', CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'achievement_summary', CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'achievement_stats', CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_achievements_updated";
CREATE TRIGGER "larder_journal_achievements_updated" AFTER UPDATE ON "achievements"
BEGIN
-- larder 609cf266b8299c2d
-- declares [["entry","achievements",["user_id"]],["entry","achievement_summary",["user_id"]],["entry","achievement_stats",["user_id"]],["tag","leaderboard",[]],["tag","recent_achievements",[]],["unique","",["id"]],["unique","",["user_id","badge_type"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","leaderboard"]'
        || ',["tag","recent_achievements"]'
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'achievements', CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'achievement_summary', CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'achievement_stats', CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END COLLATE BINARY IS NOT CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) THEN ',' || json_array('entry', 'achievements', CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END COLLATE BINARY IS NOT CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) THEN ',' || json_array('entry', 'achievement_summary', CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END COLLATE BINARY IS NOT CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) THEN ',' || json_array('entry', 'achievement_stats', CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_achievements_deleted";
CREATE TRIGGER "larder_journal_achievements_deleted" AFTER DELETE ON "achievements"
BEGIN
-- larder 1a049915c7457612
-- declares [["entry","achievements",["user_id"]],["entry","achievement_summary",["user_id"]],["entry","achievement_stats",["user_id"]],["tag","leaderboard",[]],["tag","recent_achievements",[]],["unique","",["id"]],["unique","",["user_id","badge_type"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        ',["tag","leaderboard"]'
        || ',["tag","recent_achievements"]'
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'achievements', CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'achievement_summary', CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'achievement_stats', CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_achievements_insert_replaces";
CREATE TRIGGER "larder_journal_achievements_insert_replaces" BEFORE INSERT ON "achievements"
BEGIN
-- larder 87c4cbbc1f8397cc
-- declares [["entry","achievements",["user_id"]],["entry","achievement_summary",["user_id"]],["entry","achievement_stats",["user_id"]],["tag","leaderboard",[]],["tag","recent_achievements",[]],["unique","",["id"]],["unique","",["user_id","badge_type"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        ',["tag","leaderboard"]'
        || ',["tag","recent_achievements"]'
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'achievements', CASE WHEN typeof(victim."user_id") = 'blob' AND length(victim."user_id") = 16 THEN hex(victim."user_id") ELSE CAST(victim."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'achievement_summary', CASE WHEN typeof(victim."user_id") = 'blob' AND length(victim."user_id") = 16 THEN hex(victim."user_id") ELSE CAST(victim."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'achievement_stats', CASE WHEN typeof(victim."user_id") = 'blob' AND length(victim."user_id") = 16 THEN hex(victim."user_id") ELSE CAST(victim."user_id" AS TEXT) END) ELSE '' END, 2) || ']'
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
-- larder de56d76b4f08be52
-- declares [["entry","achievements",["user_id"]],["entry","achievement_summary",["user_id"]],["entry","achievement_stats",["user_id"]],["tag","leaderboard",[]],["tag","recent_achievements",[]],["unique","",["id"]],["unique","",["user_id","badge_type"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        ',["tag","leaderboard"]'
        || ',["tag","recent_achievements"]'
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'achievements', CASE WHEN typeof(victim."user_id") = 'blob' AND length(victim."user_id") = 16 THEN hex(victim."user_id") ELSE CAST(victim."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'achievement_summary', CASE WHEN typeof(victim."user_id") = 'blob' AND length(victim."user_id") = 16 THEN hex(victim."user_id") ELSE CAST(victim."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'achievement_stats', CASE WHEN typeof(victim."user_id") = 'blob' AND length(victim."user_id") = 16 THEN hex(victim."user_id") ELSE CAST(victim."user_id" AS TEXT) END) ELSE '' END, 2) || ']'
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
-- larder bf8d673f4c16d8b5
-- declares [["entry","permissions",["user_id"]],["entry","user_details",["user_id"]],["entry","auth_state",["user_id"]],["unique","",["user_id","permission"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'permissions', CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'user_details', CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_permissions_updated";
CREATE TRIGGER "larder_journal_permissions_updated" AFTER UPDATE ON "permissions"
BEGIN
-- larder 7b1b2e366d06cc3c
-- declares [["entry","permissions",["user_id"]],["entry","user_details",["user_id"]],["entry","auth_state",["user_id"]],["unique","",["user_id","permission"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'permissions', CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'user_details', CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END COLLATE BINARY IS NOT CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) THEN ',' || json_array('entry', 'permissions', CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END COLLATE BINARY IS NOT CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) THEN ',' || json_array('entry', 'user_details', CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN NEW."user_id" IS NOT NULL AND (CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END COLLATE BINARY IS NOT CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) THEN ',' || json_array('entry', 'auth_state', CASE WHEN typeof(NEW."user_id") = 'blob' AND length(NEW."user_id") = 16 THEN hex(NEW."user_id") ELSE CAST(NEW."user_id" AS TEXT) END) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_permissions_deleted";
CREATE TRIGGER "larder_journal_permissions_deleted" AFTER DELETE ON "permissions"
BEGIN
-- larder c12431c02aacb83b
-- declares [["entry","permissions",["user_id"]],["entry","user_details",["user_id"]],["entry","auth_state",["user_id"]],["unique","",["user_id","permission"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) VALUES ('[' || substr(
        CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'permissions', CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'user_details', CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN OLD."user_id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CASE WHEN typeof(OLD."user_id") = 'blob' AND length(OLD."user_id") = 16 THEN hex(OLD."user_id") ELSE CAST(OLD."user_id" AS TEXT) END) ELSE '' END, 2) || ']');
END;
DROP TRIGGER IF EXISTS "larder_journal_permissions_insert_replaces";
CREATE TRIGGER "larder_journal_permissions_insert_replaces" BEFORE INSERT ON "permissions"
BEGIN
-- larder 4979c150d3d0eeb3
-- declares [["entry","permissions",["user_id"]],["entry","user_details",["user_id"]],["entry","auth_state",["user_id"]],["unique","",["user_id","permission"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'permissions', CASE WHEN typeof(victim."user_id") = 'blob' AND length(victim."user_id") = 16 THEN hex(victim."user_id") ELSE CAST(victim."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'user_details', CASE WHEN typeof(victim."user_id") = 'blob' AND length(victim."user_id") = 16 THEN hex(victim."user_id") ELSE CAST(victim."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CASE WHEN typeof(victim."user_id") = 'blob' AND length(victim."user_id") = 16 THEN hex(victim."user_id") ELSE CAST(victim."user_id" AS TEXT) END) ELSE '' END, 2) || ']'
        FROM "permissions" AS victim
        WHERE (victim."user_id" = NEW."user_id" AND victim."permission" = NEW."permission")
            OR (victim."rowid" = NEW."rowid");
END;
DROP TRIGGER IF EXISTS "larder_journal_permissions_update_replaces";
CREATE TRIGGER "larder_journal_permissions_update_replaces" BEFORE UPDATE ON "permissions"
    WHEN NEW."user_id" IS NOT OLD."user_id" OR NEW."permission" IS NOT OLD."permission"
        OR NEW."rowid" IS NOT OLD."rowid"
BEGIN
-- larder b50fff64c5bc35d3
-- declares [["entry","permissions",["user_id"]],["entry","user_details",["user_id"]],["entry","auth_state",["user_id"]],["unique","",["user_id","permission"]],["spelling","uuid",[]]]
    INSERT INTO larder_outbox (touched) SELECT '[' || substr(
        CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'permissions', CASE WHEN typeof(victim."user_id") = 'blob' AND length(victim."user_id") = 16 THEN hex(victim."user_id") ELSE CAST(victim."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'user_details', CASE WHEN typeof(victim."user_id") = 'blob' AND length(victim."user_id") = 16 THEN hex(victim."user_id") ELSE CAST(victim."user_id" AS TEXT) END) ELSE '' END
        || CASE WHEN victim."user_id" IS NOT NULL THEN ',' || json_array('entry', 'auth_state', CASE WHEN typeof(victim."user_id") = 'blob' AND length(victim."user_id") = 16 THEN hex(victim."user_id") ELSE CAST(victim."user_id" AS TEXT) END) ELSE '' END, 2) || ']'
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
