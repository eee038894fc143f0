"""The composition root: settings -> database -> backend -> services -> screens -> jobs."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass

import uvicorn
from prometheus_client import CollectorRegistry, Info, ProcessCollector
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route

from bot import __version__
from bot.access import slack as access_screens
from bot.access.api_tokens import ApiTokenService
from bot.access.service import AccessService
from bot.alerts import digest_jobs, gathering
from bot.alerts import jobs as alert_jobs
from bot.alerts import slack as alert_screens
from bot.alerts.digests import Digests
from bot.alerts.facts import AlertView
from bot.alerts.service import AlertService
from bot.assignments import changes_slack as change_screens
from bot.assignments import glass_slack as glass_screens
from bot.assignments import jobs as assignment_jobs
from bot.assignments import new_slack as new_assignment
from bot.assignments import slack as assignment_screens
from bot.assignments import watch_jobs
from bot.assignments.books import Books as RequestBooks
from bot.assignments.service import AssignmentService
from bot.audit.service import AuditService
from bot.backend.apple import AppleBackend
from bot.backend.apple_content import AppleContent
from bot.backend.content import ContentBackend
from bot.deadlines import slack as deadline_screens
from bot.deadlines.service import DeadlineService
from bot.devices import jobs as device_jobs
from bot.devices import slack as device_screens
from bot.devices.service import DeviceService
from bot.home import audit_slack as audit_screens
from bot.home import figures
from bot.home import jobs as home_jobs
from bot.home import slack as home_screens
from bot.home import web as api
from bot.home.readers import Readers
from bot.home.service import HomeService
from bot.kit import logs, migrations
from bot.kit.actor import Rights, Role
from bot.kit.background import Background
from bot.kit.clock import Clock, SystemClock
from bot.kit.db import Database
from bot.kit.errors import EnrollbotError
from bot.kit.figures import Facts, register_counted
from bot.kit.jobs import Jobs
from bot.kit.leases import Leases
from bot.kit.listening import listen
from bot.kit.once import claim_once
from bot.kit.secrets import Keyring, check_keys
from bot.kit.web import web_app
from bot.licenses import jobs as license_jobs
from bot.licenses import slack as license_screens
from bot.licenses import web as upload_pages
from bot.licenses.service import LicenseService
from bot.migrations import FOLDER
from bot.outside import jobs as outside_jobs
from bot.outside import slack as outside_screens
from bot.outside import web as calendar
from bot.outside.calendars import Calendars
from bot.outside.events import Events
from bot.profiles import jobs as profile_jobs
from bot.profiles import slack as profile_screens
from bot.profiles.service import ProfileService
from bot.settings import Settings
from bot.slack.abilities import InDatabase
from bot.slack.app import AppConfig, Slack, SlackApp
from bot.slack.dispatch import RightsOf
from bot.slack.router import Command, Router
from bot.tokens import jobs as token_jobs
from bot.tokens import slack as token_screens
from bot.tokens.service import TokenService

log = logs.get_logger(__name__)

#: SIGTERM to the end, in seconds: requests under way, then work that parks itself.
_FINISH_REQUESTS_S = 5
_PARK_WORK_S = 12
#: How many admins get an alert directly that its channel does not take.
_ADMINS_TOLD = 10


class PortTaken(EnrollbotError):
    def __init__(self, host: str, port: int) -> None:
        super().__init__(
            f"Port {port} on {host} is in use.",
            next_step="Set ENROLLBOT_PORT to a free one, or stop what uses it.",
        )


@dataclass(frozen=True, slots=True)
class Services:
    """Everything below the screens, wired to one database."""

    settings: Settings
    clock: Clock
    db: Database
    leases: Leases
    background: Background
    content: ContentBackend
    audit: AuditService
    access: AccessService
    api_tokens: ApiTokenService
    deadlines: DeadlineService
    tokens: TokenService
    licenses: LicenseService
    profiles: ProfileService
    devices: DeviceService
    assignments: AssignmentService
    events: Events
    calendars: Calendars
    alerts: AlertService


@contextlib.asynccontextmanager
async def services(settings: Settings, *, clock: Clock | None = None) -> AsyncIterator[Services]:
    """Open the database, bring it up to date, prove the keys, and wire the services.

    Raises an EnrollbotError that says how to mend what is wrong.
    """
    clock = clock or SystemClock()
    keyring = Keyring.from_text(settings.encryption_keys)
    url = settings.database_url.get_secret_value()
    await asyncio.to_thread(migrations.upgrade, url, FOLDER)
    db = Database.open(url)
    try:
        await check_keys(db, keyring)
        async with (
            AppleBackend.open(settings.dep_url, clock=clock, steps_file=settings.abm_steps) as backend,
            AppleContent.open(settings.vpp_url, clock=clock) as content,
        ):
            yield _wire(settings, clock, db=db, keyring=keyring, backend=backend, content=content)
    finally:
        await db.close()


def _wire(
    settings: Settings,
    clock: Clock,
    *,
    db: Database,
    keyring: Keyring,
    backend: AppleBackend,
    content: ContentBackend,
) -> Services:
    background = Background()
    leases = Leases(db, clock)
    audit = AuditService(db, keyring, clock)
    access = AccessService(db=db, clock=clock, audit=audit, settings=settings)
    api_tokens = ApiTokenService(db=db, clock=clock, audit=audit)
    tokens = TokenService(
        db=db, clock=clock, keyring=keyring, audit=audit, backend=backend, settings=settings
    )
    licenses = LicenseService(
        db=db,
        clock=clock,
        keyring=keyring,
        audit=audit,
        backend=content,
        leases=leases,
        texts=backend.texts,
        settings=settings,
    )
    deadlines = DeadlineService(db=db, clock=clock, audit=audit, settings=settings, texts=tokens.texts)
    profiles = ProfileService(
        db=db,
        clock=clock,
        audit=audit,
        backend=backend,
        tokens=tokens,
        licenses=licenses,
        settings=settings,
    )
    licenses.tell_uses(profiles.content.uses)
    devices = DeviceService(
        db=db,
        clock=clock,
        leases=leases,
        audit=audit,
        tokens=tokens,
        settings=settings,
        profiles=profiles,
    )
    tokens.tell_running_work(devices.running_work)

    books = RequestBooks(
        db=db,
        clock=clock,
        audit=audit,
        access=access,
        tokens=tokens,
        profiles=profiles,
        settings=settings,
    )
    assignments = AssignmentService(books, devices=devices, leases=leases)

    alerts = AlertService(
        db=db,
        clock=clock,
        audit=audit,
        tokens=tokens,
        licenses=licenses,
        deadlines=deadlines,
        gathering=gathering.Gathering(
            gathering.Rooms(
                tokens=tokens,
                devices=devices,
                profiles=profiles,
                licenses=licenses,
                deadlines=deadlines,
                assignments=assignments,
                access=access,
            ),
            clock=clock,
            settings=settings,
        ),
        settings=settings,
    )

    async def holds_of(token_id: str, uuids: Sequence[str]) -> Sequence[str]:
        carried = sum((await devices.carried(uuids)).values())
        requests = await assignments.holding(token_id, uuids)
        if carried == 1:
            return ["1 device carries it", *requests]
        return [f"{carried:,} devices carry it", *requests] if carried else requests

    tokens.tell_alerts(alerts.closed_for)
    licenses.tell_alerts(alerts.closed_for)
    events = Events(db, clock, audit, is_wanted=settings.webhook_url is not None)
    alerts.tell_events(events)
    profiles.tell_holds(holds_of)
    devices.tell_work_on(assignments.work_on)
    audit.tell_involved(assignments.with_device)
    audit.tell_links(assignments.links_in)
    return Services(
        settings,
        clock,
        db,
        leases,
        background,
        content,
        audit,
        access,
        api_tokens,
        deadlines,
        tokens,
        licenses,
        profiles,
        devices,
        assignments,
        events,
        Calendars(
            db=db,
            clock=clock,
            audit=audit,
            settings=settings,
            tokens=tokens,
            licenses=licenses,
            deadlines=deadlines,
            rights_of=access.rights,
        ),
        alerts,
    )


@dataclass(frozen=True, slots=True)
class Bot:
    """The whole bot, not yet started: what it listens on, what it does by itself."""

    services: Services
    slack: Slack
    router: Router
    app: SlackApp
    jobs: Jobs
    web: Starlette


def assemble(wired: Services) -> Bot:
    """Put screens and jobs on the services. Raises `SettingsWrong` without Slack's credentials."""
    settings = wired.settings
    settings.require_slack()
    settings.require_webhook()
    slack = Slack.connect(
        settings.slack_bot_token or SecretStr(""),
        api_url=settings.slack_api_url,
        clock=wired.clock,
        memory=InDatabase(wired.db),
    )
    router = _router(wired, slack)
    app = _app(wired, slack, router)

    async def rights_of(user_id: str) -> Rights:
        return await slack.people.rights(user_id, await wired.access.rights(user_id))

    jobs = Jobs(wired.db, wired.clock, wired.background)
    token_jobs.register(jobs, wired.tokens)
    license_jobs.register(jobs, wired.licenses)
    profile_jobs.register(jobs, wired.profiles)
    device_jobs.register(
        jobs, wired.devices, poster=slack.poster, background=wired.background, settings=settings
    )
    wired.assignments.tell_rights(rights_of, slack.people.may_act)
    wired.calendars.rights_of = rights_of
    assignment_jobs.register(
        jobs,
        wired.assignments,
        wired.devices,
        poster=slack.poster,
        background=wired.background,
        leases=wired.leases,
    )
    outside_jobs.register(
        jobs,
        wired.events,
        settings=settings,
        db=wired.db,
        clock=wired.clock,
        leases=wired.leases,
        background=wired.background,
    )
    home_jobs.register(
        jobs,
        _home(wired),
        _readers(wired),
        slack=slack.outlet,
        rights_of=rights_of,
        slash=settings.command,
    )
    watch_jobs.register(jobs, wired.assignments, poster=slack.poster)

    async def admins_of(view: AlertView) -> Sequence[str]:
        found = [await wired.access.holders(Role.ADMIN, tags=tags) for tags in view.scopes]
        return sorted(frozenset().union(*found))[:_ADMINS_TOLD]

    wired.alerts.gathering.gone_of = slack.people.deactivated_by_email
    wired.alerts.gathering.may_act = slack.people.may_act
    alert_jobs.register(
        jobs,
        wired.alerts,
        poster=slack.poster,
        background=wired.background,
        leases=wired.leases,
        admins_of=admins_of,
    )
    digests = Digests(
        db=wired.db,
        clock=wired.clock,
        alerts=wired.alerts,
        audit=wired.audit,
        tokens=wired.tokens,
        devices=wired.devices,
        profiles=wired.profiles,
    )

    async def unlimited_admins() -> Sequence[str]:
        return sorted(await wired.access.holders(Role.ADMIN, tags=frozenset()))[:_ADMINS_TOLD]

    digest_jobs.register(jobs, digests, poster=slack.poster, leases=wired.leases, admins=unlimited_admins)
    return Bot(wired, slack, router, app, jobs, _web(wired, slack, app, rights_of))


