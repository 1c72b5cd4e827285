-- Users, their versions, and how many there are. Everything here also works in the sqlite3 shell of Debian 12
-- (3.40), because foreign software writes with what it has.

CREATE TABLE users (
    id          TEXT NOT NULL PRIMARY KEY,
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

CREATE INDEX users_newest_first ON users (created_at DESC, id DESC);

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

-- How many users there are, without counting them. Sharded as on PostgreSQL, so that one query serves both.
CREATE TABLE user_totals (
    shard INTEGER PRIMARY KEY,
    total BIGINT NOT NULL DEFAULT 0
);
INSERT INTO user_totals (shard)
    VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9), (10), (11), (12), (13), (14), (15);

CREATE TRIGGER users_inserted AFTER INSERT ON users BEGIN
    UPDATE user_totals SET total = total + 1 WHERE shard = instr('0123456789abcdef', substr(NEW.id, -1)) - 1;
END;
CREATE TRIGGER users_deleted AFTER DELETE ON users BEGIN
    UPDATE user_totals SET total = total - 1 WHERE shard = instr('0123456789abcdef', substr(OLD.id, -1)) - 1;
END;
