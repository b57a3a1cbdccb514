"""The kinds of fields: how each is stored, sent and answered, in the words of the code that is generated."""

from collections.abc import Callable

from generator.kinds import numbers, text, time
from generator.kinds.shape import Shape

KINDS: dict[str, Callable[[str], Shape]] = {
    "str": text.str_kind,
    "text": text.text_kind,
    "int": numbers.int_kind,
    "bigint": numbers.bigint_kind,
    "float": numbers.float_kind,
    "decimal": numbers.decimal_kind,
    "bool": numbers.bool_kind,
    "date": time.date_kind,
    "datetime": time.datetime_kind,
    "uuid": text.uuid_kind,
    "enum": text.enum_kind,
    "json": text.json_kind,
    "email": text.email_kind,
    "url": text.url_kind,
}
ACCEPTED = (
    "str(200), str(0..200), text, int, int(1..5), bigint, float, decimal(10,2), bool, date, datetime, uuid, "
    "enum(low,high), json, email, url, ref(Other)"
)
