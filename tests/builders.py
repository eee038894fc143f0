"""Values for tests, whole and plausible; a test names only what it is about."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from bot.alerts.facts import AlertView, Kind, Level
from bot.licenses.facts import AppLicences, ContentTokenState, ContentTokenView
from bot.licenses.rules import level_of, low_mark
from bot.tokens.facts import TokenState, TokenView

NOW = datetime(2026, 5, 1, 9, 0, tzinfo=UTC)


def token_view(name: str = "paris", **changes: Any) -> TokenView:
    """A token in use, 200 days before its end."""
    view = TokenView(
        id=f"id-{name}",
        name=name,
        state=TokenState.ACTIVE,
        days_left=200,
        tags=frozenset(),
        expected_apple_id="ade@example.com",
        mdm_url="https://mdm.example.com/enroll",
        channel=None,
        approvals_channel=None,
        owner=None,
        warn_days=(30, 14, 7, 3, 1),
        agreed_by="U0ANA",
        agreed_at=NOW - timedelta(days=165),
        added_by="U0ANA",
        added_at=NOW - timedelta(days=165),
        server_uuid="6666ED66666666666666666666666666",
        server_name=name,
        org_name="Example Trust",
        org_id="6666666",
        org_type="org",
        made_by="ade@example.com",
        expires_at=NOW + timedelta(days=200),
        installed_at=NOW - timedelta(days=165),
        installed_by="U0ANA",
        full_page_size=1000,
        order_size=1000,
        delta_page_size=1000,
        asked_at=NOW,
        last_ok_at=NOW,
        rejected_since=None,
        refused_word=None,
        terms_since=None,
        renewal_opened_at=None,
        certificate_fingerprint="ab" * 32,
        staged_fingerprint=None,
        next_step=None,
    )
    return replace(view, **changes)


def awaiting_token(name: str = "nice", **changes: Any) -> TokenView:
    """A token whose server token was not uploaded yet."""
    missing = {
        field: None
        for field in (
            *("days_left", "server_uuid", "server_name", "org_name", "org_id", "org_type", "made_by"),
            *("expires_at", "installed_at", "installed_by", "asked_at", "last_ok_at"),
        )
    }
    return token_view(name, **(missing | {"state": TokenState.AWAITING} | changes))


def alert_view(number: int = 7, **changes: Any) -> AlertView:
    """An open alert: a token that could not be synced for hours."""
    view = AlertView(
        id=f"a{number}",
        number=number,
        kind=Kind.SYNC_FAILING,
        subject="id-paris",
        subject_name="paris",
        level=Level.WARNING,
        rung=None,
        since=NOW,
        token_ids=("id-paris",),
        facts={},
        place="C1",
        mentions=(),
        opened_at=NOW - timedelta(hours=3),
        level_since=NOW,
        changed_at=NOW,
        resolved_at=None,
        ending={},
        acknowledged_by=None,
        acknowledged_at=None,
        acknowledged_until=None,
        snoozed_by=None,
        snoozed_until=None,
        channel="C1",
        message_ts="1.0",
        posted_level=2,
        posted_level_at=NOW,
        told_rung=None,
        word=None,
        version=1,
        shown=1,
        resolution_told_at=None,
        posts=1,
        attempt=None,
        tries=0,
        try_at=None,
        admins_told_level=0,
    )
    return replace(view, **changes)


def content_token_view(name: str = "hq", **changes: Any) -> ContentTokenView:
    """A content token in use, 200 days before its end."""
    view = ContentTokenView(
        id=f"id-{name}",
        name=name,
        state=ContentTokenState.ACTIVE,
        days_left=200,
        expires_at=NOW + timedelta(days=200),
        ended_since=None,
        tags=frozenset(),
        location_id="20490",
        location_name="Example HQ",
        org_name="Example Trust",
        country="FR",
        is_education=False,
        manager=None,
        threshold=None,
        added_by="U0ANA",
        added_at=NOW,
        installed_by="U0ANA",
        installed_at=NOW,
        counted_at=NOW,
        asked_at=NOW,
        failures=0,
        error=None,
        apps=300,
        books=0,
        warn_days=(30, 14, 7, 3, 1),
    )
    return replace(view, **changes)


def app_licences(
    app_id: str = "1",
    available: int | None = 50,
    total: int | None = 100,
    *,
    threshold: int | None = None,
    **changes: Any,
) -> AppLicences:
    """The licences of an app of the content token `hq`, as scarce as their numbers say."""
    mark = low_mark(total, threshold)
    made = AppLicences(
        content_token_id="id-hq",
        app_id=app_id,
        pricing="STDQ",
        name=f"App {app_id}",
        bundle_id=None,
        is_book=False,
        total=total,
        assigned=0,
        available=available,
        retired=0,
        device_assignable=True,
        platforms=("iOS",),
        threshold=threshold,
        mark=mark,
        level=level_of(available, mark),
    )
    return replace(made, **changes)
