"""What the account endpoints take and answer."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from app.core.pagination import ListQuery
from app.core.schemas import MAX_EMAIL_LENGTH, AnswerSchema, Email, Password, RequestSchema, RowSchema, unchanged


class UserResponse(RowSchema):
    id: int
    email: str
    is_active: bool
    is_superuser: bool
    created_at: datetime
    email_verified_at: datetime | None


class Credentials(RequestSchema):
    email: Email
    password: Password


class PasswordForm(BaseModel):
    """OAuth 2.0's password grant (RFC 6749, 4.3.2); what it has no use for it passes over (3.2)."""

    model_config = ConfigDict(hide_input_in_errors=True)

    grant_type: Literal["password"] = "password"
    username: Annotated[str, Field(max_length=MAX_EMAIL_LENGTH)]
    password: Password


class TokenResponse(AnswerSchema):
    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - RFC 6750
    expires_in: int
    refresh_token: str


class ChallengeResponse(AnswerSchema):
    """The password was right, and is not enough: POST /auth/login/second-factor takes the token and a code."""

    second_factor: Literal["totp"] = "totp"
    challenge_token: str
    expires_in: int


OpaqueToken = Annotated[SecretStr, Field(min_length=1, max_length=200)]


class Refresh(RequestSchema):
    refresh_token: OpaqueToken


class ForgottenPassword(RequestSchema):
    email: Email


class PasswordReset(RequestSchema):
    token: OpaqueToken
    password: Password


class Verification(RequestSchema):
    token: OpaqueToken


class AccountUpdate(RequestSchema):
    email: Email = unchanged()
    password: Password = unchanged()
    current_password: Password


class AccountDelete(RequestSchema):
    password: Password


class SessionResponse(RowSchema):
    id: UUID
    user_id: int
    user_agent: str | None
    ip_address: str | None
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    is_current: bool


class SessionQuery(ListQuery):
    sortable = ("id", "created_at", "last_used_at", "expires_at")

    sort: str | None = Field("-created_at", max_length=200)
