-- Confirmed e-mail addresses, and the tokens that are sent by mail.

-- Whether the user has proved to read what is sent to `email`.
ALTER TABLE users ADD COLUMN email_verified BOOLEAN NOT NULL DEFAULT FALSE;

-- Another address is not confirmed, also if other software writes it.
CREATE FUNCTION users_email_unverified() RETURNS TRIGGER LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.email_verified := FALSE;
    RETURN NEW;
END $$;
CREATE TRIGGER users_email_unverified BEFORE UPDATE ON users FOR EACH ROW
    WHEN (OLD.email IS DISTINCT FROM NEW.email AND NEW.email_verified) EXECUTE FUNCTION users_email_unverified();
ALTER TABLE users ENABLE ALWAYS TRIGGER users_email_unverified;
COMMENT ON TRIGGER users_email_unverified ON users IS 'larder: ENABLE ALWAYS';

CREATE TABLE mail_tokens (
    -- SHA-256 of the token, in hex.
    token_hash TEXT COLLATE "C" PRIMARY KEY,
    user_id    TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    purpose    TEXT COLLATE "C" NOT NULL,
    -- What the user had when the token was made. The token is void if the user has another address or epoch.
    email      TEXT COLLATE "C" NOT NULL,
    epoch      BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    CONSTRAINT mail_tokens_purpose_check CHECK (purpose IN ('password_reset', 'email_confirm'))
);
CREATE INDEX mail_tokens_of_user ON mail_tokens (user_id);
CREATE INDEX mail_tokens_by_expires_at ON mail_tokens (expires_at);

-- A user without a password has no epoch that rises.
CREATE FUNCTION users_deactivated_mail_tokens() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM mail_tokens WHERE user_id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER users_deactivated_mail_tokens AFTER UPDATE ON users FOR EACH ROW
    WHEN (OLD.is_active AND NOT NEW.is_active AND (current_setting('session_replication_role') <> 'replica'
        OR current_setting('larder.statement_on_users', TRUE) IS NOT DISTINCT FROM 'on'))
    EXECUTE FUNCTION users_deactivated_mail_tokens();
ALTER TABLE users ENABLE ALWAYS TRIGGER users_deactivated_mail_tokens;
COMMENT ON TRIGGER users_deactivated_mail_tokens ON users IS 'larder: ENABLE ALWAYS';

-- As migration 10 does with the functions before it: a writer of users needs no right to mail_tokens.
DO $migration$
DECLARE
    home CONSTANT NAME := (
        SELECT nspname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
        WHERE pg_class.oid = 'users'::REGCLASS
    );
BEGIN
    EXECUTE format(
        'ALTER FUNCTION %I.users_deactivated_mail_tokens() SECURITY DEFINER SET search_path = pg_catalog, %1$I, pg_temp',
        home
    );
    EXECUTE format('REVOKE ALL ON FUNCTION %I.users_deactivated_mail_tokens() FROM PUBLIC', home);
END $migration$;

INSERT INTO larder_compatibility (version, oldest) VALUES (17, 14);
