-- Written by larder_sql::journal: `upgrade` of the outbox of 0009, and the `triggers` that src/store/journal.rs declares.

-- Unlogged: the outbox costs no write-ahead log, and logical replication leaves it alone. After a crash it is empty, and
-- so is this table, by which every consumer notices: a consumer that finds no life inserts one, and every position from
-- before is unknown.
ALTER TABLE larder_outbox SET UNLOGGED;
ALTER TABLE larder_outbox_marks SET UNLOGGED;
-- No key: a restore may bring a row where a consumer has just inserted one, and all of them together are the life.
CREATE UNLOGGED TABLE larder_outbox_life (
    id    UUID NOT NULL DEFAULT gen_random_uuid(),
    begun TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
);
INSERT INTO larder_outbox_life DEFAULT VALUES;
-- Never empty: to a session that sees no row, the outbox is hidden.
INSERT INTO larder_outbox (touched) VALUES ('[]');
DO $migration$ DECLARE
    -- The sessions that run these functions may have another search path.
    place CONSTANT TEXT := (
        SELECT quote_ident(nspname) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
        WHERE pg_class.oid = CAST('larder_outbox' AS REGCLASS)
    );
BEGIN
EXECUTE replace($function$
CREATE OR REPLACE FUNCTION @schema@.larder_outbox_covers(relation OID, whole TEXT) RETURNS BOOLEAN LANGUAGE plpgsql AS $$
-- larder 2838f90c52ea26e2
DECLARE
    setting CONSTANT pg_catalog.text := pg_catalog.concat('larder.bulk_', relation);
    own     CONSTANT pg_catalog.text := pg_catalog.pg_current_xact_id()::pg_catalog.text;
    state   pg_catalog.text[] := pg_catalog.string_to_array(pg_catalog.current_setting(setting, TRUE), ' ');
    place   pg_catalog.tid;
BEGIN
    IF (state[1] OPERATOR(pg_catalog.=) own) IS NOT TRUE THEN
        state := ARRAY[own, '0'];
    END IF;
    IF state[3] IS NOT NULL THEN
        PERFORM 1 FROM @schema@.larder_outbox AS written
            WHERE written.ctid OPERATOR(pg_catalog.=) state[3]::pg_catalog.tid
            AND written.xid OPERATOR(pg_catalog.=) own::pg_catalog.xid8
            AND written.touched OPERATOR(pg_catalog.=) whole;
        IF FOUND THEN
            RETURN TRUE;
        END IF;
    END IF;
    IF state[2]::pg_catalog.int4 OPERATOR(pg_catalog.<) 2000 THEN
        PERFORM pg_catalog.set_config(
            setting, pg_catalog.concat_ws(' ', own, state[2]::pg_catalog.int4 OPERATOR(pg_catalog.+) 1), TRUE
        );
        RETURN FALSE;
    END IF;
    INSERT INTO @schema@.larder_outbox (touched) VALUES (whole) RETURNING ctid INTO place;
    PERFORM pg_catalog.set_config(setting, pg_catalog.concat_ws(' ', own, state[2], place), TRUE);
    RETURN TRUE;
END $$;
$function$, '@schema@', place);
EXECUTE replace($function$
CREATE OR REPLACE FUNCTION @schema@.larder_outbox_kept() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
-- larder f770a42a3755a344
BEGIN
    IF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
        PERFORM 1 FROM gone
            WHERE gone.xid OPERATOR(pg_catalog.<) pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())
            AND gone.xid OPERATOR(pg_catalog.>=) COALESCE((
                SELECT mark.floor FROM @schema@.larder_outbox_marks AS mark
                WHERE mark.applied
                AND mark.floor OPERATOR(pg_catalog.<=) pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())
                ORDER BY mark.floor USING OPERATOR(pg_catalog.>) LIMIT 1
            ), '0'::pg_catalog.xid8)
            LIMIT 1;
        IF NOT FOUND THEN
            RETURN NULL;
        END IF;
    END IF;
    INSERT INTO @schema@.larder_outbox (touched) VALUES ('[["everything"]]');
    RETURN NULL;
