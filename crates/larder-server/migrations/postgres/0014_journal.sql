-- Written by larder_sql::journal: the `triggers` that src/cached/classes.rs declares. A program of the preceding version does not notice them.

-- What a change of "users" touches.
DO $migration$ BEGIN
-- A column that is missing fails the migration, and not the first write.
PERFORM 1, "users"."avatar_url", "users"."email", "users"."external_id", "users"."full_name", "users"."id", "users"."is_active", "users"."phone", "users"."points", "users"."username" FROM "users" LIMIT 0;
EXECUTE replace($function$
CREATE OR REPLACE FUNCTION "larder_journal_users"() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
-- larder 2927c7d9c3dea880
-- declares [["entry","user_details",["id"]],["entry","auth_state",["id"]],["entry","user_personal_stats",["id"]],["entry","user_email",["email"]],["entry","user_username",["username"]],["entry","user_phone",["phone"]],["entry","user_external",["external_id"]],["entry","profile",["id"]],["entry","full_profile",["id"]],["entry","preferences",["id"]],["entry","languages",["id"]],["entry","accessibility",["id"]],["entry","interests",["id"]],["tag","user_list",[]],["tag","superadmin_user_list",[]],["tag","user_stats",[]],["tag","dashboard_stats",[]],["tag_reading","leaderboard",["avatar_url","full_name","id","is_active","points","username"]],["tag_reading","recent_achievements",["avatar_url","full_name","id","is_active","username"]]]
DECLARE
    touches pg_catalog.text;
BEGIN
    IF TG_LEVEL OPERATOR(pg_catalog.=) 'ROW'
        AND pg_catalog.pg_stat_get_xact_tuples_inserted(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_updated(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_deleted(TG_RELID)
            OPERATOR(pg_catalog.>) 2000 AND @schema@.larder_outbox_covers(TG_RELID, '[["tag","accessibility"],["tag","auth_state"],["tag","dashboard_stats"],["tag","full_profile"],["tag","interests"],["tag","languages"],["tag","leaderboard"],["tag","preferences"],["tag","profile"],["tag","recent_achievements"],["tag","superadmin_user_list"],["tag","user_details"],["tag","user_email"],["tag","user_external"],["tag","user_list"],["tag","user_personal_stats"],["tag","user_phone"],["tag","user_stats"],["tag","user_username"]]') THEN
        RETURN NULL;
    END IF;
    BEGIN
        IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' AND ROW(OLD."email", OLD."external_id", OLD."id", OLD."phone", OLD."username")::pg_catalog.record OPERATOR(pg_catalog.*=) ROW(NEW."email", NEW."external_id", NEW."id", NEW."phone", NEW."username")::pg_catalog.record THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                '["tag","user_list"],["tag","superadmin_user_list"],["tag","user_stats"],["tag","dashboard_stats"]',
                CASE WHEN ROW(OLD."avatar_url", OLD."full_name", OLD."id", OLD."is_active", OLD."points", OLD."username")::pg_catalog.record OPERATOR(pg_catalog.*<>) ROW(NEW."avatar_url", NEW."full_name", NEW."id", NEW."is_active", NEW."points", NEW."username")::pg_catalog.record THEN '["tag","leaderboard"]' END,
                CASE WHEN ROW(OLD."avatar_url", OLD."full_name", OLD."id", OLD."is_active", OLD."username")::pg_catalog.record OPERATOR(pg_catalog.*<>) ROW(NEW."avatar_url", NEW."full_name", NEW."id", NEW."is_active", NEW."username")::pg_catalog.record THEN '["tag","recent_achievements"]' END,
                pg_catalog.replace(E'["entry","user_details",\x01],["entry","auth_state",\x01],["entry","user_personal_stats",\x01],["entry","profile",\x01],["entry","full_profile",\x01],["entry","preferences",\x01],["entry","languages",\x01],["entry","accessibility",\x01],["entry","interests",\x01]', E'\x01', pg_catalog.to_json(OLD."id"::pg_catalog.text)::pg_catalog.text),
                '["entry","user_email",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."email"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
                '["entry","user_username",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."username"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
                '["entry","user_phone",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."phone"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
                '["entry","user_external",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."external_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']'), ']');
        ELSIF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                '["tag","user_list"],["tag","superadmin_user_list"],["tag","user_stats"],["tag","dashboard_stats"]',
                CASE WHEN ROW(OLD."avatar_url", OLD."full_name", OLD."id", OLD."is_active", OLD."points", OLD."username")::pg_catalog.record OPERATOR(pg_catalog.*<>) ROW(NEW."avatar_url", NEW."full_name", NEW."id", NEW."is_active", NEW."points", NEW."username")::pg_catalog.record THEN '["tag","leaderboard"]' END,
                CASE WHEN ROW(OLD."avatar_url", OLD."full_name", OLD."id", OLD."is_active", OLD."username")::pg_catalog.record OPERATOR(pg_catalog.*<>) ROW(NEW."avatar_url", NEW."full_name", NEW."id", NEW."is_active", NEW."username")::pg_catalog.record THEN '["tag","recent_achievements"]' END,
                pg_catalog.replace(E'["entry","user_details",\x01],["entry","auth_state",\x01],["entry","user_personal_stats",\x01],["entry","profile",\x01],["entry","full_profile",\x01],["entry","preferences",\x01],["entry","languages",\x01],["entry","accessibility",\x01],["entry","interests",\x01]', E'\x01', pg_catalog.to_json(OLD."id"::pg_catalog.text)::pg_catalog.text),
                '["entry","user_email",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."email"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
                '["entry","user_username",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."username"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
                '["entry","user_phone",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."phone"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
                '["entry","user_external",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."external_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
                CASE WHEN (OLD."id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN pg_catalog.replace(E'["entry","user_details",\x01],["entry","auth_state",\x01],["entry","user_personal_stats",\x01],["entry","profile",\x01],["entry","full_profile",\x01],["entry","preferences",\x01],["entry","languages",\x01],["entry","accessibility",\x01],["entry","interests",\x01]', E'\x01', pg_catalog.to_json(NEW."id"::pg_catalog.text)::pg_catalog.text) END,
                CASE WHEN (OLD."email"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."email"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN '["entry","user_email",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."email"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']' END,
                CASE WHEN (OLD."username"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."username"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN '["entry","user_username",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."username"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']' END,
                CASE WHEN (OLD."phone"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."phone"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN '["entry","user_phone",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."phone"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']' END,
                CASE WHEN (OLD."external_id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."external_id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN '["entry","user_external",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."external_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']' END), ']');
        ELSIF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                '["tag","user_list"],["tag","superadmin_user_list"],["tag","user_stats"],["tag","dashboard_stats"],["tag","leaderboard"],["tag","recent_achievements"]',
                pg_catalog.replace(E'["entry","user_details",\x01],["entry","auth_state",\x01],["entry","user_personal_stats",\x01],["entry","profile",\x01],["entry","full_profile",\x01],["entry","preferences",\x01],["entry","languages",\x01],["entry","accessibility",\x01],["entry","interests",\x01]', E'\x01', pg_catalog.to_json(NEW."id"::pg_catalog.text)::pg_catalog.text),
                '["entry","user_email",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."email"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
                '["entry","user_username",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."username"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
                '["entry","user_phone",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."phone"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
                '["entry","user_external",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."external_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']'), ']');
        ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                '["tag","user_list"],["tag","superadmin_user_list"],["tag","user_stats"],["tag","dashboard_stats"],["tag","leaderboard"],["tag","recent_achievements"]',
                pg_catalog.replace(E'["entry","user_details",\x01],["entry","auth_state",\x01],["entry","user_personal_stats",\x01],["entry","profile",\x01],["entry","full_profile",\x01],["entry","preferences",\x01],["entry","languages",\x01],["entry","accessibility",\x01],["entry","interests",\x01]', E'\x01', pg_catalog.to_json(OLD."id"::pg_catalog.text)::pg_catalog.text),
                '["entry","user_email",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."email"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
                '["entry","user_username",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."username"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
                '["entry","user_phone",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."phone"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
                '["entry","user_external",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."external_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']'), ']');
        ELSE
            touches := '[["tag","accessibility"],["tag","auth_state"],["tag","dashboard_stats"],["tag","full_profile"],["tag","interests"],["tag","languages"],["tag","leaderboard"],["tag","preferences"],["tag","profile"],["tag","recent_achievements"],["tag","superadmin_user_list"],["tag","user_details"],["tag","user_email"],["tag","user_external"],["tag","user_list"],["tag","user_personal_stats"],["tag","user_phone"],["tag","user_stats"],["tag","user_username"]]';
        END IF;
    EXCEPTION WHEN undefined_column THEN
        touches := '[["everything"]]';
    END;
    INSERT INTO @schema@.larder_outbox (touched) VALUES (touches);
    RETURN NULL;
