-- Points as an append-only ledger, ranks from counts, achievements, permissions. The reasons stand in PostgreSQL's.

CREATE TABLE points_ledger (
    -- A UUID of version 7, for rows that other software writes.
    id              TEXT NOT NULL PRIMARY KEY DEFAULT (printf(
        '%08x-%04x-7%03x-%04x-%012x',
        (CAST(strftime('%s') AS BIGINT) * 1000 + CAST(substr(strftime('%f'), 4) AS BIGINT)) >> 16,
        (CAST(strftime('%s') AS BIGINT) * 1000 + CAST(substr(strftime('%f'), 4) AS BIGINT)) & 65535,
        random() & 4095,
        32768 + (random() & 16383),
        random() & 281474976710655
    )),
    user_id         TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    amount          BIGINT NOT NULL,
    reason          TEXT NOT NULL,
    idempotency_key TEXT NOT NULL DEFAULT (lower(hex(randomblob(16)))),
    actor_id        TEXT,
    created_at      BIGINT NOT NULL
        DEFAULT (CAST(strftime('%s') AS BIGINT) * 1000000 + CAST(substr(strftime('%f'), 4) AS BIGINT) * 1000),
    CONSTRAINT points_ledger_idempotency_key_key UNIQUE (idempotency_key),
    CONSTRAINT points_ledger_id_check CHECK (length(id) = 36 AND id = lower(id) AND substr(id, 15, 1) = '7'),
    CONSTRAINT points_ledger_amount_check CHECK (
        typeof(amount) = 'integer' AND amount <> 0 AND amount BETWEEN -1099511627775 AND 1099511627775
    )
);
CREATE INDEX points_ledger_of_user ON points_ledger (user_id, id DESC);

-- The mark tells the ledger's own update of a balance from others'.
CREATE TABLE points_booking (
    user_id TEXT NOT NULL PRIMARY KEY
);

-- RAISE and not the checks, for the conflict clause of a foreign INSERT OR IGNORE also rules inside its triggers.
CREATE TRIGGER points_ledger_booked AFTER INSERT ON points_ledger
BEGIN
    SELECT RAISE(ABORT, 'points_ledger: there is no such user')
        WHERE NOT EXISTS (SELECT 1 FROM users WHERE id = NEW.user_id);
    SELECT RAISE(ABORT, 'users_points_check: a balance may be 0 to 1099511627775')
        FROM users WHERE id = NEW.user_id AND points + NEW.amount NOT BETWEEN 0 AND 1099511627775;
    INSERT INTO points_booking (user_id) VALUES (NEW.user_id);
    UPDATE users SET points = points + NEW.amount WHERE id = NEW.user_id;
    DELETE FROM points_booking WHERE user_id = NEW.user_id;
END;

-- An INSERT OR REPLACE would delete a row without a word. It cannot be told from an INSERT OR IGNORE, so that is refused
-- too.
CREATE TRIGGER points_ledger_replaced BEFORE INSERT ON points_ledger
    WHEN EXISTS (SELECT 1 FROM points_ledger WHERE id = NEW.id OR idempotency_key = NEW.idempotency_key)
BEGIN
    SELECT RAISE(ABORT, 'points_ledger is append-only: this id or idempotency_key is taken already');
END;
CREATE TRIGGER points_ledger_updated BEFORE UPDATE ON points_ledger
BEGIN
    SELECT RAISE(ABORT, 'points_ledger is append-only: book the opposite amount instead');
END;
-- Rows go with their user and in no other way.
CREATE TRIGGER points_ledger_deleted BEFORE DELETE ON points_ledger
    WHEN EXISTS (SELECT 1 FROM users WHERE id = OLD.user_id)
BEGIN
    SELECT RAISE(ABORT, 'points_ledger is append-only: book the opposite amount instead');
END;

CREATE TRIGGER users_points_inserted BEFORE INSERT ON users WHEN NEW.points <> 0
BEGIN
    SELECT RAISE(ABORT, 'users.points is the sum of points_ledger: insert a row there instead');
END;
CREATE TRIGGER users_points_updated BEFORE UPDATE OF points ON users
    WHEN OLD.points <> NEW.points AND NOT EXISTS (SELECT 1 FROM points_booking WHERE user_id = OLD.id)
BEGIN
    SELECT RAISE(ABORT, 'users.points is the sum of points_ledger: insert a row there instead');
END;

-- How many active users have points that begin with these hexadecimal digits: at level n, all but the last n of ten.
CREATE TABLE points_counts (
    level  INTEGER NOT NULL,
    prefix BIGINT NOT NULL,
    shard  INTEGER NOT NULL,
    total  BIGINT NOT NULL,
    PRIMARY KEY (level, prefix, shard)
);

CREATE TRIGGER users_points_counted_updated AFTER UPDATE OF id, points, is_active ON users
    WHEN OLD.id <> NEW.id OR OLD.points <> NEW.points OR OLD.is_active <> NEW.is_active
