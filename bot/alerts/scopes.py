"""Who may see an alert: the tags of what it is about, as they are at this moment."""

from collections.abc import Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from bot.alerts.facts import About, Kind
from bot.alerts.models import Alert
from bot.deadlines.service import DeadlineService
from bot.licenses.service import LicenseService
from bot.tokens.service import TokenService

#: The tags of each thing that an alert is about. One without tags is for who is not limited to any.
Tags = tuple[frozenset[str], ...]
NO_TAGS: Tags = (frozenset(),)


class Scopes:
    """Reads tags where they are kept. What was deleted since has none."""

    def __init__(self, *, tokens: TokenService, licenses: LicenseService, deadlines: DeadlineService) -> None:
        self._tokens = tokens
        self._licenses = licenses
        self._deadlines = deadlines

    async def of(self, session: AsyncSession, rows: Sequence[Alert]) -> Mapping[str, Tags]:
        """Return the scopes of alerts by their id, inside the caller's transaction."""
        about: dict[str, tuple[str, ...]] = {row.id: _about(row) for row in rows}
        ids: dict[About, set[str]] = {each: set() for each in About}
        for row in rows:
            ids[Kind(row.kind).about].update(about[row.id])
        tags: dict[str, frozenset[str]] = {}
        for what, read in (
            (About.TOKENS, self._tokens.all_tags_in),
            (About.CONTENT_TOKEN, self._licenses.all_tags_in),
            (About.DEADLINE, self._deadlines.all_tags_in),
        ):
            if ids[what]:
                tags.update(await read(session, sorted(ids[what])))
        return {
            row.id: tuple(tags.get(each, frozenset()) for each in about[row.id]) or NO_TAGS for row in rows
        }


def _about(row: Alert) -> tuple[str, ...]:
    if Kind(row.kind).about is About.TOKENS:
        return tuple(row.token_ids)
    return (row.subject.partition("/")[0],)
