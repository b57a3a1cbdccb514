"""What the second factor's endpoints take and answer."""

from datetime import datetime
from typing import Annotated

from pydantic import Field, SecretStr

from app.core.schemas import AnswerSchema, Password, RequestSchema

Code = Annotated[SecretStr, Field(min_length=6, max_length=64)]


class SecondFactorResponse(AnswerSchema):
    is_active: bool
    confirmed_at: datetime | None
    recovery_codes_left: int


class Enrolment(RequestSchema):
    password: Password


class EnrolmentResponse(AnswerSchema):
    secret: str
    uri: str = Field(description="otpauth://totp/..., what the QR code says")
    qr_code: str = Field(description="An SVG image as a data URI")


class Confirmation(RequestSchema):
    code: Code = Field(description="Six digits of the app")


class Proof(RequestSchema):
    password: Password
    code: Code = Field(description="Six digits of the app, or a recovery code")


class ChallengeAnswer(RequestSchema):
    challenge_token: Annotated[SecretStr, Field(max_length=1024)]
    code: Code = Field(description="Six digits of the app, or a recovery code")


class RecoveryCodesResponse(AnswerSchema):
    recovery_codes: list[str] = Field(description="Each is good once. They are not shown again")
