-- Searching users by any three characters of their names and addresses.

-- Lower case of all letters, whatever the database's locale: its own lower() may know ASCII only.
DO $migration$ BEGIN
    EXECUTE replace(
        'CREATE FUNCTION users_folded(name TEXT) RETURNS TEXT LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
             AS $$ SELECT lower(name{collate}) COLLATE "C" $$',
        '{collate}',
        CASE WHEN EXISTS (
            SELECT 1 FROM pg_collation WHERE collname = 'und-x-icu' AND pg_encoding_to_char(
                (SELECT encoding FROM pg_database WHERE datname = current_database())
            ) = 'UTF8'
        ) THEN ' COLLATE "und-x-icu"' ELSE '' END
    );
END $migration$;

ALTER TABLE users ADD COLUMN folded_name TEXT COLLATE "C" GENERATED ALWAYS AS (users_folded(full_name)) STORED;

-- Every three characters that follow each other, whatever they are: pg_trgm would leave out all but letters and digits, and
-- read the whole index for a term without any.
CREATE FUNCTION users_grams_of(term TEXT, prefix TEXT) RETURNS TEXT[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(array_agg(prefix || substr(term, place, 3)), '{}') FROM generate_series(1, length(term) - 2) AS place
$$;

-- Those of an address are marked, for not everybody may search it. The cost keeps the planner from trying row after row, but is
-- not so high that it would start workers or compile for what takes no time: hence not PARALLEL SAFE either.
CREATE FUNCTION users_grams(folded_name TEXT, username TEXT, email TEXT) RETURNS TEXT[]
    LANGUAGE plpgsql IMMUTABLE COST 200 AS $$
DECLARE
    public TEXT := coalesce(folded_name || E'\n', '') || username;
BEGIN
    RETURN ARRAY(
        SELECT substr(public, place, 3) FROM generate_series(1, length(public) - 2) AS place
        UNION ALL
        SELECT '@' || substr(email, place, 3) FROM generate_series(1, length(email) - 2) AS place
    );
END $$;

-- What was not merged into it yet is read by every search, so that is kept short.
CREATE INDEX users_by_grams ON users USING gin (users_grams(folded_name, username, email))
    WITH (gin_pending_list_limit = 256);
