-- What the service could not read is refused: see PostgreSQL's. As there, a column is judged when it changes, so that the other
-- columns of a row from before can still be changed. A column of SQLite takes values of any type, so that is judged too.
-- RAISE, for the conflict clause of a foreign INSERT OR IGNORE would let a CHECK pass over the row without a word.

CREATE TRIGGER users_readable_inserted BEFORE INSERT ON users
BEGIN
    SELECT RAISE(ABORT, 'CHECK constraint failed: users_id_check')
        WHERE NOT (typeof(NEW.id) = 'text' AND length(NEW.id) = 36 AND length(replace(NEW.id, '-', '')) = 32 AND NEW.id NOT GLOB '*[^0-9a-f-]*'
            AND NEW.id LIKE '________-____-____-____-____________' AND substr(NEW.id, 15, 1) = '7');
    SELECT RAISE(ABORT, 'CHECK constraint failed: users_email_check')
        WHERE NOT (typeof(NEW.email) = 'text' AND length(CAST(NEW.email AS BLOB)) BETWEEN 1 AND 254);
    SELECT RAISE(ABORT, 'CHECK constraint failed: users_username_check')
        WHERE NOT (typeof(NEW.username) = 'text' AND length(CAST(NEW.username AS BLOB)) BETWEEN 1 AND 254);
    SELECT RAISE(ABORT, 'CHECK constraint failed: users_external_id_check')
        WHERE NOT (typeof(NEW.external_id) IN ('text', 'null'));
    SELECT RAISE(ABORT, 'CHECK constraint failed: users_phone_check')
        WHERE NOT (typeof(NEW.phone) IN ('text', 'null'));
    SELECT RAISE(ABORT, 'CHECK constraint failed: users_full_name_check')
        WHERE NOT (typeof(NEW.full_name) IN ('text', 'null'));
    SELECT RAISE(ABORT, 'CHECK constraint failed: users_bio_check')
        WHERE NOT (typeof(NEW.bio) IN ('text', 'null'));
    SELECT RAISE(ABORT, 'CHECK constraint failed: users_occupation_check')
        WHERE NOT (typeof(NEW.occupation) IN ('text', 'null'));
    SELECT RAISE(ABORT, 'CHECK constraint failed: users_location_check')
        WHERE NOT (typeof(NEW.location) IN ('text', 'null'));
    SELECT RAISE(ABORT, 'CHECK constraint failed: users_avatar_url_check')
        WHERE NOT (typeof(NEW.avatar_url) IN ('text', 'null'));
    SELECT RAISE(ABORT, 'CHECK constraint failed: users_experience_check')
        WHERE NOT (typeof(NEW.experience) IN ('text', 'null'));
    SELECT RAISE(ABORT, 'CHECK constraint failed: users_skills_check')
        WHERE NOT (typeof(NEW.skills) = 'text' AND NOT EXISTS (SELECT 1 FROM json_each(NEW.skills) WHERE type <> 'text'));
    SELECT RAISE(ABORT, 'CHECK constraint failed: users_created_at_check')
        WHERE NOT (typeof(NEW.created_at) = 'integer' AND NEW.created_at BETWEEN -62135596800000000 AND 253402128000000000);
