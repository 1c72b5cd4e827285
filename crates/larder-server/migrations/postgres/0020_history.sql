-- What the cache of each instance did in each minute of the last day. `history::migration` of larder-sql returns this text.
CREATE TABLE IF NOT EXISTS larder_history (
    -- Minutes since 1970-01-01 00:00 UTC, by the clock of the process.
    minute   BIGINT NOT NULL,
    instance TEXT NOT NULL,
    -- Random: of two processes under one name, neither overwrites rows of the other.
    process  BIGINT NOT NULL,
    -- Milliseconds since 1970, by the clock of the database.
    written  BIGINT NOT NULL,
    -- JSON.
    figures  TEXT NOT NULL,
    PRIMARY KEY (minute, instance, process)
);

INSERT INTO larder_compatibility (version, oldest) VALUES (20, 14);
