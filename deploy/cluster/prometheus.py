"""Prometheus: it asks the apps for their figures."""

import urllib.request

from deploy.cluster.server import Server


class Prometheus(Server):
    """Its configuration is `prometheus.yml` in its folder, where it also keeps what it has heard."""

    program = "prometheus"
    package = "prometheus"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answers(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.url}/-/ready", timeout=1).close()
        except OSError:  # an HTTP error is one, too: it reads what it has kept
            return False
        return True

    def words(self) -> list[str]:
        return [
            str(self.find()),
            f"--config.file={self.folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]
