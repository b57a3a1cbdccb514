"""PgBouncer in transaction mode, before a PostgreSQL."""

import shutil
from pathlib import Path

from deploy.cluster.postgresql import PostgreSQL
from deploy.cluster.server import Server


class PgBouncer(Server):
    """It lets everybody in, as the server behind it does, and keeps `size` connections to that."""

    program = "pgbouncer"
    package = "pgbouncer"

    def __init__(self, folder: Path, postgresql: PostgreSQL, size: int) -> None:
        super().__init__(folder)
        self.postgresql = postgresql
        self.size = size

    @classmethod
    def find(cls) -> str | None:
        return shutil.which(cls.program) or shutil.which(cls.program, path="/usr/sbin:/usr/local/sbin")

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres?pgbouncer=true"

    def user(self) -> str | None:
        return "postgres"

    def words(self) -> list[str]:
        return [str(self.find()), "pgbouncer.ini"]

    def prepare(self) -> None:
        self.give_folder_to_its_user()
        (self.folder / "pgbouncer.ini").write_text(
            f"""[databases]
* = host=127.0.0.1 port={self.postgresql.port} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {self.size}
max_client_conn = 500
"""
        )
