-- Written by larder_sql::journal::migration; declared in src/store/journal.rs.

-- What each change touched, in its own transaction. Written by triggers, read by larder's relays, pruned by age.
-- No primary key: commits become visible in another order than they were numbered, so nothing else is of use.
CREATE TABLE larder_outbox (
    xid     XID8 NOT NULL DEFAULT pg_current_xact_id(),
    touched TEXT NOT NULL
);
CREATE INDEX larder_outbox_xid ON larder_outbox (xid);

-- By when which transactions had ended; `applied` ones may have been pruned away.
CREATE TABLE larder_outbox_marks (
    taken_at BIGINT NOT NULL,
    floor    XID8 NOT NULL,
    applied  BOOLEAN NOT NULL
);

-- What a change of "users" touches.
DO $migration$ BEGIN
-- A column that is not there is to be missed now, not by the first write.
PERFORM 1, "users"."avatar_url", "users"."email", "users"."external_id", "users"."full_name", "users"."id", "users"."is_active", "users"."phone", "users"."points", "users"."username" FROM "users" LIMIT 0;
EXECUTE replace($function$
CREATE OR REPLACE FUNCTION "larder_journal_users"() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' AND (OLD."email"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."email"::pg_catalog.text COLLATE pg_catalog."C" OR OLD."email"::pg_catalog.text IS NULL AND NEW."email"::pg_catalog.text IS NULL)
        AND (OLD."external_id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."external_id"::pg_catalog.text COLLATE pg_catalog."C" OR OLD."external_id"::pg_catalog.text IS NULL AND NEW."external_id"::pg_catalog.text IS NULL)
        AND (OLD."id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."id"::pg_catalog.text COLLATE pg_catalog."C" OR OLD."id"::pg_catalog.text IS NULL AND NEW."id"::pg_catalog.text IS NULL)
        AND (OLD."phone"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."phone"::pg_catalog.text COLLATE pg_catalog."C" OR OLD."phone"::pg_catalog.text IS NULL AND NEW."phone"::pg_catalog.text IS NULL)
        AND (OLD."username"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."username"::pg_catalog.text COLLATE pg_catalog."C" OR OLD."username"::pg_catalog.text IS NULL AND NEW."username"::pg_catalog.text IS NULL) THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["tag","user_list"]',
            '["tag","superadmin_user_list"]',
            '["tag","user_stats"]',
            '["tag","dashboard_stats"]',
            CASE WHEN ROW(OLD."avatar_url", OLD."full_name", OLD."id", OLD."is_active", OLD."points", OLD."username")::pg_catalog.record OPERATOR(pg_catalog.*<>) ROW(NEW."avatar_url", NEW."full_name", NEW."id", NEW."is_active", NEW."points", NEW."username")::pg_catalog.record THEN '["tag","leaderboard"]' END,
            CASE WHEN ROW(OLD."avatar_url", OLD."full_name", OLD."id", OLD."is_active", OLD."username")::pg_catalog.record OPERATOR(pg_catalog.*<>) ROW(NEW."avatar_url", NEW."full_name", NEW."id", NEW."is_active", NEW."username")::pg_catalog.record THEN '["tag","recent_achievements"]' END,
            '["entry","user_details",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","auth_state",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","user_personal_stats",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","user_email",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."email"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","user_username",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."username"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","user_phone",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."phone"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","user_external",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."external_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","profile",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","full_profile",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","preferences",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","languages",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","accessibility",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","interests",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']'), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["tag","user_list"]',
            '["tag","superadmin_user_list"]',
            '["tag","user_stats"]',
            '["tag","dashboard_stats"]',
            CASE WHEN ROW(OLD."avatar_url", OLD."full_name", OLD."id", OLD."is_active", OLD."points", OLD."username")::pg_catalog.record OPERATOR(pg_catalog.*<>) ROW(NEW."avatar_url", NEW."full_name", NEW."id", NEW."is_active", NEW."points", NEW."username")::pg_catalog.record THEN '["tag","leaderboard"]' END,
            CASE WHEN ROW(OLD."avatar_url", OLD."full_name", OLD."id", OLD."is_active", OLD."username")::pg_catalog.record OPERATOR(pg_catalog.*<>) ROW(NEW."avatar_url", NEW."full_name", NEW."id", NEW."is_active", NEW."username")::pg_catalog.record THEN '["tag","recent_achievements"]' END,
            '["entry","user_details",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","auth_state",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","user_personal_stats",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","user_email",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."email"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","user_username",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."username"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","user_phone",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."phone"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","user_external",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."external_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","profile",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","full_profile",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","preferences",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","languages",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","accessibility",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","interests",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            CASE WHEN (OLD."id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN '["entry","user_details",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']' END,
            CASE WHEN (OLD."id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN '["entry","auth_state",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']' END,
            CASE WHEN (OLD."id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN '["entry","user_personal_stats",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']' END,
            CASE WHEN (OLD."email"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."email"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN '["entry","user_email",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."email"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']' END,
            CASE WHEN (OLD."username"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."username"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN '["entry","user_username",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."username"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']' END,
            CASE WHEN (OLD."phone"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."phone"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN '["entry","user_phone",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."phone"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']' END,
            CASE WHEN (OLD."external_id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."external_id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN '["entry","user_external",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."external_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']' END,
            CASE WHEN (OLD."id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN '["entry","profile",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']' END,
            CASE WHEN (OLD."id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN '["entry","full_profile",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']' END,
            CASE WHEN (OLD."id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN '["entry","preferences",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']' END,
            CASE WHEN (OLD."id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN '["entry","languages",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']' END,
            CASE WHEN (OLD."id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN '["entry","accessibility",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']' END,
            CASE WHEN (OLD."id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN '["entry","interests",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']' END), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["tag","user_list"]',
            '["tag","superadmin_user_list"]',
            '["tag","user_stats"]',
            '["tag","dashboard_stats"]',
            '["tag","leaderboard"]',
            '["tag","recent_achievements"]',
            '["entry","user_details",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","auth_state",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","user_personal_stats",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","user_email",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."email"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","user_username",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."username"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","user_phone",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."phone"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","user_external",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."external_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","profile",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","full_profile",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","preferences",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","languages",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","accessibility",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","interests",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']'), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["tag","user_list"]',
            '["tag","superadmin_user_list"]',
            '["tag","user_stats"]',
            '["tag","dashboard_stats"]',
            '["tag","leaderboard"]',
            '["tag","recent_achievements"]',
            '["entry","user_details",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","auth_state",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","user_personal_stats",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","user_email",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."email"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","user_username",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."username"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","user_phone",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."phone"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","user_external",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."external_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","profile",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","full_profile",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","preferences",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","languages",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","accessibility",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","interests",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']'), ']'));
    ELSE
        INSERT INTO larder_outbox (touched) VALUES ('[["tag","accessibility"],["tag","auth_state"],["tag","dashboard_stats"],["tag","full_profile"],["tag","interests"],["tag","languages"],["tag","leaderboard"],["tag","preferences"],["tag","profile"],["tag","recent_achievements"],["tag","superadmin_user_list"],["tag","user_details"],["tag","user_email"],["tag","user_external"],["tag","user_list"],["tag","user_personal_stats"],["tag","user_phone"],["tag","user_stats"],["tag","user_username"]]');
    END IF;
    RETURN NULL;
END $$;
$function$, 'INSERT INTO larder_outbox (touched)', (
    -- Whoever fires the trigger may look for tables elsewhere.
    SELECT format('INSERT INTO %I.larder_outbox (touched)', nspname)
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
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
-- A column that is not there is to be missed now, not by the first write.
PERFORM 1, "credentials"."user_id" FROM "credentials" LIMIT 0;
EXECUTE replace($function$
CREATE OR REPLACE FUNCTION "larder_journal_credentials"() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' AND (OLD."user_id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."user_id"::pg_catalog.text COLLATE pg_catalog."C" OR OLD."user_id"::pg_catalog.text IS NULL AND NEW."user_id"::pg_catalog.text IS NULL) THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["tag","superadmin_user_list"]',
            '["entry","auth_state",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","user_personal_stats",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']'), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["tag","superadmin_user_list"]',
            '["entry","auth_state",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","user_personal_stats",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            CASE WHEN (OLD."user_id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."user_id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN '["entry","auth_state",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']' END,
            CASE WHEN (OLD."user_id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."user_id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN '["entry","user_personal_stats",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']' END), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["tag","superadmin_user_list"]',
            '["entry","auth_state",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","user_personal_stats",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']'), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["tag","superadmin_user_list"]',
            '["entry","auth_state",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","user_personal_stats",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']'), ']'));
    ELSE
        INSERT INTO larder_outbox (touched) VALUES ('[["tag","auth_state"],["tag","superadmin_user_list"],["tag","user_personal_stats"]]');
    END IF;
    RETURN NULL;
END $$;
$function$, 'INSERT INTO larder_outbox (touched)', (
    -- Whoever fires the trigger may look for tables elsewhere.
    SELECT format('INSERT INTO %I.larder_outbox (touched)', nspname)
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
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
-- A column that is not there is to be missed now, not by the first write.
PERFORM 1, "sessions"."id", "sessions"."user_id" FROM "sessions" LIMIT 0;
EXECUTE replace($function$
CREATE OR REPLACE FUNCTION "larder_journal_sessions"() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' AND (OLD."user_id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."user_id"::pg_catalog.text COLLATE pg_catalog."C" OR OLD."user_id"::pg_catalog.text IS NULL AND NEW."user_id"::pg_catalog.text IS NULL) THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["tag","superadmin_user_list"]',
            '["entry","auth_state",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","user_personal_stats",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']'), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["tag","superadmin_user_list"]',
            '["entry","auth_state",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","user_personal_stats",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            CASE WHEN (OLD."user_id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."user_id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN '["entry","auth_state",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']' END,
            CASE WHEN (OLD."user_id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."user_id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN '["entry","user_personal_stats",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']' END), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["tag","superadmin_user_list"]',
            '["entry","auth_state",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","user_personal_stats",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']'), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["tag","superadmin_user_list"]',
            '["entry","auth_state",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","user_personal_stats",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']'), ']'));
    ELSE
        INSERT INTO larder_outbox (touched) VALUES ('[["tag","auth_state"],["tag","superadmin_user_list"],["tag","user_personal_stats"]]');
    END IF;
    RETURN NULL;
END $$;
$function$, 'INSERT INTO larder_outbox (touched)', (
    -- Whoever fires the trigger may look for tables elsewhere.
    SELECT format('INSERT INTO %I.larder_outbox (touched)', nspname)
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
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
-- A column that is not there is to be missed now, not by the first write.
PERFORM 1, "preferences"."user_id" FROM "preferences" LIMIT 0;
EXECUTE replace($function$
CREATE OR REPLACE FUNCTION "larder_journal_preferences"() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' AND (OLD."user_id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."user_id"::pg_catalog.text COLLATE pg_catalog."C" OR OLD."user_id"::pg_catalog.text IS NULL AND NEW."user_id"::pg_catalog.text IS NULL) THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["entry","preferences",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","full_profile",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']'), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["entry","preferences",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","full_profile",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            CASE WHEN (OLD."user_id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."user_id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN '["entry","preferences",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']' END,
            CASE WHEN (OLD."user_id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."user_id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN '["entry","full_profile",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']' END), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["entry","preferences",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","full_profile",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']'), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["entry","preferences",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","full_profile",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']'), ']'));
    ELSE
        INSERT INTO larder_outbox (touched) VALUES ('[["tag","full_profile"],["tag","preferences"]]');
    END IF;
    RETURN NULL;
END $$;
$function$, 'INSERT INTO larder_outbox (touched)', (
    -- Whoever fires the trigger may look for tables elsewhere.
    SELECT format('INSERT INTO %I.larder_outbox (touched)', nspname)
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
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
-- A column that is not there is to be missed now, not by the first write.
PERFORM 1, "languages"."user_id" FROM "languages" LIMIT 0;
EXECUTE replace($function$
CREATE OR REPLACE FUNCTION "larder_journal_languages"() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' AND (OLD."user_id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."user_id"::pg_catalog.text COLLATE pg_catalog."C" OR OLD."user_id"::pg_catalog.text IS NULL AND NEW."user_id"::pg_catalog.text IS NULL) THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["entry","languages",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","full_profile",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']'), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["entry","languages",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","full_profile",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            CASE WHEN (OLD."user_id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."user_id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN '["entry","languages",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']' END,
            CASE WHEN (OLD."user_id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."user_id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN '["entry","full_profile",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']' END), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["entry","languages",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","full_profile",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']'), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["entry","languages",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","full_profile",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']'), ']'));
    ELSE
        INSERT INTO larder_outbox (touched) VALUES ('[["tag","full_profile"],["tag","languages"]]');
    END IF;
    RETURN NULL;
END $$;
$function$, 'INSERT INTO larder_outbox (touched)', (
    -- Whoever fires the trigger may look for tables elsewhere.
    SELECT format('INSERT INTO %I.larder_outbox (touched)', nspname)
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
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
-- A column that is not there is to be missed now, not by the first write.
PERFORM 1, "accessibility"."user_id" FROM "accessibility" LIMIT 0;
EXECUTE replace($function$
CREATE OR REPLACE FUNCTION "larder_journal_accessibility"() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' AND (OLD."user_id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."user_id"::pg_catalog.text COLLATE pg_catalog."C" OR OLD."user_id"::pg_catalog.text IS NULL AND NEW."user_id"::pg_catalog.text IS NULL) THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["entry","accessibility",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","full_profile",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']'), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["entry","accessibility",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","full_profile",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            CASE WHEN (OLD."user_id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."user_id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN '["entry","accessibility",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']' END,
            CASE WHEN (OLD."user_id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."user_id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN '["entry","full_profile",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']' END), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["entry","accessibility",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","full_profile",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']'), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["entry","accessibility",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","full_profile",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']'), ']'));
    ELSE
        INSERT INTO larder_outbox (touched) VALUES ('[["tag","accessibility"],["tag","full_profile"]]');
    END IF;
    RETURN NULL;
END $$;
$function$, 'INSERT INTO larder_outbox (touched)', (
    -- Whoever fires the trigger may look for tables elsewhere.
    SELECT format('INSERT INTO %I.larder_outbox (touched)', nspname)
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
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
-- A column that is not there is to be missed now, not by the first write.
PERFORM 1, "interests"."user_id" FROM "interests" LIMIT 0;
EXECUTE replace($function$
CREATE OR REPLACE FUNCTION "larder_journal_interests"() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' AND (OLD."user_id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."user_id"::pg_catalog.text COLLATE pg_catalog."C" OR OLD."user_id"::pg_catalog.text IS NULL AND NEW."user_id"::pg_catalog.text IS NULL) THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["entry","interests",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","full_profile",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']'), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["entry","interests",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","full_profile",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            CASE WHEN (OLD."user_id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."user_id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN '["entry","interests",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']' END,
            CASE WHEN (OLD."user_id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."user_id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN '["entry","full_profile",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']' END), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["entry","interests",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","full_profile",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']'), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["entry","interests",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","full_profile",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']'), ']'));
    ELSE
        INSERT INTO larder_outbox (touched) VALUES ('[["tag","full_profile"],["tag","interests"]]');
    END IF;
    RETURN NULL;
END $$;
$function$, 'INSERT INTO larder_outbox (touched)', (
    -- Whoever fires the trigger may look for tables elsewhere.
    SELECT format('INSERT INTO %I.larder_outbox (touched)', nspname)
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
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
-- A column that is not there is to be missed now, not by the first write.
PERFORM 1, "api_keys"."id" FROM "api_keys" LIMIT 0;
EXECUTE replace($function$
CREATE OR REPLACE FUNCTION "larder_journal_api_keys"() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' AND (OLD."id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."id"::pg_catalog.text COLLATE pg_catalog."C" OR OLD."id"::pg_catalog.text IS NULL AND NEW."id"::pg_catalog.text IS NULL) THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["entry","api_key",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']'), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["entry","api_key",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            CASE WHEN (OLD."id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN '["entry","api_key",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']' END), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["entry","api_key",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']'), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["entry","api_key",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']'), ']'));
    ELSE
        INSERT INTO larder_outbox (touched) VALUES ('[["tag","api_key"]]');
    END IF;
    RETURN NULL;
END $$;
$function$, 'INSERT INTO larder_outbox (touched)', (
    -- Whoever fires the trigger may look for tables elsewhere.
    SELECT format('INSERT INTO %I.larder_outbox (touched)', nspname)
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
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
-- A column that is not there is to be missed now, not by the first write.
PERFORM 1, "achievements"."badge_type", "achievements"."id", "achievements"."user_id" FROM "achievements" LIMIT 0;
EXECUTE replace($function$
CREATE OR REPLACE FUNCTION "larder_journal_achievements"() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' AND (OLD."user_id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."user_id"::pg_catalog.text COLLATE pg_catalog."C" OR OLD."user_id"::pg_catalog.text IS NULL AND NEW."user_id"::pg_catalog.text IS NULL) THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["tag","leaderboard"]',
            '["tag","recent_achievements"]',
            '["entry","achievements",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","achievement_summary",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","achievement_stats",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']'), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["tag","leaderboard"]',
            '["tag","recent_achievements"]',
            '["entry","achievements",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","achievement_summary",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","achievement_stats",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            CASE WHEN (OLD."user_id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."user_id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN '["entry","achievements",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']' END,
            CASE WHEN (OLD."user_id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."user_id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN '["entry","achievement_summary",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']' END,
            CASE WHEN (OLD."user_id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."user_id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN '["entry","achievement_stats",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']' END), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["tag","leaderboard"]',
            '["tag","recent_achievements"]',
            '["entry","achievements",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","achievement_summary",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","achievement_stats",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']'), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["tag","leaderboard"]',
            '["tag","recent_achievements"]',
            '["entry","achievements",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","achievement_summary",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","achievement_stats",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']'), ']'));
    ELSE
        INSERT INTO larder_outbox (touched) VALUES ('[["tag","achievement_stats"],["tag","achievement_summary"],["tag","achievements"],["tag","leaderboard"],["tag","recent_achievements"]]');
    END IF;
    RETURN NULL;
