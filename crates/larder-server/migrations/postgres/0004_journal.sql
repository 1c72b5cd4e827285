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
CREATE OR REPLACE FUNCTION "larder_journal_users"() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        INSERT INTO larder_outbox (touched) VALUES ('[' || concat_ws(',',
            '["tag","user_list"]',
            '["entry","user_details",' || to_json(OLD."id"::TEXT)::TEXT || ']',
            '["entry","auth_state",' || to_json(OLD."id"::TEXT)::TEXT || ']',
            '["entry","user_email",' || to_json(OLD."email"::TEXT)::TEXT || ']',
            '["entry","user_username",' || to_json(OLD."username"::TEXT)::TEXT || ']',
            '["entry","user_phone",' || to_json(OLD."phone"::TEXT)::TEXT || ']',
            '["entry","user_external",' || to_json(OLD."external_id"::TEXT)::TEXT || ']',
            CASE WHEN OLD."id"::TEXT COLLATE "C" IS DISTINCT FROM NEW."id"::TEXT COLLATE "C" THEN '["entry","user_details",' || to_json(NEW."id"::TEXT)::TEXT || ']' END,
            CASE WHEN OLD."id"::TEXT COLLATE "C" IS DISTINCT FROM NEW."id"::TEXT COLLATE "C" THEN '["entry","auth_state",' || to_json(NEW."id"::TEXT)::TEXT || ']' END,
            CASE WHEN OLD."email"::TEXT COLLATE "C" IS DISTINCT FROM NEW."email"::TEXT COLLATE "C" THEN '["entry","user_email",' || to_json(NEW."email"::TEXT)::TEXT || ']' END,
            CASE WHEN OLD."username"::TEXT COLLATE "C" IS DISTINCT FROM NEW."username"::TEXT COLLATE "C" THEN '["entry","user_username",' || to_json(NEW."username"::TEXT)::TEXT || ']' END,
            CASE WHEN OLD."phone"::TEXT COLLATE "C" IS DISTINCT FROM NEW."phone"::TEXT COLLATE "C" THEN '["entry","user_phone",' || to_json(NEW."phone"::TEXT)::TEXT || ']' END,
            CASE WHEN OLD."external_id"::TEXT COLLATE "C" IS DISTINCT FROM NEW."external_id"::TEXT COLLATE "C" THEN '["entry","user_external",' || to_json(NEW."external_id"::TEXT)::TEXT || ']' END) || ']');
    ELSIF TG_OP = 'INSERT' THEN
        INSERT INTO larder_outbox (touched) VALUES ('[' || concat_ws(',',
            '["tag","user_list"]',
            '["entry","user_details",' || to_json(NEW."id"::TEXT)::TEXT || ']',
            '["entry","auth_state",' || to_json(NEW."id"::TEXT)::TEXT || ']',
            '["entry","user_email",' || to_json(NEW."email"::TEXT)::TEXT || ']',
            '["entry","user_username",' || to_json(NEW."username"::TEXT)::TEXT || ']',
            '["entry","user_phone",' || to_json(NEW."phone"::TEXT)::TEXT || ']',
            '["entry","user_external",' || to_json(NEW."external_id"::TEXT)::TEXT || ']') || ']');
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO larder_outbox (touched) VALUES ('[' || concat_ws(',',
            '["tag","user_list"]',
            '["entry","user_details",' || to_json(OLD."id"::TEXT)::TEXT || ']',
            '["entry","auth_state",' || to_json(OLD."id"::TEXT)::TEXT || ']',
            '["entry","user_email",' || to_json(OLD."email"::TEXT)::TEXT || ']',
            '["entry","user_username",' || to_json(OLD."username"::TEXT)::TEXT || ']',
            '["entry","user_phone",' || to_json(OLD."phone"::TEXT)::TEXT || ']',
            '["entry","user_external",' || to_json(OLD."external_id"::TEXT)::TEXT || ']') || ']');
    ELSE
        INSERT INTO larder_outbox (touched) VALUES ('[["tag","auth_state"],["tag","user_details"],["tag","user_email"],["tag","user_external"],["tag","user_list"],["tag","user_phone"],["tag","user_username"]]');
    END IF;
    RETURN NULL;
END $$;
DO $$ BEGIN
    EXECUTE 'ALTER FUNCTION "larder_journal_users"() SET search_path = '
        || concat_ws(', ', nullif(current_setting('search_path'), ''), 'pg_temp');
END $$;
CREATE OR REPLACE TRIGGER larder_journal AFTER INSERT OR UPDATE OR DELETE ON "users"
    FOR EACH ROW EXECUTE FUNCTION "larder_journal_users"();
CREATE OR REPLACE TRIGGER larder_journal_truncated AFTER TRUNCATE ON "users"
    FOR EACH STATEMENT EXECUTE FUNCTION "larder_journal_users"();
-- Also under session_replication_role = replica.
ALTER TABLE "users" ENABLE ALWAYS TRIGGER larder_journal;
ALTER TABLE "users" ENABLE ALWAYS TRIGGER larder_journal_truncated;

