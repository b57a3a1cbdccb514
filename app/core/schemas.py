"""What every schema shares: a request's refuses what it does not know, a row's answer reads from a row."""

import re
import unicodedata
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    HttpUrl,
    SecretStr,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from app.core.database import MAX_BIG_INTEGER, MAX_INTEGER, utcnow

# PostgreSQL refuses NUL in a text, UTF-8 a lone surrogate.
UNSTORABLE = re.compile("[\0\ud800-\udfff]")
MAX_EMAIL_LENGTH = 255
MAX_PASSWORD_LENGTH = 1024
MAX_URL_LENGTH = 2000
MAX_JSON_DEPTH = 32


class RequestSchema(BaseModel):
    """A body. A field that it does not have is 422, so that no `is_superuser` slips through and no typo is lost."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)

    def apply_to(self, row: Any) -> None:
        """Change the row's fields that were sent, and only those."""
        for name in self.model_fields_set:
            setattr(row, name, getattr(self, name))
        if self.model_fields_set and hasattr(row, "updated_at"):
            # Writing the same values is a write too: of two racing writers with one ETag the second must hear 412.
            row.updated_at = utcnow()


def unchanged() -> Any:
    """A field of an update that may be left out, which changes nothing; null is 422 where the type has no null."""
    return Field(default_factory=lambda: None)


class AnswerSchema(BaseModel):
    """An answer. A field with a default is always in it, and the API's document says so to those who read it."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)


class RowSchema(AnswerSchema):
    """An answer that is one row; a route that gives one carries its ETag."""

    model_config = ConfigDict(from_attributes=True)


def normalize_email(value: Any) -> str:
    """The one form of an address: NFKC and lower case, its domain as IDNA has it, in Unicode (RFC 5891, UTS 46).

    It names the mailbox that was typed: case folding makes of ß and of a last ς somebody else's.

    Raises:
        PydanticCustomError: not an address, or longer than MAX_EMAIL_LENGTH.
    """
    from email_validator import EmailNotValidError, validate_email

    if isinstance(value, str) and len(value) <= MAX_EMAIL_LENGTH:
        try:
            local, at, domain = unicodedata.normalize("NFKC", value.strip()).rpartition("@")
            local = unicodedata.normalize("NFKC", local.lower())
            address = validate_email(local + at + domain, check_deliverability=False).normalized
        except (EmailNotValidError, UnicodeError):
            pass
        else:
            if len(address) <= MAX_EMAIL_LENGTH:
                return address
    # The library's own message quotes the input.
    raise PydanticCustomError("email", "Not a valid email address")


Email = Annotated[
    str,
    BeforeValidator(normalize_email),
    WithJsonSchema({"type": "string", "format": "email", "maxLength": MAX_EMAIL_LENGTH}),
]
Password = Annotated[SecretStr, Field(max_length=MAX_PASSWORD_LENGTH)]


def _to_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("datetime", "Out of range in UTC") from None


# As the database gives it back: an answer to a write is the same as to the read after it, and so is its ETag.
UtcDatetime = Annotated[AwareDatetime, AfterValidator(_to_utc)]
Int32 = Annotated[int, Field(ge=-MAX_INTEGER - 1, le=MAX_INTEGER)]
Int64 = Annotated[int, Field(ge=-MAX_BIG_INTEGER - 1, le=MAX_BIG_INTEGER)]


def places(scale: int) -> AfterValidator:
    """Writes a decimal with so many digits after the point, as its column does."""
    return AfterValidator(lambda value: value.quantize(Decimal(1).scaleb(-scale)) + 0)  # + 0: -0 is 0


def reference(collection: str) -> Any:
    """The id of a row of another collection; the API's document names it."""
    return Field(ge=1, le=MAX_INTEGER, json_schema_extra={"x-collection": collection})


def _http_url(value: Any) -> str:
    if isinstance(value, str) and len(value) <= MAX_URL_LENGTH:
        try:
            url = str(_HTTP_URL.validate_python(value))
        except ValidationError:
            pass  # its message quotes the input
        else:
            if len(url) <= MAX_URL_LENGTH:
                return url
    raise PydanticCustomError("url", "Not a valid http or https URL")


_HTTP_URL = TypeAdapter(HttpUrl)
Url = Annotated[
    str,
    BeforeValidator(_http_url),
    WithJsonSchema({"type": "string", "format": "uri", "maxLength": MAX_URL_LENGTH}),
]


def _json(value: Any) -> Any:
    """Raises PydanticCustomError for null, for what is nested too deep, and for an integer beyond 64 bits."""
    if value is None:
        raise PydanticCustomError("json_null", "Must not be null")
    level = [value]
    for _ in range(MAX_JSON_DEPTH):
        level = [part for parent in level for part in _parts(parent)]
        if not level:
            return value
    raise PydanticCustomError("json_depth", "Must not be nested deeper than {depth} levels", {"depth": MAX_JSON_DEPTH})


def _parts(value: Any) -> list[Any]:
    if isinstance(value, int) and abs(value) > MAX_BIG_INTEGER:
        raise PydanticCustomError("json_integer", "Integers must fit into 64 bits")
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


Json = Annotated[Any, AfterValidator(_json)]