END $$;
$function$, 'INSERT INTO larder_outbox (touched)', (
    -- Whoever fires the trigger may look for tables elsewhere.
    SELECT format('INSERT INTO %I.larder_outbox (touched)', nspname)
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
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
-- A column that is not there is to be missed now, not by the first write.
PERFORM 1, "permissions"."permission", "permissions"."user_id" FROM "permissions" LIMIT 0;
EXECUTE replace($function$
CREATE OR REPLACE FUNCTION "larder_journal_permissions"() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' AND (OLD."user_id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."user_id"::pg_catalog.text COLLATE pg_catalog."C" OR OLD."user_id"::pg_catalog.text IS NULL AND NEW."user_id"::pg_catalog.text IS NULL) THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["entry","permissions",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","user_details",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","auth_state",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']'), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["entry","permissions",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","user_details",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","auth_state",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            CASE WHEN (OLD."user_id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."user_id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN '["entry","permissions",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']' END,
            CASE WHEN (OLD."user_id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."user_id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN '["entry","user_details",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']' END,
            CASE WHEN (OLD."user_id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."user_id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN '["entry","auth_state",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']' END), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["entry","permissions",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","user_details",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","auth_state",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']'), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["entry","permissions",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","user_details",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","auth_state",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']'), ']'));
    ELSE
        INSERT INTO larder_outbox (touched) VALUES ('[["tag","auth_state"],["tag","permissions"],["tag","user_details"]]');
    END IF;
    RETURN NULL;
