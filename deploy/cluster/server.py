"""What every server of the cluster can do: start, end, be killed, and start again where it was."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from deploy.cluster.ports import free_port
from deploy.cluster.processes import kill_all
from deploy.cluster.waiting import until_sync

START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 60


class NotStarted(Exception):
    """Says on one line what did not start, and what it wrote last."""


class Server:
    """A server process in a folder and on a port of its own; `url` is where it is, each time that it is started."""

    program: str
    package: str
    """Debian's package that has the program."""
    ends_on = signal.SIGTERM

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.wanted = False
        """Whether it was started and not stopped since: who dies all the same is started again by a supervisor."""
        self._process: subprocess.Popen[Any] | None = None
        self._one_start = threading.Lock()

    @classmethod
    def find(cls) -> str | None:
        return shutil.which(cls.program)

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def url(self) -> str:
        raise NotImplementedError

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    @property
    def pid(self) -> int | None:
        """The process's id while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def is_running(self) -> bool:
        return self.pid is not None

    def words(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    def user(self) -> str | None:
        """Whom it runs as where this process is root."""
        return None

    def prepare(self) -> None:
        """Before each start, in its folder."""

    def answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False

    def start(self) -> None:
        """Returns when it answers; NotStarted when it ends before, or does not answer for a minute."""
        self.launch()
        self.wait_until_it_answers()

    def launch(self) -> None:
        """Start the process, unless it runs, and do not wait for it."""
        with self._one_start:
            self.wanted = True
            self._launch()

    def relaunch(self) -> None:
        """Start it again if it ended without being stopped."""
        with self._one_start:
            if self.wanted:
                self._launch()

    def _launch(self) -> None:
        if not self.is_running:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.prepare()
            self._process = self._spawn()

    def _spawn(self) -> subprocess.Popen[Any]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self.words(),
                cwd=self.folder,
                env=self.environment(),
                **self._identity(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that Ctrl-C in a terminal is ours alone
            )

    def wait_until_it_answers(self, stop: threading.Event | None = None) -> None:
        """Returns early when `stop` is set."""
        is_stopped = stop.is_set if stop is not None else lambda: False
        try:
            until_sync(lambda: is_stopped() or not self.is_running or self.answers(), START_TIMEOUT_S)
        except TimeoutError:
            raise NotStarted(f"{self.name} does not answer after {START_TIMEOUT_S} s: see {self.log}") from None
        if not self.is_running and not is_stopped():
            lines = self.log.read_text(errors="replace").splitlines() or ["it wrote nothing"]
            raise NotStarted(f"{self.name} ended at its start: {lines[-1]} ({self.log})")

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """Ask it to end, wait for that, and kill what is left of it."""
        self.ask_to_stop()
        if (process := self._process) is not None:
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=timeout_s)
            self._kill(process)

    def ask_to_stop(self) -> None:
        """Only its head is told, as a supervisor would."""
        with self._one_start:
            self.wanted = False
            if (pid := self.pid) is not None:
                os.kill(pid, signal.SIGCONT)
                os.kill(pid, self.ends_on)

    def kill(self) -> None:
        """SIGKILL to it and all that it started, as when its machine goes."""
        if (process := self._process) is not None:
            self._kill(process)

    def _kill(self, process: subprocess.Popen[Any]) -> None:
        kill_all(process.pid)
        process.wait(timeout=30)

    def signal(self, number: int) -> None:
        """To its process group."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def run(self, *words: str) -> str:
        """What a command says that is run in its folder by its user; NotStarted when it fails."""
        done = subprocess.run(words, cwd=self.folder, check=False, text=True, capture_output=True, **self._identity())
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines() or ["it wrote nothing"]
            raise NotStarted(f"{self.name}: {Path(words[0]).name} failed: {said[-1]}")
        return done.stdout

    def _identity(self) -> dict[str, Any]:
        """For subprocess: its user, of no group but their own."""
        if os.getuid() != 0 or (name := self.user()) is None:
            return {}
        return {"user": name, "group": pwd.getpwnam(name).pw_gid, "extra_groups": []}

    def give_folder_to_its_user(self) -> None:
        """A server that refuses to run as root needs a folder of its own, and a way into it."""
        if who := self._identity():
            os.chown(self.folder, pwd.getpwnam(who["user"]).pw_uid, who["group"])
            if closed := [path for path in self.folder.resolve().parents if not path.stat().st_mode & 0o001]:
                raise NotStarted(f"{self.name} runs as {who['user']}, who cannot enter {closed[-1]}: choose another")