END $$;
$function$, '@schema@', place);
EXECUTE format('REVOKE ALL ON FUNCTION %s.larder_outbox_covers(OID, TEXT), %s.larder_outbox_kept() FROM PUBLIC', place, place);
END $migration$;
CREATE OR REPLACE TRIGGER larder_outbox_deleted AFTER DELETE ON larder_outbox REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION larder_outbox_kept();
CREATE OR REPLACE TRIGGER larder_outbox_updated AFTER UPDATE ON larder_outbox
    FOR EACH STATEMENT EXECUTE FUNCTION larder_outbox_kept();
CREATE OR REPLACE TRIGGER larder_outbox_truncated AFTER TRUNCATE ON larder_outbox
    FOR EACH STATEMENT EXECUTE FUNCTION larder_outbox_kept();
ALTER TABLE larder_outbox ENABLE ALWAYS TRIGGER larder_outbox_deleted;
ALTER TABLE larder_outbox ENABLE ALWAYS TRIGGER larder_outbox_updated;
ALTER TABLE larder_outbox ENABLE ALWAYS TRIGGER larder_outbox_truncated;

-- What a change of "users" touches.
DO $migration$ BEGIN
-- A column that is missing fails the migration, and not the first write.
PERFORM 1, "users"."avatar_url", "users"."email", "users"."external_id", "users"."full_name", "users"."id", "users"."is_active", "users"."phone", "users"."points", "users"."username" FROM "users" LIMIT 0;
EXECUTE replace($function$
CREATE OR REPLACE FUNCTION "larder_journal_users"() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
-- larder 3012b02c993c5591
BEGIN
    IF TG_LEVEL OPERATOR(pg_catalog.=) 'ROW'
        AND pg_catalog.pg_stat_get_xact_tuples_inserted(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_updated(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_deleted(TG_RELID)
            OPERATOR(pg_catalog.>) 2000 AND @schema@.larder_outbox_covers(TG_RELID, '[["tag","accessibility"],["tag","auth_state"],["tag","dashboard_stats"],["tag","full_profile"],["tag","interests"],["tag","languages"],["tag","leaderboard"],["tag","preferences"],["tag","profile"],["tag","recent_achievements"],["tag","superadmin_user_list"],["tag","user_details"],["tag","user_email"],["tag","user_external"],["tag","user_list"],["tag","user_personal_stats"],["tag","user_phone"],["tag","user_stats"],["tag","user_username"]]') THEN
        RETURN NULL;
    END IF;
    IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' AND ROW(OLD."email", OLD."external_id", OLD."id", OLD."phone", OLD."username")::pg_catalog.record OPERATOR(pg_catalog.*=) ROW(NEW."email", NEW."external_id", NEW."id", NEW."phone", NEW."username")::pg_catalog.record THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["tag","user_list"],["tag","superadmin_user_list"],["tag","user_stats"],["tag","dashboard_stats"]',
            CASE WHEN ROW(OLD."avatar_url", OLD."full_name", OLD."id", OLD."is_active", OLD."points", OLD."username")::pg_catalog.record OPERATOR(pg_catalog.*<>) ROW(NEW."avatar_url", NEW."full_name", NEW."id", NEW."is_active", NEW."points", NEW."username")::pg_catalog.record THEN '["tag","leaderboard"]' END,
            CASE WHEN ROW(OLD."avatar_url", OLD."full_name", OLD."id", OLD."is_active", OLD."username")::pg_catalog.record OPERATOR(pg_catalog.*<>) ROW(NEW."avatar_url", NEW."full_name", NEW."id", NEW."is_active", NEW."username")::pg_catalog.record THEN '["tag","recent_achievements"]' END,
            pg_catalog.replace(E'["entry","user_details",\x01],["entry","auth_state",\x01],["entry","user_personal_stats",\x01],["entry","profile",\x01],["entry","full_profile",\x01],["entry","preferences",\x01],["entry","languages",\x01],["entry","accessibility",\x01],["entry","interests",\x01]', E'\x01', pg_catalog.to_json(OLD."id"::pg_catalog.text)::pg_catalog.text),
            '["entry","user_email",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."email"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","user_username",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."username"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","user_phone",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."phone"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","user_external",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."external_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']'), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
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
            CASE WHEN (OLD."external_id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."external_id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN '["entry","user_external",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."external_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']' END), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["tag","user_list"],["tag","superadmin_user_list"],["tag","user_stats"],["tag","dashboard_stats"],["tag","leaderboard"],["tag","recent_achievements"]',
            pg_catalog.replace(E'["entry","user_details",\x01],["entry","auth_state",\x01],["entry","user_personal_stats",\x01],["entry","profile",\x01],["entry","full_profile",\x01],["entry","preferences",\x01],["entry","languages",\x01],["entry","accessibility",\x01],["entry","interests",\x01]', E'\x01', pg_catalog.to_json(NEW."id"::pg_catalog.text)::pg_catalog.text),
            '["entry","user_email",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."email"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","user_username",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."username"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","user_phone",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."phone"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","user_external",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."external_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']'), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["tag","user_list"],["tag","superadmin_user_list"],["tag","user_stats"],["tag","dashboard_stats"],["tag","leaderboard"],["tag","recent_achievements"]',
            pg_catalog.replace(E'["entry","user_details",\x01],["entry","auth_state",\x01],["entry","user_personal_stats",\x01],["entry","profile",\x01],["entry","full_profile",\x01],["entry","preferences",\x01],["entry","languages",\x01],["entry","accessibility",\x01],["entry","interests",\x01]', E'\x01', pg_catalog.to_json(OLD."id"::pg_catalog.text)::pg_catalog.text),
            '["entry","user_email",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."email"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","user_username",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."username"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","user_phone",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."phone"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            '["entry","user_external",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."external_id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']'), ']'));
    ELSE
        INSERT INTO @schema@.larder_outbox (touched) VALUES ('[["tag","accessibility"],["tag","auth_state"],["tag","dashboard_stats"],["tag","full_profile"],["tag","interests"],["tag","languages"],["tag","leaderboard"],["tag","preferences"],["tag","profile"],["tag","recent_achievements"],["tag","superadmin_user_list"],["tag","user_details"],["tag","user_email"],["tag","user_external"],["tag","user_list"],["tag","user_personal_stats"],["tag","user_phone"],["tag","user_stats"],["tag","user_username"]]');
    END IF;
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
-- larder 4e559dfbe67d0b80
BEGIN
    IF TG_LEVEL OPERATOR(pg_catalog.=) 'ROW'
        AND pg_catalog.pg_stat_get_xact_tuples_inserted(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_updated(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_deleted(TG_RELID)
            OPERATOR(pg_catalog.>) 2000 AND @schema@.larder_outbox_covers(TG_RELID, '[["tag","auth_state"],["tag","superadmin_user_list"],["tag","user_personal_stats"]]') THEN
        RETURN NULL;
    END IF;
    IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' AND ROW(OLD."user_id")::pg_catalog.record OPERATOR(pg_catalog.*=) ROW(NEW."user_id")::pg_catalog.record THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["tag","superadmin_user_list"]',
            pg_catalog.replace(E'["entry","auth_state",\x01],["entry","user_personal_stats",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text)), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["tag","superadmin_user_list"]',
            pg_catalog.replace(E'["entry","auth_state",\x01],["entry","user_personal_stats",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text),
            CASE WHEN (OLD."user_id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."user_id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN pg_catalog.replace(E'["entry","auth_state",\x01],["entry","user_personal_stats",\x01]', E'\x01', pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text) END), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["tag","superadmin_user_list"]',
            pg_catalog.replace(E'["entry","auth_state",\x01],["entry","user_personal_stats",\x01]', E'\x01', pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text)), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["tag","superadmin_user_list"]',
            pg_catalog.replace(E'["entry","auth_state",\x01],["entry","user_personal_stats",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text)), ']'));
    ELSE
        INSERT INTO @schema@.larder_outbox (touched) VALUES ('[["tag","auth_state"],["tag","superadmin_user_list"],["tag","user_personal_stats"]]');
    END IF;
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
-- larder 4e559dfbe67d0b80
BEGIN
    IF TG_LEVEL OPERATOR(pg_catalog.=) 'ROW'
        AND pg_catalog.pg_stat_get_xact_tuples_inserted(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_updated(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_deleted(TG_RELID)
            OPERATOR(pg_catalog.>) 2000 AND @schema@.larder_outbox_covers(TG_RELID, '[["tag","auth_state"],["tag","superadmin_user_list"],["tag","user_personal_stats"]]') THEN
        RETURN NULL;
    END IF;
    IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' AND ROW(OLD."user_id")::pg_catalog.record OPERATOR(pg_catalog.*=) ROW(NEW."user_id")::pg_catalog.record THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["tag","superadmin_user_list"]',
            pg_catalog.replace(E'["entry","auth_state",\x01],["entry","user_personal_stats",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text)), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["tag","superadmin_user_list"]',
            pg_catalog.replace(E'["entry","auth_state",\x01],["entry","user_personal_stats",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text),
            CASE WHEN (OLD."user_id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."user_id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN pg_catalog.replace(E'["entry","auth_state",\x01],["entry","user_personal_stats",\x01]', E'\x01', pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text) END), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["tag","superadmin_user_list"]',
            pg_catalog.replace(E'["entry","auth_state",\x01],["entry","user_personal_stats",\x01]', E'\x01', pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text)), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["tag","superadmin_user_list"]',
            pg_catalog.replace(E'["entry","auth_state",\x01],["entry","user_personal_stats",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text)), ']'));
    ELSE
        INSERT INTO @schema@.larder_outbox (touched) VALUES ('[["tag","auth_state"],["tag","superadmin_user_list"],["tag","user_personal_stats"]]');
    END IF;
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
-- larder 402309a39848cc45
BEGIN
    IF TG_LEVEL OPERATOR(pg_catalog.=) 'ROW'
        AND pg_catalog.pg_stat_get_xact_tuples_inserted(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_updated(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_deleted(TG_RELID)
            OPERATOR(pg_catalog.>) 2000 AND @schema@.larder_outbox_covers(TG_RELID, '[["tag","full_profile"],["tag","preferences"]]') THEN
        RETURN NULL;
    END IF;
    IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' AND ROW(OLD."user_id")::pg_catalog.record OPERATOR(pg_catalog.*=) ROW(NEW."user_id")::pg_catalog.record THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            pg_catalog.replace(E'["entry","preferences",\x01],["entry","full_profile",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text)), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            pg_catalog.replace(E'["entry","preferences",\x01],["entry","full_profile",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text),
            CASE WHEN (OLD."user_id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."user_id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN pg_catalog.replace(E'["entry","preferences",\x01],["entry","full_profile",\x01]', E'\x01', pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text) END), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            pg_catalog.replace(E'["entry","preferences",\x01],["entry","full_profile",\x01]', E'\x01', pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text)), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            pg_catalog.replace(E'["entry","preferences",\x01],["entry","full_profile",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text)), ']'));
    ELSE
        INSERT INTO @schema@.larder_outbox (touched) VALUES ('[["tag","full_profile"],["tag","preferences"]]');
    END IF;
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
-- larder dd84addd9d1866ff
BEGIN
    IF TG_LEVEL OPERATOR(pg_catalog.=) 'ROW'
        AND pg_catalog.pg_stat_get_xact_tuples_inserted(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_updated(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_deleted(TG_RELID)
            OPERATOR(pg_catalog.>) 2000 AND @schema@.larder_outbox_covers(TG_RELID, '[["tag","full_profile"],["tag","languages"]]') THEN
        RETURN NULL;
    END IF;
    IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' AND ROW(OLD."user_id")::pg_catalog.record OPERATOR(pg_catalog.*=) ROW(NEW."user_id")::pg_catalog.record THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            pg_catalog.replace(E'["entry","languages",\x01],["entry","full_profile",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text)), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            pg_catalog.replace(E'["entry","languages",\x01],["entry","full_profile",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text),
            CASE WHEN (OLD."user_id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."user_id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN pg_catalog.replace(E'["entry","languages",\x01],["entry","full_profile",\x01]', E'\x01', pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text) END), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            pg_catalog.replace(E'["entry","languages",\x01],["entry","full_profile",\x01]', E'\x01', pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text)), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            pg_catalog.replace(E'["entry","languages",\x01],["entry","full_profile",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text)), ']'));
    ELSE
        INSERT INTO @schema@.larder_outbox (touched) VALUES ('[["tag","full_profile"],["tag","languages"]]');
    END IF;
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
-- larder 779c4b7aa248e319
BEGIN
    IF TG_LEVEL OPERATOR(pg_catalog.=) 'ROW'
        AND pg_catalog.pg_stat_get_xact_tuples_inserted(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_updated(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_deleted(TG_RELID)
            OPERATOR(pg_catalog.>) 2000 AND @schema@.larder_outbox_covers(TG_RELID, '[["tag","accessibility"],["tag","full_profile"]]') THEN
        RETURN NULL;
    END IF;
    IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' AND ROW(OLD."user_id")::pg_catalog.record OPERATOR(pg_catalog.*=) ROW(NEW."user_id")::pg_catalog.record THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            pg_catalog.replace(E'["entry","accessibility",\x01],["entry","full_profile",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text)), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            pg_catalog.replace(E'["entry","accessibility",\x01],["entry","full_profile",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text),
            CASE WHEN (OLD."user_id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."user_id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN pg_catalog.replace(E'["entry","accessibility",\x01],["entry","full_profile",\x01]', E'\x01', pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text) END), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            pg_catalog.replace(E'["entry","accessibility",\x01],["entry","full_profile",\x01]', E'\x01', pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text)), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            pg_catalog.replace(E'["entry","accessibility",\x01],["entry","full_profile",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text)), ']'));
    ELSE
        INSERT INTO @schema@.larder_outbox (touched) VALUES ('[["tag","accessibility"],["tag","full_profile"]]');
    END IF;
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
-- larder 0dba91680558e403
BEGIN
    IF TG_LEVEL OPERATOR(pg_catalog.=) 'ROW'
        AND pg_catalog.pg_stat_get_xact_tuples_inserted(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_updated(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_deleted(TG_RELID)
            OPERATOR(pg_catalog.>) 2000 AND @schema@.larder_outbox_covers(TG_RELID, '[["tag","full_profile"],["tag","interests"]]') THEN
        RETURN NULL;
    END IF;
    IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' AND ROW(OLD."user_id")::pg_catalog.record OPERATOR(pg_catalog.*=) ROW(NEW."user_id")::pg_catalog.record THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            pg_catalog.replace(E'["entry","interests",\x01],["entry","full_profile",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text)), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            pg_catalog.replace(E'["entry","interests",\x01],["entry","full_profile",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text),
            CASE WHEN (OLD."user_id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."user_id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN pg_catalog.replace(E'["entry","interests",\x01],["entry","full_profile",\x01]', E'\x01', pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text) END), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            pg_catalog.replace(E'["entry","interests",\x01],["entry","full_profile",\x01]', E'\x01', pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text)), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            pg_catalog.replace(E'["entry","interests",\x01],["entry","full_profile",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text)), ']'));
    ELSE
        INSERT INTO @schema@.larder_outbox (touched) VALUES ('[["tag","full_profile"],["tag","interests"]]');
    END IF;
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
-- larder f4ab6044642959c5
BEGIN
    IF TG_LEVEL OPERATOR(pg_catalog.=) 'ROW'
        AND pg_catalog.pg_stat_get_xact_tuples_inserted(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_updated(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_deleted(TG_RELID)
            OPERATOR(pg_catalog.>) 2000 AND @schema@.larder_outbox_covers(TG_RELID, '[["tag","api_key"]]') THEN
        RETURN NULL;
    END IF;
    IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' AND ROW(OLD."id")::pg_catalog.record OPERATOR(pg_catalog.*=) ROW(NEW."id")::pg_catalog.record THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["entry","api_key",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']'), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["entry","api_key",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']',
            CASE WHEN (OLD."id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN '["entry","api_key",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']' END), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["entry","api_key",' OPERATOR(pg_catalog.||) pg_catalog.to_json(NEW."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']'), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["entry","api_key",' OPERATOR(pg_catalog.||) pg_catalog.to_json(OLD."id"::pg_catalog.text)::pg_catalog.text OPERATOR(pg_catalog.||) ']'), ']'));
    ELSE
        INSERT INTO @schema@.larder_outbox (touched) VALUES ('[["tag","api_key"]]');
    END IF;
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
-- larder ecf712386cd71c2f
BEGIN
    IF TG_LEVEL OPERATOR(pg_catalog.=) 'ROW'
        AND pg_catalog.pg_stat_get_xact_tuples_inserted(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_updated(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_deleted(TG_RELID)
            OPERATOR(pg_catalog.>) 2000 AND @schema@.larder_outbox_covers(TG_RELID, '[["tag","achievement_stats"],["tag","achievement_summary"],["tag","achievements"],["tag","leaderboard"],["tag","recent_achievements"]]') THEN
        RETURN NULL;
    END IF;
    IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' AND ROW(OLD."user_id")::pg_catalog.record OPERATOR(pg_catalog.*=) ROW(NEW."user_id")::pg_catalog.record THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["tag","leaderboard"],["tag","recent_achievements"]',
            pg_catalog.replace(E'["entry","achievements",\x01],["entry","achievement_summary",\x01],["entry","achievement_stats",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text)), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["tag","leaderboard"],["tag","recent_achievements"]',
            pg_catalog.replace(E'["entry","achievements",\x01],["entry","achievement_summary",\x01],["entry","achievement_stats",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text),
            CASE WHEN (OLD."user_id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."user_id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN pg_catalog.replace(E'["entry","achievements",\x01],["entry","achievement_summary",\x01],["entry","achievement_stats",\x01]', E'\x01', pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text) END), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["tag","leaderboard"],["tag","recent_achievements"]',
            pg_catalog.replace(E'["entry","achievements",\x01],["entry","achievement_summary",\x01],["entry","achievement_stats",\x01]', E'\x01', pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text)), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["tag","leaderboard"],["tag","recent_achievements"]',
            pg_catalog.replace(E'["entry","achievements",\x01],["entry","achievement_summary",\x01],["entry","achievement_stats",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text)), ']'));
    ELSE
        INSERT INTO @schema@.larder_outbox (touched) VALUES ('[["tag","achievement_stats"],["tag","achievement_summary"],["tag","achievements"],["tag","leaderboard"],["tag","recent_achievements"]]');
    END IF;
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
-- larder 4c3f7c3166ea39f5
BEGIN
    IF TG_LEVEL OPERATOR(pg_catalog.=) 'ROW'
        AND pg_catalog.pg_stat_get_xact_tuples_inserted(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_updated(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_deleted(TG_RELID)
            OPERATOR(pg_catalog.>) 2000 AND @schema@.larder_outbox_covers(TG_RELID, '[["tag","auth_state"],["tag","permissions"],["tag","user_details"]]') THEN
        RETURN NULL;
    END IF;
    IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' AND ROW(OLD."user_id")::pg_catalog.record OPERATOR(pg_catalog.*=) ROW(NEW."user_id")::pg_catalog.record THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            pg_catalog.replace(E'["entry","permissions",\x01],["entry","user_details",\x01],["entry","auth_state",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text)), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            pg_catalog.replace(E'["entry","permissions",\x01],["entry","user_details",\x01],["entry","auth_state",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text),
            CASE WHEN (OLD."user_id"::pg_catalog.text COLLATE pg_catalog."C" OPERATOR(pg_catalog.=) NEW."user_id"::pg_catalog.text COLLATE pg_catalog."C") IS NOT TRUE THEN pg_catalog.replace(E'["entry","permissions",\x01],["entry","user_details",\x01],["entry","auth_state",\x01]', E'\x01', pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text) END), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            pg_catalog.replace(E'["entry","permissions",\x01],["entry","user_details",\x01],["entry","auth_state",\x01]', E'\x01', pg_catalog.to_json(NEW."user_id"::pg_catalog.text)::pg_catalog.text)), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            pg_catalog.replace(E'["entry","permissions",\x01],["entry","user_details",\x01],["entry","auth_state",\x01]', E'\x01', pg_catalog.to_json(OLD."user_id"::pg_catalog.text)::pg_catalog.text)), ']'));
    ELSE
        INSERT INTO @schema@.larder_outbox (touched) VALUES ('[["tag","auth_state"],["tag","permissions"],["tag","user_details"]]');
    END IF;
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
-- larder e49459aa3a220190
BEGIN
    IF TG_LEVEL OPERATOR(pg_catalog.=) 'ROW'
        AND pg_catalog.pg_stat_get_xact_tuples_inserted(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_updated(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_deleted(TG_RELID)
            OPERATOR(pg_catalog.>) 2000 AND @schema@.larder_outbox_covers(TG_RELID, '[["tag","dashboard_stats"],["tag","superadmin_user_list"],["tag","user_list"],["tag","user_stats"]]') THEN
        RETURN NULL;
    END IF;
    IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' AND TRUE THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["tag","user_list"],["tag","superadmin_user_list"],["tag","user_stats"],["tag","dashboard_stats"]'), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["tag","user_list"],["tag","superadmin_user_list"],["tag","user_stats"],["tag","dashboard_stats"]'), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["tag","user_list"],["tag","superadmin_user_list"],["tag","user_stats"],["tag","dashboard_stats"]'), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["tag","user_list"],["tag","superadmin_user_list"],["tag","user_stats"],["tag","dashboard_stats"]'), ']'));
    ELSE
        INSERT INTO @schema@.larder_outbox (touched) VALUES ('[["tag","dashboard_stats"],["tag","superadmin_user_list"],["tag","user_list"],["tag","user_stats"]]');
    END IF;
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
-- larder 28a4674ec0ad0766
BEGIN
    IF TG_LEVEL OPERATOR(pg_catalog.=) 'ROW'
        AND pg_catalog.pg_stat_get_xact_tuples_inserted(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_updated(TG_RELID) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_deleted(TG_RELID)
            OPERATOR(pg_catalog.>) 2000 AND @schema@.larder_outbox_covers(TG_RELID, '[["tag","dashboard_stats"],["tag","user_stats"]]') THEN
        RETURN NULL;
    END IF;
    IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' AND TRUE THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["tag","user_stats"],["tag","dashboard_stats"]'), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["tag","user_stats"],["tag","dashboard_stats"]'), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["tag","user_stats"],["tag","dashboard_stats"]'), ']'));
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
        INSERT INTO @schema@.larder_outbox (touched) VALUES (pg_catalog.concat('[', pg_catalog.concat_ws(',',
            '["tag","user_stats"],["tag","dashboard_stats"]'), ']'));
    ELSE
        INSERT INTO @schema@.larder_outbox (touched) VALUES ('[["tag","dashboard_stats"],["tag","user_stats"]]');
    END IF;
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