END $$;
$function$, '@schema@', (
    -- The writer that fires the trigger may have another search path.
    SELECT quote_ident(nspname) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE pg_class.oid = CAST('larder_outbox' AS REGCLASS)
)); END $migration$;
CREATE OR REPLACE TRIGGER larder_journal AFTER INSERT OR UPDATE OR DELETE ON "users"
    FOR EACH ROW EXECUTE FUNCTION "larder_journal_users"();
CREATE OR REPLACE TRIGGER larder_journal_truncated AFTER TRUNCATE ON "users"
    FOR EACH STATEMENT EXECUTE FUNCTION "larder_journal_users"();
-- Also under session_replication_role = replica.
ALTER TABLE "users" ENABLE ALWAYS TRIGGER larder_journal;
ALTER TABLE "users" ENABLE ALWAYS TRIGGER larder_journal_truncated;

-- What a change of "credentials" touches.
DO $migration$ BEGIN
-- A column that is missing fails the migration, and not the first write.
PERFORM 1, "credentials"."user_id" FROM "credentials" LIMIT 0;
EXECUTE replace($function$
CREATE OR REPLACE FUNCTION "larder_journal_credentials"() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
-- larder aa0179c0880e20ca
-- declares [["entry","auth_state",["user_id"]],["entry","user_personal_stats",["user_id"]],["tag","superadmin_user_list",[]]]
DECLARE
    touches pg_catalog.text;
BEGIN
    IF TG_LEVEL OPERATOR(pg_catalog.=) 'ROW'
        AND pg_catalog.pg_stat_get_xact_tuples_inserted(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_updated(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_deleted(TG_RELID)
            OPERATOR(pg_catalog.>) 2000 AND @schema@.larder_outbox_covers(TG_RELID, '[["tag","auth_state"],["tag","superadmin_user_list"],["tag","user_personal_stats"]]') THEN
        RETURN NULL;
    END IF;
    BEGIN
        IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' AND ROW(OLD."user_id")::pg_catalog.record OPERATOR(pg_catalog.*=) ROW(NEW."user_id")::pg_catalog.record THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                '["tag","superadmin_user_list"]',
                pg_catalog.replace(E'["entry","auth_state",\x01],["entry","user_personal_stats",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text)), ']');
        ELSIF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                '["tag","superadmin_user_list"]',
                pg_catalog.replace(E'["entry","auth_state",\x01],["entry","user_personal_stats",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text),
                CASE WHEN (OLD."user_id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."user_id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN pg_catalog.replace(E'["entry","auth_state",\x01],["entry","user_personal_stats",\x01]', E'\x01', pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text) END), ']');
        ELSIF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                '["tag","superadmin_user_list"]',
                pg_catalog.replace(E'["entry","auth_state",\x01],["entry","user_personal_stats",\x01]', E'\x01', pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text)), ']');
        ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                '["tag","superadmin_user_list"]',
                pg_catalog.replace(E'["entry","auth_state",\x01],["entry","user_personal_stats",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text)), ']');
        ELSE
            touches := '[["tag","auth_state"],["tag","superadmin_user_list"],["tag","user_personal_stats"]]';
        END IF;
    EXCEPTION WHEN undefined_column THEN
        touches := '[["everything"]]';
    END;
    INSERT INTO @schema@.larder_outbox (touched) VALUES (touches);
    RETURN NULL;
END $$;
$function$, '@schema@', (
    -- The writer that fires the trigger may have another search path.
    SELECT quote_ident(nspname) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE pg_class.oid = CAST('larder_outbox' AS REGCLASS)
)); END $migration$;
CREATE OR REPLACE TRIGGER larder_journal AFTER INSERT OR UPDATE OR DELETE ON "credentials"
    FOR EACH ROW EXECUTE FUNCTION "larder_journal_credentials"();
