"""Tokens, their key pairs and secrets, and what the rooms above are asked to do with them."""

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlmodel import Field

from bot.kit.db import Table

_LIVE = sa.text("removed_at IS NULL")
_CURRENT = sa.text("state = 'current'")
_STAGED = sa.text("state = 'staged'")


class Token(Table, table=True):
    """One enrollment token: the name it has here, and what the service said about it.

    `name_key` is the name in lower case. `expected_apple_id` is who was to sign in when the token was
    added, `made_by` who generated the one in use. `warn_days` is as typed by an admin, None where the
    settings decide. `consumer_key_digest` tells a renewed token of the same server from another's.
    `secret_version` grows with every stored token, so that two uploads at once cannot both win.
    Everything from `server_uuid` on is None until the first token is stored.
    """

    __tablename__ = "token"
    __table_args__ = (
        sa.Index("uq_token_live_name", "name_key", unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE),
        sa.Index(
            "uq_token_live_server", "server_uuid", unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE
        ),
    )

    id: str = Field(primary_key=True, max_length=32)
    name: str = Field(max_length=40)
    name_key: str = Field(max_length=40)
    expected_apple_id: str | None = Field(default=None, max_length=254)
    mdm_url: str | None = Field(default=None, max_length=2000)
    channel: str | None = Field(default=None, max_length=40)
    approvals_channel: str | None = Field(default=None, max_length=40)
    owner: str | None = Field(default=None, max_length=40)
    warn_days: str | None = Field(default=None, max_length=80)

    agreed_wording: str | None = Field(default=None, max_length=500)
    agreed_by: str | None = Field(default=None, max_length=80)
    agreed_at: datetime | None = None
    added_by: str = Field(max_length=80)
    added_at: datetime
    removed_by: str | None = Field(default=None, max_length=80)
    removed_at: datetime | None = None

    server_uuid: str | None = Field(default=None, max_length=64)
    server_name: str | None = Field(default=None, max_length=255)
    org_name: str | None = Field(default=None, max_length=255)
    org_id: str | None = Field(default=None, max_length=64)
    org_type: str | None = Field(default=None, max_length=40)
    made_by: str | None = Field(default=None, max_length=254)
    consumer_key_digest: str | None = Field(default=None, max_length=64)
    expires_at: datetime | None = Field(default=None, index=True)
    installed_at: datetime | None = None
    installed_by: str | None = Field(default=None, max_length=80)
    secret_version: int = 0
    full_page_size: int | None = None
    delta_page_size: int | None = None
    order_size: int | None = None

    renewal_opened_at: datetime | None = None
    renewal_opened_by: str | None = Field(default=None, max_length=80)
    asked_at: datetime | None = None
    last_ok_at: datetime | None = None
    refused_first_at: datetime | None = None
    refused_last_at: datetime | None = None
    refused_word: str | None = Field(default=None, max_length=200)
    terms_since: datetime | None = None


class TokenTag(Table, table=True):
    __tablename__ = "token_tag"

    token_id: str = Field(primary_key=True, foreign_key="token.id", max_length=32)
    tag: str = Field(primary_key=True, max_length=40, index=True)


class KeyPairState(StrEnum):
    CURRENT = "current"
    STAGED = "staged"
    RETIRED = "retired"


class KeyPairRow(Table, table=True):
    """A key pair of a token. `private_key` is sealed, and None once the pair is retired.

    A staged pair waits beside the current one until a token made for it has been stored.
    """

    __tablename__ = "token_key_pair"
    __table_args__ = (
        sa.Index(
            "uq_token_key_pair_current",
            "token_id",
            unique=True,
            sqlite_where=_CURRENT,
            postgresql_where=_CURRENT,
        ),
        sa.Index(
            "uq_token_key_pair_staged",
            "token_id",
            unique=True,
            sqlite_where=_STAGED,
            postgresql_where=_STAGED,
        ),
    )

    id: str = Field(primary_key=True, max_length=32)
    token_id: str = Field(foreign_key="token.id", index=True, max_length=32)
    state: str = Field(max_length=10)
    certificate_pem: str
    fingerprint: str = Field(max_length=64)
    private_key: bytes | None = Field(default=None, repr=False)
    made_by: str = Field(max_length=80)
    made_at: datetime


class TokenSecret(Table, table=True):
    """The OAuth credentials in use, sealed. There is a row as long as a token is stored."""

    __tablename__ = "token_secret"

    token_id: str = Field(primary_key=True, foreign_key="token.id", max_length=32)
    credentials: bytes = Field(repr=False)


class ApiSession(Table, table=True):
    """The service's session of a token, sealed and shared by all replicas.

    `version` grows with every replacement.
    """

    __tablename__ = "token_session"

    token_id: str = Field(primary_key=True, foreign_key="token.id", max_length=32)
    value: bytes = Field(repr=False)
    version: int


class WishKind(StrEnum):
    """What the devices room is asked for. `REMOVAL`: mark the token's devices removed, ask nobody."""

    FULL = "full"
    DELTA = "delta"
    REMOVAL = "removal"


class WishReason(StrEnum):
    FIRST = "first"
    RENEWAL = "renewal"
    TERMS_ACCEPTED = "terms accepted"
    ASKED = "asked"
    REMOVED = "token removed"


class SyncWish(Table, table=True):
    """A sync that is wanted, until the devices room takes it.

    `exempt` syncs need not wait for the 15 minutes between two. `channel` and `user_id` say who waits
    for the answer: a channel, a person, or nobody.
    """

    __tablename__ = "token_sync_wish"

    id: str = Field(primary_key=True, max_length=32)
    token_id: str = Field(foreign_key="token.id", index=True, max_length=32)
    kind: str = Field(max_length=10)
    reason: str = Field(max_length=20)
    asked_by: str = Field(max_length=80)
    asked_at: datetime
    exempt: bool = False
    channel: str | None = Field(default=None, max_length=40)
    user_id: str | None = Field(default=None, max_length=40)
