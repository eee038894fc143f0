"""The organisation's side: what people do in Apple Business Manager and what happens to devices."""

import hashlib
import json
import random
import re
import uuid
import zlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from bot.kit.clock import Clock
from bot.sandbox.apple.catalogue import invent
from bot.sandbox.apple.faults import Faults, RequestLog, Switches
from bot.sandbox.apple.locations import Locations
from bot.sandbox.apple.p7m import read_certificate, token_file
from bot.sandbox.apple.refusals import NotInBusinessManager, NotPossible
from bot.sandbox.apple.state import (
    Credentials,
    DeviceRow,
    Organisation,
    Profile,
    ProfileChange,
    Server,
    Store,
    iso,
)

YEAR = timedelta(days=365)
_CERTIFICATES = 250
_APPLE_ID = re.compile(r"[^@\s\"\\]+@[^@\s\"\\]+")
_RESERVED = frozenset({"unassigned", "reassigned"})
_BATCH = 50_000
_NOBODY = ProfileChange("empty", "", "", "")


class World:
    """Organisations, MDM servers, devices and profiles, and what people do with them.

    A server is named by its name, its `server_uuid` or the `Server` itself. `content` is Apps and Books.
    """

    def __init__(self, clock: Clock, *, folder: Path | None = None, seed: int = 7) -> None:
        self.clock = clock
        self.seed = seed
        self.switches = Switches()
        self.faults = Faults(seed)
        self.log = RequestLog()
        self.store = Store(folder)
        self.organisations = {o.org_id: o for o in self.store.load("organisation", Organisation)}
        self.servers = {s.server_uuid: s for s in self.store.load("server", Server)}
        self.profiles = {p.uuid: p for p in self.store.load("profile", Profile)}
        self.content = Locations(self.store, seed=seed, now=self.now, org_name=self._org_name)
        self._invented = self.store.devices_invented()

    def close(self) -> None:
        """Close the file; everything is in it already."""
        self.store.close()

    def now(self) -> datetime:
        """The stand-in's own time: the clock's, moved by the switch `clock_offset`."""
        return self.clock.now() + timedelta(seconds=self.switches.clock_offset)

    # What people do with organisations and servers

    def create_organisation(
        self, name: str = "Example Schools", *, terms_signed: bool = True
    ) -> Organisation:
        number = 6_660_000 + len(self.organisations)
        hashed = hashlib.sha256(f"{self.seed}:{number}".encode()).hexdigest()
        organisation = Organisation(str(number), name, hashed, terms_signed=terms_signed)
        self._keep(organisation)
        return organisation

    def organisation(self, org: Organisation | str | None = None) -> Organisation:
        """Return an organisation by name or id; None is the first, made if there is none."""
        if isinstance(org, Organisation):
            return org
        if org is None:
            return next(iter(self.organisations.values()), None) or self.create_organisation()
        for candidate in self.organisations.values():
            if org in (candidate.org_id, candidate.name):
                return candidate
        raise NotInBusinessManager(f"There is no organisation {org} here.")

    def sign_terms(self, *, signed: bool = True, organisation: Organisation | str | None = None) -> None:
        """Accept the terms and conditions, or (`signed` False) let Apple publish new ones."""
        org = self.organisation(organisation)
        org.terms_signed = signed
        self._keep(org)

    def create_server(
        self, name: str, *, devices: int = 0, organisation: Organisation | str | None = None
    ) -> Server:
        """Add an MDM server with `devices` devices assigned to it; raise `NotPossible` for a bad name."""
        org = self.organisation(organisation)
        cleaned = name.strip()
        if not cleaned or cleaned.lower() in _RESERVED:
            raise NotPossible(f"“{cleaned}” cannot be the name of a server.")
        if any(s.name.lower() == cleaned.lower() for s in self.servers_of(org)):
            raise NotPossible(f"There is a server named {cleaned} already.")
        number = len(self.servers) + 1
        server = Server(
            number=number,
            server_uuid=self._word("server", number, length=32).upper(),
            name=cleaned,
            org_id=org.org_id,
            consumer_key="CK_" + self._word("consumer", number),
        )
        self._keep(server)
        if devices:
            self._invent(server, devices)
        return server

    def servers_of(self, organisation: Organisation) -> list[Server]:
        return [s for s in self.servers.values() if s.org_id == organisation.org_id]

    def server(self, server: Server | str) -> Server:
        if isinstance(server, Server):
            return server
        for candidate in self.servers.values():
            if server in (candidate.server_uuid, candidate.name):
                return candidate
        raise NotInBusinessManager(f"There is no server {server} here.")

    def upload_certificate(self, server: Server | str, content: bytes | str) -> x509.Certificate:
        """Keep the public key that token files are encrypted to. The present token goes on working."""
        entry = self.server(server)
        certificate = read_certificate(content.encode() if isinstance(content, str) else content)
        if sum(s.certificates for s in self.servers.values() if s.org_id == entry.org_id) >= _CERTIFICATES:
            raise NotPossible(f"An organisation can have at most {_CERTIFICATES} public key certificates.")
        entry.certificate_pem = certificate.public_bytes(Encoding.PEM).decode()
        entry.certificates += 1
        self._keep(entry)
        return certificate

    def generate_token(
        self, server: Server | str, apple_id: str = "ade@example.com", *, valid_for: timedelta = YEAR
    ) -> tuple[str, bytes]:
        """Make new credentials, which ends the present ones at once; return the file's name and bytes."""
        entry = self.server(server)
        if not _APPLE_ID.fullmatch(apple_id):
            raise NotPossible("An Apple ID is an e-mail address.")
        if entry.certificate_pem is None:
            raise NotPossible("Upload a public key certificate first.")
        if not self.organisations[entry.org_id].terms_signed:
            raise NotPossible("An administrator must first accept the new terms and conditions.")
        made = self._renew(entry, apple_id, valid_for)
        token = {
            "consumer_key": made.consumer_key,
            "consumer_secret": made.consumer_secret,
            "access_token": made.access_token,
            "access_secret": made.access_secret,
            "access_token_expiry": iso(made.expires_at),
        }
        stamp = self.now().strftime("%Y-%m-%dT%H-%M-%SZ")
        certificate = x509.load_pem_x509_certificate(entry.certificate_pem.encode())
        name = re.sub(r"[^A-Za-z0-9._-]", "_", entry.name)
        return f"{name}_Token_{stamp}_smime.p7m", token_file(token, certificate)

    def _renew(self, entry: Server, apple_id: str, valid_for: timedelta) -> Credentials:
        if entry.credentials is not None:
            entry.ended.append(entry.credentials.access_token)
        entry.tokens_made += 1
        mark = f"{entry.number}:{entry.tokens_made}"
        now = self.now().replace(microsecond=0)
        entry.credentials = Credentials(
            consumer_key=entry.consumer_key,
            consumer_secret="CS_" + self._word("consumer secret", mark),
            access_token="AT_" + self._word("access", mark),
            access_secret="AS_" + self._word("access secret", mark),
            made_by=apple_id,
            made_at=now,
            expires_at=now + valid_for,
        )
        self._keep(entry)
        return entry.credentials

    def reject_token(self, server: Server | str, *, rejected: bool = True) -> None:
        """Make Apple refuse the present token (as after its maker's password change), or take that back."""
        entry, credentials = self._credentials(server)
        credentials.is_rejected = rejected
        self._keep(entry)

    def expire_token(self, server: Server | str, *, at: datetime | None = None) -> None:
        """Move the expiry of the present token to `at`, or to this moment."""
        entry, credentials = self._credentials(server)
        credentials.expires_at = at or self.now()
        self._keep(entry)

    def deny(self, server: Server | str, *, denied: bool = True) -> None:
        """Answer ACCESS_DENIED to this server, or stop doing so."""
        entry = self.server(server)
        entry.is_denied = denied
        self._keep(entry)

    def allow_release(self, server: Server | str, *, allowed: bool = True) -> None:
        """Set the server's option to release (disown) devices."""
        entry = self.server(server)
        entry.may_release = allowed
        self._keep(entry)

    # What happens to devices

    def add_devices(self, server: Server | str, count: int) -> list[str]:
        """Assign `count` newly bought devices to a server; return their serial numbers."""
        entry = self.server(server)
        last = self.store.last_position()
        self._invent(entry, count)
        rows = self.store.page(entry.number, after=last)
        self._note(rows, "added")
        return [row.serial for row in rows]

    def remove_devices(self, server: Server | str, devices: int | Sequence[str]) -> list[str]:
        """Unassign devices (a count takes the oldest) from a server, to no server."""
        return self._move(self._choose(self.server(server), devices), None)

    def reassign_devices(
        self,
        server: Server | str,
        devices: int | Sequence[str],
        *,
        to: Server | str,
        keep_profile: bool = False,
    ) -> list[str]:
        """Move devices to another server. With `keep_profile` they carry the old profile's UUID along."""
        return self._move(
            self._choose(self.server(server), devices), self.server(to), keep_profile=keep_profile
        )

    def assign_in_portal(self, serials: Sequence[str], server: Server | str | None) -> list[str]:
        """Put devices on a server, wherever they are now; None takes them off. Unknown ones are skipped."""
        target = None if server is None else self.server(server)
        number = target.number if target else 0
        return self._move([r for r in self.store.find(serials).values() if r.server != number], target)

    def modify_devices(self, server: Server | str, devices: int | Sequence[str]) -> list[str]:
        """Give devices a new asset tag, which the next delta reports as `modified`."""
        rows = self._choose(self.server(server), devices)
        tag = f'"asset_tag":"TAG-{self.store.last_operation() + 1}"'
        self.store.set_facts(
            {r.serial: re.sub(r',"asset_tag":"[^"]*"', "", r.facts) + "," + tag for r in rows}
        )
        return self._changed(rows)

    def break_devices(
        self, server: Server | str, devices: int | Sequence[str], *, flaw: str = "no serial"
    ) -> list[str]:
        """Report devices so that nobody can read them: `no serial`, `wrong types`; "" mends them."""
        serials = [row.serial for row in self._choose(self.server(server), devices)]
        self.store.set_flaw(serials, flaw)
        return serials

    def activate_devices(self, server: Server | str, devices: int | Sequence[str]) -> list[str]:
        """Let devices that have a profile fetch it: their status becomes `pushed`."""
        rows = [r for r in self._choose(self.server(server), devices) if r.status in ("assigned", "pushed")]
        now = iso(self.now())
        for row in rows:
            change = ProfileChange("pushed", row.profile, row.profile_assigned_at, now)
            self.store.set_profile([row.serial], change)
        return self._changed(rows)

    def set_profile(
        self, server: Server | str, devices: int | Sequence[str], profile_uuid: str | None
    ) -> list[str]:
        """Change devices' profile behind the bot's back; None clears it, any text is taken as a UUID."""
        rows = self._choose(self.server(server), devices)
        now = iso(self.now())
        change = ProfileChange("assigned", profile_uuid, now, "") if profile_uuid else _NOBODY
        self.store.set_profile([row.serial for row in rows], change)
        return self._changed(rows)

    def carry(
        self, server: Server | str, devices: Sequence[str], profile_uuid: str, *, is_fetched: bool = False
    ) -> None:
        """Let devices carry a profile since before anybody looked: nothing is reported as changed."""
        rows = self._choose(self.server(server), devices)
        now = iso(self.now())
        status, pushed_at = ("pushed", now) if is_fetched else ("assigned", "")
        self.store.set_profile(
            [row.serial for row in rows], ProfileChange(status, profile_uuid, now, pushed_at)
        )

    def snapshot(self, server: Server | str | None = None) -> list[dict[str, Any]]:
        """Return every device as it truly is: keys of protocol 10, no flaws, and `server`, its name."""
        entries = list(self.servers.values()) if server is None else [self.server(server)]
        return [
            {**json.loads(row.body), "server": entry.name}
            for entry in entries
            for row in self.store.page(entry.number)
        ]

    # What the web service does on behalf of a server

    def define_profile(self, server: Server | str, body: dict[str, Any]) -> Profile:
        """Keep a profile as sent, without judging it."""
        entry = self.server(server)
        made = self._word("profile", f"{entry.number}:{len(self.profiles)}", length=32).upper()
        profile = Profile(made, entry.number, {k: v for k, v in body.items() if k != "devices"})
        self.profiles[made] = profile
        self.store.save("profile", made, profile)
        return profile

    def change_profile(self, rows: Sequence[DeviceRow], profile_uuid: str | None) -> None:
        """Assign a profile to devices, or (None) remove theirs, as their server asked."""
        now = iso(self.now())
        if profile_uuid is not None:
            self.store.set_profile([r.serial for r in rows], ProfileChange("assigned", profile_uuid, now, ""))
        else:
            for row in rows:
                if row.status != "empty":
                    change = ProfileChange("removed", row.profile, row.profile_assigned_at, "")
                    self.store.set_profile([row.serial], change)
        if self.switches.report_profile_changes:
            self._changed(rows)

    def release(self, rows: Sequence[DeviceRow]) -> None:
        """Release (disown) devices: they belong to no server any more."""
        self._move(list(rows), None)

    def is_throttled_by_chance(self, serial: str) -> bool:
        """Say whether `throttle_fraction` picks this device; the same ones each time."""
        share = zlib.crc32(f"{self.seed}:{serial}".encode()) / 2**32
        return share < self.switches.throttle_fraction

    # Helpers

    def _credentials(self, server: Server | str) -> tuple[Server, Credentials]:
        entry = self.server(server)
        if entry.credentials is None:
            raise NotPossible(f"The server {entry.name} has no token yet.")
        return entry, entry.credentials

    def _choose(self, server: Server, devices: int | Sequence[str]) -> list[DeviceRow]:
        if isinstance(devices, int):
            return self.store.page(server.number, limit=devices)
        found = self.store.find([serial.upper() for serial in devices])
        return [row for row in found.values() if row.server == server.number]

    def _move(self, rows: list[DeviceRow], target: Server | None, *, keep_profile: bool = False) -> list[str]:
        serials = [row.serial for row in rows]
        self._note([row for row in rows if row.server], "deleted")
        if not keep_profile:
            self.store.set_profile(serials, _NOBODY)
        self.store.move(
            serials,
            server=target.number if target else 0,
            assigned_by=self._buyer(),
            assigned_at=iso(self.now()),
        )
        if target:
            moved = self.store.find(serials)
            self._note([moved[serial] for serial in serials], "added")
        return serials

    def _changed(self, rows: Sequence[DeviceRow]) -> list[str]:
        serials = [row.serial for row in rows]
        now = self.store.find(serials)
        self._note([now[serial] for serial in serials], "modified")
        return serials

    def _note(self, rows: Sequence[DeviceRow], op_type: str) -> None:
        now = iso(self.now())
        self.store.log((row.server, row.serial, op_type, now, row.body) for row in rows)

    def _invent(self, server: Server, count: int) -> None:
        """Insert new devices; the first ones of a server were assigned over the past three years."""
        made = invent(count, start=self._invented, seed=self.seed)
        now = self.now()
        is_first = self.store.count(server.number) == 0
        step = timedelta(days=3 * 365) / (count + 1) if is_first else timedelta()
        buyer = self._buyer()
        start = now - step * (count + 1)
        rows = (
            (server.number, device.serial, device.facts, device.v10, buyer, iso(start + step * index))
            for index, device in enumerate(made, start=1)
        )
        while batch := list(islice(rows, _BATCH)):
            self.store.insert_devices(batch)
        self._invented += count

    def _org_name(self, org_id: str) -> str:
        organisation = self.organisations.get(org_id)
        return organisation.name if organisation else f"Organisation {org_id}"

    def _buyer(self) -> str:
        return "ade@example.com"

    def _keep(self, document: Organisation | Server) -> None:
        if isinstance(document, Organisation):
            self.organisations[document.org_id] = document
            self.store.save("organisation", document.org_id, document)
        else:
            self.servers[document.server_uuid] = document
            self.store.save("server", document.server_uuid, document)

    def _word(self, *parts: object, length: int = 40) -> str:
        chance = random.Random(":".join(map(str, (self.seed, *parts))))
        return "".join(uuid.UUID(int=chance.getrandbits(128)).hex for _ in range(4))[:length]
