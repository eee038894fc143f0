"""The upload page of a one-time link: a content token gets here without passing through Slack."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from bot.kit import logs
from bot.kit.actor import Actor, Rights
from bot.kit.background import Background
from bot.kit.errors import EnrollbotError
from bot.licenses import blocks, pages, rules
from bot.licenses.errors import FileTooLarge, LinkUnusable, NoFile
from bot.licenses.facts import LinkFacts, StoredContentToken
from bot.licenses.service import LicenseService
from bot.slack.api import SlackRefused, SlackUnreachable
from bot.slack.blocks import Message
from bot.slack.post import Poster

log = logs.get_logger(__name__)

RightsOf = Callable[[str], Awaitable[Rights]]

#: What a form adds to the file: its boundary, the name of the field and of the file.
_AROUND_THE_FILE = 8 * 1024
#: A slow line hands over a few hundred bytes in this time, and nobody keeps a request open for ever.
BODY_WITHIN_S = 60
_BY_LINK = "upload link"
_OWN_SITE = frozenset({"same-origin", "none"})


def routes(
    service: LicenseService,
    *,
    poster: Poster,
    channel: str | None,
    rights_of: RightsOf,
    background: Background,
) -> list[BaseRoute]:
    """Return the routes of the upload pages.

    `rights_of` says what the person who asked for a link may do now: links are no right of their own.
    """
    page = _Page(service, poster, channel, rights_of, background)
    app = Starlette(
        routes=[Route("/{secret}", page.show), Route("/{secret}", page.take, methods=["POST"])],
        exception_handlers={HTTPException: _nothing_here(service.slash)},
    )
    app.router.redirect_slashes = False
    return [Mount("/upload", app=app)]


class FromAnotherSite(EnrollbotError):
    def __init__(self) -> None:
        super().__init__(
            "This was sent by another site's page.",
            next_step="Open the link itself and choose the file there.",
        )


class BodyUnreadable(EnrollbotError):
    def __init__(self) -> None:
        super().__init__(
            "The upload did not arrive whole.", next_step="Open the link again and choose the file once more."
        )


class _Page:
    def __init__(
        self,
        service: LicenseService,
        poster: Poster,
        channel: str | None,
        rights_of: RightsOf,
        background: Background,
    ) -> None:
        self._service = service
        self._poster = poster
        self._channel = channel
        self._rights_of = rights_of
        self._background = background

    async def show(self, request: Request) -> Response:
        """Show the form; however often it is looked at, the link stays as it is."""
        try:
            link = await self._service.links.look(request.path_params["secret"])
        except LinkUnusable as error:
            return _answer(pages.refused(error), status=410)
        return _answer(pages.form(link, now=self._service.clock.now()))

    async def take(self, request: Request) -> Response:
        """Take the one file that a link is for."""
        with logs.with_reference(logs.new_reference()):
            try:
                _refuse_other_sites(request, own=urlsplit(self._service.links.base or "").netloc)
                async with asyncio.timeout(BODY_WITHIN_S):
                    content = await _file_of(request)
                link = await self._service.links.use(request.path_params["secret"])
            except LinkUnusable as error:
                return _answer(pages.refused(error), status=410)
            except FromAnotherSite as error:
                return _answer(pages.refused(error), status=403)
            except (NoFile, FileTooLarge, BodyUnreadable, TimeoutError) as error:
                problem = BodyUnreadable() if isinstance(error, TimeoutError) else error
                again = "The link still works: go back and choose the file."
                status = 413 if isinstance(error, FileTooLarge) else 400
                return _answer(pages.refused(problem, again=again), status=status)
            return await self._store(link, content)

    async def _store(self, link: LinkFacts, content: bytes) -> Response:
        try:
            actor = Actor(link.made_by, rights=await self._rights_of(link.made_by))
            stored = await self._installed(link, content, actor)
        except EnrollbotError as error:
            log.info("content token not stored", reason=type(error).__name__)
            self._background.start(self._tell_refusal(link, error), name="tell of an upload")
            verb = "add" if link.content_token_id is None else "renew"
            command = f"{self._service.slash} vpp {verb} {link.name}"
            again = f"This link is used up. In Slack, {command} gives another."
            return _answer(pages.refused(error, again=again), status=422)
        self._background.start(self._tell(link, stored), name="tell of an upload")
        return _answer(pages.stored(stored))

    async def _installed(self, link: LinkFacts, content: bytes, actor: Actor) -> StoredContentToken:
        installing = self._service.installing
        if link.content_token_id is not None:
            return await installing.renew(link.content_token_id, content, actor=actor, way=_BY_LINK)
        return await installing.add(link.name, content, actor=actor, way=_BY_LINK, tags=link.tags)

    async def _tell(self, link: LinkFacts, stored: StoredContentToken) -> None:
        """Tell the channel, and the person where there is none or it could not be told."""
        message = blocks.told(
            await self._service.close_alerts(stored), by=link.made_by, texts=self._service.texts
        )
        if self._channel is not None:
            try:
                await self._poster.post(self._channel, message)
            except (SlackRefused, SlackUnreachable) as error:
                log.warning("channel not told", channel=self._channel, reason=str(error))
            else:
                return
        await self._tell_person(link, message)

    async def _tell_refusal(self, link: LinkFacts, error: EnrollbotError) -> None:
        await self._tell_person(link, blocks.refused(error, is_renewal=link.content_token_id is not None))

    async def _tell_person(self, link: LinkFacts, message: Message) -> None:
        try:
            await self._poster.direct(link.made_by, message)
        except (SlackRefused, SlackUnreachable) as error:
            # What is done stays done, and the page has said it.
            log.warning("person not told", reason=str(error))


def _refuse_other_sites(request: Request, *, own: str) -> None:
    """Refuse what another site's page sent: whoever has the link sends it from the link's own page.

    Browsers say where a request comes from by these headers, and programs send neither. With
    `no-referrer` a browser's own Origin is `null`. `own` is the host and port of the bot's address; behind
    a proxy the request's may be another.
    """
    if request.headers.get("sec-fetch-site", "none") not in _OWN_SITE:
        raise FromAnotherSite
    origin = request.headers.get("origin", "null")
    if origin != "null" and _host_of(origin) not in (own, request.headers.get("host")):
        raise FromAnotherSite


def _host_of(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


async def _file_of(request: Request) -> bytes:
    """Return the file of the form. Raises `NoFile`, `FileTooLarge`, `BodyUnreadable`."""
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise NoFile
    try:
        form = await MultiPartParser(request.headers, _limited(request), max_files=1, max_fields=5).parse()
    except (MultiPartException, ClientDisconnect, UnicodeDecodeError, ValueError):
        raise BodyUnreadable from None
    try:
        file = form.get(pages.FIELD)
        content = await file.read() if isinstance(file, UploadFile) else b""
    finally:
        await form.close()
    if not content.strip():
        raise NoFile
    if len(content) > rules.FILE_LIMIT:
        raise FileTooLarge
    return content


async def _limited(request: Request) -> AsyncGenerator[bytes, None]:
    """Give the body as it comes, no more of it than a content token and its form can be."""
    taken = 0
    async for chunk in request.stream():
        taken += len(chunk)
        if taken > rules.FILE_LIMIT + _AROUND_THE_FILE:
            raise FileTooLarge
        yield chunk


def _nothing_here(slash: str) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answer(_request: Request, refused: Exception) -> Response:
        status = refused.status_code if isinstance(refused, HTTPException) else 400
        headers = dict(refused.headers or {}) if isinstance(refused, HTTPException) else {}
        return _answer(pages.refused(LinkUnusable(slash)), status=status, headers=headers)

    return answer


def _answer(page: str, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return HTMLResponse(page, status_code=status, headers=pages.HEADERS | (headers or {}))
