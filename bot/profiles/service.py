"""Everything that can be done with profiles. Each method checks the right of whoever asks."""

import contextlib
import json
import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

import msgspec
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from bot.audit.service import AuditService
from bot.backend.port import BackendError, BackendTexts, Connection, EnrollmentBackend, RequestRefused
from bot.backend.profile import (
    ProfileBody,
    ProfileSettings,
    ProfileUnreadable,
    SetupScreen,
)
from bot.kit.actor import Actor, NotAllowed, Role
from bot.kit.clock import Clock
from bot.kit.db import Database, new_id
from bot.kit.logs import get_logger
from bot.kit.nearest import nearest
from bot.licenses.service import LicenseService
from bot.profiles import rules, store
from bot.profiles.books import Books, is_name_taken, packed, version_view, view
from bot.profiles.content import Content
from bot.profiles.defaults import Defaults
from bot.profiles.drafts import Drafts
from bot.profiles.errors import (
    CertificateWrong,
    ChangedMeanwhile,
    DraftGone,
    ImportWrong,
    NameAmbiguous,
    ProfileGone,
    ProfileNameTaken,
    ProfileUnknown,
    SettingsFaulty,
    StillCarried,
    TokenNotReady,
)
from bot.profiles.facts import Defined, DraftView, Fault, KnownUuid, ProfileView, VersionView
from bot.profiles.models import Profile, ProfileVersion
from bot.settings import Settings
from bot.tokens.facts import TokenView
from bot.tokens.service import TokenService

log = get_logger(__name__)

#: Say, in sentences, what holds a profile: devices that carry one of these UUIDs.
HoldsOf = Callable[[str, Sequence[str]], Awaitable[Sequence[str]]]

MAX_FILE = 256 * 1024
#: What an input of the wizard can begin with; more could not be shown to be mended.
MAX_TEXT = 3000
#: UUIDs that are read from the service in one go; the rest waits for the next.
ADOPTED_AT_ONCE = 20
#: What holds a profile, beside what the rooms above know of.
_DEFAULT = "new devices get it as the default of its token"
_READ_NOTED_EVERY = timedelta(minutes=1)
_ODD = re.compile(r"[\x00\ud800-\udfff]")


class _NotTheNewest(Exception):
    """Another version was put in force since the one that was followed."""