CREATE OR REPLACE TRIGGER larder_journal_truncated AFTER TRUNCATE ON "credentials"
    FOR EACH STATEMENT EXECUTE FUNCTION "larder_journal_credentials"();
-- Also under session_replication_role = replica.
ALTER TABLE "credentials" ENABLE ALWAYS TRIGGER larder_journal;
ALTER TABLE "credentials" ENABLE ALWAYS TRIGGER larder_journal_truncated;

-- What a change of "sessions" touches.
DO $migration$ BEGIN
-- A column that is missing fails the migration, and not the first write.
PERFORM 1, "sessions"."id", "sessions"."user_id" FROM "sessions" LIMIT 0;
EXECUTE replace($function$
CREATE OR REPLACE FUNCTION "larder_journal_sessions"() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
-- larder aa0179c0880e20ca
-- declares [["entry","auth_state",["user_id"]],["entry","user_personal_stats",["user_id"]],["tag","superadmin_user_list",[]]]
DECLARE
    touches pg_catalog.text;
BEGIN
    IF TG_LEVEL OPERATOR(pg_catalog.=) 'ROW'
        AND pg_catalog.pg_stat_get_xact_tuples_inserted(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_updated(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_deleted(TG_RELID)
            OPERATOR(pg_catalog.>) 2000 AND @schema@.larder_outbox_covers(TG_RELID, '[["tag","auth_state"],["tag","superadmin_user_list"],["tag","user_personal_stats"]]') THEN
        RETURN NULL;
    END IF;
    BEGIN
        IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' AND ROW(OLD."user_id")::pg_catalog.record OPERATOR(pg_catalog.*=) ROW(NEW."user_id")::pg_catalog.record THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                '["tag","superadmin_user_list"]',
                pg_catalog.replace(E'["entry","auth_state",\x01],["entry","user_personal_stats",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text)), ']');
        ELSIF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                '["tag","superadmin_user_list"]',
                pg_catalog.replace(E'["entry","auth_state",\x01],["entry","user_personal_stats",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text),
                CASE WHEN (OLD."user_id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."user_id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN pg_catalog.replace(E'["entry","auth_state",\x01],["entry","user_personal_stats",\x01]', E'\x01', pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text) END), ']');
        ELSIF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                '["tag","superadmin_user_list"]',
                pg_catalog.replace(E'["entry","auth_state",\x01],["entry","user_personal_stats",\x01]', E'\x01', pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text)), ']');
        ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                '["tag","superadmin_user_list"]',
                pg_catalog.replace(E'["entry","auth_state",\x01],["entry","user_personal_stats",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text)), ']');
        ELSE
            touches := '[["tag","auth_state"],["tag","superadmin_user_list"],["tag","user_personal_stats"]]';
        END IF;
    EXCEPTION WHEN undefined_column THEN
        touches := '[["everything"]]';
    END;
    INSERT INTO @schema@.larder_outbox (touched) VALUES (touches);
    RETURN NULL;
END $$;
$function$, '@schema@', (
    -- The writer that fires the trigger may have another search path.
    SELECT quote_ident(nspname) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE pg_class.oid = CAST('larder_outbox' AS REGCLASS)
)); END $migration$;
CREATE OR REPLACE TRIGGER larder_journal AFTER INSERT OR UPDATE OR DELETE ON "sessions"
    FOR EACH ROW EXECUTE FUNCTION "larder_journal_sessions"();
CREATE OR REPLACE TRIGGER larder_journal_truncated AFTER TRUNCATE ON "sessions"
    FOR EACH STATEMENT EXECUTE FUNCTION "larder_journal_sessions"();
-- Also under session_replication_role = replica.
ALTER TABLE "sessions" ENABLE ALWAYS TRIGGER larder_journal;
ALTER TABLE "sessions" ENABLE ALWAYS TRIGGER larder_journal_truncated;

