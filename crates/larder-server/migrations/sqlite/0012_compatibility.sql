-- Which programs can run on this schema: of each migration, the oldest version of the schema that a program has to know.
-- A program that meets a migration which it does not know looks here before it refuses. Each later migration inserts its row:
-- its own version if it breaks programs that do not know it, else a lower one.
-- No key: a restore or replication may bring rows that stand here already.
CREATE TABLE larder_compatibility (
    version BIGINT NOT NULL,
    oldest  BIGINT NOT NULL,
    CONSTRAINT larder_compatibility_check CHECK (oldest <= version)
);
INSERT INTO larder_compatibility (version, oldest) VALUES (12, 12);
