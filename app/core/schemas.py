"""What every schema shares: a request's refuses what it does not know, a row's answer reads from a row."""

import unicodedata
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, WithJsonSchema
from pydantic_core import PydanticCustomError

from app.core.database import utcnow

MAX_EMAIL_LENGTH = 255
MAX_PASSWORD_LENGTH = 1024


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


class RowSchema(BaseModel):
    """An answer that is one row; a route that gives one carries its ETag."""

    model_config = ConfigDict(from_attributes=True)


def normalize_email(value: Any) -> str:
    """The one form of an address: NFKC, casefolded, its domain in Unicode (RFC 5891).

    Raises:
        PydanticCustomError: not an address, or longer than MAX_EMAIL_LENGTH.
    """
    from email_validator import EmailNotValidError, validate_email

    if isinstance(value, str) and len(value) <= MAX_EMAIL_LENGTH:
        try:
            address = validate_email(_fold(value.strip()), check_deliverability=False).normalized
        except (EmailNotValidError, UnicodeError):
            pass
        else:
            if len(address := _fold(address)) <= MAX_EMAIL_LENGTH:
                return address
    # The library's own message quotes the input.
    raise PydanticCustomError("email", "Not a valid email address")


def _fold(value: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", value).casefold())


Email = Annotated[
    str,
    BeforeValidator(normalize_email),
    WithJsonSchema({"type": "string", "format": "email", "maxLength": MAX_EMAIL_LENGTH}),
]
Password = Annotated[SecretStr, Field(max_length=MAX_PASSWORD_LENGTH)]
