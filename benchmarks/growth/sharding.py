"""How even shards by user are: simulated, with users that differ by the thousand (log-normal)."""

import hashlib
import random

USERS = 1_000_000
MEAN_ITEMS = 1000
SIGMA = 1.5  # the largest of a million users has about a thousand times the median
SHARDS = (4, 16, 64, 256)


def show() -> None:
    chance = random.Random(5)
    items = [chance.lognormvariate(0, SIGMA) for _ in range(USERS)]
    scale = MEAN_ITEMS * USERS / sum(items)
    items = [count * scale for count in items]
    largest, median = max(items), sorted(items)[USERS // 2]
    print(f"\nShards by a hash of user_id; the largest user has {largest:,.0f} items, the median {median:,.0f}")
    for shards in SHARDS:
        sizes = [0.0] * shards
        for user, count in enumerate(items, 1):
            sizes[_shard(user, shards)] += count
        mean = sum(sizes) / shards
        fullest = max(sizes) / mean
        print(f"  {shards:4} of {mean / 1e6:7.1f} million items on average; the fullest has {fullest:.2f} times that")


def _shard(user_id: int, shards: int) -> int:
    return int.from_bytes(hashlib.blake2b(user_id.to_bytes(8), digest_size=8).digest()) % shards
