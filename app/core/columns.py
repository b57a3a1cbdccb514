"""The types of columns that behave alike on every database, where SQLAlchemy's own do not."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import DateTime, Dialect, Numeric, String, Text
from sqlalchemy.types import TypeDecorator, TypeEngine


class UTCDateTime(TypeDecorator[datetime]):
    """An aware UTC datetime with microseconds, on databases that keep neither by themselves too.

    Raises:
        ValueError: a naive datetime is written.
    """

    impl = DateTime(timezone=True)
    cache_ok = True
    python_type = datetime

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "mysql":
            from sqlalchemy.dialects.mysql import DATETIME  # 0.1 s of a start that needs no MySQL

            return dialect.type_descriptor(DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a datetime without a time zone cannot be stored; use datetime.now(UTC)")
        value = value.astimezone(UTC)
        return value if dialect.name == "postgresql" else value.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        """None for what is right as it comes: of a page of rows each value would be looked at."""
        return None if dialect.name == "postgresql" else super().result_processor(dialect, coltype)


class ExactString(TypeDecorator[str]):
    """A string that equals only itself: no database's collation folds case or accents in it."""

    impl = String
    cache_ok = True
    python_type = str

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.length = length

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        collation = {"postgresql": "C", "mysql": "utf8mb4_bin"}.get(dialect.name)
        return dialect.type_descriptor(String(self.length, collation=collation))


class LongText(TypeDecorator[str]):
    """Text of any length: MySQL's TEXT ends at 64 KiB, the other databases' does not."""

    impl = Text
    cache_ok = True
    python_type = str

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "mysql":
            from sqlalchemy.dialects.mysql import MEDIUMTEXT

            return dialect.type_descriptor(MEDIUMTEXT())
        return dialect.type_descriptor(Text())


class ExactDecimal(TypeDecorator[Decimal]):
    """A decimal number that comes back as it was written: up to MAX_PRECISION digits, `scale` of them after the point.

    SQLite keeps it as a double, which has any 15 digits exactly; read, it is rounded to them again.
    """

    MAX_PRECISION = 15

    impl = Numeric
    cache_ok = True
    python_type = Decimal

    def __init__(self, precision: int, scale: int) -> None:
        super().__init__(precision, scale)
        self.precision = precision
        self.scale = scale

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Numeric(self.precision, self.scale, asdecimal=dialect.name != "sqlite"))

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        if value is None or dialect.name != "sqlite":
            return value
        return Decimal(repr(value)).quantize(Decimal(1).scaleb(-self.scale))


def utcnow() -> datetime:
    return datetime.now(UTC)


def same_as_created(context: Any) -> datetime:
    """The default of `updated_at` in a new row."""
    return context.get_current_parameters()["created_at"]
