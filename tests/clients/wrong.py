"""What does not fit the API, and is seen before it is run: the lines that say so, and no others."""

import datetime
from typing import Literal, assert_type

from groundwork_client import Groundwork
from groundwork_client.api import items, numbats
from groundwork_client.models import ExampleItemCreate, ExampleItemUpdate, NumbatCreate


def mistaken(groundwork: Groundwork) -> None:
    item = items.create_item(groundwork, body=ExampleItemCreate("first", description=None)).data
    items.create_item(groundwork, body=ExampleItemCreate(1))  # wrong
    items.create_item(groundwork, body=ExampleItemCreate())  # wrong
    items.create_item(groundwork)  # wrong
    items.update_item(groundwork, item.id, body=ExampleItemUpdate(title=None))  # wrong
    items.list_items(groundwork, limits=1)  # wrong
    items.create_items(groundwork)  # wrong
    item.titel  # wrong
    item.description.upper()  # wrong


def added(groundwork: Groundwork) -> None:
    """An entity that was added by `app add`."""
    body = NumbatCreate("a", price="1.50", due=datetime.date(2026, 11, 24), extra={"a": 1})
    numbat = numbats.create_numbat(groundwork, body=body).data
    assert_type(numbat.due, datetime.date | None)
    assert_type(numbat.price, str | None)
    assert_type(numbat.size, Literal["small", "large"])
    NumbatCreate("a", size="medium")  # wrong