END $$;
$function$, 'INSERT INTO larder_outbox (touched)', (
    -- Whoever fires the trigger may look for tables elsewhere.
    SELECT format('INSERT INTO %I.larder_outbox (touched)', nspname)
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
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
-- A column that is not there is to be missed now, not by the first write.
PERFORM 1, "user_counts"."is_active", "user_counts"."role", "user_counts"."shard" FROM "user_counts" LIMIT 0;
EXECUTE replace($function$
CREATE OR REPLACE FUNCTION "larder_journal_user_counts"() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' AND TRUE THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["tag","user_list"]',
            '["tag","superadmin_user_list"]',
            '["tag","user_stats"]',
            '["tag","dashboard_stats"]'), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["tag","user_list"]',
            '["tag","superadmin_user_list"]',
            '["tag","user_stats"]',
            '["tag","dashboard_stats"]'), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["tag","user_list"]',
            '["tag","superadmin_user_list"]',
            '["tag","user_stats"]',
            '["tag","dashboard_stats"]'), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["tag","user_list"]',
            '["tag","superadmin_user_list"]',
            '["tag","user_stats"]',
            '["tag","dashboard_stats"]'), ']'));
    ELSE
        INSERT INTO larder_outbox (touched) VALUES ('[["tag","dashboard_stats"],["tag","superadmin_user_list"],["tag","user_list"],["tag","user_stats"]]');
    END IF;
    RETURN NULL;