-- What a change of "preferences" touches.
DO $migration$ BEGIN
-- A column that is missing fails the migration, and not the first write.
PERFORM 1, "preferences"."user_id" FROM "preferences" LIMIT 0;
EXECUTE replace($function$
CREATE OR REPLACE FUNCTION "larder_journal_preferences"() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
-- larder 9a6f27b0182fe652
-- declares [["entry","preferences",["user_id"]],["entry","full_profile",["user_id"]]]
DECLARE
    touches pg_catalog.text;
BEGIN
    IF TG_LEVEL OPERATOR(pg_catalog.=) 'ROW'
        AND pg_catalog.pg_stat_get_xact_tuples_inserted(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_updated(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_deleted(TG_RELID)
            OPERATOR(pg_catalog.>) 2000 AND @schema@.larder_outbox_covers(TG_RELID, '[["tag","full_profile"],["tag","preferences"]]') THEN
        RETURN NULL;
    END IF;
    BEGIN
        IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' AND ROW(OLD."user_id")::pg_catalog.record OPERATOR(pg_catalog.*=) ROW(NEW."user_id")::pg_catalog.record THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                pg_catalog.replace(E'["entry","preferences",\x01],["entry","full_profile",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text)), ']');
        ELSIF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                pg_catalog.replace(E'["entry","preferences",\x01],["entry","full_profile",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text),
                CASE WHEN (OLD."user_id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."user_id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN pg_catalog.replace(E'["entry","preferences",\x01],["entry","full_profile",\x01]', E'\x01', pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text) END), ']');
        ELSIF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                pg_catalog.replace(E'["entry","preferences",\x01],["entry","full_profile",\x01]', E'\x01', pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text)), ']');
        ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                pg_catalog.replace(E'["entry","preferences",\x01],["entry","full_profile",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text)), ']');
        ELSE
            touches := '[["tag","full_profile"],["tag","preferences"]]';
        END IF;
    EXCEPTION WHEN undefined_column THEN
        touches := '[["everything"]]';
    END;
    INSERT INTO @schema@.larder_outbox (touched) VALUES (touches);
    RETURN NULL;
END $$;
$function$, '@schema@', (
    -- The writer that fires the trigger may have another search path.
    SELECT quote_ident(nspname) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE pg_class.oid = CAST('larder_outbox' AS REGCLASS)
)); END $migration$;
CREATE OR REPLACE TRIGGER larder_journal AFTER INSERT OR UPDATE OR DELETE ON "preferences"
    FOR EACH ROW EXECUTE FUNCTION "larder_journal_preferences"();
CREATE OR REPLACE TRIGGER larder_journal_truncated AFTER TRUNCATE ON "preferences"
    FOR EACH STATEMENT EXECUTE FUNCTION "larder_journal_preferences"();
-- Also under session_replication_role = replica.
ALTER TABLE "preferences" ENABLE ALWAYS TRIGGER larder_journal;
ALTER TABLE "preferences" ENABLE ALWAYS TRIGGER larder_journal_truncated;

-- What a change of "languages" touches.
DO $migration$ BEGIN
-- A column that is missing fails the migration, and not the first write.
PERFORM 1, "languages"."user_id" FROM "languages" LIMIT 0;
EXECUTE replace($function$
CREATE OR REPLACE FUNCTION "larder_journal_languages"() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
-- larder ed5646769a6504d2
-- declares [["entry","languages",["user_id"]],["entry","full_profile",["user_id"]]]
DECLARE
    touches pg_catalog.text;
BEGIN
    IF TG_LEVEL OPERATOR(pg_catalog.=) 'ROW'
        AND pg_catalog.pg_stat_get_xact_tuples_inserted(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_updated(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_deleted(TG_RELID)
            OPERATOR(pg_catalog.>) 2000 AND @schema@.larder_outbox_covers(TG_RELID, '[["tag","full_profile"],["tag","languages"]]') THEN
        RETURN NULL;
    END IF;
    BEGIN
        IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' AND ROW(OLD."user_id")::pg_catalog.record OPERATOR(pg_catalog.*=) ROW(NEW."user_id")::pg_catalog.record THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                pg_catalog.replace(E'["entry","languages",\x01],["entry","full_profile",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text)), ']');
        ELSIF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                pg_catalog.replace(E'["entry","languages",\x01],["entry","full_profile",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text),
                CASE WHEN (OLD."user_id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."user_id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN pg_catalog.replace(E'["entry","languages",\x01],["entry","full_profile",\x01]', E'\x01', pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text) END), ']');
        ELSIF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                pg_catalog.replace(E'["entry","languages",\x01],["entry","full_profile",\x01]', E'\x01', pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text)), ']');
        ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                pg_catalog.replace(E'["entry","languages",\x01],["entry","full_profile",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text)), ']');
        ELSE
            touches := '[["tag","full_profile"],["tag","languages"]]';
        END IF;
    EXCEPTION WHEN undefined_column THEN
        touches := '[["everything"]]';
    END;
    INSERT INTO @schema@.larder_outbox (touched) VALUES (touches);
    RETURN NULL;
END $$;
$function$, '@schema@', (
    -- The writer that fires the trigger may have another search path.
    SELECT quote_ident(nspname) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE pg_class.oid = CAST('larder_outbox' AS REGCLASS)
)); END $migration$;
CREATE OR REPLACE TRIGGER larder_journal AFTER INSERT OR UPDATE OR DELETE ON "languages"
    FOR EACH ROW EXECUTE FUNCTION "larder_journal_languages"();