BEGIN
    INSERT INTO points_counts (level, prefix, shard, total)
        SELECT column1, OLD.points >> (4 * column1), instr('0123456789abcdef', substr(OLD.id, -1)) - 1, -1
        FROM (VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9))
        WHERE OLD.is_active AND (OLD.points >> (4 * column1)) & 15 <> 0
            AND NOT (OLD.id = NEW.id AND OLD.is_active = NEW.is_active
                AND OLD.points >> (4 * column1) = NEW.points >> (4 * column1))
        ON CONFLICT (level, prefix, shard) DO UPDATE SET total = total + excluded.total;
    INSERT INTO points_counts (level, prefix, shard, total)
        SELECT column1, NEW.points >> (4 * column1), instr('0123456789abcdef', substr(NEW.id, -1)) - 1, 1
        FROM (VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9))
        WHERE NEW.is_active AND (NEW.points >> (4 * column1)) & 15 <> 0
            AND NOT (OLD.id = NEW.id AND OLD.is_active = NEW.is_active
                AND OLD.points >> (4 * column1) = NEW.points >> (4 * column1))
        ON CONFLICT (level, prefix, shard) DO UPDATE SET total = total + excluded.total;
    DELETE FROM points_counts WHERE total = 0 AND (level, prefix, shard) IN (
        SELECT column1, OLD.points >> (4 * column1), instr('0123456789abcdef', substr(OLD.id, -1)) - 1
        FROM (VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9))
    );
END;
CREATE TRIGGER users_points_counted_deleted AFTER DELETE ON users WHEN OLD.is_active AND OLD.points > 0
BEGIN
    INSERT INTO points_counts (level, prefix, shard, total)
        SELECT column1, OLD.points >> (4 * column1), instr('0123456789abcdef', substr(OLD.id, -1)) - 1, -1
        FROM (VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9))
        WHERE OLD.is_active AND (OLD.points >> (4 * column1)) & 15 <> 0
        ON CONFLICT (level, prefix, shard) DO UPDATE SET total = total + excluded.total;
    DELETE FROM points_counts WHERE total = 0 AND (level, prefix, shard) IN (
        SELECT column1, OLD.points >> (4 * column1), instr('0123456789abcdef', substr(OLD.id, -1)) - 1
        FROM (VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9))
    );
END;

-- Its last column makes it all that a deep page has to read.
CREATE INDEX users_most_points_first ON users (points DESC, id, is_active) WHERE is_active;

CREATE TABLE achievements (
    id         TEXT NOT NULL PRIMARY KEY DEFAULT (printf(
        '%08x-%04x-7%03x-%04x-%012x',
        (CAST(strftime('%s') AS BIGINT) * 1000 + CAST(substr(strftime('%f'), 4) AS BIGINT)) >> 16,
        (CAST(strftime('%s') AS BIGINT) * 1000 + CAST(substr(strftime('%f'), 4) AS BIGINT)) & 65535,
        random() & 4095,
        32768 + (random() & 16383),
        random() & 281474976710655
    )),
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    badge_type TEXT NOT NULL,
    data       TEXT NOT NULL DEFAULT '{}',
    points     BIGINT NOT NULL DEFAULT 0,
    awarded_by TEXT,
    awarded_at BIGINT NOT NULL
        DEFAULT (CAST(strftime('%s') AS BIGINT) * 1000000 + CAST(substr(strftime('%f'), 4) AS BIGINT) * 1000),
    CONSTRAINT achievements_badge_type_key UNIQUE (user_id, badge_type),
    CONSTRAINT achievements_id_check CHECK (length(id) = 36 AND id = lower(id) AND substr(id, 15, 1) = '7'),
    CONSTRAINT achievements_badge_type_check
        CHECK (length(badge_type) BETWEEN 1 AND 64 AND badge_type NOT GLOB '*[^a-z0-9_.-]*'),
    CONSTRAINT achievements_data_check
        CHECK (length(CAST(data AS BLOB)) <= 4096 AND json_valid(data) AND json_type(data) = 'object'),
    CONSTRAINT achievements_points_check
        CHECK (typeof(points) = 'integer' AND points BETWEEN 0 AND 1099511627775)
);
CREATE INDEX achievements_newest_first ON achievements (awarded_at DESC, id DESC);
CREATE INDEX achievements_of_user ON achievements (user_id, awarded_at DESC, id DESC);

-- What an achievement is worth is booked with it, whoever awards it.
CREATE TRIGGER achievements_booked AFTER INSERT ON achievements WHEN NEW.points > 0
BEGIN
    INSERT INTO points_ledger (user_id, amount, reason, idempotency_key, actor_id, created_at) VALUES (
        NEW.user_id, NEW.points, 'achievement ' || NEW.badge_type, 'achievement:' || NEW.id, NEW.awarded_by,
        NEW.awarded_at
    );
END;

CREATE TABLE permissions (
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    permission TEXT NOT NULL,
    granted_by TEXT,
    granted_at BIGINT NOT NULL
        DEFAULT (CAST(strftime('%s') AS BIGINT) * 1000000 + CAST(substr(strftime('%f'), 4) AS BIGINT) * 1000),
    PRIMARY KEY (user_id, permission),
    CONSTRAINT permissions_permission_check
        CHECK (length(permission) BETWEEN 1 AND 64 AND permission NOT GLOB '*[^a-z0-9_.-]*')
);

-- Also where foreign keys are off, as they are in the sqlite3 shell: a ledger without its user could never go.
CREATE TRIGGER users_deleted_with_points AFTER DELETE ON users
BEGIN
    DELETE FROM points_ledger WHERE user_id = OLD.id;
    DELETE FROM achievements WHERE user_id = OLD.id;
    DELETE FROM permissions WHERE user_id = OLD.id;
END;
