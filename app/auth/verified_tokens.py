"""Access tokens that were right, so that a signature is not checked with each request: a tenth of what a read costs.

What else a token's goodness hangs on, its session and its user, is no matter of this: `app.auth.identity_cache`.
"""

from datetime import datetime
from hashlib import sha256

from app.core.cache import make_room
from app.core.config import Settings
from app.core.security import AccessToken, read_access_token

MAX_REMEMBERED = 10_000  # about 5 MB; then the oldest go


class VerifiedTokens:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._tokens: dict[bytes, AccessToken] = {}  # by their hash: a dump of the memory shows no token

    def read(self, token: str, now: datetime) -> AccessToken:
        """What the token says. Raises Unauthorized when it is not right, or no longer."""
        key = sha256(token.encode()).digest()
        known = self._tokens.get(key)
        if known is not None and now < known.expires_at:
            return known
        self._tokens.pop(key, None)
        claims = read_access_token(token, self._settings)
        make_room(self._tokens, MAX_REMEMBERED)
        self._tokens[key] = claims
        return claims

    def __len__(self) -> int:
        return len(self._tokens)