CREATE OR REPLACE TRIGGER larder_journal_truncated AFTER TRUNCATE ON "languages"
    FOR EACH STATEMENT EXECUTE FUNCTION "larder_journal_languages"();
-- Also under session_replication_role = replica.
ALTER TABLE "languages" ENABLE ALWAYS TRIGGER larder_journal;
ALTER TABLE "languages" ENABLE ALWAYS TRIGGER larder_journal_truncated;

-- What a change of "accessibility" touches.
DO $migration$ BEGIN
-- A column that is missing fails the migration, and not the first write.
PERFORM 1, "accessibility"."user_id" FROM "accessibility" LIMIT 0;
EXECUTE replace($function$
CREATE OR REPLACE FUNCTION "larder_journal_accessibility"() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
-- larder a65394b86a1a6390
-- declares [["entry","accessibility",["user_id"]],["entry","full_profile",["user_id"]]]
DECLARE
    touches pg_catalog.text;
BEGIN
    IF TG_LEVEL OPERATOR(pg_catalog.=) 'ROW'
        AND pg_catalog.pg_stat_get_xact_tuples_inserted(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_updated(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_deleted(TG_RELID)
            OPERATOR(pg_catalog.>) 2000 AND @schema@.larder_outbox_covers(TG_RELID, '[["tag","accessibility"],["tag","full_profile"]]') THEN
        RETURN NULL;
    END IF;
    BEGIN
        IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' AND ROW(OLD."user_id")::pg_catalog.record OPERATOR(pg_catalog.*=) ROW(NEW."user_id")::pg_catalog.record THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                pg_catalog.replace(E'["entry","accessibility",\x01],["entry","full_profile",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text)), ']');
        ELSIF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                pg_catalog.replace(E'["entry","accessibility",\x01],["entry","full_profile",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text),
                CASE WHEN (OLD."user_id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."user_id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN pg_catalog.replace(E'["entry","accessibility",\x01],["entry","full_profile",\x01]', E'\x01', pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text) END), ']');
        ELSIF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                pg_catalog.replace(E'["entry","accessibility",\x01],["entry","full_profile",\x01]', E'\x01', pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text)), ']');
        ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                pg_catalog.replace(E'["entry","accessibility",\x01],["entry","full_profile",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text)), ']');
        ELSE
            touches := '[["tag","accessibility"],["tag","full_profile"]]';
        END IF;
    EXCEPTION WHEN undefined_column THEN
        touches := '[["everything"]]';
    END;
    INSERT INTO @schema@.larder_outbox (touched) VALUES (touches);
    RETURN NULL;
END $$;
$function$, '@schema@', (
    -- The writer that fires the trigger may have another search path.
    SELECT quote_ident(nspname) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE pg_class.oid = CAST('larder_outbox' AS REGCLASS)
)); END $migration$;
CREATE OR REPLACE TRIGGER larder_journal AFTER INSERT OR UPDATE OR DELETE ON "accessibility"
    FOR EACH ROW EXECUTE FUNCTION "larder_journal_accessibility"();
CREATE OR REPLACE TRIGGER larder_journal_truncated AFTER TRUNCATE ON "accessibility"
    FOR EACH STATEMENT EXECUTE FUNCTION "larder_journal_accessibility"();
-- Also under session_replication_role = replica.
ALTER TABLE "accessibility" ENABLE ALWAYS TRIGGER larder_journal;
ALTER TABLE "accessibility" ENABLE ALWAYS TRIGGER larder_journal_truncated;

-- What a change of "interests" touches.
DO $migration$ BEGIN
-- A column that is missing fails the migration, and not the first write.
PERFORM 1, "interests"."user_id" FROM "interests" LIMIT 0;
EXECUTE replace($function$
CREATE OR REPLACE FUNCTION "larder_journal_interests"() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
-- larder 03365a13b5245fdd
-- declares [["entry","interests",["user_id"]],["entry","full_profile",["user_id"]]]
DECLARE
    touches pg_catalog.text;
BEGIN
    IF TG_LEVEL OPERATOR(pg_catalog.=) 'ROW'
        AND pg_catalog.pg_stat_get_xact_tuples_inserted(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_updated(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_deleted(TG_RELID)
            OPERATOR(pg_catalog.>) 2000 AND @schema@.larder_outbox_covers(TG_RELID, '[["tag","full_profile"],["tag","interests"]]') THEN
        RETURN NULL;
    END IF;
    BEGIN
        IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' AND ROW(OLD."user_id")::pg_catalog.record OPERATOR(pg_catalog.*=) ROW(NEW."user_id")::pg_catalog.record THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                pg_catalog.replace(E'["entry","interests",\x01],["entry","full_profile",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text)), ']');
        ELSIF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                pg_catalog.replace(E'["entry","interests",\x01],["entry","full_profile",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text),
                CASE WHEN (OLD."user_id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."user_id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN pg_catalog.replace(E'["entry","interests",\x01],["entry","full_profile",\x01]', E'\x01', pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text) END), ']');
        ELSIF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                pg_catalog.replace(E'["entry","interests",\x01],["entry","full_profile",\x01]', E'\x01', pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text)), ']');
        ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                pg_catalog.replace(E'["entry","interests",\x01],["entry","full_profile",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text)), ']');
        ELSE
            touches := '[["tag","full_profile"],["tag","interests"]]';
        END IF;
    EXCEPTION WHEN undefined_column THEN
        touches := '[["everything"]]';
    END;
    INSERT INTO @schema@.larder_outbox (touched) VALUES (touches);
    RETURN NULL;
