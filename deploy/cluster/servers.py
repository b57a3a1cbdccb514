"""The servers beside the databases; and all of them by name, for whoever needs one."""

from pathlib import Path

from deploy.cluster.mariadb import MariaDB, MariaDBReplica
from deploy.cluster.ports import free_port
from deploy.cluster.postgresql import PostgreSQL, PostgreSQLReplica
from deploy.cluster.running import running, scratch
from deploy.cluster.server import NotStarted, Server

__all__ = [
    "MariaDB",
    "MariaDBReplica",
    "Nginx",
    "NotStarted",
    "PostgreSQL",
    "PostgreSQLReplica",
    "RabbitMQ",
    "Redis",
    "Server",
    "running",
    "scratch",
]


class Redis(Server):
    """A cache: it keeps nothing when it ends."""

    program = "redis-server"
    package = "redis-server"

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def words(self) -> list[str]:
        return [str(self.find()), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]


class RabbitMQ(Server):
    """A broker; what is published to its durable queues outlives it."""

    program = "/usr/lib/rabbitmq/bin/rabbitmq-server"  # the one on the PATH changes to a user of its own
    package = "rabbitmq-server"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._names_port, self._nodes_port = free_port(), free_port()

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}"

    def words(self) -> list[str]:
        # With Erlang's daemon of names in its own process group: the one that it starts by itself would stay behind.
        return ["/bin/sh", "-c", 'epmd & exec "$0"', str(self.find())]

    def environment(self) -> dict[str, str]:
        return super().environment() | {
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._names_port),
            "HOME": str(self.folder),  # of the cookie
            "RABBITMQ_NODENAME": f"groundwork{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._nodes_port),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "none"),
            "RUNNING_UNDER_SYSTEMD": "true",  # no shell that stays between it and its signals
        }


class Nginx(Server):
    """Its configuration is `nginx.conf` in its folder."""

    program = "nginx"
    package = "nginx"

    @classmethod
    def find(cls) -> str | None:
        return super().find() or next((path for path in ["/usr/sbin/nginx"] if Path(path).exists()), None)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def words(self) -> list[str]:
        own = "daemon off; pid nginx.pid;"  # the one that is installed may run, too
        return [str(self.find()), "-p", str(self.folder), "-c", "nginx.conf", "-e", "stderr", "-g", own]
