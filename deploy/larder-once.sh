#!/bin/sh
# Runs one command of larder with the settings and the secrets of larder.service, whether the service runs or not:
# `larder-once doctor`, `larder-once keys rotate --now`. Run it as root, who alone reads the secrets: the copies that
# larder.toml names exist only while the service runs. Each file in /etc/larder/secrets has the name of its setting, so that
# database-url is DATABASE_URL. Install it as /usr/local/sbin/larder-once.
set -eu
for file in /etc/larder/secrets/*; do
    name=$(basename "$file" | tr 'a-z-' 'A-Z_')
    # The environment wins over the file of settings.
    export "${name}_FILE=$file"
done
# The folder of the service, which systemd makes at its first start: with SQLite, data/larder.db is in it. The files that
# SQLite makes beside it get the database's owner.
cd /var/lib/larder
exec /usr/local/bin/larder --config /etc/larder/larder.toml "$@"
