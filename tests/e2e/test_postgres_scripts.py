"""deploy/postgres: the scripts of docker-compose.yml, on real servers as its images run them."""

import os
import re
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

from deploy.cluster.servers import NotStarted, PostgreSQL, PostgreSQLReplica, running, scratch
from tests.processes import ROOT
from tests.waiting import until_sync

pytestmark = pytest.mark.skipif(not PostgreSQL.find(), reason="PostgreSQL is not installed")


class Primary(PostgreSQL):
    """As the image makes it: with passwords, and without replication from elsewhere."""

    password, replication_password = 'it\'s "secret"', "it's $another \\one"

    @property
    def url(self) -> str:
        return f"host=127.0.0.1 port={self.port} user=groundwork dbname=postgres password={quoted(self.password)}"

    def make_data(self) -> None:
        (self.folder / "password").write_text(self.password)
        words = ["-D", "data", "-U", "groundwork", "-A", "scram-sha-256", "--pwfile=password", "--no-sync"]
        self.run(self.tool("initdb"), *words)
        rules = self.folder / "data" / "pg_hba.conf"
        rules.write_text(re.sub(r"^(local|host) +replication.*$", "", rules.read_text(), flags=re.MULTILINE))

    def run_script(self) -> None:
        """deploy/postgres/primary.sh, as the image does."""
        env = {"POSTGRES_USER": "groundwork", "POSTGRES_DB": "postgres", "PGDATA": str(self.folder / "data")}
        env |= {"PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGPASSWORD": self.password}
        env |= {"REPLICATION_PASSWORD": self.replication_password, "PATH": path_with(self)}
        subprocess.run(["/bin/sh", str(ROOT / "deploy" / "postgres" / "primary.sh")], env=env, check=True)
        self.sql("SELECT pg_reload_conf()")


class Replica(PostgreSQLReplica):
    """deploy/postgres/replica.sh, as the image starts it."""

    primary: Primary
    password: str | None = None
    """What it streams with; the primary's when it is none."""

    @property
    def url(self) -> str:
        return self.primary.url.replace(str(self.primary.port), str(self.port))

    def prepare(self) -> None:
        self.give_folder_to_its_user()
        (self.folder / "replica.sh").write_text((ROOT / "deploy" / "postgres" / "replica.sh").read_text())

    def environment(self) -> dict[str, str]:
        env = {"PGDATA": str(self.folder / "data"), "PRIMARY_HOST": "127.0.0.1", "PRIMARY_PORT": str(self.primary.port)}
        password = self.password or self.primary.replication_password
        return env | {"REPLICATION_PASSWORD": password, "PATH": path_with(self)}

    def words(self) -> list[str]:
        options = super().words()
        return ["/bin/sh", "replica.sh", *options[options.index("-p") :]]


def quoted(password: str) -> str:
    """For libpq."""
    return "'" + re.sub(r"(['\\])", r"\\\1", password) + "'"


def path_with(server: PostgreSQL) -> str:
    return f"{Path(server.tool('psql')).parent}:{os.environ['PATH']}"


@pytest.fixture
def primary() -> Generator[Primary]:
    with running(Primary) as server:
        server.run_script()
        yield server


def test_a_replica_copies_the_primary_once_and_follows_it(primary: Primary) -> None:
    primary.sql("CREATE TABLE said AS SELECT 'before' AS word")
    with scratch() as folder:
        replica = Replica(folder / "replica", primary)
        replica.folder.mkdir()
        replica.give_folder_to_its_user()
        replica.run("/bin/sh", "-c", "mkdir data.new; touch data.new/half")  # what a copy that was cut off has left
        try:
            replica.start()
            until_sync(lambda: replica.sql("SELECT word FROM said") == "before")
            made = (folder / "replica" / "data").stat().st_ino
            replica.kill()
            primary.sql("INSERT INTO said VALUES ('after')")
            replica.start()
            until_sync(lambda: replica.sql("SELECT word FROM said ORDER BY word") == "after\nbefore")
            assert replica.sql("SELECT pg_is_in_recovery()") == "t"
            assert (folder / "replica" / "data").stat().st_ino == made
        finally:
            replica.kill()


def test_a_replica_without_the_password_is_refused(primary: Primary) -> None:
    with scratch() as folder:
        replica = Replica(folder / "replica", primary)
        replica.password = "a guess"
        with pytest.raises(NotStarted, match='password authentication failed for user "replicator"'):
            replica.start()
        assert not (folder / "replica" / "data").exists()