END;
CREATE TRIGGER users_readable_updated BEFORE UPDATE OF id, email, username, external_id, phone, full_name, bio, occupation, location, avatar_url, experience, skills, created_at ON users
BEGIN
    SELECT RAISE(ABORT, 'CHECK constraint failed: users_id_check')
        WHERE NEW.id IS NOT OLD.id AND NOT (typeof(NEW.id) = 'text' AND length(NEW.id) = 36 AND length(replace(NEW.id, '-', '')) = 32 AND NEW.id NOT GLOB '*[^0-9a-f-]*'
            AND NEW.id LIKE '________-____-____-____-____________' AND substr(NEW.id, 15, 1) = '7');
    SELECT RAISE(ABORT, 'CHECK constraint failed: users_email_check')
        WHERE NEW.email IS NOT OLD.email AND NOT (typeof(NEW.email) = 'text' AND length(CAST(NEW.email AS BLOB)) BETWEEN 1 AND 254);
    SELECT RAISE(ABORT, 'CHECK constraint failed: users_username_check')
        WHERE NEW.username IS NOT OLD.username AND NOT (typeof(NEW.username) = 'text' AND length(CAST(NEW.username AS BLOB)) BETWEEN 1 AND 254);
    SELECT RAISE(ABORT, 'CHECK constraint failed: users_external_id_check')
        WHERE NEW.external_id IS NOT OLD.external_id AND NOT (typeof(NEW.external_id) IN ('text', 'null'));
    SELECT RAISE(ABORT, 'CHECK constraint failed: users_phone_check')
        WHERE NEW.phone IS NOT OLD.phone AND NOT (typeof(NEW.phone) IN ('text', 'null'));
    SELECT RAISE(ABORT, 'CHECK constraint failed: users_full_name_check')
        WHERE NEW.full_name IS NOT OLD.full_name AND NOT (typeof(NEW.full_name) IN ('text', 'null'));
    SELECT RAISE(ABORT, 'CHECK constraint failed: users_bio_check')
        WHERE NEW.bio IS NOT OLD.bio AND NOT (typeof(NEW.bio) IN ('text', 'null'));
    SELECT RAISE(ABORT, 'CHECK constraint failed: users_occupation_check')
        WHERE NEW.occupation IS NOT OLD.occupation AND NOT (typeof(NEW.occupation) IN ('text', 'null'));
    SELECT RAISE(ABORT, 'CHECK constraint failed: users_location_check')
        WHERE NEW.location IS NOT OLD.location AND NOT (typeof(NEW.location) IN ('text', 'null'));
    SELECT RAISE(ABORT, 'CHECK constraint failed: users_avatar_url_check')
        WHERE NEW.avatar_url IS NOT OLD.avatar_url AND NOT (typeof(NEW.avatar_url) IN ('text', 'null'));
    SELECT RAISE(ABORT, 'CHECK constraint failed: users_experience_check')
        WHERE NEW.experience IS NOT OLD.experience AND NOT (typeof(NEW.experience) IN ('text', 'null'));
    SELECT RAISE(ABORT, 'CHECK constraint failed: users_skills_check')
        WHERE NEW.skills IS NOT OLD.skills AND NOT (typeof(NEW.skills) = 'text' AND NOT EXISTS (SELECT 1 FROM json_each(NEW.skills) WHERE type <> 'text'));
    SELECT RAISE(ABORT, 'CHECK constraint failed: users_created_at_check')
        WHERE NEW.created_at IS NOT OLD.created_at AND NOT (typeof(NEW.created_at) = 'integer' AND NEW.created_at BETWEEN -62135596800000000 AND 253402128000000000);
END;

CREATE TRIGGER credentials_readable_inserted BEFORE INSERT ON credentials
BEGIN
    SELECT RAISE(ABORT, 'CHECK constraint failed: credentials_password_hash_check')
        WHERE NOT (typeof(NEW.password_hash) = 'text');
    SELECT RAISE(ABORT, 'CHECK constraint failed: credentials_epoch_check')
        WHERE NOT (typeof(NEW.epoch) = 'integer');
    SELECT RAISE(ABORT, 'CHECK constraint failed: credentials_changed_at_check')
        WHERE NOT (typeof(NEW.changed_at) = 'integer');
END;
CREATE TRIGGER credentials_readable_updated BEFORE UPDATE OF password_hash, epoch, changed_at ON credentials
BEGIN
    SELECT RAISE(ABORT, 'CHECK constraint failed: credentials_password_hash_check')
        WHERE NEW.password_hash IS NOT OLD.password_hash AND NOT (typeof(NEW.password_hash) = 'text');
    SELECT RAISE(ABORT, 'CHECK constraint failed: credentials_epoch_check')
        WHERE NEW.epoch IS NOT OLD.epoch AND NOT (typeof(NEW.epoch) = 'integer');
    SELECT RAISE(ABORT, 'CHECK constraint failed: credentials_changed_at_check')
        WHERE NEW.changed_at IS NOT OLD.changed_at AND NOT (typeof(NEW.changed_at) = 'integer');
END;

