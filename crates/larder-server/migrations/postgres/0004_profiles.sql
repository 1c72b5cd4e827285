-- The parts of a profile, one row a user each, and the audit log. A missing row means the defaults.

CREATE TABLE preferences (
    user_id             TEXT COLLATE "C" PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    theme               TEXT NOT NULL DEFAULT 'system',
    locale              TEXT NOT NULL DEFAULT 'en',
    time_zone           TEXT NOT NULL DEFAULT 'UTC',
    email_notifications BOOLEAN NOT NULL DEFAULT TRUE,
    push_notifications  BOOLEAN NOT NULL DEFAULT TRUE,
    CONSTRAINT preferences_theme_check CHECK (theme IN ('system', 'light', 'dark'))
);

CREATE TABLE languages (
    user_id   TEXT COLLATE "C" PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    -- [{"code": "en", "level": "fluent"}, …]
    languages TEXT NOT NULL DEFAULT '[]',
    CONSTRAINT languages_languages_check CHECK (json_typeof(languages::JSON) = 'array')
);

CREATE TABLE accessibility (
    user_id            TEXT COLLATE "C" PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    text_scale_percent BIGINT NOT NULL DEFAULT 100,
    high_contrast      BOOLEAN NOT NULL DEFAULT FALSE,
    reduced_motion     BOOLEAN NOT NULL DEFAULT FALSE,
    screen_reader      BOOLEAN NOT NULL DEFAULT FALSE,
    captions           BOOLEAN NOT NULL DEFAULT FALSE,
    CONSTRAINT accessibility_text_scale_percent_check CHECK (text_scale_percent BETWEEN 50 AND 300)
);

CREATE TABLE interests (
    user_id   TEXT COLLATE "C" PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    -- ["sailing", …]
    interests TEXT NOT NULL DEFAULT '[]',
    CONSTRAINT interests_interests_check CHECK (json_typeof(interests::JSON) = 'array')
);

-- Who did what to whom. No foreign keys: a line outlives the users that it is about.
CREATE TABLE audit_log (
    id        TEXT COLLATE "C" PRIMARY KEY,
    at        BIGINT NOT NULL,
    actor_id  TEXT COLLATE "C",
    action    TEXT COLLATE "C" NOT NULL,
    target_id TEXT COLLATE "C",
    details   TEXT NOT NULL DEFAULT '{}',
    CONSTRAINT audit_log_details_check CHECK (json_typeof(details::JSON) = 'object')
);
CREATE INDEX audit_log_by_actor ON audit_log (actor_id, id);
CREATE INDEX audit_log_by_target ON audit_log (target_id, id);
CREATE INDEX audit_log_by_action ON audit_log (action, id);

CREATE FUNCTION audit_log_kept() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit_log is append-only';
END $$;

CREATE TRIGGER audit_log_row_kept BEFORE UPDATE OR DELETE ON audit_log
    FOR EACH ROW EXECUTE FUNCTION audit_log_kept();
CREATE TRIGGER audit_log_kept BEFORE TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION audit_log_kept();
ALTER TABLE audit_log ENABLE ALWAYS TRIGGER audit_log_row_kept;
ALTER TABLE audit_log ENABLE ALWAYS TRIGGER audit_log_kept;