-- What a change of "credentials" touches.
CREATE OR REPLACE FUNCTION "larder_journal_credentials"() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        INSERT INTO larder_outbox (touched) VALUES ('[' || concat_ws(',',
            '["entry","auth_state",' || to_json(OLD."user_id"::TEXT)::TEXT || ']',
            CASE WHEN OLD."user_id"::TEXT COLLATE "C" IS DISTINCT FROM NEW."user_id"::TEXT COLLATE "C" THEN '["entry","auth_state",' || to_json(NEW."user_id"::TEXT)::TEXT || ']' END) || ']');
    ELSIF TG_OP = 'INSERT' THEN
        INSERT INTO larder_outbox (touched) VALUES ('[' || concat_ws(',',
            '["entry","auth_state",' || to_json(NEW."user_id"::TEXT)::TEXT || ']') || ']');
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO larder_outbox (touched) VALUES ('[' || concat_ws(',',
            '["entry","auth_state",' || to_json(OLD."user_id"::TEXT)::TEXT || ']') || ']');
    ELSE
        INSERT INTO larder_outbox (touched) VALUES ('[["tag","auth_state"]]');
    END IF;
    RETURN NULL;
END $$;
DO $$ BEGIN
    EXECUTE 'ALTER FUNCTION "larder_journal_credentials"() SET search_path = '
        || concat_ws(', ', nullif(current_setting('search_path'), ''), 'pg_temp');
END $$;
CREATE OR REPLACE TRIGGER larder_journal AFTER INSERT OR UPDATE OR DELETE ON "credentials"
    FOR EACH ROW EXECUTE FUNCTION "larder_journal_credentials"();
CREATE OR REPLACE TRIGGER larder_journal_truncated AFTER TRUNCATE ON "credentials"
    FOR EACH STATEMENT EXECUTE FUNCTION "larder_journal_credentials"();
-- Also under session_replication_role = replica.
ALTER TABLE "credentials" ENABLE ALWAYS TRIGGER larder_journal;
ALTER TABLE "credentials" ENABLE ALWAYS TRIGGER larder_journal_truncated;

-- What a change of "sessions" touches.
CREATE OR REPLACE FUNCTION "larder_journal_sessions"() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        INSERT INTO larder_outbox (touched) VALUES ('[' || concat_ws(',',
            '["entry","auth_state",' || to_json(OLD."user_id"::TEXT)::TEXT || ']',
            CASE WHEN OLD."user_id"::TEXT COLLATE "C" IS DISTINCT FROM NEW."user_id"::TEXT COLLATE "C" THEN '["entry","auth_state",' || to_json(NEW."user_id"::TEXT)::TEXT || ']' END) || ']');
    ELSIF TG_OP = 'INSERT' THEN
        INSERT INTO larder_outbox (touched) VALUES ('[' || concat_ws(',',
            '["entry","auth_state",' || to_json(NEW."user_id"::TEXT)::TEXT || ']') || ']');
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO larder_outbox (touched) VALUES ('[' || concat_ws(',',
            '["entry","auth_state",' || to_json(OLD."user_id"::TEXT)::TEXT || ']') || ']');
    ELSE
        INSERT INTO larder_outbox (touched) VALUES ('[["tag","auth_state"]]');
    END IF;
    RETURN NULL;
END $$;
DO $$ BEGIN
    EXECUTE 'ALTER FUNCTION "larder_journal_sessions"() SET search_path = '
        || concat_ws(', ', nullif(current_setting('search_path'), ''), 'pg_temp');
END $$;
CREATE OR REPLACE TRIGGER larder_journal AFTER INSERT OR UPDATE OR DELETE ON "sessions"
    FOR EACH ROW EXECUTE FUNCTION "larder_journal_sessions"();
CREATE OR REPLACE TRIGGER larder_journal_truncated AFTER TRUNCATE ON "sessions"
    FOR EACH STATEMENT EXECUTE FUNCTION "larder_journal_sessions"();
-- Also under session_replication_role = replica.
ALTER TABLE "sessions" ENABLE ALWAYS TRIGGER larder_journal;
ALTER TABLE "sessions" ENABLE ALWAYS TRIGGER larder_journal_truncated;

-- What a change of "user_totals" touches.
CREATE OR REPLACE FUNCTION "larder_journal_user_totals"() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        INSERT INTO larder_outbox (touched) VALUES ('[' || concat_ws(',',
            '["tag","user_list"]') || ']');
    ELSIF TG_OP = 'INSERT' THEN
        INSERT INTO larder_outbox (touched) VALUES ('[' || concat_ws(',',
            '["tag","user_list"]') || ']');
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO larder_outbox (touched) VALUES ('[' || concat_ws(',',
            '["tag","user_list"]') || ']');
    ELSE
        INSERT INTO larder_outbox (touched) VALUES ('[["tag","user_list"]]');
    END IF;
    RETURN NULL;
END $$;
DO $$ BEGIN
    EXECUTE 'ALTER FUNCTION "larder_journal_user_totals"() SET search_path = '
        || concat_ws(', ', nullif(current_setting('search_path'), ''), 'pg_temp');
END $$;
CREATE OR REPLACE TRIGGER larder_journal AFTER INSERT OR UPDATE OR DELETE ON "user_totals"
    FOR EACH ROW EXECUTE FUNCTION "larder_journal_user_totals"();
CREATE OR REPLACE TRIGGER larder_journal_truncated AFTER TRUNCATE ON "user_totals"
    FOR EACH STATEMENT EXECUTE FUNCTION "larder_journal_user_totals"();
-- Also under session_replication_role = replica.
ALTER TABLE "user_totals" ENABLE ALWAYS TRIGGER larder_journal;
ALTER TABLE "user_totals" ENABLE ALWAYS TRIGGER larder_journal_truncated;
