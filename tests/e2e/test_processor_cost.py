"""What a request costs the processor, beside the plain stack in the same run; `make bench` says what it is.

The bounds are half of what is measured there and less, since the gate runs on a busy machine: what fails here is a fast
path that is not taken any more.
"""

import asyncio
import statistics

from benchmarks.speed import processor

TIMES_FASTER = {"get": 1.5, "list": 1.0, "post": 0.5, "put": 0.5}


async def test_a_request_costs_less_than_the_plain_stacks(empty_database: str, backend: str) -> None:
    if backend == "mysql":
        return  # the plain stack has no such driver
    costs = await asyncio.to_thread(processor.measure, empty_database, 8)
    for kind, bound in TIMES_FASTER.items():
        pairs = zip(costs[kind]["groundwork"], costs[kind]["plain"], strict=True)
        ratio = statistics.median(plain / ours for ours, plain in pairs)
        assert ratio > bound, f"{kind} costs {1 / ratio:.2f} times the plain stack's: {costs[kind]}"