END $$;
$function$, '@schema@', (
    -- The writer that fires the trigger may have another search path.
    SELECT quote_ident(nspname) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE pg_class.oid = CAST('larder_outbox' AS REGCLASS)
)); END $migration$;
CREATE OR REPLACE TRIGGER larder_journal AFTER INSERT OR UPDATE OR DELETE ON "interests"
    FOR EACH ROW EXECUTE FUNCTION "larder_journal_interests"();
CREATE OR REPLACE TRIGGER larder_journal_truncated AFTER TRUNCATE ON "interests"
    FOR EACH STATEMENT EXECUTE FUNCTION "larder_journal_interests"();
-- Also under session_replication_role = replica.
ALTER TABLE "interests" ENABLE ALWAYS TRIGGER larder_journal;
ALTER TABLE "interests" ENABLE ALWAYS TRIGGER larder_journal_truncated;

-- What a change of "api_keys" touches.
DO $migration$ BEGIN
-- A column that is missing fails the migration, and not the first write.
PERFORM 1, "api_keys"."id" FROM "api_keys" LIMIT 0;
EXECUTE replace($function$
CREATE OR REPLACE FUNCTION "larder_journal_api_keys"() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
-- larder 155ab63db0231492
-- declares [["entry","api_key",["id"]]]
DECLARE
    touches pg_catalog.text;
BEGIN
    IF TG_LEVEL OPERATOR(pg_catalog.=) 'ROW'
        AND pg_catalog.pg_stat_get_xact_tuples_inserted(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_updated(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_deleted(TG_RELID)
            OPERATOR(pg_catalog.>) 2000 AND @schema@.larder_outbox_covers(TG_RELID, '[["tag","api_key"]]') THEN
        RETURN NULL;
    END IF;
    BEGIN
        IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' AND ROW(OLD."id")::pg_catalog.record OPERATOR(pg_catalog.*=) ROW(NEW."id")::pg_catalog.record THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                '["entry","api_key",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']'), ']');
        ELSIF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                '["entry","api_key",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
                CASE WHEN (OLD."id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN '["entry","api_key",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']' END), ']');
        ELSIF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                '["entry","api_key",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']'), ']');
        ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                '["entry","api_key",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']'), ']');
        ELSE
            touches := '[["tag","api_key"]]';
        END IF;
    EXCEPTION WHEN undefined_column THEN
        touches := '[["everything"]]';
    END;
    INSERT INTO @schema@.larder_outbox (touched) VALUES (touches);
    RETURN NULL;
END $$;
$function$, '@schema@', (
    -- The writer that fires the trigger may have another search path.
    SELECT quote_ident(nspname) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE pg_class.oid = CAST('larder_outbox' AS REGCLASS)
)); END $migration$;
CREATE OR REPLACE TRIGGER larder_journal AFTER INSERT OR UPDATE OR DELETE ON "api_keys"
    FOR EACH ROW EXECUTE FUNCTION "larder_journal_api_keys"();
CREATE OR REPLACE TRIGGER larder_journal_truncated AFTER TRUNCATE ON "api_keys"
    FOR EACH STATEMENT EXECUTE FUNCTION "larder_journal_api_keys"();
-- Also under session_replication_role = replica.
ALTER TABLE "api_keys" ENABLE ALWAYS TRIGGER larder_journal;
ALTER TABLE "api_keys" ENABLE ALWAYS TRIGGER larder_journal_truncated;

-- What a change of "achievements" touches.
DO $migration$ BEGIN
-- A column that is missing fails the migration, and not the first write.
PERFORM 1, "achievements"."badge_type", "achievements"."id", "achievements"."user_id" FROM "achievements" LIMIT 0;
EXECUTE replace($function$
CREATE OR REPLACE FUNCTION "larder_journal_achievements"() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
-- larder 7bd16ecc1df8be37
-- declares [["entry","achievements",["user_id"]],["entry","achievement_summary",["user_id"]],["entry","achievement_stats",["user_id"]],["tag","leaderboard",[]],["tag","recent_achievements",[]]]
DECLARE
    touches pg_catalog.text;
BEGIN
    IF TG_LEVEL OPERATOR(pg_catalog.=) 'ROW'
        AND pg_catalog.pg_stat_get_xact_tuples_inserted(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_updated(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_deleted(TG_RELID)
            OPERATOR(pg_catalog.>) 2000 AND @schema@.larder_outbox_covers(TG_RELID, '[["tag","achievement_stats"],["tag","achievement_summary"],["tag","achievements"],["tag","leaderboard"],["tag","recent_achievements"]]') THEN
        RETURN NULL;
    END IF;
    BEGIN
        IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' AND ROW(OLD."user_id")::pg_catalog.record OPERATOR(pg_catalog.*=) ROW(NEW."user_id")::pg_catalog.record THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                '["tag","leaderboard"],["tag","recent_achievements"]',
                pg_catalog.replace(E'["entry","achievements",\x01],["entry","achievement_summary",\x01],["entry","achievement_stats",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text)), ']');
        ELSIF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                '["tag","leaderboard"],["tag","recent_achievements"]',
                pg_catalog.replace(E'["entry","achievements",\x01],["entry","achievement_summary",\x01],["entry","achievement_stats",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text),
                CASE WHEN (OLD."user_id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."user_id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN pg_catalog.replace(E'["entry","achievements",\x01],["entry","achievement_summary",\x01],["entry","achievement_stats",\x01]', E'\x01', pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text) END), ']');
        ELSIF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                '["tag","leaderboard"],["tag","recent_achievements"]',
                pg_catalog.replace(E'["entry","achievements",\x01],["entry","achievement_summary",\x01],["entry","achievement_stats",\x01]', E'\x01', pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text)), ']');
        ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                '["tag","leaderboard"],["tag","recent_achievements"]',
                pg_catalog.replace(E'["entry","achievements",\x01],["entry","achievement_summary",\x01],["entry","achievement_stats",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text)), ']');
        ELSE
            touches := '[["tag","achievement_stats"],["tag","achievement_summary"],["tag","achievements"],["tag","leaderboard"],["tag","recent_achievements"]]';
        END IF;
    EXCEPTION WHEN undefined_column THEN
        touches := '[["everything"]]';
    END;
    INSERT INTO @schema@.larder_outbox (touched) VALUES (touches);
    RETURN NULL;
END $$;
$function$, '@schema@', (
    -- The writer that fires the trigger may have another search path.
    SELECT quote_ident(nspname) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE pg_class.oid = CAST('larder_outbox' AS REGCLASS)
)); END $migration$;
CREATE OR REPLACE TRIGGER larder_journal AFTER INSERT OR UPDATE OR DELETE ON "achievements"
    FOR EACH ROW EXECUTE FUNCTION "larder_journal_achievements"();
