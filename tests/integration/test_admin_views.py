"""Views of one's own in the admin: what their options say is so, or is refused."""

from functools import partial
from typing import Any, ClassVar

import pytest
from fastapi import Request
from pydantic import BaseModel, model_validator
from sqladmin import action
from sqlalchemy import insert

from app.core.admin.lazy import LazySite
from app.core.admin.registry import Registry
from app.core.admin.site import Site
from app.core.admin.views import MOST_COUNTED, EntityView
from app.core.database import utcnow
from app.core.errors import Conflict
from app.examples.models import ExampleItem
from app.examples.schemas import ExampleItemCreate, ExampleItemUpdate
from app.users.admin import AccountView
from tests import factories
from tests.admin_pages import Visitor, visitor
from tests.factories import Actor, configured

ITEMS = "/admin/example-item"


def registry(*entities: type) -> Registry:
    found = Registry()
    for entity in entities:
        found.add(entity)
    return found


async def shown(superuser: Actor, *entities: type, **values: Any) -> Visitor:
    """Whoever looks at an admin of these."""
    app = configured(superuser.app, **values)
    app.state.admin_site = LazySite(partial(Site, app, registry(*entities).views()))
    return await visitor(Actor(app, superuser.id, superuser.email, superuser.token))


async def test_what_a_view_hides_is_hidden(superuser: Actor, user: Actor) -> None:
    class Items(EntityView, model=ExampleItem):
        column_exclude_list = [ExampleItem.description]
        column_details_exclude_list = ["description", "title"]

    item = await factories.item(user, title="To be seen", description="Not to be seen")
    admin = await shown(superuser, Items, AccountView)
    listed = (await admin.get(f"{ITEMS}/list")).text
    assert ("To be seen" in listed, "Not to be seen" in listed) == (True, False)
    assert "of 0 items" in (await admin.get(f"{ITEMS}/list", search="not to be seen")).text
    details = (await admin.get(f"{ITEMS}/details/{item['id']}")).text
    assert "To be seen" not in details
    assert "Not to be seen" not in details


async def test_what_a_view_says_is_kept(superuser: Actor, user: Actor) -> None:
    class Quiet(EntityView):
        """For several to inherit."""

        column_searchable_list = []
        column_sortable_list = []

    class Items(Quiet, model=ExampleItem):
        icon = "fa-solid fa-check"
        column_list = ["id", "is_completed"]
        column_details_list = []  # none of them would be none to see: it is as if it was not said

    item = await factories.item(user, title="Not to be listed")
    admin = await shown(superuser, Items, AccountView)
    listed = (await admin.get(f"{ITEMS}/list")).text
    assert "Not to be listed" not in listed
    assert 'name="search"' not in listed
    assert "Example items" in listed  # the name by its table's: the view says none
    assert (await admin.get(f"{ITEMS}/list", sortBy="title")).status_code == 400
    assert "Not to be listed" in (await admin.get(f"{ITEMS}/details/{item['id']}")).text


async def test_an_export_ends_where_a_list_does(superuser: Actor) -> None:
    class Items(EntityView, model=ExampleItem):
        can_export = True

    stamps = {"user_id": superuser.id, "created_at": utcnow(), "updated_at": utcnow()}
    async with superuser.app.state.database.sessions.begin() as db:
        await db.execute(insert(ExampleItem), [{"title": f"{n}", **stamps} for n in range(MOST_COUNTED + 1)])
    admin = await shown(superuser, Items, AccountView)
    exported = await admin.get(f"{ITEMS}/export/csv")
    assert len(exported.text.splitlines()) == 1 + MOST_COUNTED


@pytest.mark.parametrize(
    "option",
    [
        "form_columns",
        "form_excluded_columns",
        "form_args",
        "on_model_change",
        "can_import",
        "column_filters",
        "save_as",
    ],
)
def test_an_option_that_would_do_nothing_is_refused(option: str) -> None:
    with pytest.raises(TypeError, match=f"Items.{option} does nothing in the admin"):
        type("Items", (EntityView,), {option: []})
    mixin = type("Mixin", (), {option: []})
    with pytest.raises(TypeError, match=option):
        type("Items", (mixin, EntityView), {})


def test_an_action_is_refused() -> None:
    """It would be a GET that changes something, which another website's link could send."""
    with pytest.raises(TypeError, match=r"Items.wipe: .* a link could"):

        class Items(EntityView):
            @action("wipe")
            async def wipe(self) -> None: ...


def test_a_view_that_cannot_be_is_told_why() -> None:
    class Hidden(EntityView, model=ExampleItem):
        column_exclude_list = ["id", "user_id", "title", "description", "is_completed", "created_at", "updated_at"]

    class Related(EntityView, model=ExampleItem):
        column_searchable_list = ["user.email"]

    class Demanding(EntityView, model=ExampleItem):
        create_schema = type("WithColour", (ExampleItemCreate,), {"__annotations__": {"colour": str}})

    for view, message in (
        (Hidden, "hides every column"),
        (Related, "searches user.email"),
        (Demanding, "requires colour"),
    ):
        with pytest.raises(LookupError, match=message):
            registry(view).views()


