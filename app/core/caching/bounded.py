"""What a process remembers is bounded: where it is full, the oldest go."""

from itertools import islice
from typing import Any


def make_room(entries: dict[Any, Any], most: int) -> None:
    """For one more: a tenth at a time, so that not each that comes has to look for the oldest."""
    if len(entries) >= most:
        for oldest in list(islice(entries, max(most // 10, 1))):
            del entries[oldest]