CREATE TRIGGER sessions_readable_inserted BEFORE INSERT ON sessions
BEGIN
    SELECT RAISE(ABORT, 'CHECK constraint failed: sessions_id_check')
        WHERE NOT (typeof(NEW.id) = 'text' AND length(NEW.id) = 36 AND length(replace(NEW.id, '-', '')) = 32 AND NEW.id NOT GLOB '*[^0-9a-f-]*'
            AND NEW.id LIKE '________-____-____-____-____________');
    SELECT RAISE(ABORT, 'CHECK constraint failed: sessions_user_id_check')
        WHERE NOT (typeof(NEW.user_id) = 'text' AND length(NEW.user_id) = 36 AND length(replace(NEW.user_id, '-', '')) = 32 AND NEW.user_id NOT GLOB '*[^0-9a-f-]*'
            AND NEW.user_id LIKE '________-____-____-____-____________' AND substr(NEW.user_id, 15, 1) = '7');
    SELECT RAISE(ABORT, 'CHECK constraint failed: sessions_created_at_check')
        WHERE NOT (typeof(NEW.created_at) = 'integer');
    SELECT RAISE(ABORT, 'CHECK constraint failed: sessions_expires_at_check')
        WHERE NOT (typeof(NEW.expires_at) = 'integer');
    SELECT RAISE(ABORT, 'CHECK constraint failed: sessions_ended_at_check')
        WHERE NOT (typeof(NEW.ended_at) IN ('integer', 'null'));
END;
CREATE TRIGGER sessions_readable_updated BEFORE UPDATE OF id, user_id, created_at, expires_at, ended_at ON sessions
BEGIN
    SELECT RAISE(ABORT, 'CHECK constraint failed: sessions_id_check')
        WHERE NEW.id IS NOT OLD.id AND NOT (typeof(NEW.id) = 'text' AND length(NEW.id) = 36 AND length(replace(NEW.id, '-', '')) = 32 AND NEW.id NOT GLOB '*[^0-9a-f-]*'
            AND NEW.id LIKE '________-____-____-____-____________');
    SELECT RAISE(ABORT, 'CHECK constraint failed: sessions_user_id_check')
        WHERE NEW.user_id IS NOT OLD.user_id AND NOT (typeof(NEW.user_id) = 'text' AND length(NEW.user_id) = 36 AND length(replace(NEW.user_id, '-', '')) = 32 AND NEW.user_id NOT GLOB '*[^0-9a-f-]*'
            AND NEW.user_id LIKE '________-____-____-____-____________' AND substr(NEW.user_id, 15, 1) = '7');
    SELECT RAISE(ABORT, 'CHECK constraint failed: sessions_created_at_check')
        WHERE NEW.created_at IS NOT OLD.created_at AND NOT (typeof(NEW.created_at) = 'integer');
    SELECT RAISE(ABORT, 'CHECK constraint failed: sessions_expires_at_check')
        WHERE NEW.expires_at IS NOT OLD.expires_at AND NOT (typeof(NEW.expires_at) = 'integer');
    SELECT RAISE(ABORT, 'CHECK constraint failed: sessions_ended_at_check')
        WHERE NEW.ended_at IS NOT OLD.ended_at AND NOT (typeof(NEW.ended_at) IN ('integer', 'null'));
END;

CREATE TRIGGER preferences_readable_inserted BEFORE INSERT ON preferences
BEGIN
    SELECT RAISE(ABORT, 'CHECK constraint failed: preferences_locale_check')
        WHERE NOT (typeof(NEW.locale) = 'text');
    SELECT RAISE(ABORT, 'CHECK constraint failed: preferences_time_zone_check')
        WHERE NOT (typeof(NEW.time_zone) = 'text');
END;
CREATE TRIGGER preferences_readable_updated BEFORE UPDATE OF locale, time_zone ON preferences
BEGIN
    SELECT RAISE(ABORT, 'CHECK constraint failed: preferences_locale_check')
        WHERE NEW.locale IS NOT OLD.locale AND NOT (typeof(NEW.locale) = 'text');
    SELECT RAISE(ABORT, 'CHECK constraint failed: preferences_time_zone_check')
        WHERE NEW.time_zone IS NOT OLD.time_zone AND NOT (typeof(NEW.time_zone) = 'text');
END;

CREATE TRIGGER languages_readable_inserted BEFORE INSERT ON languages
BEGIN
    SELECT RAISE(ABORT, 'CHECK constraint failed: languages_languages_check')
        WHERE NOT (typeof(NEW.languages) = 'text' AND NOT EXISTS (
            SELECT 1 FROM json_each(NEW.languages) AS entry WHERE entry.type <> 'object'
                OR json_type(entry.value, '$.code') IS NOT 'text' OR json_type(entry.value, '$.level') IS NOT 'text'
                OR json_extract(entry.value, '$.level') NOT IN ('basic', 'conversational', 'fluent', 'native')
        ));
