-- Passwords, sessions, refresh tokens and signing keys.

-- Apart from users, so that no row of a user can carry a hash.
CREATE TABLE credentials (
    user_id       TEXT NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    password_hash TEXT NOT NULL,
    -- Rises with every password change and deactivation; tokens of another epoch are void.
    epoch         BIGINT NOT NULL DEFAULT 1,
    changed_at    BIGINT NOT NULL
);

CREATE TABLE sessions (
    id         TEXT NOT NULL PRIMARY KEY,
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    ended_at   BIGINT
);
CREATE INDEX sessions_of_user ON sessions (user_id, created_at);

-- The tokens of a session, each used once; the one with no used_at is the current one.
CREATE TABLE refresh_tokens (
    token_hash TEXT NOT NULL PRIMARY KEY,
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    issued_at  BIGINT NOT NULL,
    used_at    BIGINT
);
CREATE INDEX refresh_tokens_of_session ON refresh_tokens (session_id);

CREATE TABLE signing_keys (
    kid         TEXT NOT NULL PRIMARY KEY,
    algorithm   TEXT NOT NULL,
    private_key TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    retired_at  BIGINT
);
-- One key in force for an algorithm, whoever starts first.
CREATE UNIQUE INDEX signing_keys_algorithm_key ON signing_keys (algorithm) WHERE retired_at IS NULL;

-- Whoever deactivates a user ends its access: older tokens stay void even when it is activated again.
CREATE TRIGGER users_deactivated AFTER UPDATE OF is_active ON users WHEN OLD.is_active AND NOT NEW.is_active
BEGIN
    UPDATE credentials SET epoch = epoch + 1 WHERE user_id = NEW.id;
    UPDATE sessions
        SET ended_at = CAST(strftime('%s') AS BIGINT) * 1000000 + CAST(substr(strftime('%f'), 4) AS BIGINT) * 1000
        WHERE user_id = NEW.id AND ended_at IS NULL;
END;
