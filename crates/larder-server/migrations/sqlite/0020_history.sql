-- What the cache of each instance did in each minute of the last day. `history::migration` of larder-sql returns this text.
CREATE TABLE IF NOT EXISTS larder_history (
    -- Minutes since 1970-01-01 00:00 UTC.
    minute   BIGINT NOT NULL,
    instance TEXT NOT NULL,
    -- When the process began to record, in milliseconds since 1970: an instance can have several processes, one after the other.
    started  BIGINT NOT NULL,
    -- JSON.
    figures  TEXT NOT NULL,
    PRIMARY KEY (minute, instance, started)
);

INSERT INTO larder_compatibility (version, oldest) VALUES (20, 14);
