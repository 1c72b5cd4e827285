-- Points as an append-only ledger, ranks from counts, achievements, permissions.
-- Each function looks for tables where they were created, whatever the search path of who fires its trigger.

-- The default for ids of rows that other software writes.
CREATE FUNCTION uuid_of_now() RETURNS TEXT LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    millis BIGINT := (extract(epoch FROM clock_timestamp()) * 1000)::BIGINT;
BEGIN
    RETURN lpad(to_hex(millis >> 16), 8, '0') || '-' || lpad(to_hex(millis & 65535), 4, '0') || '-7'
        || substr(gen_random_uuid()::TEXT, 16);
END $$;

-- users.points is the sum of a user's rows. To book points is to insert a row here, whoever does it.
-- actor_id has no foreign key: a ledger says who booked also when that user is gone.
CREATE TABLE points_ledger (
    id              TEXT COLLATE "C" PRIMARY KEY DEFAULT uuid_of_now(),
    user_id         TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    amount          BIGINT NOT NULL,
    reason          TEXT NOT NULL,
    idempotency_key TEXT COLLATE "C" NOT NULL DEFAULT uuid_of_now(),
    actor_id        TEXT COLLATE "C",
    created_at      BIGINT NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT,
    CONSTRAINT points_ledger_idempotency_key_key UNIQUE (idempotency_key),
    CONSTRAINT points_ledger_id_check CHECK (length(id) = 36 AND id = lower(id) AND substr(id, 15, 1) = '7'),
    CONSTRAINT points_ledger_amount_check
        CHECK (amount <> 0 AND amount BETWEEN -1099511627775 AND 1099511627775)
);
CREATE INDEX points_ledger_of_user ON points_ledger (user_id, id DESC);

-- The user's row is locked before the key is taken, as the service does: the other way round, two bookings with
-- one key could wait for each other in a circle.
CREATE FUNCTION points_ledger_locked() RETURNS TRIGGER LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM 1 FROM users WHERE id = NEW.user_id FOR NO KEY UPDATE;
    RETURN NEW;
END $$;

-- Once a statement, so that the counts of all its users are locked in their order.
CREATE FUNCTION points_ledger_booked() RETURNS TRIGGER LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE users SET points = users.points + sums.amount
        FROM (SELECT user_id, SUM(amount)::BIGINT AS amount FROM booked GROUP BY user_id) AS sums
        WHERE users.id = sums.user_id AND sums.amount <> 0;
    RETURN NULL;
END $$;

-- Rows go with their user and in no other way.
CREATE FUNCTION points_ledger_kept() RETURNS TRIGGER LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF NOT EXISTS (SELECT 1 FROM users WHERE id = OLD.user_id) THEN
            RETURN OLD;
        END IF;
    ELSIF TG_OP = 'TRUNCATE' THEN
        -- Empty when they were truncated together.
        IF NOT EXISTS (SELECT 1 FROM users) THEN
            RETURN NULL;
        END IF;
    END IF;
    RAISE EXCEPTION 'points_ledger is append-only: book the opposite amount instead'
        USING ERRCODE = 'restrict_violation';
END $$;

-- A balance follows from the ledger and is set in no other way.
CREATE FUNCTION users_points_kept() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'users.points is the sum of points_ledger: insert a row there instead'
        USING ERRCODE = 'restrict_violation';
END $$;

-- Not ALWAYS, as the triggers on users are: rows that replication brings were booked where they come from.
CREATE TRIGGER points_ledger_locked BEFORE INSERT ON points_ledger
    FOR EACH ROW EXECUTE FUNCTION points_ledger_locked();
CREATE TRIGGER points_ledger_booked AFTER INSERT ON points_ledger REFERENCING NEW TABLE AS booked
    FOR EACH STATEMENT EXECUTE FUNCTION points_ledger_booked();
CREATE TRIGGER points_ledger_kept BEFORE UPDATE OR DELETE ON points_ledger
    FOR EACH ROW EXECUTE FUNCTION points_ledger_kept();
CREATE TRIGGER points_ledger_truncated AFTER TRUNCATE ON points_ledger
    FOR EACH STATEMENT EXECUTE FUNCTION points_ledger_kept();
CREATE TRIGGER users_points_inserted BEFORE INSERT ON users
    FOR EACH ROW WHEN (NEW.points <> 0 AND pg_trigger_depth() = 0) EXECUTE FUNCTION users_points_kept();
CREATE TRIGGER users_points_updated BEFORE UPDATE ON users
    FOR EACH ROW WHEN (OLD.points <> NEW.points AND pg_trigger_depth() = 0) EXECUTE FUNCTION users_points_kept();

-- How many active users have points that begin with these hexadecimal digits: at level n, all but the last n of ten.
-- To have more points than somebody is to have, at exactly one level, the same digits before and a greater one there.
-- So the users before somebody are those of at most 15 prefixes at each of 10 levels, however many users there are.
-- Nobody asks for prefixes that end in 0, so they are not kept: a new user, who has no points, is counted nowhere.
-- 16 shards, so that writers seldom meet.
CREATE TABLE points_counts (
    level  INTEGER NOT NULL,
    prefix BIGINT NOT NULL,
    shard  INTEGER NOT NULL,
    total  BIGINT NOT NULL,
    PRIMARY KEY (level, prefix, shard)
);

CREATE FUNCTION points_counted() RETURNS TRIGGER LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    ids_before TEXT[];
    points_before BIGINT[];
    ids_after TEXT[];
    points_after BIGINT[];
    counted RECORD;
