"""PostgreSQL: a primary, and replicas that stream from it."""

import re
import shutil
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

from deploy.cluster.server import NotStarted, Server

# Backends of a server that was killed hold its memory for a moment, in which no other starts on its data.
LEFT_BEHIND = re.compile("shared memory block|lock file .* already exists")
LEFT_BEHIND_S = 20


class PostgreSQL(Server):
    """What it has acknowledged is on the disk: fsync is on, so that a kill loses nothing."""

    program = "postgres"
    package = "postgresql"
    ends_on = signal.SIGINT  # at once; SIGTERM would wait for every client to leave

    @classmethod
    def find(cls) -> str | None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
        return str(found[-1]) if found else shutil.which(cls.program)

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def user(self) -> str | None:
        return "postgres"

    def options(self) -> dict[str, str]:
        """Of the server; a replica needs the primary's, or more."""
        return {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": ".",
            "max_connections": "200",
            "wal_level": "replica",
            "max_wal_senders": "10",
            "wal_keep_size": "512MB",  # for a replica that is away for a while
            "hot_standby": "on",
        }

    def words(self) -> list[str]:
        options = [word for name, value in self.options().items() for word in ("-c", f"{name}={value}")]
        return [self.tool("postgres"), "-D", "data", "-p", str(self.port), *options]

    def tool(self, name: str) -> str:
        return str(Path(str(self.find())).with_name(name))

    def prepare(self) -> None:
        if not (self.folder / "data").exists():
            self.give_folder_to_its_user()
            self.make_data()

    def make_data(self) -> None:
        self.run(self.tool("initdb"), "-D", "data", "-U", "postgres", "-A", "trust", "--no-sync")

    def sql(self, statement: str) -> str:
        """What it answers, a row a line; NotStarted with its error."""
        return self.run(self.tool("psql"), "-qAt", "-v", "ON_ERROR_STOP=1", "-d", self.url, "-c", statement).rstrip(
            "\n"
        )

    def answers(self) -> bool:
        with suppress(NotStarted):
            return bool(self.run(self.tool("pg_isready"), "-h", "127.0.0.1", "-p", str(self.port)))
        return False

    def wait_until_it_answers(self, stop: threading.Event | None = None) -> None:
        deadline = time.monotonic() + LEFT_BEHIND_S
        while True:
            try:
                return super().wait_until_it_answers(stop)
            except NotStarted as error:
                if time.monotonic() > deadline or not LEFT_BEHIND.search(self.last_words()):
                    raise error from None
            time.sleep(0.05)
            self.launch()

    def last_words(self) -> str:
        return self.log.read_text(errors="replace")[-1000:]


class PostgreSQLReplica(PostgreSQL):
    """Streams from its primary, and answers what only reads; until it is promoted."""

    def __init__(self, folder: Path, primary: PostgreSQL) -> None:
        super().__init__(folder)
        self.primary = primary

    def options(self) -> dict[str, str]:
        return super().options() | {"wal_retrieve_retry_interval": "500ms"}  # of a primary that is away

    def make_data(self) -> None:
        # --write-recovery-conf makes it a standby of where it was copied from.
        source = f"host=127.0.0.1 port={self.primary.port} user=postgres application_name={self.name}"
        words = ["--pgdata=data", f"--dbname={source}", "--checkpoint=fast", "--write-recovery-conf", "--no-sync"]
        self.run(self.tool("pg_basebackup"), *words)

    def promote(self) -> None:
        """It takes writes from now on; returns when it does."""
        self.run(self.tool("pg_ctl"), "promote", "-D", "data", "-w")
