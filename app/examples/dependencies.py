"""The item that a request is about, if the caller may have it; else 404 or 403."""

from typing import Annotated

from fastapi import Depends

from app.auth.dependencies import CurrentUser
from app.core.database import DbSession, ReadSession, Row
from app.core.ownership import lock_row, read_row
from app.core.routing import IfMatch
from app.examples.models import ExampleItem
from app.examples.schemas import ExampleItemResponse


async def get_item(item_id: int, user: CurrentUser, read: ReadSession) -> Row:
    return await read_row(read, ExampleItem, item_id, user)


async def get_owned_item(item_id: int, user: CurrentUser, db: DbSession, if_match: IfMatch) -> ExampleItem:
    item = await lock_row(db, ExampleItem, item_id, user)
    if_match.check(ExampleItemResponse, item)
    return item


ItemRow = Annotated[Row, Depends(get_item)]
OwnedItem = Annotated[ExampleItem, Depends(get_owned_item)]