async def registered_commands(settings: Settings) -> Sequence[Command]:
    """Return every command of the bot, as its screens register them. Nothing is started or reached."""
    clock = SystemClock()
    keyring = Keyring.from_text(settings.encryption_keys)
    db = Database.open(settings.database_url.get_secret_value())
    slack = Slack.connect(SecretStr(""), api_url=settings.slack_api_url, clock=clock)
    try:
        async with (
            AppleBackend.open(settings.dep_url, clock=clock, steps_file=settings.abm_steps) as backend,
            AppleContent.open(settings.vpp_url, clock=clock) as content,
        ):
            wired = _wire(settings, clock, db=db, keyring=keyring, backend=backend, content=content)
            return list(_router(wired, slack).commands.values())
    finally:
        await slack.close()
        await db.close()


def prepare_logs(settings: Settings) -> None:
    """Set up logging for the whole process, with the settings' secrets kept out of it."""
    logs.configure(settings.log_format)
    logs.hide(
        settings.slack_bot_token,
        settings.slack_app_token,
        settings.slack_signing_secret,
        settings.admin_token,
        settings.webhook_secret,
        # Their paths are keys: who knows them may call them.
        SecretStr(settings.heartbeat_url or ""),
        SecretStr(settings.webhook_url or ""),
        *settings.each_encryption_key,
    )


