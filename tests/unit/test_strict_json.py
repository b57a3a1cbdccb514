"""What two JSON parsers would read differently is refused. Promise 1."""

import json

import pytest

from app.core.errors import Invalid
from app.core.http.strict_json import parse


def test_what_is_json_is_read() -> None:
    assert parse(b'{"a": [1, 2.5, null, true, "\\u00e9\\ud83d\\udc0e"], "b": {"a": 1}}') == {
        "a": [1, 2.5, None, True, "é🐎"],
        "b": {"a": 1},
    }


@pytest.mark.parametrize("text", [b'{"a":1,"a":1}', b'[{"a":{"b":1,"b":2}}]', b"NaN", b"[-Infinity]", b"1e400", b"{"])
def test_what_is_not_is_refused(text: bytes) -> None:
    with pytest.raises(json.JSONDecodeError):
        parse(text)


@pytest.mark.parametrize(
    "text", [rb'"\u0000"', rb'["\ud800"]', rb'{"\uDFFF": 1}', rb'{"a": [{"b": "\u0000"}]}', rb'"a\ud83d"']
)
def test_a_string_that_no_database_can_store_is_refused(text: bytes) -> None:
    with pytest.raises(Invalid):
        parse(text)