class ProfileService:
    """Defines, shows, clones, deletes and adopts enrollment profiles."""

    def __init__(
        self,
        *,
        db: Database,
        clock: Clock,
        audit: AuditService,
        backend: EnrollmentBackend,
        tokens: TokenService,
        licenses: LicenseService,
        settings: Settings,
    ) -> None:
        self._books = Books(
            db=db, clock=clock, audit=audit, backend=backend, tokens=tokens, settings=settings
        )
        self.drafts = Drafts(self._books)
        self.defaults = Defaults(self._books)
        self.content = Content(self._books, licenses)
        self._holds_of: HoldsOf | None = None

    @property
    def clock(self) -> Clock:
        return self._books.clock

    @property
    def texts(self) -> BackendTexts:
        return self._books.texts

    @property
    def screens(self) -> Sequence[SetupScreen]:
        return self._books.backend.screens

    def tell_holds(self, holds_of: HoldsOf) -> None:
        """Take the function that says what holds a profile; the rooms above know the devices."""
        self._holds_of = holds_of

    # Looking

    async def list_profiles(self, *, actor: Actor, token_id: str | None = None) -> list[ProfileView]:
        """Return the profiles that the actor may see, by name; of one token if given."""
        actor.require(Role.VIEWER)
        return await self._books.visible(actor, None if token_id is None else {token_id})

    async def get(self, name: str, *, actor: Actor, token_id: str | None = None) -> ProfileView:
        """Return a profile by its name or `TOKEN/NAME`, of one token if given.

        Raises `ProfileUnknown`, `NameAmbiguous`.
        """
        visible = await self.list_profiles(actor=actor, token_id=token_id)
        wanted = rules.name_key(name)
        found = [each for each in visible if rules.name_key(each.name) == wanted]
        found = found or [each for each in visible if rules.name_key(each.full_name) == wanted]
        if len(found) == 1:
            return found[0]
        if found:
            raise NameAmbiguous(found[0].name, [each.full_name for each in found])
        by_key = {rules.name_key(each.name): each.name for each in visible}
        near = nearest(wanted, by_key)
        raise ProfileUnknown(
            name.strip()[:125],
            by_key[near] if near else None,
            slash=self._books.slash,
            is_limited=not actor.rights.is_unlimited,
        )

    async def get_by_id(self, profile_id: str, *, actor: Actor) -> ProfileView:
        """Return a profile by its id. Raises `ProfileGone` when removed or not to be seen by the actor."""
        seen = await self._books.seen(actor)
        async with self._books.db.read() as session:
            shown, _ = await self._books.one(session, profile_id, actor, seen=seen, role=Role.VIEWER)
        return shown

    async def counts(self) -> dict[str, int]:
        """Return how many profiles each token has that has any; for jobs alone."""
        async with self._books.db.read() as session:
            return await store.counts(session)

    async def versions(self, profile_id: str, *, actor: Actor) -> list[VersionView]:
        """Return every version of a profile, the newest first."""
        seen = await self._books.seen(actor)
        async with self._books.db.read() as session:
            shown, _ = await self._books.one(session, profile_id, actor, seen=seen, role=Role.VIEWER)
            rows = await store.versions(session, profile_id)
        return [version_view(shown, row) for row in rows]

    async def version_of(self, profile_uuid: str, *, actor: Actor) -> VersionView:
        """Return the version that the service knows by this UUID. Raises `ProfileUnknown`."""
        plain = plain_uuid(profile_uuid)
        visible = {each.id: each for each in await self.list_profiles(actor=actor)}
        async with self._books.db.read() as session:
            rows = await store.by_uuid(session, [plain])
        for profile, version in rows:
            if profile.id in visible:
                return version_view(visible[profile.id], version)
        raise ProfileUnknown(plain[:40], slash=self._books.slash, is_limited=not actor.rights.is_unlimited)

    async def names_of(self, uuids: Collection[str], *, token_ids: Collection[str]) -> dict[str, KnownUuid]:
        """Return the profiles of these tokens behind UUIDs, as far as they are known, also of deleted ones.

        `token_ids` are those that the actor may see: a device may carry the profile of another token.
        """
        async with self._books.db.read() as session:
            known = await self.names_in(session, uuids)
        return {uuid: each for uuid, each in known.items() if each.token_id in token_ids}

    async def names_in(self, session: AsyncSession, uuids: Collection[str]) -> dict[str, KnownUuid]:
        """Return what `names_of` does, inside the caller's transaction."""
        rows = await store.by_uuid(session, uuids) if uuids else []
        return {
            version.profile_uuid: KnownUuid(
                profile.name,
                version.number,
                version.number == profile.version,
                profile.id,
                profile.token_id,
                is_removed=profile.removed_at is not None,
            )
            for profile, version in rows
        }

    async def keep_in(self, session: AsyncSession, profile_id: str) -> None:
        """Let nobody edit or delete a profile before the caller's transaction commits."""
        await store.keep(session, profile_id)

    async def uuids_of(self, profile_ids: Sequence[str]) -> dict[str, list[str]]:
        """Return the UUIDs of all versions per profile. The caller has checked the right to see them."""
        async with self._books.db.read() as session:
            return await store.uuids_of(session, profile_ids)

    async def note_read(self, read: VersionView) -> None:
        """Note that the MDM server read a version from this bot, at most once a minute."""
        async with self._books.db.begin() as session:
            now = self._books.clock.now()
            await store.note_read(
                session, read.profile.id, read.number, now=now, unless_since=now - _READ_NOTED_EVERY
            )

    # Defining

    async def define(self, draft_id: str, *, actor: Actor) -> Defined:
        """Have the service define what a draft says, which `drafts.begin_sending` holds.

        Raises `SettingsFaulty`, `ChangedMeanwhile`, and the service's errors: the draft is then open again.
        """
        draft = await self.drafts.get(draft_id, actor)
        try:
            return await self._define_draft(draft, actor)
        except ChangedMeanwhile as changed:
            # What comes next is defined on top of theirs, by who has seen it.
            await self._take_back(draft, actor, base_version=changed.newer.number)
            raise
        except BaseException:
            await self._take_back(draft, actor)
            raise

    async def _take_back(self, sent: DraftView, actor: Actor, **changes: Any) -> None:
        """Open a draft again; where it is gone too, why the service did not define it is still told."""
        with contextlib.suppress(DraftGone, ProfileGone, NotAllowed):
            await self.drafts.reopen(sent, actor, **changes)

    async def _define_draft(self, draft: DraftView, actor: Actor) -> Defined:
        faults = await self.drafts.faults(draft)
        if faults or draft.token is None:
            raise SettingsFaulty(faults)
        return await self._define(
            rules.effective(draft.settings, self.screens),
            draft.token,
            actor=actor,
            profile=draft.profile,
            base_version=draft.base_version,
            draft=draft,
        )

    async def _define(
        self,
        settings: ProfileSettings,
        token: TokenView,
        *,
        actor: Actor,
        profile: ProfileView | None,
        base_version: int | None = None,
        draft: DraftView | None = None,
    ) -> Defined:
        actor.require(Role.ADMIN, tags=token.tags)
        if not token.has_token:
            raise TokenNotReady(token.name)
        async with self._books.db.read() as session:
            await self._books.require_room(session, token, settings.name, but=profile.id if profile else None)
        before = await self._unchanged(profile, base_version, actor)
        await self._require_content(settings, actor, before)
        body = self._books.body(settings, token)
        profile_uuid = await self._ask_to_define(token, body)
        try:
            made = await self._store(
                settings, token, body, profile_uuid, actor=actor, before=before, draft=draft
            )
        except Exception:
            # The service makes a new UUID each time and has no way to take one back.
            log.warning("a profile stays unused with the service", token=token.name, uuid=profile_uuid)
            raise
        warnings = rules.warnings(settings, self.screens)
        warnings += rules.content_warnings(settings, await self.content.of(settings))
        return Defined(made, before, tuple(warnings))

    async def _require_content(
        self, settings: ProfileSettings, actor: Actor, before: VersionView | None
    ) -> None:
        """Refuse a content token that the actor may not see, unless it was chosen already."""
        chosen = settings.content_token
        if chosen is None or (before is not None and before.settings.content_token == chosen):
            return
        if chosen not in {each.id for each in await self.content.choices(actor)}:
            why = "That content token is not here any more, or you may not see it. Choose another one."
            raise SettingsFaulty([Fault("content_token", why)])

    async def _unchanged(
        self, profile: ProfileView | None, base_version: int | None, actor: Actor
    ) -> VersionView | None:
        """Return the version that is followed. Raises `ChangedMeanwhile` when it is not the one edited."""
        if profile is None:
            return None
        newest = (await self.versions(profile.id, actor=actor))[0]
        if base_version is not None and newest.number != base_version:
            raise ChangedMeanwhile(newest)
        return newest

    async def _ask_to_define(self, token: TokenView, body: ProfileBody) -> str:
        began = self._books.clock.now()
        connection = await self._books.tokens.connection(token.id)
        try:
            # No devices go along: who gets the profile is decided elsewhere.
            defined = await connection.define_profile({**body, "devices": []})
        except BackendError as error:
            await self._books.tokens.record_refusal(token.id, error, asked_at=began)
            raise
        return plain_uuid(defined.profile_uuid)

    async def _store(
        self,
        settings: ProfileSettings,
        token: TokenView,
        body: ProfileBody,
        profile_uuid: str,
        *,
        actor: Actor,
        before: VersionView | None,
        draft: DraftView | None,
        is_adopted: bool = False,
    ) -> ProfileView:
        version = ProfileVersion(
            profile_id=before.profile.id if before else new_id(),
            number=before.number + 1 if before else 1,
            profile_uuid=profile_uuid,
            settings=packed(settings),
            body=dict(body),
            defined_by=actor.id,
            defined_at=self._books.clock.now(),
        )
        name = settings.name.strip()
        try:
            async with self._books.db.begin() as session:
                await self._put_in_force(session, version, token, name, is_adopted=is_adopted)
                if draft is not None:
                    await self.drafts.spend(session, draft)
                row = await store.live_one(session, version.profile_id, locks=True)
                if row is None:
                    raise ProfileGone
                detail = {
                    "version": version.number,
                    "uuid": profile_uuid,
                    "changed": rules.differing(before.settings, settings) if before else None,
                }
                action = "profile.adopted" if is_adopted else "profile.defined"
                await self._books.record(session, actor, action, row[0], token, detail)
                return view(*row, token)
        except _NotTheNewest:
            raise ChangedMeanwhile(await self._newest(version.profile_id, actor)) from None
        except IntegrityError as error:
            if is_name_taken(error):
                raise ProfileNameTaken(name, token.name) from None
            raise

    async def _put_in_force(
        self, session: AsyncSession, version: ProfileVersion, token: TokenView, name: str, *, is_adopted: bool
    ) -> None:
        key = rules.name_key(name)
        if version.number > 1:
            if not await store.add_version(
                session, version, name=name, name_key=key, seen_version=version.number - 1
            ):
                raise _NotTheNewest
            return
        if not is_adopted:
            await store.lock(session)
            await self._books.require_room(session, token, name, but=None)
        profile = Profile(
            id=version.profile_id,
            token_id=token.id,
            name=name,
            name_key=key,
            version=1,
            is_adopted=is_adopted,
            created_by=version.defined_by,
            created_at=version.defined_at,
        )
        session.add(profile)
        await session.flush()
        session.add(version)
        await session.flush()

    async def _newest(self, profile_id: str, actor: Actor) -> VersionView:
        return (await self.versions(profile_id, actor=actor))[0]

    async def clone(self, profile_id: str, new_name: str, *, actor: Actor, delivery: str | None) -> Defined:
        """Define a profile of the same token with the same settings under another name."""
        seen = await self._books.seen(actor)
        async with self._books.db.begin() as session:
            await self._books.claim(session, delivery)
            shown, _ = await self._books.one(session, profile_id, actor, seen=seen, role=Role.ADMIN)
        why = rules.why_not_a_name(new_name)
        if why:
            raise SettingsFaulty([Fault("name", why)])
        token = await self._books.tokens.get_by_id(shown.token_id, actor=actor)
        settings = msgspec.structs.replace(shown.settings, name=new_name.strip())
        faults = rules.faults(
            settings,
            token_mdm_url=token.mdm_url,
            now=self._books.clock.now(),
            configurator=self.texts.configurator,
        )
        if faults:
            raise SettingsFaulty(faults)
        return await self._define(rules.effective(settings, self.screens), token, actor=actor, profile=None)

    def import_settings(self, content: bytes) -> tuple[ProfileSettings, list[str]]:
        """Read a profile in the service's keys; return its settings and what is to be remarked.

        Raises `ImportWrong`.
        """
        service = self.texts.service
        body = _json_object(content, service=service)
        try:
            read = self._books.backend.read_profile_body(body)
        except ProfileUnreadable as error:
            raise ImportWrong(str(error), service=service) from None
        settings = _storable(read.settings)
        why = _why_not_to_fill_in(settings)
        if why:
            raise ImportWrong(why, service=service)
        remarks = []
        if read.left_out:
            shown = ", ".join(read.left_out[:10]) + (" and others" if len(read.left_out) > 10 else "")
            remarks.append(f"Left out, since they have no place here: {shown[:500]}.")
        if body.get("devices"):
            remarks.append("The devices that the file names are left out: assign gives them the profile.")
        remarks.append("Choose the platform: the file does not say it.")
        return settings, remarks

    # Deleting

    async def delete(self, profile_id: str, *, actor: Actor, delivery: str | None) -> ProfileView:
        """Mark a profile removed. Raises `StillCarried` with what holds it."""
        seen = await self._books.seen(actor)
        async with self._books.db.read() as session:
            shown, _ = await self._books.one(session, profile_id, actor, seen=seen, role=Role.ADMIN)
        await self.require_free(shown)
        token = await self._books.tokens.get_by_id(shown.token_id, actor=actor)
        async with self._books.db.begin() as session:
            await self._books.claim(session, delivery)
            shown, _ = await self._books.one(
                session, profile_id, actor, seen=seen, role=Role.ADMIN, locks=True
            )
            if await store.defaults(session, profile_id=profile_id):
                # It was made a default since we looked.
                raise StillCarried(shown.name, [_DEFAULT])
            values = {"removed_at": self._books.clock.now(), "removed_by": actor.id}
            await store.change_profile(session, profile_id, values)
            row = await session.get_one(Profile, profile_id)
            await self._books.record(
                session, actor, "profile.deleted", row, token, {"uuid": shown.profile_uuid}
            )
        return shown

    async def remove_all_in(self, session: AsyncSession, token_id: str, *, actor: Actor) -> int:
        """Mark the profiles of a token removed, which is removed itself, and take its defaults away.

        Inside the caller's transaction, who has checked the right. Returns how many there were.
        """
        await store.drop_defaults(session, token_id)
        values = {"removed_at": self._books.clock.now(), "removed_by": actor.id}
        return await store.remove_all(session, token_id, values)

    async def require_free(self, shown: ProfileView) -> None:
        """Raise `StillCarried` when devices carry any version of a profile, or something else holds it."""
        async with self._books.db.read() as session:
            uuids = [row.profile_uuid for row in await store.versions(session, shown.id)]
            is_default = bool(await store.defaults(session, profile_id=shown.id))
        holds = [_DEFAULT] if is_default else []
        holds += await self._holds_of(shown.token_id, uuids) if self._holds_of else ()
        if holds:
            raise StillCarried(shown.name, holds)

    # Adopting

    async def adopt(self, token_id: str, uuids: Collection[str]) -> list[ProfileView]:
        """Take over profiles that devices of a token carry and nobody here defined, read from the service.

        One that the service does not tell is noted and not asked for again. Raises the service's errors.
        """
        actor = Actor.job("profiles.adopt")
        plain = sorted({plain_uuid(each) for each in uuids})
        async with self._books.db.read() as session:
            # Another token may have had it, such as one of the same server that was removed.
            known = {
                version.profile_uuid
                for profile, version in await store.by_uuid(session, plain)
                if profile.token_id == token_id
            }
            known |= await store.unknown_uuids(session, token_id)
        wanted = [each for each in plain if each not in known][:ADOPTED_AT_ONCE]
        if not wanted:
            return []
        token = await self._books.tokens.get_by_id(token_id, actor=actor)
        connection = await self._books.tokens.connection(token_id)
        adopted = []
        for each in wanted:
            body = await _read(connection, each)
            made = None if body is None else await self._adopt_one(token, each, body, actor)
            if made is None:
                async with self._books.db.begin() as session:
                    await store.note_unknown(session, token_id, each, self._books.clock.now())
            else:
                adopted.append(made)
        return adopted

    async def _adopt_one(
        self, token: TokenView, profile_uuid: str, body: ProfileBody, actor: Actor
    ) -> ProfileView | None:
        try:
            settings = _storable(self._books.backend.read_profile_body(body).settings)
        except ProfileUnreadable as error:
            log.warning("a profile of the service cannot be read", uuid=profile_uuid, why=str(error))
            return None
        kept = _without_odd({key: value for key, value in body.items() if key != "profile_uuid"})
        name = _usable_name(settings.name) or f"Profile {profile_uuid[:8]}"
        for attempt in (name, f"{name[:100]} ({profile_uuid[:8]})", f"Profile {profile_uuid}"):
            named = msgspec.structs.replace(settings, name=attempt)
            try:
                return await self._store(
                    named, token, kept, profile_uuid, actor=actor, before=None, draft=None, is_adopted=True
                )
            except ProfileNameTaken:
                continue
        return None


