-- Second factors and API keys. Locks are taken after those of sessions: totp, recovery_codes; api_keys, api_key_uses.

CREATE TABLE totp (
    user_id      TEXT COLLATE "C" PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    -- `plain.` or `sealed.`, and base64: sealed with LARDER_SECRET_KEY.
    secret       TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    -- Asked for at login only once a code has confirmed it.
    confirmed_at BIGINT,
    -- The time step of the last code that was accepted: no code is accepted twice.
    last_step    BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE recovery_codes (
    user_id   TEXT COLLATE "C" NOT NULL REFERENCES totp (user_id) ON DELETE CASCADE,
    code_hash TEXT COLLATE "C" NOT NULL,
    used_at   BIGINT,
    PRIMARY KEY (user_id, code_hash)
);

CREATE TABLE api_keys (
    -- Public: it stands in the key itself.
    id         TEXT COLLATE "C" PRIMARY KEY,
    user_id    TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
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
    key_id  TEXT COLLATE "C" PRIMARY KEY REFERENCES api_keys (id) ON DELETE CASCADE,
    -- Such as 2026-11-21, UTC.
    used_on TEXT COLLATE "C" NOT NULL
);

-- Instances remember that a key was right. Nothing makes it another one.
CREATE FUNCTION api_keys_fixed() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'an API key is replaced by a new one, never changed';
END $$;

CREATE TRIGGER api_keys_fixed BEFORE UPDATE ON api_keys FOR EACH ROW
    WHEN (OLD.id <> NEW.id OR OLD.user_id <> NEW.user_id OR OLD.key_hash <> NEW.key_hash
        OR OLD.created_at <> NEW.created_at)
    EXECUTE FUNCTION api_keys_fixed();
ALTER TABLE api_keys ENABLE ALWAYS TRIGGER api_keys_fixed;

-- As with sessions: keys from before stay void when the user is activated again.
CREATE FUNCTION users_deactivated_keys() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM api_keys WHERE user_id = NEW.id;
    RETURN NULL;
END $$;

CREATE TRIGGER users_deactivated_keys AFTER UPDATE ON users FOR EACH ROW
    WHEN (OLD.is_active AND NOT NEW.is_active) EXECUTE FUNCTION users_deactivated_keys();
ALTER TABLE users ENABLE ALWAYS TRIGGER users_deactivated_keys;
