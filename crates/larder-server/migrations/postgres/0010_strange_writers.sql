-- The schema under strange writers: any search path, any role that may write a table, rows that a restore or logical
-- replication brings, and values that the service cannot read. See docs/operations.md.
--
-- Terms. A row is *made* by a program that writes it. A row is *brought* by a restore or by replication: then all that
-- followed from it where it was made comes too, as rows of its own, and must not follow a second time.
-- A dump is known by `check_function_bodies = off` and `row_security = off`: pg_dump writes both into each, and programs set
-- neither. Both, because what is taken for a restore by mistake is not booked.

-- Pinned by their bodies: every name is qualified, because a pinned search path costs each call some microseconds, and these
-- run once a row. In a body after RETURN the names are resolved here and now.

-- A row that replication brings has the version it got where it was changed. In a session with session_replication_role =
-- replica, whose statements set the mark of `users_statement_begun`, versions rise as ever.
CREATE OR REPLACE FUNCTION users_versioned() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.version OPERATOR(pg_catalog.>) OLD.version
        AND pg_catalog.current_setting('session_replication_role') OPERATOR(pg_catalog.=) 'replica'
        -- Not IS DISTINCT FROM, which looks for its = by the search path.
        AND coalesce(pg_catalog.current_setting('larder.statement_on_users', TRUE), '') OPERATOR(pg_catalog.<>) 'on' THEN
        RETURN NEW;
    END IF;
    NEW.version := OLD.version OPERATOR(pg_catalog.+) 1;
    NEW.updated_at := GREATEST(
        OLD.updated_at,
        (extract(epoch FROM pg_catalog.clock_timestamp()) OPERATOR(pg_catalog.*) 1000000)::BIGINT
    );
    RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION uuid_of_now() RETURNS TEXT LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    millis BIGINT := (extract(epoch FROM pg_catalog.clock_timestamp()) OPERATOR(pg_catalog.*) 1000)::BIGINT;
BEGIN
    RETURN pg_catalog.concat(
        pg_catalog.lpad(pg_catalog.to_hex(millis OPERATOR(pg_catalog.>>) 16), 8, '0'), '-',
        pg_catalog.lpad(pg_catalog.to_hex(millis OPERATOR(pg_catalog.&) 65535), 4, '0'), '-7',
        pg_catalog.substr(pg_catalog.gen_random_uuid()::TEXT, 16)
    );
END $$;

-- The same function as in 0006, so what is stored of it and indexed by it stays right. Inlined as before.
DO $migration$ BEGIN
    EXECUTE replace(
        'CREATE OR REPLACE FUNCTION users_folded(name TEXT) RETURNS TEXT LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
             RETURN lower(name{collate}) COLLATE "C"',
        '{collate}',
        CASE WHEN EXISTS (
            SELECT 1 FROM pg_collation WHERE collname = 'und-x-icu' AND pg_encoding_to_char(
                (SELECT encoding FROM pg_database WHERE datname = current_database())
            ) = 'UTF8'
        ) THEN ' COLLATE "und-x-icu"' ELSE '' END
    );
END $migration$;

