-- API keys may have the scope `metrics`.
DROP TRIGGER api_keys_scopes_readable ON api_keys;
CREATE TRIGGER api_keys_scopes_readable BEFORE INSERT OR UPDATE OF scopes ON api_keys FOR EACH ROW
    WHEN (
        NOT (NEW.scopes ~ '^((read|write|introspect|metrics)( (read|write|introspect|metrics))*)?$')
        AND NOT rows_are_brought()
    )
    EXECUTE FUNCTION row_refused('scopes', 'api_keys_scopes_check');

INSERT INTO larder_compatibility (version, oldest) VALUES (16, 14);
