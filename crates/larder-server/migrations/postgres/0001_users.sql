-- Users, their versions, and how many there are.
-- A UNIQUE constraint is named <table>_<column>_key: larder-sql reads the column from it.

CREATE TABLE users (
    id          TEXT COLLATE "C" PRIMARY KEY,
    external_id TEXT COLLATE "C",
    email       TEXT COLLATE "C" NOT NULL,
    username    TEXT COLLATE "C" NOT NULL,
    phone       TEXT COLLATE "C",
    full_name   TEXT,
    bio         TEXT,
    occupation  TEXT,
    location    TEXT,
    avatar_url  TEXT,
    skills      TEXT NOT NULL DEFAULT '[]',
    experience  TEXT,
    -- The sum of the ledger of points, kept by its triggers.
    points      BIGINT NOT NULL DEFAULT 0,
    role        TEXT COLLATE "C" NOT NULL DEFAULT 'user',
    is_active   BOOLEAN NOT NULL DEFAULT TRUE,
    created_at  BIGINT NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT,
    updated_at  BIGINT NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT,
    version     BIGINT NOT NULL DEFAULT 1,
    CONSTRAINT users_external_id_key UNIQUE (external_id),
    CONSTRAINT users_email_key UNIQUE (email),
    CONSTRAINT users_username_key UNIQUE (username),
    CONSTRAINT users_phone_key UNIQUE (phone),
    CONSTRAINT users_id_check CHECK (length(id) = 36 AND id = lower(id) AND substr(id, 15, 1) = '7'),
    CONSTRAINT users_email_check CHECK (email = lower(email)),
    CONSTRAINT users_username_check CHECK (username = lower(username)),
    CONSTRAINT users_skills_check CHECK (json_typeof(skills::JSON) = 'array'),
    CONSTRAINT users_points_check CHECK (points BETWEEN 0 AND 1099511627775),
    CONSTRAINT users_role_check CHECK (role IN ('user', 'admin', 'superadmin')),
    CONSTRAINT users_version_check CHECK (version >= 1)
);

-- A list is merged from at most six of these ordered runs, one for each role and status, so that no filter makes it walk
-- over users that it does not show. None holds updated_at: then every change of a user would rewrite every index.
CREATE INDEX users_by_created_at ON users (role, is_active, created_at, id);
CREATE INDEX users_by_username ON users (role, is_active, username, id);
CREATE INDEX users_by_email ON users (role, is_active, email, id);
CREATE INDEX users_by_points ON users (role, is_active, points, id);

