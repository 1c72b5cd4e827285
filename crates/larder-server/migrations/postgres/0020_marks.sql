-- A search takes the signs that people write for an apostrophe for one, and those for a hyphen too. See
-- src/domain/folding.rs. A database that is not in UTF-8 cannot hold these signs.
DO $migration$ BEGIN
    IF pg_encoding_to_char((SELECT encoding FROM pg_database WHERE datname = current_database())) <> 'UTF8' THEN
        RETURN;
    END IF;
    -- Its forms may have such signs: a letter of Afrikaans is folded to U+02BC and n.
    ALTER FUNCTION users_search_form(TEXT) RENAME TO users_search_letters;
    CREATE FUNCTION users_search_form(raw TEXT) RETURNS TEXT LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
        RETURN translate(
            users_search_letters(raw),
            chr(699) || chr(700) || chr(8216) || chr(8217) || chr(8219) || chr(8208) || chr(8210) || chr(8211) || chr(8722),
            '''''''''''----'
        );
    EXECUTE format(
        'GRANT EXECUTE ON FUNCTION %I.users_search_form(TEXT) TO PUBLIC',
        (SELECT nspname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
            WHERE pg_class.oid = 'users'::REGCLASS)
    );
    -- The columns still name the function that was renamed. New ones fold the stored texts again; the index goes with the
    -- former ones.
    ALTER TABLE users
        DROP COLUMN search_text,
        DROP COLUMN search_email,
        ADD COLUMN search_text TEXT COLLATE "C" GENERATED ALWAYS AS (
            coalesce('  ' || users_search_form(full_name) || E'\n', '') || '  ' || users_search_form(username)
        ) STORED,
        ADD COLUMN search_email TEXT COLLATE "C" GENERATED ALWAYS AS ('  ' || users_search_form(email)) STORED;
    CREATE INDEX users_by_search ON users USING gin (users_search_grams(search_text, search_email))
        WITH (gin_pending_list_limit = 256);
END $migration$;

INSERT INTO larder_compatibility (version, oldest) VALUES (20, 14);
