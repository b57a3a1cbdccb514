"""The items that belong to users."""

from sqlalchemy import String, false
from sqlalchemy.orm import Mapped, mapped_column

from app.core.columns import LongText
from app.core.database import Base
from app.core.ownership import Owned


class ExampleItem(Owned, Base):
    __tablename__ = "example_items"

    title: Mapped[str] = mapped_column(String(200))
    description: Mapped[str | None] = mapped_column(LongText)
    is_completed: Mapped[bool] = mapped_column(default=False, server_default=false())
