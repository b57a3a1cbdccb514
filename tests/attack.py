"""Sends an operation's every field and parameter the hostile values, in as few requests as show what each does."""

import json
from collections.abc import Callable, Sequence
from urllib.parse import quote_from_bytes

from httpx2 import Response

from app.core.http.strict_json import parse
from tests import factories
from tests.conformance.matrix import World
from tests.hostile_values import NAMES, VALUES, bare
from tests.rows import Operation

LONGEST_IN_A_URL = 2000  # servers take a URL of 8 KB or so
FORM = "application/x-www-form-urlencoded"


def is_json(value: bytes) -> bool:
    try:
        parse(value)
    except Exception:  # noqa: BLE001
        return False
    return True


JSON = [value for value in VALUES if is_json(value)]
NO_JSON = [value for value in VALUES if not is_json(value)]


Place = tuple[str, str]  # ("body", "title"): as a 422 says where it is


class Attack:
    """Sends an operation as a superuser, with hostile values in some places and with what is right in the others."""

    def __init__(self, world: World, operation: Operation) -> None:
        self.world = world
        self.operation = operation
        document = world.operation(operation.method, operation.path)
        self.places: list[Place] = [(part["in"], part["name"]) for part in document.get("parameters", [])]
        self.places = [place for place in self.places if place[0] in ("path", "query")]
        self.schema = world.body_schema(operation.method, operation.path)
        form = document.get("requestBody", {}).get("content", {}).get(FORM)
        self.form = world.resolve(form["schema"]) if form else None
        self.places += [("body", name) for name in (self.schema or self.form or {}).get("properties", {})]

    async def begin(self) -> None:
        self.actor = await factories.superuser(self.world.app)
        self.url = await self.world.url(self.operation.path, self.actor)
        good = await self.world.body(self.operation.method, self.operation.path, self.actor) or {}
        self.good = {name: json.dumps(value).encode() for name, value in good.items()}

    async def send(self, values: dict[Place, bytes]) -> Response:
        """Once more, as another, where the value before deleted, demoted or signed out who sent it."""
        response = await self._request(values)
        has_lost = {"public": (), "superuser": (401, 403)}.get(self.operation.policy, (401,))
        if response.status_code in has_lost:
            await self.begin()
            response = await self._request(values)
        shown = f"{self.operation} { {name: value[:60] for (_, name), value in values.items()} }"
        assert response.status_code < 500, f"{shown}: {response.status_code}"
        assert response.status_code != 413, f"{shown}: too large to be tried"
        assert response.status_code < 400 or response.json()["detail"], shown
        assert len(response.content) < 200_000, shown
        return response

    async def _request(self, values: dict[Place, bytes]) -> Response:
        sent = {
            kind: {name: value for (k, name), value in values.items() if k == kind}
            for kind in ("path", "query", "body")
        }
        url = [sent["path"].get(part[1:-1]) for part in self.operation.path.split("/")]
        path = "/".join(
            right if value is None else quoted(value) for right, value in zip(self.url.split("/"), url, strict=True)
        )
        query = "&".join(f"{name}={quoted(value)}" for name, value in sent["query"].items())
        content, kind = self._content(sent["body"])
        headers = {"Content-Type": kind} if content is not None else {}
        url = f"{path}?{query}" if query else path
        return await self.actor.http.request(self.operation.method, url, content=content, headers=headers)

    def _content(self, values: dict[str, bytes]) -> tuple[bytes | None, str]:
        if self.schema:
            members = [json.dumps(name).encode() + b":" + value for name, value in (self.good | values).items()]
            return b"{" + b",".join(members) + b"}", "application/json"
        if self.form:
            fields = dict.fromkeys(self.form.get("required", []), b"x") | values
            text = "&".join(f"{name}={quote_from_bytes(bare(value), safe='')}" for name, value in fields.items())
            return text.encode(), FORM
        return None, ""


def quoted(value: bytes) -> str:
    return quote_from_bytes(bare(value)[:LONGEST_IN_A_URL], safe="")


async def try_each(attack: Attack, values: dict[Place, Sequence[bytes]]) -> None:
    """Each value in each place.

    A request has a value in every place, another in each. The answer names the places whose values a schema refused;
    the others are sent again without those, until they are refused for themselves or let in.
    """
    for turn in range(max(map(len, values.values()), default=0)):
        left = {place: own[(turn + 7 * number) % len(own)] for number, (place, own) in enumerate(values.items())}
        response = await attack.send(left)
        while refused := refused_places(response) & left.keys():
            left = {place: value for place, value in left.items() if place not in refused}
            if not left:
                break
            response = await attack.send(left)
        if len(left) > 1 and not response.is_success:  # one of them was the reason, and hid the others
            for place, value in left.items():
                await attack.send({place: value})


def refused_places(response: Response) -> set[Place]:
    if response.status_code != 422:
        return set()
    return {(str(fault["loc"][0]), str(fault["loc"][-1])) for fault in response.json()["detail"]}


async def try_all(
    world: World, operation: Operation, choose: Callable[[Sequence[bytes], Place], Sequence[bytes]]
) -> None:
    """`choose` says which of the values are tried in a place."""
    attack = Attack(world, operation)
    await attack.begin()
    in_json = [place for place in attack.places if place[0] == "body" and attack.schema]
    values = {place: choose(JSON if place in in_json else VALUES, place) for place in attack.places}
    await try_each(attack, values)
    for place in in_json:
        for value in choose(NO_JSON, place):  # each spoils its whole body
            await attack.send({place: value})
    for name, value in zip(NAMES, VALUES[::37], strict=False):
        if attack.schema:
            await attack.send({("body", name): value})
        await attack.send({("query", "no_such_parameter"): value})
