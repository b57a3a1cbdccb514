"""Positions are read as each database writes them, and compared in all of their parts."""

import pytest

from app.core.db.replication.positions import parse, reached

UUID, OTHER = "3e11fa47-71ca-11e1-9e33-c80aa9429562", "4e11fa47-71ca-11e1-9e33-c80aa9429562"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("0/0", {"": 0}),
        ("16/B374D848", {"": 0x16B374D848}),
        ("0-1-270", {"0": 270}),
        ("0-1-270,1-2-5", {"0": 270, "1": 5}),
        (f"{UUID}:1-77", {UUID: 77}),
        (f"{UUID}:1-5:7-9,\n{OTHER}:3", {UUID: 9, OTHER: 3}),
    ],
)
def test_a_position_is_read(written: str, meant: dict[str, int]) -> None:
    assert parse(written) == meant


@pytest.mark.parametrize("written", ["", "nonsense", "1/2/3"])
def test_what_is_none_is_none(written: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse(written)


@pytest.mark.parametrize(
    ("shown", "wanted", "is_reached"),
    [
        ("0/10", "0/10", True),
        ("1/0", "0/FFFFFFFF", True),
        ("0/9", "0/10", False),
        ("0-1-270,1-2-5", "0-7-270", True),
        ("0-1-270", "0-1-270,1-2-5", False),
    ],
)
def test_a_position_is_reached_in_all_of_its_parts(shown: str, wanted: str, is_reached: bool) -> None:
    assert reached(parse(shown), parse(wanted)) is is_reached
