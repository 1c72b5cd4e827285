-- The e-mail address that another user's token or key set, without a password. A mail that resets the password does not go there: who holds
-- an admin's key would take accounts over. It counts while the user still has this address.
ALTER TABLE credentials ADD COLUMN unproven_email TEXT;

INSERT INTO larder_compatibility (version, oldest) VALUES (19, 14);
