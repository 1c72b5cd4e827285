-- Users, their versions, and how many there are. Everything here also works in the sqlite3 shell of Debian 12
-- (3.40), because foreign software writes with what it has.

CREATE TABLE users (
    -- What the search index knows a user by; VACUUM leaves it as it is.
    number      INTEGER PRIMARY KEY,
    id          TEXT NOT NULL UNIQUE,
    external_id TEXT,
    email       TEXT NOT NULL,
    username    TEXT NOT NULL,
    phone       TEXT,
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
    -- strftime's %f is the seconds with three digits after the point.
    created_at  BIGINT NOT NULL
        DEFAULT (CAST(strftime('%s') AS BIGINT) * 1000000 + CAST(substr(strftime('%f'), 4) AS BIGINT) * 1000),
    updated_at  BIGINT NOT NULL
        DEFAULT (CAST(strftime('%s') AS BIGINT) * 1000000 + CAST(substr(strftime('%f'), 4) AS BIGINT) * 1000),
    version     BIGINT NOT NULL DEFAULT 1,
    CONSTRAINT users_external_id_key UNIQUE (external_id),
    CONSTRAINT users_email_key UNIQUE (email),
    CONSTRAINT users_username_key UNIQUE (username),
    CONSTRAINT users_phone_key UNIQUE (phone),
    CONSTRAINT users_id_check CHECK (length(id) = 36 AND id = lower(id) AND substr(id, 15, 1) = '7'),
    CONSTRAINT users_email_check CHECK (email = lower(email)),
    CONSTRAINT users_username_check CHECK (username = lower(username)),
    CONSTRAINT users_skills_check CHECK (json_valid(skills) AND json_type(skills) = 'array'),
    CONSTRAINT users_points_check CHECK (points BETWEEN 0 AND 1099511627775),
    CONSTRAINT users_role_check CHECK (role IN ('user', 'admin', 'superadmin')),
    CONSTRAINT users_is_active_check CHECK (is_active IN (0, 1)),
    CONSTRAINT users_version_check CHECK (version >= 1)
);

-- A list is merged from at most six of these ordered runs, one for each role and status, so that no filter makes it walk
-- over users that it does not show. None holds updated_at, as on PostgreSQL.
CREATE INDEX users_by_created_at ON users (role, is_active, created_at, id);
CREATE INDEX users_by_username ON users (role, is_active, username, id);
CREATE INDEX users_by_email ON users (role, is_active, email, id);
CREATE INDEX users_by_points ON users (role, is_active, points, id);

-- Whoever changes a row, its version rises by one; a version set by hand is ignored.
-- A trigger of SQLite cannot change NEW, so it updates the row once more. The mark keeps it from answering its own
-- update, whether recursive_triggers is on (larder) or off (the shell).
CREATE TABLE users_versioning (
    id TEXT NOT NULL PRIMARY KEY
);
CREATE TRIGGER users_versioned AFTER UPDATE ON users
    WHEN NOT EXISTS (SELECT 1 FROM users_versioning WHERE id = NEW.id)
BEGIN
    INSERT INTO users_versioning (id) VALUES (NEW.id);
    UPDATE users SET
        version = OLD.version + 1,
        updated_at = max(
            OLD.updated_at,
            CAST(strftime('%s') AS BIGINT) * 1000000 + CAST(substr(strftime('%f'), 4) AS BIGINT) * 1000
        )
        WHERE id = NEW.id;
    DELETE FROM users_versioning WHERE id = NEW.id;
END;

-- How many users there are and how many points they have, without counting them. Sharded as on PostgreSQL, so that one
-- query serves both.
CREATE TABLE user_counts (
    shard     INTEGER NOT NULL,
    role      TEXT NOT NULL,
    is_active BOOLEAN NOT NULL,
    users     BIGINT NOT NULL DEFAULT 0,
    points    BIGINT NOT NULL DEFAULT 0,
    CONSTRAINT user_counts_shard_key PRIMARY KEY (shard, role, is_active)
);
WITH RECURSIVE shards (shard) AS (SELECT 0 UNION ALL SELECT shard + 1 FROM shards WHERE shard < 15)
INSERT INTO user_counts (shard, role, is_active)
    SELECT shard, role, is_active FROM shards
    CROSS JOIN (SELECT 'user' AS role UNION ALL SELECT 'admin' UNION ALL SELECT 'superadmin')
    CROSS JOIN (SELECT 1 AS is_active UNION ALL SELECT 0);

-- Of the users that there are, how many were created on a day: its number since 1970, in UTC.
CREATE TABLE user_days (
    day   BIGINT NOT NULL,
    shard INTEGER NOT NULL,
    users BIGINT NOT NULL,
    CONSTRAINT user_days_day_key PRIMARY KEY (day, shard)
);

CREATE TRIGGER users_inserted AFTER INSERT ON users BEGIN
    UPDATE user_counts SET users = users + 1, points = points + NEW.points
        WHERE shard = instr('0123456789abcdef', substr(NEW.id, -1)) - 1 AND role = NEW.role AND is_active = NEW.is_active;
    INSERT INTO user_days (day, shard, users)
        VALUES (NEW.created_at / 86400000000, instr('0123456789abcdef', substr(NEW.id, -1)) - 1, 1)
        ON CONFLICT (day, shard) DO UPDATE SET users = users + EXCLUDED.users;
END;
CREATE TRIGGER users_deleted AFTER DELETE ON users BEGIN
    UPDATE user_counts SET users = users - 1, points = points - OLD.points
        WHERE shard = instr('0123456789abcdef', substr(OLD.id, -1)) - 1 AND role = OLD.role AND is_active = OLD.is_active;
    INSERT INTO user_days (day, shard, users)
        VALUES (OLD.created_at / 86400000000, instr('0123456789abcdef', substr(OLD.id, -1)) - 1, -1)
        ON CONFLICT (day, shard) DO UPDATE SET users = users + EXCLUDED.users;
END;
CREATE TRIGGER users_counted AFTER UPDATE OF id, role, is_active, points ON users
    WHEN OLD.id <> NEW.id OR OLD.role <> NEW.role OR OLD.is_active <> NEW.is_active OR OLD.points <> NEW.points
BEGIN
    UPDATE user_counts SET users = users - 1, points = points - OLD.points
        WHERE shard = instr('0123456789abcdef', substr(OLD.id, -1)) - 1 AND role = OLD.role AND is_active = OLD.is_active;
    UPDATE user_counts SET users = users + 1, points = points + NEW.points
        WHERE shard = instr('0123456789abcdef', substr(NEW.id, -1)) - 1 AND role = NEW.role AND is_active = NEW.is_active;
END;
CREATE TRIGGER users_moved AFTER UPDATE OF id, created_at ON users
    WHEN OLD.id <> NEW.id OR OLD.created_at <> NEW.created_at
BEGIN
    INSERT INTO user_days (day, shard, users)
        VALUES (OLD.created_at / 86400000000, instr('0123456789abcdef', substr(OLD.id, -1)) - 1, -1)
        ON CONFLICT (day, shard) DO UPDATE SET users = users + EXCLUDED.users;
    INSERT INTO user_days (day, shard, users)
        VALUES (NEW.created_at / 86400000000, instr('0123456789abcdef', substr(NEW.id, -1)) - 1, 1)
        ON CONFLICT (day, shard) DO UPDATE SET users = users + EXCLUDED.users;
END;
