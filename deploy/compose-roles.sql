-- The roles of compose's PostgreSQL, which its image creates once, with the database: the owner of the tables, which migrates,
-- and the role of the service, which changes rows alone. The superuser `postgres` is for backups and for the runbook.
\set ON_ERROR_STOP on
-- psql reads the passwords itself, so that they are in no list of processes.
\set owner_password `cat /run/secrets/postgres-owner-password`
\set service_password `cat /run/secrets/postgres-service-password`
CREATE ROLE larder_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE larder_service LOGIN PASSWORD :'service_password';
ALTER DATABASE larder OWNER TO larder_owner;
GRANT USAGE ON SCHEMA public TO larder_service;
-- The tables come later, by the migrations of the owner.
ALTER DEFAULT PRIVILEGES FOR ROLE larder_owner IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO larder_service;
