"""The processes that a process has started, and theirs."""

import os
import signal
from contextlib import suppress
from pathlib import Path

from deploy.cluster.waiting import until_sync


def kill_all(head: int) -> None:
    """SIGKILL to a process, its group and all that came of it, as when their machine goes; returns when they are gone.

    PostgreSQL's processes have groups of their own, and would end only some time after the one that started them.
    """
    everybody = [head, *descendants(head)]
    with suppress(ProcessLookupError):
        os.killpg(head, signal.SIGKILL)
    for pid in everybody:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    until_sync(lambda: not any(_is_alive(pid) for pid in everybody[1:]))


def descendants(head: int) -> list[int]:
    """From the files of /proc; nothing where the system has none."""
    parents = {int(path.name): stat[1] for path in Path("/proc").glob("[0-9]*") if (stat := _stat(int(path.name)))}
    found: list[int] = []
    layer = {head}
    while layer := {pid for pid, parent in parents.items() if parent in layer}:
        found += sorted(layer)
    return found


def _is_alive(pid: int) -> bool:
    stat = _stat(pid)
    return stat is not None and stat[0] not in "ZX"


def _stat(pid: int) -> tuple[str, int] | None:
    """The state and the parent; see proc_pid_stat(5). The name, in brackets, may hold any character."""
    try:
        state, parent, *_ = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return state, int(parent)