async def _read(connection: Connection, profile_uuid: str) -> ProfileBody | None:
    """Read a profile; one that the service refuses to tell is none."""
    try:
        return await connection.read_profile(profile_uuid)
    except RequestRefused as error:
        log.warning("a profile of the service cannot be asked for", uuid=profile_uuid, why=str(error))
        return None


def plain_uuid(text: str) -> str:
    """Return a UUID as the service writes it: upper case, no dashes."""
    return text.replace("-", "").strip().upper()


def _usable_name(name: str) -> str:
    plain = "".join(char if char.isprintable() and char != "/" else " " for char in name).strip()
    return plain[: rules.MAX_NAME].strip()


def _storable(settings: ProfileSettings) -> ProfileSettings:
    return msgspec.convert(_without_odd(packed(settings)), ProfileSettings, strict=False)


def _without_odd(value: Any) -> Any:
    """Take NUL and halves of surrogate pairs out of JSON's texts: databases keep neither."""
    if isinstance(value, str):
        return _ODD.sub("", value)
    if isinstance(value, Mapping):
        return {_without_odd(key): _without_odd(each) for key, each in value.items()}
    if isinstance(value, Sequence):
        return [_without_odd(each) for each in value]
    return value


def _json_object(content: bytes, *, service: str) -> dict[str, Any]:
    try:
        body: Any = json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise ImportWrong("it is not UTF-8 text", service=service) from None
    except (ValueError, RecursionError):
        raise ImportWrong("it is not JSON", service=service) from None
    if not isinstance(body, dict):
        raise ImportWrong("it is not one JSON object", service=service)
    return body


def _why_not_to_fill_in(settings: ProfileSettings) -> str | None:
    """Say why settings from a file cannot be shown in the form, None when they can."""
    longest = max(len(text) for text in packed(settings).values() if isinstance(text, str))
    if longest > MAX_TEXT:
        return f"a text in it has {longest:,} characters; {MAX_TEXT:,} is the most"
    for kept in (settings.host_certificates, settings.anchor_certificates):
        if len(kept) > rules.MAX_CERTIFICATES:
            return f"it has {len(kept)} certificates of one kind; {rules.MAX_CERTIFICATES} is the most"
        for position, each in enumerate(kept):
            try:
                rules.certificate(each, position)
            except CertificateWrong:
                return f"certificate {position + 1} of one kind cannot be read"
    return None
