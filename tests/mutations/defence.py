"""A defence that is taken out, and the tests that must notice."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Defence:
    """`text` stands in `file` exactly once; with `without` in its place each of the `tests` has to fail."""

    promise: str
    file: str
    text: str
    without: str
    tests: tuple[str, ...]
    backend: str = "sqlite"  # where it counts: SQLite has one writer, and so no rows to lock

    def __str__(self) -> str:
        return f"{self.promise} ({self.file})"


def kept_by(*tests: str) -> tuple[str, ...]:
    """Node ids of tests: `integration/test_auth test_x` is `tests/integration/test_auth.py::test_x`."""
    return tuple("tests/{}.py::{}".format(*test.split()) for test in tests)
