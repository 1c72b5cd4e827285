-- The refresh token that followed this one, sealed so that only a client with this one can have it again: two tabs that
-- refresh at once get one answer.
ALTER TABLE refresh_tokens ADD COLUMN successor TEXT;

INSERT INTO larder_compatibility (version, oldest) VALUES (15, 14);
