-- API keys may have the scope `metrics`.
DROP TRIGGER api_keys_readable_inserted;
DROP TRIGGER api_keys_readable_updated;
CREATE TRIGGER api_keys_readable_inserted BEFORE INSERT ON api_keys
BEGIN
    SELECT RAISE(ABORT, 'CHECK constraint failed: api_keys_id_check')
        WHERE NOT (typeof(NEW.id) = 'text' AND length(NEW.id) = 16 AND NEW.id NOT GLOB '*[^0-9a-f]*');
    SELECT RAISE(ABORT, 'CHECK constraint failed: api_keys_name_check')
        WHERE NOT (typeof(NEW.name) = 'text');
    SELECT RAISE(ABORT, 'CHECK constraint failed: api_keys_scopes_check')
        WHERE NOT (typeof(NEW.scopes) = 'text' AND trim(replace(replace(replace(replace(
            ' ' || replace(NEW.scopes, ' ', '  ') || ' ', ' read ', ''), ' write ', ''), ' introspect ', ''), ' metrics ', '')) = '');
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
        WHERE NEW.scopes IS NOT OLD.scopes AND NOT (typeof(NEW.scopes) = 'text' AND trim(replace(replace(replace(replace(
            ' ' || replace(NEW.scopes, ' ', '  ') || ' ', ' read ', ''), ' write ', ''), ' introspect ', ''), ' metrics ', '')) = '');
    SELECT RAISE(ABORT, 'CHECK constraint failed: api_keys_created_at_check')
        WHERE NEW.created_at IS NOT OLD.created_at AND NOT (typeof(NEW.created_at) = 'integer');
    SELECT RAISE(ABORT, 'CHECK constraint failed: api_keys_expires_at_check')
        WHERE NEW.expires_at IS NOT OLD.expires_at AND NOT (typeof(NEW.expires_at) IN ('integer', 'null'));
END;

INSERT INTO larder_compatibility (version, oldest) VALUES (16, 14);
