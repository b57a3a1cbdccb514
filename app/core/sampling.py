"""Which requests are traced, decided before anything is begun: what is not sampled costs next to nothing.

OpenTelemetry's own samplers are asked when a span is made already, and each part of a request asks again.
"""

import random
import re

from starlette.types import Scope

from app.core.config import Settings

# W3C Trace Context, 3.2: the trace's id, the parent's, and whether the parent is traced.
TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})(?:-.*)?")
SAMPLED = 1


class Sampling:
    """As OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG say."""

    def __init__(self, settings: Settings) -> None:
        name = settings.otel_traces_sampler.removeprefix("parentbased_")
        self._goes_by_parent = settings.otel_traces_sampler != name
        self._share = {"always_on": 1.0, "always_off": 0.0}.get(name, settings.otel_traces_sampler_arg)

    def leaves_out(self, scope: Scope) -> bool:
        sent = (value for name, value in scope["headers"] if name == b"traceparent")
        parent = TRACEPARENT.fullmatch(next(sent, b""))
        if parent is not None and self._goes_by_parent:
            return not int(parent[2], 16) & SAMPLED
        # By the id, all services that take the same share take the same traces.
        place = int(parent[1][16:], 16) / 2**64 if parent is not None else random.random()  # noqa: S311 - no secret
        return place >= self._share
