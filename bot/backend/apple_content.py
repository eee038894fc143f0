"""Licence counts from Apple's Apps and Books."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager

from pydantic import SecretStr

from bot.apple.vpp import errors as vpp
from bot.apple.vpp import wire
from bot.apple.vpp.client import VppClient, VppService
from bot.apple.vpp.token_file import ContentTokenFileUnusable, read_token_file
from bot.backend.content import (
    AppFacts,
    ContentAccount,
    ContentRefused,
    ContentTokenContents,
    ContentTokenExpired,
    ContentTokenRevoked,
    ContentTokenUnusable,
    ContentUnavailable,
    LicenceCount,
)
from bot.backend.port import BackendError
from bot.kit.clock import Clock

COMPANY_PORTAL = "719171358"
"""Intune Company Portal's id in the App Store."""

#: The stores of Apple Business Manager and of Apple School Manager, as the service calls them.
_BUSINESS, _SCHOOL = "enterprisestore", "volumestore"
#: Where a location does not say its country.
_ANY_COUNTRY = "US"


class AppleContent:
    """Implements `content.ContentBackend`."""

    company_portal_id = COMPANY_PORTAL

    def __init__(self, service: VppService, *, clock: Clock) -> None:
        self._service = service
        self._clock = clock

    @classmethod
    @asynccontextmanager
    async def open(cls, base_url: str, *, clock: Clock) -> AsyncIterator["AppleContent"]:
        """Make a backend with connections of its own, closed at the end."""
        service = VppService.open(base_url=base_url, clock=clock)
        try:
            yield cls(service, clock=clock)
        finally:
            await service.aclose()

    def read_content_token(self, content: bytes) -> ContentTokenContents:
        try:
            token = read_token_file(content, now=self._clock.now())
        except ContentTokenFileUnusable as failure:
            raise ContentTokenUnusable(failure.message, next_step=failure.next_step) from None
        return ContentTokenContents(token.text, token.expires_at, token.org_name)

    async def content_account(self, secret: SecretStr) -> ContentAccount:
        with _translated():
            location = await VppClient(self._service, token=secret).client_config()
        return ContentAccount(
            location_id=location.location_id,
            location_name=location.location_name,
            expires_at=location.expires_at,
            country=location.country,
            is_education=location.platform == _SCHOOL,
            manager=location.mdm,
        )

    async def licence_counts(self, secret: SecretStr) -> Sequence[LicenceCount]:
        with _translated():
            assets = await VppClient(self._service, token=secret).assets()
        counts = {(count.app_id, count.pricing): count for count in map(licence_count, assets)}
        return list(counts.values())

    async def app_facts(
        self, secret: SecretStr, account: ContentAccount, app_ids: Sequence[str]
    ) -> Mapping[str, AppFacts]:
        found = await VppClient(self._service, token=secret).apps(
            app_ids,
            platform=_SCHOOL if account.is_education else _BUSINESS,
            country=account.country or _ANY_COUNTRY,
        )
        return {app_id: AppFacts(app.name, app.bundle_id) for app_id, app in found.items()}


def licence_count(asset: wire.Asset) -> LicenceCount:
    """Make the seam's count of Apple's item."""
    is_unlimited = asset.total_count >= wire.UNLIMITED
    return LicenceCount(
        app_id=str(asset.adam_id),
        pricing=asset.pricing_param,
        is_book=asset.product_type == "Book",
        total=None if is_unlimited else asset.total_count,
        assigned=asset.assigned_count,
        available=None if is_unlimited else max(asset.available_count, 0),
        retired=asset.retired_count,
        device_assignable=asset.device_assignable,
        platforms=asset.supported_platforms or (),
    )


@contextmanager
def _translated() -> Iterator[None]:
    """Raise the seam's errors in place of the client's."""
    try:
        yield
    except vpp.VppFailure as failure:
        raise content_error(failure) from failure


_UNAVAILABLE: Mapping[type[vpp.VppFailure], tuple[str, str]] = {
    vpp.Unreachable: (
        "Apple's Apps and Books could not be reached",
        "It is tried again later; if it lasts, check the network and the proxy of the bot's machine.",
    ),
    vpp.Busy: ("Apple's Apps and Books has had too many requests", "It is tried again later."),
    vpp.Failing: ("Apple's Apps and Books has a fault of its own", "It is tried again later."),
    vpp.ListChanging: (
        "The licence counts changed each time they were read",
        "It is tried again later.",
    ),
    vpp.Unreadable: (
        "What came back is not an answer of Apple's Apps and Books",
        "If it lasts, check whether a proxy or sign-in page stands between the bot and Apple.",
    ),
    vpp.Redirected: (
        "The address of Apps and Books leads elsewhere, which is not followed",
        "Check ENROLLBOT_VPP_URL and the proxy of the bot's machine.",
    ),
}


def content_error(failure: vpp.VppFailure) -> BackendError:
    """Say what a refusal means to the person who meets it."""
    for kind, (message, next_step) in _UNAVAILABLE.items():
        if isinstance(failure, kind):
            wait = failure.retry_after if isinstance(failure, vpp.Transient) else None
            return ContentUnavailable(f"{message}{_quoted(failure)}.", retry_after=wait, next_step=next_step)
    if isinstance(failure, vpp.TokenExpired):
        return ContentTokenExpired(
            "Apple says that this content token has expired.",
            next_step="Download the location's content token in ABM anew and renew it with that file.",
        )
    if isinstance(failure, vpp.TokenRevoked):
        return ContentTokenRevoked(
            f"Apple does not accept this content token{_quoted(failure)}; the password of the account that "
            "downloaded it may have changed.",
            next_step="Download the location's content token in ABM anew and renew it with that file.",
        )
    return ContentRefused(
        f"Apple's Apps and Books refuses the request{_quoted(failure)}.", number=failure.number
    )


def _quoted(failure: vpp.VppFailure) -> str:
    said = ": ".join(part for part in (str(failure.number or ""), failure.said) if part)
    if not said and failure.status:
        said = f"status {failure.status}"
    return f" ({said})" if said else ""