CREATE OR REPLACE TRIGGER larder_journal_truncated AFTER TRUNCATE ON "achievements"
    FOR EACH STATEMENT EXECUTE FUNCTION "larder_journal_achievements"();
-- Also under session_replication_role = replica.
ALTER TABLE "achievements" ENABLE ALWAYS TRIGGER larder_journal;
ALTER TABLE "achievements" ENABLE ALWAYS TRIGGER larder_journal_truncated;

-- What a change of "permissions" touches.
DO $migration$ BEGIN
-- A column that is missing fails the migration, and not the first write.
PERFORM 1, "permissions"."permission", "permissions"."user_id" FROM "permissions" LIMIT 0;
EXECUTE replace($function$
CREATE OR REPLACE FUNCTION "larder_journal_permissions"() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
-- larder 310d948f23b35434
-- declares [["entry","permissions",["user_id"]],["entry","user_details",["user_id"]],["entry","auth_state",["user_id"]]]
DECLARE
    touches pg_catalog.text;
BEGIN
    IF TG_LEVEL OPERATOR(pg_catalog.=) 'ROW'
        AND pg_catalog.pg_stat_get_xact_tuples_inserted(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_updated(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_deleted(TG_RELID)
            OPERATOR(pg_catalog.>) 2000 AND @schema@.larder_outbox_covers(TG_RELID, '[["tag","auth_state"],["tag","permissions"],["tag","user_details"]]') THEN
        RETURN NULL;
    END IF;
    BEGIN
        IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' AND ROW(OLD."user_id")::pg_catalog.record OPERATOR(pg_catalog.*=) ROW(NEW."user_id")::pg_catalog.record THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                pg_catalog.replace(E'["entry","permissions",\x01],["entry","user_details",\x01],["entry","auth_state",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text)), ']');
        ELSIF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                pg_catalog.replace(E'["entry","permissions",\x01],["entry","user_details",\x01],["entry","auth_state",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text),
                CASE WHEN (OLD."user_id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."user_id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN pg_catalog.replace(E'["entry","permissions",\x01],["entry","user_details",\x01],["entry","auth_state",\x01]', E'\x01', pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text) END), ']');
        ELSIF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                pg_catalog.replace(E'["entry","permissions",\x01],["entry","user_details",\x01],["entry","auth_state",\x01]', E'\x01', pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text)), ']');
        ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                pg_catalog.replace(E'["entry","permissions",\x01],["entry","user_details",\x01],["entry","auth_state",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text)), ']');
        ELSE
            touches := '[["tag","auth_state"],["tag","permissions"],["tag","user_details"]]';
        END IF;
    EXCEPTION WHEN undefined_column THEN
        touches := '[["everything"]]';
    END;
    INSERT INTO @schema@.larder_outbox (touched) VALUES (touches);
    RETURN NULL;
END $$;
$function$, '@schema@', (
    -- The writer that fires the trigger may have another search path.
    SELECT quote_ident(nspname) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE pg_class.oid = CAST('larder_outbox' AS REGCLASS)
)); END $migration$;
CREATE OR REPLACE TRIGGER larder_journal AFTER INSERT OR UPDATE OR DELETE ON "permissions"
    FOR EACH ROW EXECUTE FUNCTION "larder_journal_permissions"();
CREATE OR REPLACE TRIGGER larder_journal_truncated AFTER TRUNCATE ON "permissions"
    FOR EACH STATEMENT EXECUTE FUNCTION "larder_journal_permissions"();
-- Also under session_replication_role = replica.
ALTER TABLE "permissions" ENABLE ALWAYS TRIGGER larder_journal;
ALTER TABLE "permissions" ENABLE ALWAYS TRIGGER larder_journal_truncated;

