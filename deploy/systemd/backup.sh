#!/bin/sh
# A dump of DATABASE_URL (PostgreSQL) into STATE_DIRECTORY, which has those of the last two weeks.
set -eu
file="$STATE_DIRECTORY/$(date +%Y-%m-%dT%H%M%S).dump"
pg_dump --format=custom --file="$file.new" "$DATABASE_URL"
mv "$file.new" "$file" # what has no .new is whole
find "$STATE_DIRECTORY" -name '*.dump*' -mtime +14 -delete
