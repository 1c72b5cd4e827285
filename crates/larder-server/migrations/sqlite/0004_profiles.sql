-- The parts of a profile, one row a user each, and the audit log. A missing row means the defaults.

CREATE TABLE preferences (
    user_id             TEXT NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    theme               TEXT NOT NULL DEFAULT 'system',
    locale              TEXT NOT NULL DEFAULT 'en',
    time_zone           TEXT NOT NULL DEFAULT 'UTC',
    email_notifications BOOLEAN NOT NULL DEFAULT TRUE,
    push_notifications  BOOLEAN NOT NULL DEFAULT TRUE,
    CONSTRAINT preferences_theme_check CHECK (theme IN ('system', 'light', 'dark')),
    CONSTRAINT preferences_email_notifications_check CHECK (email_notifications IN (0, 1)),
    CONSTRAINT preferences_push_notifications_check CHECK (push_notifications IN (0, 1))
);

CREATE TABLE languages (
    user_id   TEXT NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    -- [{"code": "en", "level": "fluent"}, …]
    languages TEXT NOT NULL DEFAULT '[]',
    CONSTRAINT languages_languages_check CHECK (json_valid(languages) AND json_type(languages) = 'array')
);

CREATE TABLE accessibility (
    user_id            TEXT NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    text_scale_percent BIGINT NOT NULL DEFAULT 100,
    high_contrast      BOOLEAN NOT NULL DEFAULT FALSE,
    reduced_motion     BOOLEAN NOT NULL DEFAULT FALSE,
    screen_reader      BOOLEAN NOT NULL DEFAULT FALSE,
    captions           BOOLEAN NOT NULL DEFAULT FALSE,
    CONSTRAINT accessibility_text_scale_percent_check
        CHECK (typeof(text_scale_percent) = 'integer' AND text_scale_percent BETWEEN 50 AND 300),
    CONSTRAINT accessibility_high_contrast_check CHECK (high_contrast IN (0, 1)),
    CONSTRAINT accessibility_reduced_motion_check CHECK (reduced_motion IN (0, 1)),
    CONSTRAINT accessibility_screen_reader_check CHECK (screen_reader IN (0, 1)),
    CONSTRAINT accessibility_captions_check CHECK (captions IN (0, 1))
);

CREATE TABLE interests (
    user_id   TEXT NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    -- ["sailing", …]
    interests TEXT NOT NULL DEFAULT '[]',
    CONSTRAINT interests_interests_check CHECK (json_valid(interests) AND json_type(interests) = 'array')
);

-- Who did what to whom. No foreign keys: a line outlives the users that it is about.
CREATE TABLE audit_log (
    id        TEXT NOT NULL PRIMARY KEY,
    at        BIGINT NOT NULL,
    actor_id  TEXT,
    action    TEXT NOT NULL,
    target_id TEXT,
    details   TEXT NOT NULL DEFAULT '{}',
    CONSTRAINT audit_log_details_check CHECK (json_valid(details) AND json_type(details) = 'object')
);
CREATE INDEX audit_log_by_actor ON audit_log (actor_id, id);
CREATE INDEX audit_log_by_target ON audit_log (target_id, id);
CREATE INDEX audit_log_by_action ON audit_log (action, id);

CREATE TRIGGER audit_log_unchanged BEFORE UPDATE ON audit_log BEGIN
    SELECT RAISE(ABORT, 'audit_log is append-only');
END;
CREATE TRIGGER audit_log_undeleted BEFORE DELETE ON audit_log BEGIN
    SELECT RAISE(ABORT, 'audit_log is append-only');
END;
-- INSERT OR REPLACE deletes without a DELETE trigger where recursive_triggers is off, as in the shell.
CREATE TRIGGER audit_log_unreplaced BEFORE INSERT ON audit_log
    WHEN EXISTS (SELECT 1 FROM audit_log WHERE id = NEW.id OR rowid = NEW.rowid)
BEGIN
    SELECT RAISE(ABORT, 'audit_log is append-only');
END;
