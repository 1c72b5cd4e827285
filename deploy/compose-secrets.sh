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
larder=65532 redis=999
mkdir -p "$folder"
cd "$folder"
draw() { openssl rand -base64 "$1" | tr -d '\n'; }
word() { openssl rand -hex 24; }

# An authority of its own, and a certificate for the name `redis` of the network of compose.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj '/CN=larder compose' \
    -addext 'keyUsage=critical,keyCertSign,cRLSign' -keyout ca-key.pem -out ca.pem 2>/dev/null
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN=redis' -keyout redis-key.pem -out redis.csr 2>/dev/null
printf 'subjectAltName=DNS:redis,DNS:localhost\nextendedKeyUsage=serverAuth\n' > redis.ext
openssl x509 -req -in redis.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 825 -extfile redis.ext -out redis-cert.pem 2>/dev/null
rm redis.csr redis.ext ca.srl

password=$(word)
printf '%s' "$password" > redis-password
printf 'requirepass %s\n' "$password" > redis-password.conf
password=$(word)
printf '%s' "$password" > postgres-password
admin=$(word)
cat > larder.toml <<END
database_url = "postgres://larder:$password@postgres:5432/larder"
larder_secret_key = "$(draw 32)"
larder_admin_email = "admin@localhost"
larder_admin_password = "$admin"
END

chmod 0400 ./*
# Of all of this only the authority's certificate is public.
chmod 0444 ca.pem
if [ "$(id -u)" -eq 0 ]; then
    chown "$larder:$larder" larder.toml redis-password
    chown "$redis:$redis" redis-password.conf redis-cert.pem redis-key.pem
else
    echo "not root: give larder.toml and redis-password to the user $larder, and redis-*.conf and redis-*.pem to $redis" >&2
fi
echo "The secrets are in $folder. The first superadmin is admin@localhost; its password is in larder.toml."
