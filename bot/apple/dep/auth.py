"""Who we are to the enrollment service: OAuth 1.0a credentials, and the session they open."""

import json
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from oauthlib.oauth1 import SIGNATURE_HMAC_SHA1, Client
from pydantic import SecretStr


@dataclass(frozen=True, slots=True)
class Credentials:
    """The four values of a server token that sign a login. They are valid for one year."""

    consumer_key: str
    consumer_secret: SecretStr
    access_token: SecretStr
    access_secret: SecretStr

    def sealed(self) -> SecretStr:
        """Return all four as one text, for `unsealed`."""
        return SecretStr(
            json.dumps(
                {
                    "consumer_key": self.consumer_key,
                    "consumer_secret": self.consumer_secret.get_secret_value(),
                    "access_token": self.access_token.get_secret_value(),
                    "access_secret": self.access_secret.get_secret_value(),
                }
            )
        )

    @classmethod
    def unsealed(cls, text: SecretStr) -> "Credentials":
        """Return what `sealed` made the text from."""
        values: dict[str, str] = json.loads(text.get_secret_value())
        return cls(
            consumer_key=values["consumer_key"],
            consumer_secret=SecretStr(values["consumer_secret"]),
            access_token=SecretStr(values["access_token"]),
            access_secret=SecretStr(values["access_secret"]),
        )


def authorization(
    credentials: Credentials, *, url: str, now: datetime, nonce: str | None = None
) -> dict[str, str]:
    """Return the header that signs `GET url` (OAuth 1.0a, HMAC-SHA1, realm ADM).

    The service refuses a `now` that is minutes away from its own clock, and a nonce used before.
    """
    client = Client(
        credentials.consumer_key,
        client_secret=credentials.consumer_secret.get_secret_value(),
        resource_owner_key=credentials.access_token.get_secret_value(),
        resource_owner_secret=credentials.access_secret.get_secret_value(),
        signature_method=SIGNATURE_HMAC_SHA1,
        realm="ADM",
        nonce=nonce or secrets.token_hex(16),
        timestamp=str(int(now.timestamp())),
    )
    _, headers, _ = client.sign(url, http_method="GET")
    return {"Authorization": headers["Authorization"]}


class Session(Protocol):
    """A session token of the service, whoever stores it."""

    @property
    def value(self) -> SecretStr: ...


S = TypeVar("S", bound=Session)


class Sessions(Protocol[S]):
    """Where the session of one token is kept, so that all who use the token share it.

    The service may not bear several sessions of one token at a time (seen by nanodep's authors;
    undocumented).
    """

    async def current(self) -> S | None:
        """Return the stored session, or None before the first login."""
        ...

    async def renew(self, used: S | None, login: Callable[[], Awaitable[SecretStr]]) -> S:
        """Replace `used` by a new session, calling `login` only if it is still the stored one."""
        ...

    async def rotate(self, used: S, value: SecretStr) -> S:
        """Store a session that came along with an answer to `used`; never replaces a newer one."""
        ...
