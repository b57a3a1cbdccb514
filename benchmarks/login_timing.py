"""Whether a sign-in tells by its time that an address has an account: `make login-timing`.

A real server with BCRYPT_ROUNDS=12. The two kinds of tries take turns: what else the machine does falls on both alike.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx2

from tests import factories, processes

ROUNDS = 12
API = "/api/v1/auth"


def main() -> None:
    tries = int(os.environ.get("TRIES") or 40)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        env = processes.safe(f"sqlite:///{folder}/app.db", RATE_LIMIT_ENABLED="false", MAIL_FOLDER=f"{folder}/mails")
        with processes.server(folder, env | {"BCRYPT_ROUNDS": str(ROUNDS)}) as server, server.client() as client:
            known = {"email": factories.email(), "password": factories.PASSWORD}
            client.post(f"{API}/register", json=known).raise_for_status()
            unknown = {"email": factories.email(), "password": factories.PASSWORD}
            wrong = known | {"password": "a wrong password"}
            compare(client, f"{API}/login", {"unknown address": unknown, "wrong password": wrong}, 401, tries)
            if f"{API}/forgot-password" in client.get("/openapi.json").json()["paths"]:
                sent = {"unknown address": unknown, "known address": known}
                emails = {kind: {"email": body["email"]} for kind, body in sent.items()}
                compare(client, f"{API}/forgot-password", emails, 202, tries)


def compare(client: httpx2.Client, path: str, bodies: dict[str, dict[str, str]], status: int, tries: int) -> None:
    """Prints each kind's median and spread in ms, and the ratio of the medians."""
    seconds: dict[str, list[float]] = {kind: [] for kind in bodies}
    for number in range(tries + 3):
        for kind in sorted(bodies, reverse=bool(number % 2)):
            took = timed(lambda body=bodies[kind]: client.post(path, json=body), status)
            if number >= 3:  # the first ones find nothing warm
                seconds[kind].append(took)
    medians = []
    for kind, taken in seconds.items():
        low, median, high = statistics.quantiles(taken, n=4)
        medians.append(median)
        spread = f"half of {tries} from {low * 1000:.2f} to {high * 1000:.2f}"
        print(f"{path}  {kind:<16} median {median * 1000:7.2f} ms, {spread}")
    print(f"{path}  ratio {medians[0] / medians[1]:.3f}, difference {(medians[0] - medians[1]) * 1000:+.2f} ms")


def timed(call: Callable[[], httpx2.Response], status: int) -> float:
    began = time.perf_counter()
    answer = call()
    seconds = time.perf_counter() - began
    assert answer.status_code == status, answer.text
    return seconds


if __name__ == "__main__":
    main()
