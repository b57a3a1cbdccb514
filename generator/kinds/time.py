"""Days and moments."""

import re
from datetime import UTC, date, datetime

from generator.kinds.shape import BadKind, Default, Shape, quoted, takes_nothing


def date_kind(argument: str) -> Shape:
    takes_nothing("date", argument)

    def default(text: str) -> Default:
        try:
            day = date.fromisoformat(text)
        except ValueError:
            raise BadKind("a day, like 2026-01-31") from None
        source = f"date({day.year}, {day.month}, {day.day})"
        return Default(source, source, quoted(day.isoformat()))

    return Shape(
        python="date",
        migration="sa.Date()",
        default=default,
        filters=True,
        samples=('"2026-01-02"', '"2026-01-03"'),
        bad=('"2026-13-01"',),
    )


def datetime_kind(argument: str) -> Shape:
    takes_nothing("datetime", argument)

    def default(text: str) -> Default:
        try:
            moment = datetime.fromisoformat(text).astimezone(UTC) if re.search(r"(Z|[+-]\d\d:\d\d)$", text) else None
        except (ValueError, OverflowError):
            moment = None
        if moment is None:
            raise BadKind("a moment with its zone, like 2026-01-31T12:00:00Z")
        parts = (moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second, moment.microsecond)
        source = f"datetime({', '.join(map(str, parts))}, tzinfo=UTC)"
        return Default(source, source, quoted(f"{moment:%Y-%m-%d %H:%M:%S.%f}"))

    return Shape(
        python="datetime",
        migration="UTCDateTime()",
        request="UtcDatetime",
        default=default,
        samples=('"2026-01-02T03:04:05Z"', '"2026-01-02T03:04:06Z"'),
        bad=('"2026-01-02T03:04:05"', '"soon"'),
    )