BEGIN
    IF TG_OP <> 'INSERT' THEN
        SELECT array_agg(id), array_agg(points) INTO ids_before, points_before
            FROM rows_before WHERE is_active AND points > 0;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        SELECT array_agg(id), array_agg(points) INTO ids_after, points_after
            FROM rows_after WHERE is_active AND points > 0;
    END IF;
    IF ids_before IS NULL AND ids_after IS NULL
        OR ids_before = ids_after AND points_before = points_after THEN
        RETURN NULL;
    END IF;
    FOR counted IN
        INSERT INTO points_counts AS present (level, prefix, shard, total)
        SELECT level, points >> (4 * level), strpos('0123456789abcdef', right(id, 1)) - 1, SUM(change)
            FROM (
                SELECT id, points, -1 AS change FROM unnest(ids_before, points_before) AS before (id, points)
                UNION ALL
                SELECT id, points, 1 FROM unnest(ids_after, points_after) AS after (id, points)
            ) AS changed, generate_series(0, 9) AS level
            WHERE (points >> (4 * level)) & 15 <> 0
            GROUP BY 1, 2, 3
            HAVING SUM(change) <> 0
            -- Two statements that lock in one order never wait for each other in a circle.
            ORDER BY 1, 2, 3
        ON CONFLICT (level, prefix, shard) DO UPDATE SET total = present.total + excluded.total
        RETURNING level, prefix, shard, total
    LOOP
        IF counted.total = 0 THEN
            DELETE FROM points_counts
                WHERE level = counted.level AND prefix = counted.prefix AND shard = counted.shard;
        END IF;
    END LOOP;
    RETURN NULL;
END $$;

CREATE FUNCTION points_counts_truncated() RETURNS TRIGGER LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    DELETE FROM points_counts;
    RETURN NULL;
END $$;

CREATE TRIGGER users_points_counted_inserted AFTER INSERT ON users REFERENCING NEW TABLE AS rows_after
    FOR EACH STATEMENT EXECUTE FUNCTION points_counted();
CREATE TRIGGER users_points_counted_updated AFTER UPDATE ON users
    REFERENCING OLD TABLE AS rows_before NEW TABLE AS rows_after
    FOR EACH STATEMENT EXECUTE FUNCTION points_counted();
CREATE TRIGGER users_points_counted_deleted AFTER DELETE ON users REFERENCING OLD TABLE AS rows_before
    FOR EACH STATEMENT EXECUTE FUNCTION points_counted();
CREATE TRIGGER users_points_counted_truncated AFTER TRUNCATE ON users
    FOR EACH STATEMENT EXECUTE FUNCTION points_counts_truncated();
ALTER TABLE users ENABLE ALWAYS TRIGGER users_points_counted_inserted;
ALTER TABLE users ENABLE ALWAYS TRIGGER users_points_counted_updated;
ALTER TABLE users ENABLE ALWAYS TRIGGER users_points_counted_deleted;
ALTER TABLE users ENABLE ALWAYS TRIGGER users_points_counted_truncated;

CREATE INDEX users_most_points_first ON users (points DESC, id) WHERE is_active;

CREATE TABLE achievements (
    id         TEXT COLLATE "C" PRIMARY KEY DEFAULT uuid_of_now(),
    user_id    TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    badge_type TEXT COLLATE "C" NOT NULL,
    data       TEXT NOT NULL DEFAULT '{}',
    points     BIGINT NOT NULL DEFAULT 0,
    awarded_by TEXT COLLATE "C",
    awarded_at BIGINT NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT,
    CONSTRAINT achievements_badge_type_key UNIQUE (user_id, badge_type),
    CONSTRAINT achievements_id_check CHECK (length(id) = 36 AND id = lower(id) AND substr(id, 15, 1) = '7'),
    CONSTRAINT achievements_badge_type_check CHECK (badge_type ~ '^[a-z0-9_.-]{1,64}$'),
    CONSTRAINT achievements_data_check
        CHECK (octet_length(data) <= 4096 AND json_typeof(data::JSON) = 'object'),
    CONSTRAINT achievements_points_check CHECK (points BETWEEN 0 AND 1099511627775)
);
CREATE INDEX achievements_newest_first ON achievements (awarded_at DESC, id DESC);
CREATE INDEX achievements_of_user ON achievements (user_id, awarded_at DESC, id DESC);

-- What an achievement is worth is booked with it, whoever awards it.
CREATE FUNCTION achievements_booked() RETURNS TRIGGER LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO points_ledger (user_id, amount, reason, idempotency_key, actor_id, created_at) VALUES (
        NEW.user_id, NEW.points, 'achievement ' || NEW.badge_type, 'achievement:' || NEW.id, NEW.awarded_by,
        NEW.awarded_at
    );
    RETURN NULL;
END $$;
CREATE TRIGGER achievements_booked AFTER INSERT ON achievements
    FOR EACH ROW WHEN (NEW.points > 0) EXECUTE FUNCTION achievements_booked();

CREATE TABLE permissions (
    user_id    TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    permission TEXT COLLATE "C" NOT NULL,
    granted_by TEXT COLLATE "C",
    granted_at BIGINT NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT,
    PRIMARY KEY (user_id, permission),
    CONSTRAINT permissions_permission_check CHECK (permission ~ '^[a-z0-9_.-]{1,64}$')
);
