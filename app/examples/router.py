"""Items: create, list, read, change and delete them."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import Query

from app.auth.dependencies import CurrentUser
from app.core.database import DbSession, ReadSession, Row
from app.core.ownership import visible_to
from app.core.pagination import Page
from app.core.routing import Router
from app.examples.dependencies import ItemRow, OwnedItem
from app.examples.models import ExampleItem
from app.examples.schemas import ExampleItemCreate, ExampleItemQuery, ExampleItemResponse, ExampleItemUpdate

router = Router(prefix="/items", tags=["items"])


@router.post("", status_code=201, response_model=ExampleItemResponse)
async def create_item(body: ExampleItemCreate, user: CurrentUser, db: DbSession) -> ExampleItem:
    """Create an item that belongs to you."""
    item = ExampleItem(user_id=user.id, **body.model_dump())
    db.add(item)
    await db.flush()
    return item


@router.get("", response_model=list[ExampleItemResponse])
async def list_items(
    query: Annotated[ExampleItemQuery, Query()], user: CurrentUser, read: ReadSession, page: Page
) -> Sequence[Row]:
    """List your items; superusers see everybody's."""
    return await page.fetch(read, visible_to(user, ExampleItem), query)


@router.get("/{item_id}", response_model=ExampleItemResponse)
async def get_item(item: ItemRow) -> Row:
    """Read one item."""
    return item


@router.put("/{item_id}", response_model=ExampleItemResponse)
async def update_item(item: OwnedItem, body: ExampleItemUpdate, db: DbSession) -> ExampleItem:
    """Change the fields that are sent, and only those."""
    body.apply_to(item)
    await db.flush()
    return item


@router.delete("/{item_id}", status_code=204)
async def delete_item(item: OwnedItem, db: DbSession) -> None:
    """Delete one item."""
    await db.delete(item)