-- What a change of "user_counts" touches.
DO $migration$ BEGIN
-- A column that is missing fails the migration, and not the first write.
PERFORM 1, "user_counts"."is_active", "user_counts"."role", "user_counts"."shard" FROM "user_counts" LIMIT 0;
EXECUTE replace($function$
CREATE OR REPLACE FUNCTION "larder_journal_user_counts"() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
-- larder 0c280df904445c9c
-- declares [["tag","user_list",[]],["tag","superadmin_user_list",[]],["tag","user_stats",[]],["tag","dashboard_stats",[]]]
DECLARE
    touches pg_catalog.text;
BEGIN
    IF TG_LEVEL OPERATOR(pg_catalog.=) 'ROW'
        AND pg_catalog.pg_stat_get_xact_tuples_inserted(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_updated(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_deleted(TG_RELID)
            OPERATOR(pg_catalog.>) 2000 AND @schema@.larder_outbox_covers(TG_RELID, '[["tag","dashboard_stats"],["tag","superadmin_user_list"],["tag","user_list"],["tag","user_stats"]]') THEN
        RETURN NULL;
    END IF;
    BEGIN
        IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' AND TRUE THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                '["tag","user_list"],["tag","superadmin_user_list"],["tag","user_stats"],["tag","dashboard_stats"]'), ']');
        ELSIF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                '["tag","user_list"],["tag","superadmin_user_list"],["tag","user_stats"],["tag","dashboard_stats"]'), ']');
        ELSIF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                '["tag","user_list"],["tag","superadmin_user_list"],["tag","user_stats"],["tag","dashboard_stats"]'), ']');
        ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                '["tag","user_list"],["tag","superadmin_user_list"],["tag","user_stats"],["tag","dashboard_stats"]'), ']');
        ELSE
            touches := '[["tag","dashboard_stats"],["tag","superadmin_user_list"],["tag","user_list"],["tag","user_stats"]]';
        END IF;
    EXCEPTION WHEN undefined_column THEN
        touches := '[["everything"]]';
    END;
    INSERT INTO @schema@.larder_outbox (touched) VALUES (touches);
    RETURN NULL;
END $$;
$function$, '@schema@', (
    -- The writer that fires the trigger may have another search path.
    SELECT quote_ident(nspname) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE pg_class.oid = CAST('larder_outbox' AS REGCLASS)
)); END $migration$;
CREATE OR REPLACE TRIGGER larder_journal AFTER INSERT OR UPDATE OR DELETE ON "user_counts"
    FOR EACH ROW EXECUTE FUNCTION "larder_journal_user_counts"();
CREATE OR REPLACE TRIGGER larder_journal_truncated AFTER TRUNCATE ON "user_counts"
    FOR EACH STATEMENT EXECUTE FUNCTION "larder_journal_user_counts"();
-- Also under session_replication_role = replica.
ALTER TABLE "user_counts" ENABLE ALWAYS TRIGGER larder_journal;
ALTER TABLE "user_counts" ENABLE ALWAYS TRIGGER larder_journal_truncated;

-- What a change of "user_days" touches.
DO $migration$ BEGIN
-- A column that is missing fails the migration, and not the first write.
PERFORM 1, "user_days"."day", "user_days"."shard" FROM "user_days" LIMIT 0;
EXECUTE replace($function$
CREATE OR REPLACE FUNCTION "larder_journal_user_days"() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
-- larder aec76ae9092f281e
-- declares [["tag","user_stats",[]],["tag","dashboard_stats",[]]]
DECLARE
    touches pg_catalog.text;
BEGIN
    IF TG_LEVEL OPERATOR(pg_catalog.=) 'ROW'
        AND pg_catalog.pg_stat_get_xact_tuples_inserted(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_updated(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_deleted(TG_RELID)
            OPERATOR(pg_catalog.>) 2000 AND @schema@.larder_outbox_covers(TG_RELID, '[["tag","dashboard_stats"],["tag","user_stats"]]') THEN
        RETURN NULL;
    END IF;
    BEGIN
        IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' AND TRUE THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                '["tag","user_stats"],["tag","dashboard_stats"]'), ']');
        ELSIF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                '["tag","user_stats"],["tag","dashboard_stats"]'), ']');
        ELSIF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                '["tag","user_stats"],["tag","dashboard_stats"]'), ']');
        ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
            touches := pg_catalog.concat('[', pg_catalog.concat_ws(',',
                '["tag","user_stats"],["tag","dashboard_stats"]'), ']');
        ELSE
            touches := '[["tag","dashboard_stats"],["tag","user_stats"]]';
        END IF;
    EXCEPTION WHEN undefined_column THEN
        touches := '[["everything"]]';
    END;
    INSERT INTO @schema@.larder_outbox (touched) VALUES (touches);
    RETURN NULL;
END $$;
$function$, '@schema@', (
    -- The writer that fires the trigger may have another search path.
    SELECT quote_ident(nspname) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE pg_class.oid = CAST('larder_outbox' AS REGCLASS)
)); END $migration$;
CREATE OR REPLACE TRIGGER larder_journal AFTER INSERT OR UPDATE OR DELETE ON "user_days"
    FOR EACH ROW EXECUTE FUNCTION "larder_journal_user_days"();
CREATE OR REPLACE TRIGGER larder_journal_truncated AFTER TRUNCATE ON "user_days"
    FOR EACH STATEMENT EXECUTE FUNCTION "larder_journal_user_days"();
-- Also under session_replication_role = replica.
ALTER TABLE "user_days" ENABLE ALWAYS TRIGGER larder_journal;
ALTER TABLE "user_days" ENABLE ALWAYS TRIGGER larder_journal_truncated;

INSERT INTO larder_compatibility (version, oldest) VALUES (14, 13);