END $$;
$function$, 'INSERT INTO larder_outbox (touched)', (
    -- Whoever fires the trigger may look for tables elsewhere.
    SELECT format('INSERT INTO %I.larder_outbox (touched)', nspname)
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
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
-- A column that is not there is to be missed now, not by the first write.
PERFORM 1, "user_days"."day", "user_days"."shard" FROM "user_days" LIMIT 0;
EXECUTE replace($function$
CREATE OR REPLACE FUNCTION "larder_journal_user_days"() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' AND TRUE THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["tag","user_stats"]',
            '["tag","dashboard_stats"]'), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["tag","user_stats"]',
            '["tag","dashboard_stats"]'), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["tag","user_stats"]',
            '["tag","dashboard_stats"]'), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
        INSERT INTO larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["tag","user_stats"]',
            '["tag","dashboard_stats"]'), ']'));
    ELSE
        INSERT INTO larder_outbox (touched) VALUES ('[["tag","dashboard_stats"],["tag","user_stats"]]');
    END IF;
    RETURN NULL;
END $$;
$function$, 'INSERT INTO larder_outbox (touched)', (
    -- Whoever fires the trigger may look for tables elsewhere.
    SELECT format('INSERT INTO %I.larder_outbox (touched)', nspname)
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE pg_class.oid = CAST('larder_outbox' AS REGCLASS)
)); END $migration$;
CREATE OR REPLACE TRIGGER larder_journal AFTER INSERT OR UPDATE OR DELETE ON "user_days"
    FOR EACH ROW EXECUTE FUNCTION "larder_journal_user_days"();
CREATE OR REPLACE TRIGGER larder_journal_truncated AFTER TRUNCATE ON "user_days"
    FOR EACH STATEMENT EXECUTE FUNCTION "larder_journal_user_days"();
-- Also under session_replication_role = replica.
ALTER TABLE "user_days" ENABLE ALWAYS TRIGGER larder_journal;
ALTER TABLE "user_days" ENABLE ALWAYS TRIGGER larder_journal_truncated;