CREATE OR REPLACE FUNCTION users_grams_of(term TEXT, prefix TEXT) RETURNS TEXT[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (
        SELECT coalesce(array_agg(prefix || substr(term, place, 3)), '{}') FROM generate_series(1, length(term) - 2) AS place
    );

CREATE OR REPLACE FUNCTION users_grams(folded_name TEXT, username TEXT, email TEXT) RETURNS TEXT[]
    LANGUAGE plpgsql IMMUTABLE COST 200 AS $$
DECLARE
    public TEXT := coalesce(folded_name OPERATOR(pg_catalog.||) E'\n', '') OPERATOR(pg_catalog.||) username;
BEGIN
    RETURN ARRAY(
        SELECT pg_catalog.substr(public, place, 3)
            FROM pg_catalog.generate_series(1, pg_catalog.length(public) OPERATOR(pg_catalog.-) 2) AS place
        UNION ALL
        SELECT '@' OPERATOR(pg_catalog.||) pg_catalog.substr(email, place, 3)
            FROM pg_catalog.generate_series(1, pg_catalog.length(email) OPERATOR(pg_catalog.-) 2) AS place
    );
END $$;

-- Whether a restore or replication writes. Only the owner's restore counts: another role could otherwise leave points
-- unbooked by a setting. A trigger's WHEN asks last, for this costs more than what stands before it.
CREATE FUNCTION rows_are_brought() RETURNS BOOLEAN LANGUAGE sql STABLE RETURN
    current_setting('session_replication_role') = 'replica'
    OR current_setting('check_function_bodies') = 'off' AND current_setting('row_security') = 'off'
        AND pg_has_role(current_user, (SELECT relowner FROM pg_class WHERE oid = 'users'::REGCLASS), 'USAGE');

-- Replication: the apply worker changes row by row, and fires row triggers only; its first copy of a table, and sessions
-- with session_replication_role = replica, fire both kinds. Statements therefore set a mark, and row triggers count only
-- without it. The triggers ask for the role themselves, and are not ENABLE REPLICA: ALTER TABLE … ENABLE TRIGGER ALL, as a
-- loader of fixtures runs it, would have those count every row a second time.
CREATE FUNCTION users_statement_begun() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('larder.statement_on_users', 'on', TRUE);
    RETURN NULL;
END $$;
CREATE FUNCTION users_statement_ended() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('larder.statement_on_users', 'off', TRUE);
    RETURN NULL;
END $$;

-- What the apply worker changed in this transaction and has not counted yet: empty whenever one is committed. Counting row by
-- row would update the same few counts as often, and each update would read all versions that the transaction left of them.
-- UNLOGGED, so that no publication takes it along.
CREATE UNLOGGED TABLE users_to_count (
    sign       BIGINT NOT NULL,
    id         TEXT COLLATE "C" NOT NULL,
    role       TEXT COLLATE "C" NOT NULL,
    is_active  BOOLEAN NOT NULL,
    points     BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    -- One row of a transaction has it, and has the commit count them all.
    is_first   BOOLEAN NOT NULL
);

CREATE FUNCTION users_applied() RETURNS TRIGGER LANGUAGE plpgsql AS $$
DECLARE
    is_first BOOLEAN := current_setting('larder.users_to_count', TRUE) IS DISTINCT FROM 'on';
BEGIN
    IF TG_OP = 'UPDATE' AND (OLD.id, OLD.role, OLD.is_active, OLD.points, OLD.created_at)
        IS NOT DISTINCT FROM (NEW.id, NEW.role, NEW.is_active, NEW.points, NEW.created_at) THEN
        RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO users_to_count
            VALUES (-1, OLD.id, OLD.role, OLD.is_active, OLD.points, OLD.created_at, is_first);
        is_first := FALSE;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO users_to_count
            VALUES (1, NEW.id, NEW.role, NEW.is_active, NEW.points, NEW.created_at, is_first);
    END IF;
    -- Until the transaction ends, or what set it is rolled back.
    PERFORM set_config('larder.users_to_count', 'on', TRUE);
    RETURN NULL;
END $$;

-- In the order in which all others lock: counts, days, counts of points, each by its key.
CREATE FUNCTION users_to_count_counted() RETURNS TRIGGER LANGUAGE plpgsql AS $$
DECLARE
    counted RECORD;
BEGIN
    INSERT INTO user_counts AS kept (shard, role, is_active, users, points)
        SELECT strpos('0123456789abcdef', right(id, 1)) - 1, role, is_active, SUM(sign), SUM(sign * points)
        FROM users_to_count GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
        ON CONFLICT (shard, role, is_active)
        DO UPDATE SET users = kept.users + EXCLUDED.users, points = kept.points + EXCLUDED.points;
    INSERT INTO user_days AS kept (day, shard, users)
        SELECT created_at / 86400000000, strpos('0123456789abcdef', right(id, 1)) - 1, SUM(sign)
        FROM users_to_count GROUP BY 1, 2 HAVING SUM(sign) <> 0 ORDER BY 1, 2
        ON CONFLICT (day, shard) DO UPDATE SET users = kept.users + EXCLUDED.users;
    FOR counted IN
        INSERT INTO points_counts AS present (level, prefix, shard, total)
        SELECT level, points >> (4 * level), strpos('0123456789abcdef', right(id, 1)) - 1, SUM(sign)
            FROM users_to_count, generate_series(0, 9) AS level
            WHERE is_active AND points > 0 AND (points >> (4 * level)) & 15 <> 0
            GROUP BY 1, 2, 3 HAVING SUM(sign) <> 0 ORDER BY 1, 2, 3
        ON CONFLICT (level, prefix, shard) DO UPDATE SET total = present.total + excluded.total
        RETURNING level, prefix, shard, total
    LOOP
        IF counted.total = 0 THEN
            DELETE FROM points_counts
                WHERE level = counted.level AND prefix = counted.prefix AND shard = counted.shard;
        END IF;
    END LOOP;
    DELETE FROM users_to_count;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION users_truncated() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM users_to_count;
    UPDATE user_counts SET users = 0, points = 0;
    DELETE FROM user_days;
    RETURN NULL;
END $$;

CREATE TRIGGER users_statement_begun BEFORE INSERT OR UPDATE OR DELETE ON users FOR EACH STATEMENT
    WHEN (current_setting('session_replication_role') = 'replica') EXECUTE FUNCTION users_statement_begun();
CREATE TRIGGER users_statement_ended AFTER INSERT OR UPDATE OR DELETE ON users FOR EACH STATEMENT
    WHEN (current_setting('session_replication_role') = 'replica') EXECUTE FUNCTION users_statement_ended();
CREATE TRIGGER users_applied AFTER INSERT OR UPDATE OR DELETE ON users FOR EACH ROW
    WHEN (current_setting('session_replication_role') = 'replica'
        AND current_setting('larder.statement_on_users', TRUE) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION users_applied();
-- At the commit, so once a transaction, however many rows it changes.
CREATE CONSTRAINT TRIGGER users_to_count_counted AFTER INSERT ON users_to_count DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.is_first) EXECUTE FUNCTION users_to_count_counted();

-- What a deactivation ends, the apply worker brings as rows of their own tables. Done here too, it would end what came later:
-- while tables are first copied, one may be ahead of another.
CREATE OR REPLACE TRIGGER users_deactivated AFTER UPDATE ON users FOR EACH ROW
    WHEN (OLD.is_active AND NOT NEW.is_active AND (current_setting('session_replication_role') <> 'replica'
        OR current_setting('larder.statement_on_users', TRUE) IS NOT DISTINCT FROM 'on'))
    EXECUTE FUNCTION users_deactivated();
CREATE OR REPLACE TRIGGER users_deactivated_keys AFTER UPDATE ON users FOR EACH ROW
    WHEN (OLD.is_active AND NOT NEW.is_active AND (current_setting('session_replication_role') <> 'replica'
        OR current_setting('larder.statement_on_users', TRUE) IS NOT DISTINCT FROM 'on'))
    EXECUTE FUNCTION users_deactivated_keys();

-- Balances and bookings that a restore brings were booked where they were made. pg_trigger_depth() > 0: what a trigger books it
-- books as the owner, and so rows_are_brought() would say nothing about the role that fired it.
CREATE OR REPLACE TRIGGER users_points_inserted BEFORE INSERT ON users FOR EACH ROW
    WHEN (NEW.points <> 0 AND pg_trigger_depth() = 0 AND NOT rows_are_brought()) EXECUTE FUNCTION users_points_kept();
CREATE OR REPLACE TRIGGER points_ledger_booked AFTER INSERT ON points_ledger REFERENCING NEW TABLE AS booked
    FOR EACH STATEMENT
    WHEN (pg_trigger_depth() > 0 OR current_setting('check_function_bodies') = 'on' OR NOT rows_are_brought())
    EXECUTE FUNCTION points_ledger_booked();
CREATE OR REPLACE TRIGGER achievements_booked AFTER INSERT ON achievements FOR EACH ROW
    WHEN (NEW.points > 0 AND (current_setting('check_function_bodies') = 'on' OR NOT rows_are_brought()))
    EXECUTE FUNCTION achievements_booked();

-- Counts are made here, from the users that come. Brought ones would be counted twice, and in either order: a dump has them
-- before its users or after. So of brought counts only the key is kept: a schema that was restored without data has none
-- of the 96 rows that are always there.
CREATE FUNCTION user_counts_brought() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO user_counts (shard, role, is_active) VALUES (NEW.shard, NEW.role, NEW.is_active) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE FUNCTION counts_brought() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    RETURN NULL;
END $$;
-- pg_trigger_depth() = 0: not what the triggers on users write. A hand that mends counts makes its rows.
CREATE TRIGGER user_counts_brought BEFORE INSERT ON user_counts FOR EACH ROW
    WHEN (pg_trigger_depth() = 0 AND rows_are_brought()) EXECUTE FUNCTION user_counts_brought();
CREATE TRIGGER user_counts_applied BEFORE UPDATE OR DELETE ON user_counts FOR EACH ROW
    WHEN (pg_trigger_depth() = 0 AND current_setting('session_replication_role') = 'replica')
    EXECUTE FUNCTION counts_brought();
CREATE TRIGGER user_days_brought BEFORE INSERT ON user_days FOR EACH ROW
    WHEN (pg_trigger_depth() = 0 AND rows_are_brought()) EXECUTE FUNCTION counts_brought();
CREATE TRIGGER user_days_applied BEFORE UPDATE OR DELETE ON user_days FOR EACH ROW
    WHEN (pg_trigger_depth() = 0 AND current_setting('session_replication_role') = 'replica')
    EXECUTE FUNCTION counts_brought();
CREATE TRIGGER points_counts_brought BEFORE INSERT ON points_counts FOR EACH ROW
    WHEN (pg_trigger_depth() = 0 AND rows_are_brought()) EXECUTE FUNCTION counts_brought();
CREATE TRIGGER points_counts_applied BEFORE UPDATE OR DELETE ON points_counts FOR EACH ROW
    WHEN (pg_trigger_depth() = 0 AND current_setting('session_replication_role') = 'replica')
    EXECUTE FUNCTION counts_brought();

-- A copy of a database is the same installation: tokens name it.
CREATE FUNCTION installation_brought() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    UPDATE installation SET id = NEW.id;
    IF FOUND THEN
        RETURN NULL;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER installation_brought BEFORE INSERT ON installation FOR EACH ROW
    WHEN (pg_trigger_depth() = 0 AND rows_are_brought()) EXECUTE FUNCTION installation_brought();

-- A service that ran here has made a key of its own. Tokens that it signed stay good; the brought key signs from now on.
CREATE FUNCTION signing_keys_brought() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    UPDATE signing_keys SET retired_at = (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT
        WHERE algorithm = NEW.algorithm AND retired_at IS NULL AND kid <> NEW.kid;
    RETURN NEW;
END $$;
CREATE TRIGGER signing_keys_brought BEFORE INSERT ON signing_keys FOR EACH ROW
    WHEN (NEW.retired_at IS NULL AND rows_are_brought()) EXECUTE FUNCTION signing_keys_brought();

-- What was migrated here is known here.
CREATE FUNCTION migrations_brought() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM _sqlx_migrations WHERE version = NEW.version) THEN
        RETURN NULL;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER migrations_brought BEFORE INSERT ON _sqlx_migrations FOR EACH ROW
    WHEN (rows_are_brought()) EXECUTE FUNCTION migrations_brought();

-- For hands: after triggers were off, as during `pg_restore --disable-triggers`, the counts are made anew, and triggers that
-- lost their ALWAYS get it back. Writers of users wait meanwhile; readers do not.
CREATE FUNCTION larder_recount() RETURNS VOID LANGUAGE plpgsql AS $$
DECLARE
    lost RECORD;
BEGIN
    -- SHARE ROW EXCLUSIVE: no other transaction changes users until the commit, so what is counted stays true.
    LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE;
    DELETE FROM users_to_count;
    UPDATE user_counts SET users = 0, points = 0;
    INSERT INTO user_counts (shard, role, is_active)
        SELECT shard, role, is_active
        FROM generate_series(0, 15) AS shard, unnest(ARRAY['user', 'admin', 'superadmin']) AS role,
             unnest(ARRAY[TRUE, FALSE]) AS is_active
        ON CONFLICT DO NOTHING;
    INSERT INTO user_counts AS kept (shard, role, is_active, users, points)
        SELECT strpos('0123456789abcdef', right(id, 1)) - 1, role, is_active, COUNT(*), SUM(points)
        FROM users GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
        ON CONFLICT (shard, role, is_active) DO UPDATE SET users = EXCLUDED.users, points = EXCLUDED.points;
    DELETE FROM user_days;
    INSERT INTO user_days (day, shard, users)
        SELECT created_at / 86400000000, strpos('0123456789abcdef', right(id, 1)) - 1, COUNT(*) FROM users GROUP BY 1, 2;
    DELETE FROM points_counts;
    INSERT INTO points_counts (level, prefix, shard, total)
        SELECT level, points >> (4 * level), strpos('0123456789abcdef', right(id, 1)) - 1, COUNT(*)
        FROM users, generate_series(0, 9) AS level
        WHERE is_active AND points > 0 AND (points >> (4 * level)) & 15 <> 0
        GROUP BY 1, 2, 3;
    FOR lost IN
        SELECT tgrelid::REGCLASS AS of_table, tgname FROM pg_trigger
        WHERE tgenabled <> 'A' AND NOT tgisinternal
            AND obj_description(oid, 'pg_trigger') = 'larder: ENABLE ALWAYS'
    LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', lost.of_table, lost.tgname);
    END LOOP;
END $$;

-- ALWAYS: also under session_replication_role = replica, which is that of the apply worker. Those from before have it already;
-- the comment tells larder_recount() which are to have it.
DO $migration$
DECLARE
    always RECORD;
BEGIN
    FOR always IN
        SELECT column1 AS of_table, column2 AS name FROM (VALUES
            ('users', 'users_versioned'), ('users', 'users_inserted'), ('users', 'users_updated'),
            ('users', 'users_deleted'), ('users', 'users_truncated'), ('users', 'users_points_counted_inserted'),
            ('users', 'users_points_counted_updated'), ('users', 'users_points_counted_deleted'),
            ('users', 'users_points_counted_truncated'), ('users', 'users_deactivated'),
            ('users', 'users_deactivated_keys'), ('users', 'users_statement_begun'),
            ('users', 'users_statement_ended'), ('users', 'users_applied'),
            ('users_to_count', 'users_to_count_counted'),
            ('user_counts', 'user_counts_brought'), ('user_counts', 'user_counts_applied'),
            ('user_days', 'user_days_brought'), ('user_days', 'user_days_applied'),
            ('points_counts', 'points_counts_brought'), ('points_counts', 'points_counts_applied'),
            ('audit_log', 'audit_log_row_kept'), ('audit_log', 'audit_log_kept'), ('api_keys', 'api_keys_fixed'),
            ('installation', 'installation_brought'), ('signing_keys', 'signing_keys_brought'),
            ('_sqlx_migrations', 'migrations_brought')
        ) AS wanted
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER %I', always.of_table, always.name);
        EXECUTE format('COMMENT ON TRIGGER %I ON %I IS %L', always.name, always.of_table, 'larder: ENABLE ALWAYS');
    END LOOP;
END $migration$;

-- What the service could not read is refused, column by column and only where the column is written. Not as CHECKs, which
-- judge the whole row at each of its changes: a row from before would fail every UPDATE that passes over it, of points as of
-- is_active, and end the apply worker of a replica for good. A brought row is not judged either: it costs itself.
CREATE FUNCTION row_refused() RETURNS TRIGGER LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'new row for relation "%" violates check "%": larder could not read its %',
        TG_TABLE_NAME, TG_ARGV[1], TG_ARGV[0]
        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME, COLUMN = TG_ARGV[0], CONSTRAINT = TG_ARGV[1];
END $$;

-- NULL passes, as with a CHECK. Ids are compared with patterns, because a cast to UUID would raise an error of its own.
DO $migration$
DECLARE
    uuid CONSTANT TEXT := '%1$s ~ ''^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$''';
    uuid_7 CONSTANT TEXT := '%1$s ~ ''^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$''';
    -- A place in a list holds it: see src/domain/cursor.rs.
    place CONSTANT TEXT := 'octet_length(%1$s) BETWEEN 1 AND 254';
    -- strict: a filter would otherwise look into a list within the list. Silent: that it is a list is another check's business.
    texts CONSTANT TEXT := '%1$s = ''[]''
        OR NOT jsonb_path_exists(%1$s::JSONB, ''strict $[*] ? (@.type() != "string")'', silent => TRUE)';
    checked RECORD;
BEGIN
    FOR checked IN
        SELECT column1 AS of_table, column2 AS name, column3 AS is_readable FROM (VALUES
            ('users', 'id', uuid_7),
            ('users', 'email', place),
            ('users', 'username', place),
            ('users', 'skills', texts),
            -- The years 1 to 9999, which RFC 3339 can say.
            ('users', 'created_at', '%1$s BETWEEN -62135596800000000 AND 253402128000000000'),
            ('interests', 'interests', texts),
            ('languages', 'languages', '%1$s = ''[]''
                OR NOT jsonb_path_exists(%1$s::JSONB, ''strict $[*] ? (@.type() != "object")'', silent => TRUE)
                AND NOT jsonb_path_exists(%1$s::JSONB, ''$[*] ? (!(@.type() == "object" && @.code.type() == "string" && @.level.type() == "string"
                && (@.level == "basic" || @.level == "conversational" || @.level == "fluent" || @.level == "native")))'')'),
            ('sessions', 'id', uuid),
            ('sessions', 'user_id', uuid_7),
            ('totp', 'secret', '%1$s ~ ''^(plain|sealed)[.][A-Za-z0-9+/]+=*$'''),
            ('api_keys', 'id', '%1$s ~ ''^[0-9a-f]{16}$'''),
            ('api_keys', 'scopes', '%1$s ~ ''^((read|write|introspect)( (read|write|introspect))*)?$'''),
            ('achievements', 'id', uuid_7),
            ('points_ledger', 'id', uuid_7),
            ('audit_log', 'id', uuid),
            ('audit_log', 'actor_id', uuid_7),
            ('audit_log', 'target_id', uuid_7),
            ('audit_log', 'details', 'jsonb_typeof(%1$s::JSONB) = ''object'''),
            ('user_counts', 'role', '%1$s IN (''user'', ''admin'', ''superadmin'')')
        ) AS columns
    LOOP
        EXECUTE format(
            'CREATE TRIGGER %1$I BEFORE INSERT OR UPDATE OF %2$I ON %3$I FOR EACH ROW
                WHEN (NOT (%4$s) AND NOT rows_are_brought()) EXECUTE FUNCTION row_refused(%2$L, %5$L)',
            checked.of_table || '_' || checked.name || '_readable',
            checked.name,
            checked.of_table,
            format(checked.is_readable, format('NEW.%I', checked.name)),
            checked.of_table || '_' || checked.name || '_check'
        );
    END LOOP;
END $migration$;

-- These have their search path pinned, and run with the rights of their owner: a writer of a table needs no right to what
-- follows. pg_temp stands last, because otherwise it is searched first, and every role may create there. Only the owner may
-- execute them, because a role could hang them on a table of its own. Firing a trigger asks for no such right.
DO $migration$
DECLARE
    home CONSTANT NAME := (
        SELECT nspname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
        WHERE pg_class.oid = 'users'::REGCLASS
    );
    name TEXT;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'users_counted', 'users_recounted', 'users_truncated', 'users_deactivated', 'users_deactivated_keys',
        'points_ledger_locked', 'points_ledger_booked', 'points_ledger_kept', 'points_counted', 'points_counts_truncated',
        'achievements_booked', 'users_applied', 'users_to_count_counted', 'user_counts_brought', 'installation_brought',
        'signing_keys_brought', 'migrations_brought', 'larder_recount'
    ] LOOP
        EXECUTE format('ALTER FUNCTION %I.%I() SECURITY DEFINER SET search_path = pg_catalog, %1$I, pg_temp', home, name);
        EXECUTE format('REVOKE ALL ON FUNCTION %I.%I() FROM PUBLIC', home, name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY[
        'audit_log_kept', 'api_keys_fixed', 'users_points_kept', 'counts_brought', 'users_statement_begun',
        'users_statement_ended'
    ] LOOP
        EXECUTE format('ALTER FUNCTION %I.%I() SET search_path = pg_catalog, pg_temp', home, name);
    END LOOP;
    -- Run with the rights of who writes, which a careful database may have taken from PUBLIC by default.
    EXECUTE format(
        'GRANT EXECUTE ON FUNCTION %1$I.uuid_of_now(), %1$I.users_folded(TEXT), %1$I.users_grams(TEXT, TEXT, TEXT),
            %1$I.users_grams_of(TEXT, TEXT), %1$I.rows_are_brought() TO PUBLIC',
        home
    );
END $migration$;
