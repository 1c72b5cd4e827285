-- Authenticates this installation's entries in Redis, unless LARDER_SECRET_KEY does. 244 random bits.
ALTER TABLE installation ADD COLUMN entry_secret TEXT;
UPDATE installation SET entry_secret = replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '');
ALTER TABLE installation ALTER COLUMN entry_secret SET NOT NULL;
INSERT INTO larder_compatibility (version, oldest) VALUES (13, 12);