class Polite(BaseModel):
    """A schema shaped by hand: a field that is no column, and a rule about the whole."""

    notify: bool = False

    @model_validator(mode="after")
    def not_both(self) -> Any:
        if getattr(self, "title", None) == getattr(self, "description", ""):
            raise ValueError("Say it once")
        return self


class PoliteCreate(Polite, ExampleItemCreate):
    pass


class PoliteUpdate(Polite, ExampleItemUpdate):
    pass


class PoliteItems(EntityView, model=ExampleItem):
    create_schema: ClassVar[Any] = PoliteCreate
    update_schema: ClassVar[Any] = PoliteUpdate


async def test_a_schema_shaped_by_hand(superuser: Actor, user: Actor) -> None:
    admin = await shown(superuser, PoliteItems, AccountView)
    refused = await admin.save(f"{ITEMS}/create", user_id=user.id, title="Twice", description="Twice")
    assert (refused.status_code, "Say it once" in refused.text) == (422, True)
    assert (await admin.save(f"{ITEMS}/create", user_id=user.id, title="Once")).status_code == 303
    (item,) = (await user.http.get("/api/v1/items")).json()
    edit = f"{ITEMS}/edit/{item['id']}"
    refused = await admin.save(edit, title="Twice", description="Twice")
    assert (refused.status_code, "Say it once" in refused.text) == (422, True)
    assert (await admin.save(edit, title="Another")).status_code == 303
    assert (await user.http.get(f"/api/v1/items/{item['id']}")).json()["title"] == "Another"


class Stubborn(EntityView, model=ExampleItem):
    async def remove(self, request: Request, pk: str) -> None:  # noqa: ARG002 - nobody may
        raise Conflict(f"Number {pk} <b>stays</b>")


async def test_every_error_of_a_delete_is_told_and_nobody_elses(superuser: Actor) -> None:
    admin = await shown(superuser, Stubborn, AccountView)
    answer = await admin.delete(f"{ITEMS}/delete", 1, 2, 2)
    assert "stays" not in answer.text
    page = (await admin.http.get(answer.text)).text
    assert "Number 1 &lt;b&gt;stays&lt;/b&gt;; Number 2 &lt;b&gt;stays&lt;/b&gt;</div>" in page
    for told in ("Call 555-0100", answer.text.partition("error=")[2][:-9], ""):
        page = (await admin.get(f"{ITEMS}/list", error=told)).text
        assert ("555-0100" in page, "alert-danger" in page) == (False, False)


async def test_a_search_is_of_what_was_typed(superuser: Actor, user: Actor) -> None:
    class Items(EntityView, model=ExampleItem):
        column_searchable_list = ["title", "user_id"]

    class Dates(EntityView, model=ExampleItem):
        column_searchable_list = ["created_at"]

    for title in ("half% off", "half of", "a_b", "acb"):
        await factories.item(user, title=title)
    admin = await shown(superuser, Items, AccountView)
    found = {"F% o": 1, "A_B": 1, "%": 1, str(user.id): 4, f"{user.id}0": 0, "9" * 40: 0, "9999999999": 0, "²": 0}
    for term, count in found.items():
        assert f"of {count} items" in (await admin.get(f"{ITEMS}/list", search=term)).text, term
    admin = await shown(superuser, Dates, AccountView)
    assert "of 4 items" in (await admin.get(f"{ITEMS}/list", search="20")).text


async def test_no_row_is_lost_between_pages(superuser: Actor, user: Actor) -> None:
    ids = {(await factories.item(user, title="The same"))["id"] for _ in range(7)}
    admin = await shown(superuser, ExampleItem, AccountView)
    site = await admin.app.state.admin_site.get()
    (view,) = [one for one in site.views if one.model is ExampleItem]
    for sort in ("asc", "desc"):
        texts = [
            (await admin.get(f"{ITEMS}/list", sortBy="title", sort=sort, pageSize=2, page=page)).text
            for page in range(1, 5)
        ]
        assert {one for one in ids for text in texts if f'{ITEMS}/details/{one}"' in text} == ids
    request = type("Request", (), {"query_params": {"sortBy": "title"}})
    assert str(view.sort_query(view.list_query(request), request)).endswith("title ASC, example_items.id")


async def test_in_production_its_links_are_https(superuser: Actor) -> None:
    """Whatever the proxy said that ends TLS."""
    app = configured(superuser.app, environment="production")
    browser = Visitor(app)
    cookie = (await browser.sign_in(superuser.email)).headers["Set-Cookie"].partition(";")[0]
    page = await browser.http.get(f"{ITEMS}/list", headers={"Cookie": cookie})
    assert page.status_code == 200
    assert f"https://test{ITEMS}/create" in page.text
    assert "http://test" not in page.text