async def run(
    settings: Settings, *, clock: Clock | None = None, when_assembled: Callable[[Bot], None] | None = None
) -> None:
    """Run the bot until SIGTERM or SIGINT; `clock` None is the machine's own.

    `when_assembled` is called with the bot before it listens and before its jobs begin.
    """
    settings.require_slack()
    settings.require_webhook()
    with _listening_socket(settings) as listener:
        async with services(settings, clock=clock) as wired:
            await wired.leases.forget_dead_holders()
            bot = assemble(wired)
            if when_assembled is not None:
                when_assembled(bot)
            await _serve(bot, listener)


async def _serve(bot: Bot, listener: socket.socket) -> None:
    server = _Server(
        uvicorn.Config(
            bot.web,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_FINISH_REQUESTS_S,
        )
    )
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="web")
    try:
        await bot.app.connect_socket()
        bot.jobs.start()
        log.info("ready", port=listener.getsockname()[1], socket_mode=bot.services.settings.uses_socket_mode)
        told = asyncio.create_task(stopping.wait())
        await asyncio.wait({serving, told}, return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
    finally:
        log.info("stopping")
        bot.jobs.stop()
        await bot.app.stop()
        server.should_exit = True
        await serving
        await bot.services.background.drain(_PARK_WORK_S)
        await bot.slack.close()


def _home(wired: Services) -> HomeService:
    return HomeService(
        tokens=wired.tokens,
        devices=wired.devices,
        profiles=wired.profiles,
        licenses=wired.licenses,
        alerts=wired.alerts,
        assignments=wired.assignments,
    )


def _readers(wired: Services) -> Readers:
    return Readers(wired.db, wired.clock, wired.leases)


def _router(wired: Services, slack: Slack) -> Router:
    """Register the screens of every room."""
    settings = wired.settings
    router = Router(slash=settings.command)
    home_screens.register(router, _home(wired), _readers(wired), clock=wired.clock)
    audit_screens.register(router, wired.audit, clock=wired.clock)
    wired.access.tell_members(slack.people.members_of, is_person=slack.people.is_known)
    access_screens.register(
        router,
        wired.access,
        poster=slack.poster,
        channel=settings.channel,
        deactivated_of=slack.people.deactivated_of,
        clock=wired.clock,
    )
    token_screens.register(router, wired.tokens, poster=slack.poster, channel=settings.channel)
    deadline_screens.register(router, wired.deadlines, poster=slack.poster, channel=settings.channel)
    outside_screens.register(router, wired.calendars)
    license_screens.register(router, wired.licenses, poster=slack.poster, channel=settings.channel)
    profile_screens.register(
        router,
        wired.profiles,
        wired.tokens,
        poster=slack.poster,
        channel=settings.channel,
        carried_of=wired.devices.carried,
    )
    device_screens.register(router, wired.devices, clock=wired.clock)
    assignment_screens.register(router, wired.assignments, wired.profiles, approvals=settings.approvals)
    change_screens.register(
        router,
        wired.assignments,
        tokens=wired.tokens,
        profiles=wired.profiles,
        devices=wired.devices,
        approvals=settings.approvals,
    )
    new_assignment.register(router, wired.assignments, wired.profiles, approvals=settings.approvals)
    glass_screens.register(router, wired.assignments)
    alert_screens.register(router, wired.alerts, poster=slack.poster)
    return router


def _app(wired: Services, slack: Slack, router: Router) -> SlackApp:
    settings = wired.settings

    async def claim(key: str) -> bool:
        async with wired.db.begin() as session:
            return await claim_once(session, key, wired.clock.now())

    config = AppConfig(
        signing_secret=settings.slack_signing_secret,
        app_token=settings.slack_app_token,
        granters=tuple(settings.admins),
    )
    return SlackApp(
        config,
        slack=slack,
        router=router,
        background=wired.background,
        clock=wired.clock,
        granted_to=wired.access.rights,
        claim=claim,
    )


def _web(wired: Services, slack: Slack, app: SlackApp, rights_of: RightsOf) -> Starlette:
    settings = wired.settings
    routes: list[BaseRoute] = api.routes(
        api_tokens=wired.api_tokens, devices=wired.devices, profiles=wired.profiles
    )
    routes += calendar.routes(wired.calendars, clock=wired.clock)
    routes += upload_pages.routes(
        wired.licenses,
        poster=slack.poster,
        channel=settings.channel,
        rights_of=rights_of,
        background=wired.background,
    )
    if not settings.uses_socket_mode:
        routes.append(Route("/slack/events", app.edge()))
    rooms = figures.Rooms(
        db=wired.db,
        tokens=wired.tokens,
        devices=wired.devices,
        licenses=wired.licenses,
        deadlines=wired.deadlines,
        assignments=wired.assignments,
        alerts=wired.alerts,
    )
    facts = Facts(lambda: figures.gather(rooms), clock=wired.clock, background=wired.background)
    return web_app(
        routes,
        checks={
            "database": wired.db.check,
            "migrations": migrations.checker(wired.db, FOLDER),
            "slack": slack.check,
        },
        registry=_registry(facts),
        admin_token=settings.admin_token,
        refresh=facts.refresh,
    )


def _registry(facts: Facts) -> CollectorRegistry:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    register_counted(registry)
    registry.register(facts)
    Info("enrollbot", "The version that runs.", registry=registry).info({"version": __version__})
    return registry


class _Server(uvicorn.Server):
    """A web server that leaves the signals to us: work has to be parked before the process ends."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listening_socket(settings: Settings) -> socket.socket:
    try:
        return listen(settings.host, settings.port)
    except OSError:
        raise PortTaken(settings.host, settings.port) from None
