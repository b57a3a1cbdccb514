"""A client of the API: `Groundwork` signs in and keeps the tokens; `groundwork_client.api` has a function a route."""

from .answers import Answer, every, every_async
from .errors import ApiError, Fault, SecondFactorNeeded
from .session import AsyncGroundwork, Groundwork

__all__ = ["Answer", "ApiError", "AsyncGroundwork", "Fault", "Groundwork", "SecondFactorNeeded", "every", "every_async"]
