"""Ports that nobody listens on."""

import random
import socket
from contextlib import suppress

# Below those that the kernel gives to outgoing connections (from 32768 on Linux): one of them could take the port
# of a server that was killed, which then could not be started again.
FIRST, LAST = 15000, 32000


def free_port() -> int:
    """A port of 127.0.0.1; which one is chance, so that processes that look at once find different ones."""
    while True:
        port = random.randint(FIRST, LAST)
        with suppress(OSError), socket.socket() as listener:
            listener.bind(("127.0.0.1", port))
            return port
