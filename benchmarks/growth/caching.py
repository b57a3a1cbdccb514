"""How often the cache is hit: simulated, as keys hold the caller and so one user's requests decide alone.

A user comes for a while, lists, reads rows (few of them often: Zipf) and writes now and then, which makes what is
cached of that user void. Requests go to one of several processes at random: each remembers identities for itself.
"""

import random
from collections.abc import Iterator

USERS = 2000
VISIT = 30  # requests, on average
ROWS = 1000
WRITES = 0.1
LISTS = 0.5
GAPS_S = (0.2, 1.0, 5.0, 20.0)
TTLS_S = (1, 5, 30, 300)
PROCESSES = (1, 4, 32)


def show() -> None:
    print(
        "\nHits of a row's and a list's cache, shared by all processes, by its seconds and the pause between requests"
    )
    print("  pause    " + "".join(f"{ttl:>7} s" for ttl in TTLS_S))
    for gap in GAPS_S:
        print(f"  {gap:4} s   " + "".join(f"{_hits(gap, ttl):8.0%} " for ttl in TTLS_S))
    print("\nHits of a remembered identity (1 s), by the processes that take turns")
    print("  pause    " + "".join(f"{count:>8} " for count in PROCESSES))
    for gap in GAPS_S:
        print(f"  {gap:4} s   " + "".join(f"{_identity_hits(gap, count):8.0%} " for count in PROCESSES))


def _visits(gap: float, seed: int) -> Iterator[list[float]]:
    chance = random.Random(seed)
    for _ in range(USERS):
        now, times = 0.0, []
        for _ in range(max(1, int(chance.expovariate(1 / VISIT)))):
            now += chance.expovariate(1 / gap)
            times.append(now)
        yield times


def _hits(gap: float, ttl: float) -> float:
    chance = random.Random(1)
    weights = [1 / rank for rank in range(1, ROWS + 1)]
    rows = iter(chance.choices(range(ROWS), weights, k=USERS * VISIT * 3))
    hits = reads = 0
    for times in _visits(gap, 2):
        stored: dict[str, float] = {}
        for now in times:
            kind = chance.random()
            if kind < WRITES:
                stored.clear()
                continue
            key = "list" if kind < WRITES + LISTS else f"row {next(rows)}"
            reads += 1
            if now - stored.get(key, -ttl) < ttl:
                hits += 1
            else:
                stored[key] = now
    return hits / reads


def _identity_hits(gap: float, processes: int) -> float:
    chance = random.Random(3)
    hits = requests = 0
    for times in _visits(gap, 4):
        known: dict[int, float] = {}
        for now in times:
            process = chance.randrange(processes)
            requests += 1
            if now - known.get(process, -1) < 1:
                hits += 1
            else:
                known[process] = now
    return hits / requests
