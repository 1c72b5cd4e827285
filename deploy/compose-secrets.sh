#!/bin/sh
# Draws every secret of compose.yaml into deploy/secrets, once. Run it as root: each file belongs to the user of the container
# that reads it. With an argument, the files go into that folder.
set -eu
umask 077
folder=${1:-$(dirname "$0")/secrets}
if [ -e "$folder" ]; then
    echo "$folder exists: its secrets are in use. docs/runbook.md says how each is rotated." >&2
    exit 1
fi
larder=65532 redis=999 postgres=999
# The folder gets its name when it is complete: after a failure, the next run begins again.
mkdir -p "$(dirname "$folder")"
folder=$(cd "$(dirname "$folder")" && pwd)/$(basename "$folder")
drawn=$(mktemp -d "$folder.XXXXXX")
trap 'rm -rf "$drawn"' EXIT
cd "$drawn"
# A random text of so many bytes, in one of the forms of openssl: -base64 or -hex. Without a pipe, whose failure counts.
draw() { openssl rand "$1" "$2" > drawing && tr -d '\n' < drawing && rm drawing; }
# openssl reports its progress on standard error: it is shown only if it fails.
quietly() { "$@" 2> errors || { cat errors >&2; exit 1; }; rm errors; }

# An authority of its own, and a certificate for the name `redis` of the network of compose.
quietly openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj '/CN=larder compose' \
    -addext 'keyUsage=critical,keyCertSign,cRLSign' -keyout ca-key.pem -out ca.pem
quietly openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN=redis' -keyout redis-key.pem -out redis.csr
printf 'subjectAltName=DNS:redis,DNS:localhost\nextendedKeyUsage=serverAuth\n' > redis.ext
quietly openssl x509 -req -in redis.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 825 -extfile redis.ext \
    -out redis-cert.pem
rm -f redis.csr redis.ext ca.srl

draw -hex 24 > redis-password
printf 'requirepass %s\n' "$(cat redis-password)" > redis-password.conf
# The superuser, the owner of the tables, and the role of the service: compose-roles.sql makes the last two.
draw -hex 24 > postgres-password
draw -hex 24 > postgres-owner-password
draw -hex 24 > postgres-service-password
draw -base64 32 > key
draw -hex 24 > admin
cat > larder.toml <<END
database_url = "postgres://larder_service:$(cat postgres-service-password)@postgres:5432/larder"
database_direct_url = "postgres://larder_owner:$(cat postgres-owner-password)@postgres:5432/larder"
larder_secret_key = "$(cat key)"
larder_admin_email = "admin@localhost"
larder_admin_password = "$(cat admin)"
END
rm key admin

chmod 0400 ./*
# Of all of this only the authority's certificate is public.
chmod 0444 ca.pem
if [ "$(id -u)" -eq 0 ]; then
    chown "$larder:$larder" larder.toml redis-password
    chown "$redis:$redis" redis-password.conf redis-cert.pem redis-key.pem
    chown "$postgres:$postgres" postgres-owner-password postgres-service-password
else
    echo "not root: give larder.toml and redis-password to the user $larder, redis-*.conf and redis-*.pem to $redis, and" \
        "postgres-owner-password and postgres-service-password to $postgres" >&2
fi
mv "$drawn" "$folder"
trap - EXIT
echo "The secrets are in $folder. The first superadmin is admin@localhost; its password is in larder.toml."
