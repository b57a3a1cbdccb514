"""Where a request comes from: the only place that reads the client's address."""

from ipaddress import IPv6Address, IPv6Network, ip_address

from fastapi import Request

MAX_ADDRESS_LENGTH = 45  # an IPv6 address that has an IPv4 one in it
IPV6_PREFIX = 64  # of the network that one client has, with all its 2^64 addresses (RFC 6177)


def client_address(request: Request) -> str | None:
    """The peer's address or, behind proxies, that of whoever they were called by.

    uvicorn's middleware reads X-Forwarded-For from the right, as far as FORWARDED_ALLOW_IPS is believed; what a client
    writes into it stands to the left of that. None where a socket has no addresses.
    """
    return request.client.host[:MAX_ADDRESS_LENGTH] if request.client else None


async def client_network(request: Request) -> str:
    """Whom a limit counts: an IPv4 address, or an IPv6 network."""
    text = client_address(request) or ""
    try:
        address = ip_address(text)
    except ValueError:
        return text
    if not isinstance(address, IPv6Address):
        return text
    return str(address.ipv4_mapped or IPv6Network((int(address), IPV6_PREFIX), strict=False))
