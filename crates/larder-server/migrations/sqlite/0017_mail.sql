-- Confirmed e-mail addresses, and the tokens that are sent by mail.

-- Whether the user has proved to read what is sent to `email`.
ALTER TABLE users ADD COLUMN email_verified BOOLEAN NOT NULL DEFAULT FALSE
    CONSTRAINT users_email_verified_check CHECK (email_verified IN (0, 1));

-- Another address is not confirmed, also if other software writes it. The mark keeps users_versioned from counting this as a change of its
-- own.
CREATE TRIGGER users_email_unverified AFTER UPDATE OF email ON users WHEN OLD.email IS NOT NEW.email AND NEW.email_verified
BEGIN
    INSERT INTO users_versioning (id) VALUES (NEW.id);
    UPDATE users SET email_verified = FALSE WHERE id = NEW.id;
    DELETE FROM users_versioning WHERE id = NEW.id;
END;

CREATE TABLE mail_tokens (
    -- SHA-256 of the token, in hex.
    token_hash TEXT NOT NULL PRIMARY KEY,
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    purpose    TEXT NOT NULL,
    -- What the user had when the token was made. The token is void if the user has another address or epoch.
    email      TEXT NOT NULL,
    epoch      BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    CONSTRAINT mail_tokens_purpose_check CHECK (purpose IN ('password_reset', 'email_confirm'))
);
CREATE INDEX mail_tokens_of_user ON mail_tokens (user_id);
CREATE INDEX mail_tokens_by_expires_at ON mail_tokens (expires_at);

-- A user without a password has no epoch that rises.
CREATE TRIGGER users_deactivated_mail_tokens AFTER UPDATE OF is_active ON users WHEN OLD.is_active AND NOT NEW.is_active
BEGIN
    DELETE FROM mail_tokens WHERE user_id = NEW.id;
END;

INSERT INTO larder_compatibility (version, oldest) VALUES (17, 14);
