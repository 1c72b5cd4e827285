-- Second factors and API keys.

CREATE TABLE totp (
    user_id      TEXT NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    -- `plain.` or `sealed.`, and base64: sealed with LARDER_SECRET_KEY.
    secret       TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    -- Asked for at login only once a code has confirmed it.
    confirmed_at BIGINT,
    -- The time step of the last code that was accepted: no code is accepted twice.
    last_step    BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE recovery_codes (
    user_id   TEXT NOT NULL REFERENCES totp (user_id) ON DELETE CASCADE,
    code_hash TEXT NOT NULL,
    used_at   BIGINT,
    PRIMARY KEY (user_id, code_hash)
);

CREATE TABLE api_keys (
    -- Public: it stands in the key itself.
    id         TEXT NOT NULL PRIMARY KEY,
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name       TEXT NOT NULL,
    -- SHA-256 of the whole key, in hex.
    key_hash   TEXT NOT NULL,
    -- Of read, write and introspect, separated by spaces.
    scopes     TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    CONSTRAINT api_keys_id_check CHECK (length(id) = 16 AND id = lower(id))
);
CREATE INDEX api_keys_of_user ON api_keys (user_id, created_at);

-- Apart from the keys, whose every change invalidates.
CREATE TABLE api_key_uses (
    key_id  TEXT NOT NULL PRIMARY KEY REFERENCES api_keys (id) ON DELETE CASCADE,
    -- Such as 2026-11-21, UTC.
    used_on TEXT NOT NULL
);

-- Instances remember that a key was right. Nothing makes it another one.
CREATE TRIGGER api_keys_fixed BEFORE UPDATE OF id, user_id, key_hash, created_at ON api_keys
BEGIN
    SELECT RAISE(ABORT, 'an API key is replaced by a new one, never changed');
END;

-- As with sessions: keys from before stay void when the user is activated again.
CREATE TRIGGER users_deactivated_keys AFTER UPDATE OF is_active ON users WHEN OLD.is_active AND NOT NEW.is_active
BEGIN
    DELETE FROM api_keys WHERE user_id = NEW.id;
END;
