"""The kinds of settings, each with its check. What a fault says names no value: it may be secret."""

import json
import re
from collections.abc import Callable
from ipaddress import ip_network
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_settings import NoDecode

from app.core.settings.database_url import async_url
from app.core.settings.limits import parse_limits
from app.core.settings.service_url import is_sender, require_address, require_base

_ORIGIN = re.compile(r"\*|[a-z][a-z0-9+.-]*://[a-z0-9_.:\[\]-]+")
_HOST_NAME = re.compile(r"\*|(\*\.)?[\w.-]+|\[[0-9a-f:.]+\]", re.ASCII | re.IGNORECASE)


def _checked(check: Callable[[Any], object]) -> AfterValidator:
    """The value as it is, where the check raises no ValueError."""

    def validate(value: Any) -> Any:
        check(value)
        return value

    return AfterValidator(validate)


def _address(*schemes: str) -> AfterValidator:
    return _checked(lambda value: require_address(value, schemes))


def _split(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value.startswith("["):
        return json.loads(value)
    return [part for one in value.split(",") if (part := one.strip())]


def _require_databases(addresses: list[str]) -> None:
    for address in addresses:
        async_url(address)


def _require_origins(origins: list[str]) -> None:
    if not all(map(_ORIGIN.fullmatch, origins)):
        raise ValueError("one is not as browsers send it: scheme://host in small letters, without a path")


def _require_host_names(names: list[str]) -> None:
    if not all(map(_HOST_NAME.fullmatch, names)):
        raise ValueError("one is no host's name alone: without a scheme, a port and a path")


def _require_networks(value: str) -> None:
    """What is no address the server would compare as text, and nobody would be behind that proxy."""
    for part in value.split(",") if value.strip() != "*" else ():
        ip_network(part.strip())


def _require_headers(value: SecretStr) -> None:
    """The SDK would leave out what is none, and the collector refuse what comes without it."""
    parts = [part.partition("=") for part in value.get_secret_value().split(",") if part.strip()]
    if not all(name.strip() and sign for name, sign, _ in parts):
        raise ValueError("not all of it is name=value")


def _require_sender(value: str) -> None:
    if value and not is_sender(value):
        raise ValueError("not one address")


_WITHOUT_SLASH = AfterValidator(lambda value: value.rstrip("/"))

List = Annotated[list[str], NoDecode, BeforeValidator(_split)]
SecretList = Annotated[list[SecretStr], NoDecode, BeforeValidator(_split)]
DatabaseAddress = Annotated[str, _checked(async_url)]
DatabaseAddresses = Annotated[List, _checked(_require_databases)]
Origins = Annotated[List, _checked(_require_origins)]
HostNames = Annotated[List, _checked(_require_host_names)]
Networks = Annotated[str, _checked(_require_networks)]
Limits = Annotated[str, _checked(parse_limits)]
RedisAddress = Annotated[str, _address("redis", "rediss")]
BrokerAddress = Annotated[str, _address("amqp", "amqps", "redis", "rediss")]
MailServerAddress = Annotated[str, _address("smtp", "smtps")]
WebAddress = Annotated[str, _address("http", "https")]
CollectorAddress = Annotated[WebAddress, _WITHOUT_SLASH]
BaseAddress = Annotated[WebAddress, _checked(require_base), _WITHOUT_SLASH]
Sender = Annotated[str, _checked(_require_sender)]
Headers = Annotated[SecretStr, _checked(_require_headers)]
Sampler = Literal[
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
]
