-- Authenticates this installation's entries in Redis, unless LARDER_SECRET_KEY does. 256 random bits.
ALTER TABLE installation ADD COLUMN entry_secret TEXT NOT NULL DEFAULT '';
UPDATE installation SET entry_secret = lower(hex(randomblob(32)));
INSERT INTO larder_compatibility (version, oldest) VALUES (13, 12);
