-- Names this database among all that share a Redis. Drawn once; a copy of the database is the same installation.
CREATE TABLE installation (
    id TEXT COLLATE "C" PRIMARY KEY,
    only_row BOOLEAN NOT NULL DEFAULT TRUE UNIQUE CHECK (only_row)
);
INSERT INTO installation (id) VALUES (replace(gen_random_uuid()::text, '-', ''));
