#!/bin/sh
# Once, when the primary's database is made (docker-entrypoint-initdb.d): the role that replicas copy and stream with.
# Needs REPLICATION_PASSWORD, POSTGRES_USER, POSTGRES_DB and PGDATA.
set -eu
psql --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
\set password `printf %s "$REPLICATION_PASSWORD"`
CREATE ROLE replicator WITH REPLICATION LOGIN PASSWORD :'password';
SQL
echo "host replication replicator all scram-sha-256" >> "$PGDATA/pg_hba.conf"
