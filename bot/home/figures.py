"""Facts of every room as figures for Prometheus. Labels are names, never secrets."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from bot.alerts.facts import Level
from bot.alerts.service import AlertService
from bot.assignments.service import AssignmentService
from bot.deadlines.facts import DeadlineView
from bot.deadlines.service import DeadlineService
from bot.devices.facts import DeviceCounts
from bot.devices.service import DeviceService
from bot.kit.actor import Actor
from bot.kit.db import Database
from bot.kit.jobs import JobView, job_views
from bot.licenses.facts import AppLicences, ContentTokenView
from bot.licenses.service import LicenseService
from bot.tokens.facts import TokenState, TokenView
from bot.tokens.service import TokenService

SYSTEM = Actor.job("metrics")
#: A location may have thousands of apps; the scarcest of each are told.
APPS_AT_MOST = 500


@dataclass(frozen=True, slots=True)
class Rooms:
    """The rooms that facts are read from."""

    db: Database
    tokens: TokenService
    devices: DeviceService
    licenses: LicenseService
    deadlines: DeadlineService
    assignments: AssignmentService
    alerts: AlertService


async def gather(rooms: Rooms) -> list[Metric]:
    """Read every fact. What a person may see is no matter here: /metrics is the administrator's."""
    tokens = await rooms.tokens.list_tokens(actor=SYSTEM)
    ids = [token.id for token in tokens]
    content_tokens = await rooms.licenses.list_content_tokens(actor=SYSTEM)
    return [
        *of_tokens(tokens, await rooms.devices.counts(ids), await rooms.devices.last_good(ids)),
        *of_content_tokens(content_tokens, await rooms.licenses.licences(actor=SYSTEM)),
        *of_deadlines(await rooms.deadlines.list_deadlines(actor=SYSTEM)),
        *of_requests(await rooms.assignments.open_counts()),
        *of_alerts(await rooms.alerts.counts()),
        *of_jobs(await job_views(rooms.db)),
    ]


def of_tokens(
    tokens: Sequence[TokenView], counts: Mapping[str, DeviceCounts], last_good: Mapping[str, datetime]
) -> Iterable[Metric]:
    """Return what is told of enrollment tokens."""
    one = ["token"]
    state = _gauge("token_state", "1 for the state that a token is in.", ["token", "state"])
    days = _gauge("token_days_left", "Days until a token expires, rounded up.", one)
    expiry = _gauge("token_expiry_timestamp_seconds", "When a token expires.", one)
    devices = _gauge("devices", "Devices of a token.", one)
    without = _gauge("devices_without_profile", "Devices of a token that have no profile.", one)
    synced = _gauge("token_last_sync_timestamp_seconds", "When a token's newest good sync began.", one)
    for token in tokens:
        for each in TokenState:
            state.add_metric([token.name, each.value], int(token.state is each))
        if token.expires_at is not None and token.days_left is not None:
            days.add_metric([token.name], token.days_left)
            expiry.add_metric([token.name], token.expires_at.timestamp())
        count = counts.get(token.id, DeviceCounts())
        devices.add_metric([token.name], count.present)
        without.add_metric([token.name], count.without_profile)
        if token.id in last_good:
            synced.add_metric([token.name], last_good[token.id].timestamp())
    return [state, days, expiry, devices, without, synced]


def of_content_tokens(
    tokens: Sequence[ContentTokenView], licences: Mapping[str, Sequence[AppLicences]]
) -> Iterable[Metric]:
    """Return what is told of content tokens and the licences of their apps, the scarcest first."""
    one, app = ["content_token"], ["content_token", "app"]
    days = _gauge("content_token_days_left", "Days until a content token expires, rounded up.", one)
    expiry = _gauge("content_token_expiry_timestamp_seconds", "When a content token expires.", one)
    active = _gauge("content_token_active", "1 while licences are given by a content token.", one)
    total = _gauge("licences_total", "Licences of an app.", app)
    available = _gauge("licences_available", "Licences of an app that are left.", app)
    for token in tokens:
        days.add_metric([token.name], token.days_left)
        expiry.add_metric([token.name], token.expires_at.timestamp())
        active.add_metric([token.name], int(token.state.is_active))
        listed = [each for each in licences.get(token.id, ()) if each.is_listed]
        told: set[str] = set()
        for each in listed[:APPS_AT_MOST]:
            # Two apps may have one name, and one app two kinds of licences; a label must be of one.
            label = each.title if each.title not in told else f"{each.title} ({each.app_id} {each.pricing})"
            told.add(label)
            if each.total is not None and each.available is not None:
                total.add_metric([token.name, label], each.total)
                available.add_metric([token.name, label], each.available)
    return [days, expiry, active, total, available]


def of_deadlines(deadlines: Sequence[DeadlineView]) -> Iterable[Metric]:
    """Return what is told of the other dates."""
    days = _gauge("deadline_days_left", "Days until a deadline, rounded up.", ["deadline"])
    at = _gauge("deadline_timestamp_seconds", "When a deadline is over.", ["deadline"])
    for each in deadlines:
        days.add_metric([each.name], each.days_left)
        at.add_metric([each.name], each.at.timestamp())
    return [days, at]


def of_requests(counts: Mapping[str, int]) -> Iterable[Metric]:
    """Return how many requests wait for approval and run."""
    requests = _gauge("requests", "Requests that are open, by state.", ["state"])
    for state, count in counts.items():
        requests.add_metric([state], count)
    return [requests]


def of_alerts(counts: Mapping[Level, int]) -> Iterable[Metric]:
    """Return how many alerts are open."""
    alerts = _gauge("alerts_open", "Alerts that are open, by level.", ["level"])
    for level, count in counts.items():
        alerts.add_metric([level.word], count)
    return [alerts]


def of_jobs(jobs: Sequence[JobView]) -> Iterable[Metric]:
    """Return when each job ran last, and how that ended."""
    one = ["job"]
    failed = _gauge("job_failed", "1 when a job's newest ended run failed.", one)
    ran = _gauge("job_last_run_timestamp_seconds", "When a job's newest run began.", one)
    well = _gauge("job_last_success_timestamp_seconds", "When a job last ended well.", one)
    for job in jobs:
        failed.add_metric([job.name], int(job.failed))
        if job.started_at is not None:
            ran.add_metric([job.name], job.started_at.timestamp())
        if job.well_at is not None:
            well.add_metric([job.name], job.well_at.timestamp())
    return [failed, ran, well]


def _gauge(name: str, told: str, labels: Sequence[str]) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"enrollbot_{name}", told, labels=labels)
