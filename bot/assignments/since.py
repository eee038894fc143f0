"""What has changed since a request was sent: what no longer holds, and what stands in its way."""

from collections import Counter

from bot.assignments import rules, store
from bot.assignments.books import Books, listed
from bot.assignments.facts import Change, ChangeKind, RequestView
from bot.assignments.models import Action
from bot.devices.service import DeviceService

#: What changes devices, and so needs them where they were and a token that works.
_ON_DEVICES = frozenset({Action.ASSIGN, Action.UNASSIGN, Action.UNDO})


class Since:
    """Looks at everything that a request was fixed on. Slack is asked, so never inside a transaction."""

    def __init__(self, books: Books, devices: DeviceService) -> None:
        self._books = books
        self._devices = devices

    async def changes(self, view: RequestView, *, looks_at_devices: bool = True) -> list[Change]:
        """Return what has changed, the weightiest first."""
        found = [view.stale] if view.stale is not None else []
        if view.stale is None:
            found += await self._token(view)
        if await self.may_ask(view) is False:
            found.append(Change(ChangeKind.REQUESTER))
        if view.action in _ON_DEVICES:
            if looks_at_devices:
                found += await self._devices_gone(view)
            found += await self._held(view)
            if looks_at_devices:
                found += await self._carry_otherwise(view)
        return found

    async def may_ask(self, view: RequestView) -> bool | None:
        """Say whether who requested it still may; None where Slack does not tell."""
        holds = await self._books.access.holds(
            view.requested_by, rules.role_to_ask(view.action), tags=view.tags
        )
        if holds is False:
            return False
        may_act = await self._books.may_act(view.requested_by)
        return may_act if holds or may_act is False else None

    async def _token(self, view: RequestView) -> list[Change]:
        if view.action not in _ON_DEVICES:
            return []
        async with self._books.db.read() as session:
            token = await self._books.tokens.get_in(session, view.token_id)
        if token is None or token.state.can_sync:
            return []
        words = token.state.in_words(service=self._books.texts.service)
        return [Change(ChangeKind.TOKEN_UNUSABLE, what=words)]

    async def _devices_gone(self, view: RequestView) -> list[Change]:
        async with self._books.db.read() as session:
            serials = await store.serials(session, view.id)
        gone = await self._devices.gone_from(view.token_id, serials)
        return [Change(ChangeKind.DEVICES, count=gone)] if gone else []

    async def _carry_otherwise(self, view: RequestView) -> list[Change]:
        """Say what devices carry by now, where that is not what the card says that they do."""
        async with self._books.db.read() as session:
            before = await store.previous(session, view.id)
        now = await self._devices.carry_otherwise(view.token_id, before)
        if not now:
            return []
        uuids = [uuid for uuid in now if uuid is not None]
        known = await self._books.profiles.names_of(uuids, token_ids=[view.token_id])
        counts = Counter[str]()
        for uuid, count in now.items():
            named = known.get(uuid or "")
            counts["none" if uuid is None else named.name if named else f"{uuid[:8]}…"] += count
        told = listed([f"{name} {count:,}" for name, count in counts.most_common()])
        return [Change(ChangeKind.CARRIES, count=sum(now.values()), what=told)]

    async def _held(self, view: RequestView) -> list[Change]:
        async with self._books.db.read() as session:
            held = await store.held_elsewhere(session, view.id)
            labels = await store.labels(session, list(held))
        return [Change(ChangeKind.HELD, count=sum(held.values()), what=labels)] if held else []
