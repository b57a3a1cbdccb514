#!/bin/sh
# A replica's start: a copy of the primary when there is none yet, then PostgreSQL with this script's arguments.
# Needs PRIMARY_HOST, REPLICATION_PASSWORD and PGDATA, whose parent is the volume. PRIMARY_PORT is 5432.
# A replica that was away for longer than the primary keeps its log (wal_keep_size) is made anew: remove its volume.
set -eu
if [ ! -d "$PGDATA" ]; then
    rm -rf "$PGDATA.new" # of a copy that was cut off
    PGPASSWORD="$REPLICATION_PASSWORD" pg_basebackup --pgdata="$PGDATA.new" --checkpoint=fast --write-recovery-conf \
        --host="$PRIMARY_HOST" --port="${PRIMARY_PORT:-5432}" --username=replicator --no-password
    mv "$PGDATA.new" "$PGDATA"
fi
exec postgres -D "$PGDATA" "$@"