END;
CREATE TRIGGER languages_readable_updated BEFORE UPDATE OF languages ON languages
BEGIN
    SELECT RAISE(ABORT, 'CHECK constraint failed: languages_languages_check')
        WHERE NEW.languages IS NOT OLD.languages AND NOT (typeof(NEW.languages) = 'text' AND NOT EXISTS (
            SELECT 1 FROM json_each(NEW.languages) AS entry WHERE entry.type <> 'object'
                OR json_type(entry.value, '$.code') IS NOT 'text' OR json_type(entry.value, '$.level') IS NOT 'text'
                OR json_extract(entry.value, '$.level') NOT IN ('basic', 'conversational', 'fluent', 'native')
        ));
END;

CREATE TRIGGER interests_readable_inserted BEFORE INSERT ON interests
BEGIN
    SELECT RAISE(ABORT, 'CHECK constraint failed: interests_interests_check')
        WHERE NOT (typeof(NEW.interests) = 'text' AND NOT EXISTS (SELECT 1 FROM json_each(NEW.interests) WHERE type <> 'text'));
END;
CREATE TRIGGER interests_readable_updated BEFORE UPDATE OF interests ON interests
BEGIN
    SELECT RAISE(ABORT, 'CHECK constraint failed: interests_interests_check')
        WHERE NEW.interests IS NOT OLD.interests AND NOT (typeof(NEW.interests) = 'text' AND NOT EXISTS (SELECT 1 FROM json_each(NEW.interests) WHERE type <> 'text'));
END;

CREATE TRIGGER totp_readable_inserted BEFORE INSERT ON totp
BEGIN
    SELECT RAISE(ABORT, 'CHECK constraint failed: totp_secret_check')
        WHERE NOT (typeof(NEW.secret) = 'text' AND (NEW.secret GLOB 'plain.?*' OR NEW.secret GLOB 'sealed.?*'));
    SELECT RAISE(ABORT, 'CHECK constraint failed: totp_confirmed_at_check')
        WHERE NOT (typeof(NEW.confirmed_at) IN ('integer', 'null'));
END;
CREATE TRIGGER totp_readable_updated BEFORE UPDATE OF secret, confirmed_at ON totp
BEGIN
    SELECT RAISE(ABORT, 'CHECK constraint failed: totp_secret_check')
        WHERE NEW.secret IS NOT OLD.secret AND NOT (typeof(NEW.secret) = 'text' AND (NEW.secret GLOB 'plain.?*' OR NEW.secret GLOB 'sealed.?*'));
    SELECT RAISE(ABORT, 'CHECK constraint failed: totp_confirmed_at_check')
        WHERE NEW.confirmed_at IS NOT OLD.confirmed_at AND NOT (typeof(NEW.confirmed_at) IN ('integer', 'null'));
END;

CREATE TRIGGER api_keys_readable_inserted BEFORE INSERT ON api_keys
BEGIN
    SELECT RAISE(ABORT, 'CHECK constraint failed: api_keys_id_check')
        WHERE NOT (typeof(NEW.id) = 'text' AND length(NEW.id) = 16 AND NEW.id NOT GLOB '*[^0-9a-f]*');
    SELECT RAISE(ABORT, 'CHECK constraint failed: api_keys_name_check')
        WHERE NOT (typeof(NEW.name) = 'text');
    SELECT RAISE(ABORT, 'CHECK constraint failed: api_keys_scopes_check')
        WHERE NOT (typeof(NEW.scopes) = 'text' AND trim(replace(replace(replace(
            ' ' || replace(NEW.scopes, ' ', '  ') || ' ', ' read ', ''), ' write ', ''), ' introspect ', '')) = '');
    SELECT RAISE(ABORT, 'CHECK constraint failed: api_keys_created_at_check')
        WHERE NOT (typeof(NEW.created_at) = 'integer');
    SELECT RAISE(ABORT, 'CHECK constraint failed: api_keys_expires_at_check')
        WHERE NOT (typeof(NEW.expires_at) IN ('integer', 'null'));