-- Whoever changes a row, its version rises by one; a version set by hand is ignored.
CREATE FUNCTION users_versioned() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    NEW.version := OLD.version + 1;
    NEW.updated_at := GREATEST(OLD.updated_at, (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT);
    RETURN NEW;
END $$;

CREATE TRIGGER users_versioned BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION users_versioned();
-- ALWAYS: also under session_replication_role = replica.
ALTER TABLE users ENABLE ALWAYS TRIGGER users_versioned;

-- How many users there are and how many points they have, without counting them: 16 shards, so that writers seldom meet.
-- An id belongs to the shard of its last digit.
CREATE TABLE user_counts (
    shard     INTEGER NOT NULL,
    role      TEXT COLLATE "C" NOT NULL,
    is_active BOOLEAN NOT NULL,
    users     BIGINT NOT NULL DEFAULT 0,
    points    BIGINT NOT NULL DEFAULT 0,
    CONSTRAINT user_counts_shard_key PRIMARY KEY (shard, role, is_active)
);
INSERT INTO user_counts (shard, role, is_active)
    SELECT shard, role, is_active
    FROM generate_series(0, 15) AS shard,
         unnest(ARRAY['user', 'admin', 'superadmin']) AS role,
         unnest(ARRAY[TRUE, FALSE]) AS is_active;

-- Of the users that there are, how many were created on a day: its number since 1970, in UTC.
CREATE TABLE user_days (
    day   BIGINT NOT NULL,
    shard INTEGER NOT NULL,
    users BIGINT NOT NULL,
    CONSTRAINT user_days_day_key PRIMARY KEY (day, shard)
);

-- Both take rows in the order of the key, and days after counts, so that two statements never wait for each other in a
-- circle. ON CONFLICT is how one statement locks and changes in an order; the rows of user_counts are always there.
CREATE FUNCTION users_counted() RETURNS TRIGGER LANGUAGE plpgsql AS $$
DECLARE
    sign BIGINT := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    INSERT INTO user_counts AS kept (shard, role, is_active, users, points)
        SELECT strpos('0123456789abcdef', right(id, 1)) - 1, role, is_active, sign * COUNT(*), sign * SUM(points)
        FROM changed GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
        ON CONFLICT (shard, role, is_active)
        DO UPDATE SET users = kept.users + EXCLUDED.users, points = kept.points + EXCLUDED.points;
    INSERT INTO user_days AS kept (day, shard, users)
        SELECT created_at / 86400000000, strpos('0123456789abcdef', right(id, 1)) - 1, sign * COUNT(*)
        FROM changed GROUP BY 1, 2 ORDER BY 1, 2
        ON CONFLICT (day, shard) DO UPDATE SET users = kept.users + EXCLUDED.users;
    RETURN NULL;
END $$;

-- Most updates change nothing that is counted, and must not touch what all writers share.
CREATE FUNCTION users_recounted() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT 1 FROM old_users FULL JOIN new_users USING (id)
        WHERE (old_users.role, old_users.is_active, old_users.points, old_users.created_at)
            IS DISTINCT FROM (new_users.role, new_users.is_active, new_users.points, new_users.created_at)
    ) THEN
        RETURN NULL;
    END IF;
    INSERT INTO user_counts AS kept (shard, role, is_active, users, points)
        SELECT strpos('0123456789abcdef', right(id, 1)) - 1, role, is_active, SUM(users), SUM(points)
        FROM (
            SELECT id, role, is_active, -1 AS users, -points AS points FROM old_users
            UNION ALL
            SELECT id, role, is_active, 1, points FROM new_users
        ) AS changed
        -- Those that come out even too: whoever takes days holds the counts of their shards.
        GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
        ON CONFLICT (shard, role, is_active)
        DO UPDATE SET users = kept.users + EXCLUDED.users, points = kept.points + EXCLUDED.points;
    INSERT INTO user_days AS kept (day, shard, users)
        SELECT created_at / 86400000000, strpos('0123456789abcdef', right(id, 1)) - 1, SUM(users)
        FROM (
            SELECT id, created_at, -1 AS users FROM old_users UNION ALL SELECT id, created_at, 1 FROM new_users
        ) AS changed
        GROUP BY 1, 2 HAVING SUM(users) <> 0 ORDER BY 1, 2
        ON CONFLICT (day, shard) DO UPDATE SET users = kept.users + EXCLUDED.users;
    RETURN NULL;
END $$;

CREATE FUNCTION users_truncated() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    UPDATE user_counts SET users = 0, points = 0;
    DELETE FROM user_days;
    RETURN NULL;
END $$;

CREATE TRIGGER users_inserted AFTER INSERT ON users REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION users_counted();
CREATE TRIGGER users_updated AFTER UPDATE ON users REFERENCING OLD TABLE AS old_users NEW TABLE AS new_users
    FOR EACH STATEMENT EXECUTE FUNCTION users_recounted();
CREATE TRIGGER users_deleted AFTER DELETE ON users REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION users_counted();
CREATE TRIGGER users_truncated AFTER TRUNCATE ON users
    FOR EACH STATEMENT EXECUTE FUNCTION users_truncated();
ALTER TABLE users ENABLE ALWAYS TRIGGER users_inserted;
ALTER TABLE users ENABLE ALWAYS TRIGGER users_updated;
ALTER TABLE users ENABLE ALWAYS TRIGGER users_deleted;
ALTER TABLE users ENABLE ALWAYS TRIGGER users_truncated;
