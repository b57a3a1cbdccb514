"""ETag and If-Match (RFC 9110, 8.8.3 and 13.1.1): a writer that saw an old row is told, not obeyed."""

from hashlib import blake2b
from typing import Annotated, Any

from fastapi import Depends, Header

from app.core.errors import PreconditionFailed
from app.core.schemas import RowSchema


def etag_of(body: bytes) -> str:
    """The strong validator of a representation: a hash of its bytes."""
    return f'"{blake2b(body, digest_size=12).hexdigest()}"'


class Precondition:
    """The If-Match of a request. Lock the row, then check it: of N racing writers with one ETag one goes through."""

    def __init__(self, if_match: str | None) -> None:
        # Weak as well: a proxy that compresses makes our tag weak (W/"..."), and the row behind it is the same.
        self._wanted = None if if_match is None else {tag.strip().removeprefix("W/") for tag in if_match.split(",")}

    def check(self, schema: type[RowSchema], row: Any) -> None:
        """Raises PreconditionFailed when the row, as the schema answers with it, is not what the client saw."""
        if self._wanted is None or "*" in self._wanted:
            return
        if etag_of(schema.model_validate(row).model_dump_json().encode()) not in self._wanted:
            raise PreconditionFailed


async def _precondition(
    if_match: Annotated[
        str | None, Header(alias="If-Match", description="The row's ETag: 412 when it has changed since")
    ] = None,
) -> Precondition:
    return Precondition(if_match)


IfMatch = Annotated[Precondition, Depends(_precondition)]
