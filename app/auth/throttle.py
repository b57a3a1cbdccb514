"""Guessing passwords: every try is counted before the password is looked at, and taken back when it was right.

By account, whether there is one or not, so that many addresses cannot share the work; and by address, so that one
cannot try many accounts. What is refused is taken back too: one blocked machine locks nobody out, and asking again
prolongs nothing. A counter ends with its window, so no lock is for good.

And mails that anybody may ask for: so many to one mailbox, likewise whether there is an account or not.
"""

from hashlib import blake2b

from fastapi import Request

from app.core.client import client_network
from app.core.config import Settings
from app.core.errors import TooManyRequests
from app.core.limits.counters import Counters
from app.core.rate_limit import KEY, Spent, spend
from app.core.settings.limits import parse_limits

ACCOUNT, ADDRESS = "login-account", "login-address"
MAIL, MAILS = "mail-address", "5/hour"  # that anybody may ask for, to one mailbox


async def count_try(request: Request, email: str, *, by_address: bool = True) -> None:
    """Called before a password is verified: of any number at once only so many get through.

    Raises:
        TooManyRequests: the account or the address has used its tries up; it says until when.
    """
    settings: Settings = request.app.state.settings
    counters: Counters = request.app.state.counters
    if not settings.rate_limit_enabled:
        return
    spent: list[Spent] = []
    if by_address:
        spent += await spend(counters, ADDRESS, settings.login_limit_address, await client_network(request))
    if not spent or not spent[-1].is_over:
        spent += await spend(counters, ACCOUNT, settings.login_limit_account, _name(email))
    if spent[-1].is_over:
        for one in spent:
            await counters.take_back(one.key, one.limit.window_s)
        request.app.state.metrics.refused(spent[-1].name)
        raise TooManyRequests(spent[-1].retry_after_s)


async def forgive(request: Request, email: str, *, by_address: bool = True) -> None:
    """Called when the password was right: the account's wrong tries are forgotten, and the address has its one back."""
    settings: Settings = request.app.state.settings
    counters: Counters = request.app.state.counters
    if not settings.rate_limit_enabled:
        return
    for limit in parse_limits(settings.login_limit_account):
        await counters.clear(KEY.format(name=ACCOUNT, caller=_name(email), limit=limit))
    if by_address:
        network = await client_network(request)
        for limit in parse_limits(settings.login_limit_address):
            await counters.take_back(KEY.format(name=ADDRESS, caller=network, limit=limit), limit.window_s)


async def may_be_mailed(request: Request, email: str) -> bool:
    """Counts a mail to the address, whether it is an account's or not, and says whether it may be sent: nobody fills
    another's mailbox, nor kills the token of the last mail again and again."""
    if not request.app.state.settings.rate_limit_enabled:
        return True
    spent = await spend(request.app.state.counters, MAIL, MAILS, _name(email))
    if spent[-1].is_over:
        request.app.state.metrics.refused(MAIL)
    return not spent[-1].is_over


def _name(email: str) -> str:
    """A key's part for the address of an account: as short as any other, and unreadable to whoever looks into Redis."""
    return blake2b(email.encode(), digest_size=16).hexdigest()
