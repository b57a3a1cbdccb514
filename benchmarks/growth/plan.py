"""The arithmetic: disks, processors, connections and what they cost, from what was measured and what is assumed."""

import math

from pydantic import SecretStr

from app.core.config import Settings
from benchmarks.growth.tables import Measured
from tests.factories import SECRET

USERS = 1_000_000
ITEMS = 1_000_000_000
DAILY = 0.2  # of the users, on one day
REQUESTS_A_DAY = 100  # of each of those
PEAK = 5  # times the mean
MIX = {"GET one": 0.4, "LIST 20": 0.5, "POST": 0.1}
BUSY = 0.6  # of a processor, at the peak
WORKERS = 4  # processes an instance, on as many processors
MAX_CONNECTIONS = 500  # what a PostgreSQL of this size is given
DOLLARS = {"vCPU": 25.0, "GB of RAM": 4.0, "GB of disk": 0.12}  # a month, about what the large clouds list
CACHED = 0.25  # of the table and its indexes, for the working set to stay in memory


def show(measured: Measured, cpu_us: dict[str, float]) -> None:
    disk_gb = _disk_gb(measured)
    per_second = USERS * DAILY * REQUESTS_A_DAY / 86400 * PEAK
    mean_us = sum(share * cpu_us[name] for name, share in MIX.items())
    processors = per_second * mean_us / 1e6 / BUSY
    instances = max(2, math.ceil(processors / WORKERS))
    print(
        f"\n{USERS:,} users, {DAILY:.0%} of them a day, {REQUESTS_A_DAY} requests each, the peak {PEAK} times the mean"
    )
    print(f"  {per_second:,.0f} requests a second, {mean_us:.0f} us each: {processors:.1f} processors at {BUSY:.0%}")
    print(f"  {instances} instances of {WORKERS} workers")
    print(f"\n{ITEMS:,} items: {disk_gb:,.0f} GB, of which {_index_gb(measured):,.0f} GB indexes")
    print(f"  {disk_gb * CACHED:,.0f} GB of memory keep a quarter of it")
    _show_connections(instances)
    _show_cost(instances, disk_gb)


def _index_gb(measured: Measured) -> float:
    return sum(measured.bytes_per_entry.values()) * ITEMS / 1e9


def _disk_gb(measured: Measured) -> float:
    return measured.bytes_per_row * ITEMS / 1e9 + _index_gb(measured)


def _show_connections(instances: int) -> None:
    pool = Settings(web_concurrency=WORKERS, secret_key=SecretStr(SECRET)).pool_size
    each = WORKERS * 2 * pool
    print(f"\nConnections: {WORKERS} workers with 2 pools of {pool}: {each} an instance")
    print(f"  {instances} instances and one more in a rolling restart: {(instances + 1) * each} of {MAX_CONNECTIONS}")


def _show_cost(instances: int, disk_gb: float) -> None:
    cpu, memory, disk = DOLLARS.values()
    server = 16 * cpu + disk_gb * (CACHED * memory + disk)
    parts = {
        "instances": instances * WORKERS * (cpu + memory),
        "primary and 2 replicas": 3 * server,
        "Redis, broker, workers, load balancer": 8 * cpu + 16 * memory,
    }
    print(f"\nCost a month, at {', '.join(f'{price:g} dollars a {unit}' for unit, price in DOLLARS.items())}")
    for name, dollars in parts.items():
        print(f"  {name:40} {dollars:8,.0f}")
    print(f"  {'in all':40} {sum(parts.values()):8,.0f}")