END;
CREATE TRIGGER api_keys_readable_updated BEFORE UPDATE OF id, name, scopes, created_at, expires_at ON api_keys
BEGIN
    SELECT RAISE(ABORT, 'CHECK constraint failed: api_keys_id_check')
        WHERE NEW.id IS NOT OLD.id AND NOT (typeof(NEW.id) = 'text' AND length(NEW.id) = 16 AND NEW.id NOT GLOB '*[^0-9a-f]*');
    SELECT RAISE(ABORT, 'CHECK constraint failed: api_keys_name_check')
        WHERE NEW.name IS NOT OLD.name AND NOT (typeof(NEW.name) = 'text');
    SELECT RAISE(ABORT, 'CHECK constraint failed: api_keys_scopes_check')
        WHERE NEW.scopes IS NOT OLD.scopes AND NOT (typeof(NEW.scopes) = 'text' AND trim(replace(replace(replace(
            ' ' || replace(NEW.scopes, ' ', '  ') || ' ', ' read ', ''), ' write ', ''), ' introspect ', '')) = '');
    SELECT RAISE(ABORT, 'CHECK constraint failed: api_keys_created_at_check')
        WHERE NEW.created_at IS NOT OLD.created_at AND NOT (typeof(NEW.created_at) = 'integer');
    SELECT RAISE(ABORT, 'CHECK constraint failed: api_keys_expires_at_check')
        WHERE NEW.expires_at IS NOT OLD.expires_at AND NOT (typeof(NEW.expires_at) IN ('integer', 'null'));
END;

CREATE TRIGGER achievements_readable_inserted BEFORE INSERT ON achievements
BEGIN
    SELECT RAISE(ABORT, 'CHECK constraint failed: achievements_id_check')
        WHERE NOT (typeof(NEW.id) = 'text' AND length(NEW.id) = 36 AND length(replace(NEW.id, '-', '')) = 32 AND NEW.id NOT GLOB '*[^0-9a-f-]*'
            AND NEW.id LIKE '________-____-____-____-____________' AND substr(NEW.id, 15, 1) = '7');
    SELECT RAISE(ABORT, 'CHECK constraint failed: achievements_badge_type_check')
        WHERE NOT (typeof(NEW.badge_type) = 'text');
    SELECT RAISE(ABORT, 'CHECK constraint failed: achievements_data_check')
        WHERE NOT (typeof(NEW.data) = 'text');
    SELECT RAISE(ABORT, 'CHECK constraint failed: achievements_awarded_by_check')
        WHERE NOT (typeof(NEW.awarded_by) IN ('text', 'null'));
    SELECT RAISE(ABORT, 'CHECK constraint failed: achievements_awarded_at_check')
        WHERE NOT (typeof(NEW.awarded_at) = 'integer');
END;
CREATE TRIGGER achievements_readable_updated BEFORE UPDATE OF id, badge_type, data, awarded_by, awarded_at ON achievements
BEGIN
    SELECT RAISE(ABORT, 'CHECK constraint failed: achievements_id_check')
        WHERE NEW.id IS NOT OLD.id AND NOT (typeof(NEW.id) = 'text' AND length(NEW.id) = 36 AND length(replace(NEW.id, '-', '')) = 32 AND NEW.id NOT GLOB '*[^0-9a-f-]*'
            AND NEW.id LIKE '________-____-____-____-____________' AND substr(NEW.id, 15, 1) = '7');
    SELECT RAISE(ABORT, 'CHECK constraint failed: achievements_badge_type_check')
        WHERE NEW.badge_type IS NOT OLD.badge_type AND NOT (typeof(NEW.badge_type) = 'text');
    SELECT RAISE(ABORT, 'CHECK constraint failed: achievements_data_check')
        WHERE NEW.data IS NOT OLD.data AND NOT (typeof(NEW.data) = 'text');
    SELECT RAISE(ABORT, 'CHECK constraint failed: achievements_awarded_by_check')
        WHERE NEW.awarded_by IS NOT OLD.awarded_by AND NOT (typeof(NEW.awarded_by) IN ('text', 'null'));
    SELECT RAISE(ABORT, 'CHECK constraint failed: achievements_awarded_at_check')
        WHERE NEW.awarded_at IS NOT OLD.awarded_at AND NOT (typeof(NEW.awarded_at) = 'integer');
END;

CREATE TRIGGER permissions_readable_inserted BEFORE INSERT ON permissions
BEGIN
    SELECT RAISE(ABORT, 'CHECK constraint failed: permissions_permission_check')
        WHERE NOT (typeof(NEW.permission) = 'text');
    SELECT RAISE(ABORT, 'CHECK constraint failed: permissions_granted_by_check')
        WHERE NOT (typeof(NEW.granted_by) IN ('text', 'null'));
    SELECT RAISE(ABORT, 'CHECK constraint failed: permissions_granted_at_check')
        WHERE NOT (typeof(NEW.granted_at) = 'integer');
