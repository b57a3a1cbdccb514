"""A server for a while, in a folder for a while."""

import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from deploy.cluster.server import Server

S = TypeVar("S", bound=Server)


@contextmanager
def running(kind: Callable[[Path], S]) -> Generator[S]:
    """Started in a folder of its own; whatever is left of it is killed in the end."""
    with scratch() as folder:
        server = kind(folder)
        try:
            server.start()
            yield server
        finally:
            server.wanted = False
            server.kill()


@contextmanager
def scratch() -> Generator[Path]:
    """A folder that every user may enter, gone in the end."""
    with tempfile.TemporaryDirectory(prefix="groundwork-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)
