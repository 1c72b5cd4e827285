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
    role        TEXT NOT NULL DEFAULT 'user',
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

CREATE INDEX users_newest_first ON users (created_at DESC, id DESC);

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

-- How many users there are, without counting them: 16 shards, so that writers seldom meet. An id belongs to the
-- shard of its last digit.
CREATE TABLE user_totals (
    shard INTEGER PRIMARY KEY,
    total BIGINT NOT NULL DEFAULT 0
);
INSERT INTO user_totals (shard) SELECT generate_series(0, 15);

CREATE FUNCTION users_counted() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    -- Locked in the order of the shards, so that two statements never wait for each other in a circle.
    PERFORM 1 FROM user_totals
        WHERE shard IN (SELECT strpos('0123456789abcdef', right(id, 1)) - 1 FROM changed)
        ORDER BY shard FOR UPDATE;
    UPDATE user_totals
        SET total = total + CASE TG_OP WHEN 'INSERT' THEN counted.rows ELSE -counted.rows END
        FROM (
            SELECT strpos('0123456789abcdef', right(id, 1)) - 1 AS shard, COUNT(*) AS rows FROM changed GROUP BY 1
        ) AS counted
        WHERE user_totals.shard = counted.shard;
    RETURN NULL;
END $$;

CREATE FUNCTION users_truncated() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    UPDATE user_totals SET total = 0;
    RETURN NULL;
END $$;

CREATE TRIGGER users_inserted AFTER INSERT ON users REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION users_counted();
CREATE TRIGGER users_deleted AFTER DELETE ON users REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION users_counted();
CREATE TRIGGER users_truncated AFTER TRUNCATE ON users
    FOR EACH STATEMENT EXECUTE FUNCTION users_truncated();
ALTER TABLE users ENABLE ALWAYS TRIGGER users_inserted;
ALTER TABLE users ENABLE ALWAYS TRIGGER users_deleted;
ALTER TABLE users ENABLE ALWAYS TRIGGER users_truncated;
