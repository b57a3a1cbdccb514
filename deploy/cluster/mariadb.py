"""MariaDB: a primary, and replicas that follow its binary log."""

import shutil
import threading
from pathlib import Path

from deploy.cluster.server import Server

DATABASE = "groundwork"


class MariaDB(Server):
    """`url` is of a user that may do everything in its database, and nothing on a server that is read-only but read."""

    program = "mariadbd"
    package = "mariadb-server"

    @classmethod
    def find(cls) -> str | None:
        return shutil.which(cls.program) or shutil.which(cls.program, path="/usr/sbin:/usr/local/sbin:/usr/libexec")

    @property
    def url(self) -> str:
        return f"mysql://{DATABASE}@127.0.0.1:{self.port}/{DATABASE}"

    @property
    def admin_url(self) -> str:
        return f"mysql://root@127.0.0.1:{self.port}/{DATABASE}"

    def user(self) -> str | None:
        return "mysql"

    def options(self) -> dict[str, str]:
        return {
            "bind-address": "127.0.0.1",
            "socket": "server.sock",
            "pid-file": "server.pid",
            "skip-name-resolve": "on",
            "max-connections": "200",
            "server-id": str(self.port),
            "log-bin": "binlog",
            "binlog-format": "row",
            "gtid-strict-mode": "on",
            "log-slave-updates": "on",
            "sync-binlog": "1",
        }

    def words(self) -> list[str]:
        options = [f"--{name}={value}" for name, value in self.options().items()]
        return [str(self.find()), "--no-defaults", f"--datadir={self._data}", f"--port={self.port}", *options]

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def prepare(self) -> None:
        if not self._data.exists():
            self.give_folder_to_its_user()
            words = ["--no-defaults", f"--datadir={self._data}", "--auth-root-authentication-method=normal"]
            self.run("mariadb-install-db", *words, "--skip-test-db")

    def sql(self, *statements: str) -> str:
        """What they answer, as the administrator."""
        where = ["--no-defaults", "--protocol=tcp", "--host=127.0.0.1", f"--port={self.port}", "--user=root"]
        return self.run("mariadb", *where, "--execute", "; ".join(statements))

    def wait_until_it_answers(self, stop: threading.Event | None = None) -> None:
        super().wait_until_it_answers(stop)
        self.set_up()

    def set_up(self) -> None:
        """What is there already is left as it is."""
        self.sql(
            f"CREATE DATABASE IF NOT EXISTS {DATABASE}",
            f"CREATE USER IF NOT EXISTS {DATABASE}@'%'",
            f"GRANT ALL ON {DATABASE}.* TO {DATABASE}@'%'",
        )


class MariaDBReplica(MariaDB):
    """Follows its primary by GTID, and answers what only reads; until it is promoted."""

    def __init__(self, folder: Path, primary: MariaDB) -> None:
        super().__init__(folder)
        self.primary = primary

    def options(self) -> dict[str, str]:
        return super().options() | {"read-only": "off" if self._promoted.exists() else "on"}

    @property
    def _promoted(self) -> Path:
        return self.folder / "promoted"

    def set_up(self) -> None:
        """It goes on from where it was; a new one begins with the first of the primary's transactions."""
        if not self._promoted.exists():
            self.sql(
                "STOP SLAVE",
                f"CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={self.primary.port}, MASTER_USER='root', "
                "MASTER_CONNECT_RETRY=1, MASTER_USE_GTID=slave_pos",
                "START SLAVE",
            )

    def promote(self) -> None:
        """It takes writes from now on, after the next start too."""
        self.sql("STOP SLAVE", "RESET SLAVE ALL", "SET GLOBAL read_only = 0")
        self._promoted.touch()