END;
CREATE TRIGGER permissions_readable_updated BEFORE UPDATE OF permission, granted_by, granted_at ON permissions
BEGIN
    SELECT RAISE(ABORT, 'CHECK constraint failed: permissions_permission_check')
        WHERE NEW.permission IS NOT OLD.permission AND NOT (typeof(NEW.permission) = 'text');
    SELECT RAISE(ABORT, 'CHECK constraint failed: permissions_granted_by_check')
        WHERE NEW.granted_by IS NOT OLD.granted_by AND NOT (typeof(NEW.granted_by) IN ('text', 'null'));
    SELECT RAISE(ABORT, 'CHECK constraint failed: permissions_granted_at_check')
        WHERE NEW.granted_at IS NOT OLD.granted_at AND NOT (typeof(NEW.granted_at) = 'integer');
END;

CREATE TRIGGER points_ledger_readable_inserted BEFORE INSERT ON points_ledger
BEGIN
    SELECT RAISE(ABORT, 'CHECK constraint failed: points_ledger_id_check')
        WHERE NOT (typeof(NEW.id) = 'text' AND length(NEW.id) = 36 AND length(replace(NEW.id, '-', '')) = 32 AND NEW.id NOT GLOB '*[^0-9a-f-]*'
            AND NEW.id LIKE '________-____-____-____-____________' AND substr(NEW.id, 15, 1) = '7');
    SELECT RAISE(ABORT, 'CHECK constraint failed: points_ledger_reason_check')
        WHERE NOT (typeof(NEW.reason) = 'text');
    SELECT RAISE(ABORT, 'CHECK constraint failed: points_ledger_idempotency_key_check')
        WHERE NOT (typeof(NEW.idempotency_key) = 'text');
    SELECT RAISE(ABORT, 'CHECK constraint failed: points_ledger_actor_id_check')
        WHERE NOT (typeof(NEW.actor_id) IN ('text', 'null'));
    SELECT RAISE(ABORT, 'CHECK constraint failed: points_ledger_created_at_check')
        WHERE NOT (typeof(NEW.created_at) = 'integer');
END;

CREATE TRIGGER audit_log_readable_inserted BEFORE INSERT ON audit_log
BEGIN
    SELECT RAISE(ABORT, 'CHECK constraint failed: audit_log_id_check')
        WHERE NOT (typeof(NEW.id) = 'text' AND length(NEW.id) = 36 AND length(replace(NEW.id, '-', '')) = 32 AND NEW.id NOT GLOB '*[^0-9a-f-]*'
            AND NEW.id LIKE '________-____-____-____-____________');
    SELECT RAISE(ABORT, 'CHECK constraint failed: audit_log_at_check')
        WHERE NOT (typeof(NEW.at) = 'integer');
    SELECT RAISE(ABORT, 'CHECK constraint failed: audit_log_actor_id_check')
        WHERE NOT (NEW.actor_id IS NULL OR length(NEW.actor_id) = 36 AND length(replace(NEW.actor_id, '-', '')) = 32 AND NEW.actor_id NOT GLOB '*[^0-9a-f-]*'
            AND NEW.actor_id LIKE '________-____-____-____-____________' AND substr(NEW.actor_id, 15, 1) = '7');
    SELECT RAISE(ABORT, 'CHECK constraint failed: audit_log_action_check')
        WHERE NOT (typeof(NEW.action) = 'text');
    SELECT RAISE(ABORT, 'CHECK constraint failed: audit_log_target_id_check')
        WHERE NOT (NEW.target_id IS NULL OR length(NEW.target_id) = 36 AND length(replace(NEW.target_id, '-', '')) = 32 AND NEW.target_id NOT GLOB '*[^0-9a-f-]*'
            AND NEW.target_id LIKE '________-____-____-____-____________' AND substr(NEW.target_id, 15, 1) = '7');
    SELECT RAISE(ABORT, 'CHECK constraint failed: audit_log_details_check')
        WHERE NOT (typeof(NEW.details) = 'text');
END;

CREATE TRIGGER user_counts_readable_inserted BEFORE INSERT ON user_counts
BEGIN
    SELECT RAISE(ABORT, 'CHECK constraint failed: user_counts_role_check')
        WHERE NOT (NEW.role IN ('user', 'admin', 'superadmin'));
END;
CREATE TRIGGER user_counts_readable_updated BEFORE UPDATE OF role ON user_counts
BEGIN
    SELECT RAISE(ABORT, 'CHECK constraint failed: user_counts_role_check')
        WHERE NEW.role IS NOT OLD.role AND NOT (NEW.role IN ('user', 'admin', 'superadmin'));
END;
