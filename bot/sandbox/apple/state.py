"""What the stand-in remembers, in one SQLite file (or in memory when there is no folder)."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

Document = TypeVar("Document")
_MANY = 500  # serials in one statement: below SQLite's limit of parameters in every version

_SCHEMA = """
CREATE TABLE IF NOT EXISTS document (kind TEXT, id TEXT, body BLOB NOT NULL, PRIMARY KEY (kind, id));
CREATE TABLE IF NOT EXISTS device (
    position INTEGER PRIMARY KEY AUTOINCREMENT, server INTEGER NOT NULL, serial TEXT NOT NULL UNIQUE,
    facts TEXT NOT NULL, v10 TEXT NOT NULL, assigned_by TEXT NOT NULL, assigned_at TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'empty', profile TEXT NOT NULL DEFAULT '',
    profile_assigned_at TEXT NOT NULL DEFAULT '', profile_pushed_at TEXT NOT NULL DEFAULT '',
    flaw TEXT NOT NULL DEFAULT '',
    body TEXT AS (
        '{' || facts || CASE v10 WHEN '' THEN '' ELSE ',' || v10 END
        || ',"profile_status":"' || status || '"'
        || CASE server WHEN 0 THEN ''
           ELSE ',"device_assigned_by":"' || assigned_by || '"'
             || ',"device_assigned_date":"' || assigned_at || '"' END
        || CASE status WHEN 'empty' THEN ''
           ELSE ',"profile_uuid":"' || profile || '"'
             || ',"profile_assign_time":"' || profile_assigned_at || '"' END
        || CASE status WHEN 'pushed' THEN ',"profile_push_time":"' || profile_pushed_at || '"' ELSE '' END
        || '}'));
CREATE INDEX IF NOT EXISTS device_by_server ON device (server);
CREATE TABLE IF NOT EXISTS operation (
    id INTEGER PRIMARY KEY AUTOINCREMENT, server INTEGER NOT NULL, serial TEXT NOT NULL,
    op_type TEXT NOT NULL, op_date TEXT NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS operation_by_server ON operation (server, id);
"""
_COLUMNS = "position, server, serial, facts, assigned_at, status, profile, profile_assigned_at, flaw, body"


def iso(moment: datetime) -> str:
    """Write a moment as Apple does: UTC, whole seconds, `Z`."""
    return moment.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


@dataclass(slots=True)
class Organisation:
    """An organisation in Apple Business Manager. Terms not signed close the web service for its servers."""

    org_id: str
    name: str
    org_id_hash: str
    terms_signed: bool = True
    email: str = "it@example.com"
    phone: str = "+33 1 23 45 67 89"
    address: str = "1 Example Street, Paris"


@dataclass(slots=True)
class Credentials:
    """The OAuth credentials of one server token. The secrets open nothing but this stand-in."""

    consumer_key: str
    consumer_secret: str = field(repr=False)
    access_token: str = field(repr=False)
    access_secret: str = field(repr=False)
    made_by: str
    made_at: datetime
    expires_at: datetime
    is_rejected: bool = False


@dataclass(slots=True)
class Server:
    """An MDM server entry ("device management service") of an organisation.

    `ended` holds the access tokens that a newer one replaced. `is_denied` closes the web service for
    this server with ACCESS_DENIED.
    """

    number: int
    server_uuid: str
    name: str
    org_id: str
    consumer_key: str
    certificate_pem: str | None = None
    certificates: int = 0
    credentials: Credentials | None = None
    ended: list[str] = field(default_factory=list)
    tokens_made: int = 0
    may_release: bool = False
    is_denied: bool = False


@dataclass(slots=True)
class Profile:
    """An enrollment profile as the server that defined it sent it."""

    uuid: str
    server: int
    body: dict[str, Any]


class DeviceRow(NamedTuple):
    """A device as stored; `server` 0 is none.

    `body` is the device as the newest protocol version tells it, in JSON. `flaw` says what is broken
    in how pages report it ("" for nothing).
    """

    position: int
    server: int
    serial: str
    facts: str
    assigned_at: str
    status: str
    profile: str
    profile_assigned_at: str
    flaw: str
    body: str


class Operation(NamedTuple):
    """One entry of a server's log of changes; `body` is the device at that moment, as version 10 JSON."""

    id: int
    server: int
    serial: str
    op_type: str
    op_date: str
    body: str


class ProfileChange(NamedTuple):
    status: str
    profile: str
    assigned_at: str
    pushed_at: str


class Store:
    """The file. Every method that writes has committed when it returns."""

    def __init__(self, folder: Path | None) -> None:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        where = ":memory:" if folder is None else str(folder / "apple.sqlite3")
        self._db = sqlite3.connect(where, check_same_thread=False)
        self._db.executescript(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA cache_size = -65536;" + _SCHEMA
        )

    def close(self) -> None:
        self._db.close()

    def save(self, kind: str, key: str, document: object) -> None:
        with self._db:
            self._db.execute(
                "INSERT INTO document VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET body = excluded.body",
                (kind, key, msgspec.json.encode(document)),
            )

    def load(self, kind: str, document: type[Document]) -> Iterator[Document]:
        rows = self._db.execute("SELECT body FROM document WHERE kind = ? ORDER BY rowid", (kind,)).fetchall()
        return (msgspec.json.decode(body, type=document) for (body,) in rows)

    def insert_devices(self, rows: Iterable[tuple[int, str, str, str, str, str]]) -> None:
        """Insert (server, serial, facts, v10, assigned_by, assigned_at), in the order of assignment."""
        with self._db:
            self._db.executemany(
                "INSERT INTO device (server, serial, facts, v10, assigned_by, assigned_at)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                rows,
            )

    def devices_invented(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM device").fetchone()[0])

    def last_position(self) -> int:
        return int(self._db.execute("SELECT coalesce(max(position), 0) FROM device").fetchone()[0])

    def count(self, server: int) -> int:
        row = self._db.execute("SELECT count(*) FROM device WHERE server = ?", (server,)).fetchone()
        return int(row[0])

    def page(self, server: int, *, after: int = 0, limit: int = -1) -> list[DeviceRow]:
        """Return the devices of a server assigned after position `after`, oldest first; -1 is all."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM device WHERE server = ? AND position > ? ORDER BY position LIMIT ?",
            (server, after, limit),
        )
        return [DeviceRow._make(row) for row in rows]

    def newest(self, server: int, limit: int, *, until: int | None = None) -> list[DeviceRow]:
        """Return the devices assigned last, newest first; `until` leaves out positions after it."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM device WHERE server = ? AND (? IS NULL OR position <= ?)"
            " ORDER BY position DESC LIMIT ?",
            (server, until, until, limit),
        )
        return [DeviceRow._make(row) for row in rows]

    def find(self, serials: Sequence[str]) -> dict[str, DeviceRow]:
        found: dict[str, DeviceRow] = {}
        for start in range(0, len(serials), _MANY):
            part = serials[start : start + _MANY]
            marks = ",".join("?" * len(part))
            rows = self._db.execute(f"SELECT {_COLUMNS} FROM device WHERE serial IN ({marks})", part)
            found.update((row[2], DeviceRow._make(row)) for row in rows)
        return found

    def move(self, serials: Sequence[str], *, server: int, assigned_by: str, assigned_at: str) -> None:
        """Put devices on another server (0: none), each at the end of the order of assignment."""
        with self._db:
            last = self.last_position()
            self._db.executemany(
                "UPDATE device SET position = ?, server = ?, assigned_by = ?, assigned_at = ?"
                " WHERE serial = ?",
                [
                    (last + index, server, assigned_by, assigned_at, serial)
                    for index, serial in enumerate(serials, start=1)
                ],
            )

    def set_profile(self, serials: Sequence[str], change: ProfileChange) -> None:
        with self._db:
            self._db.executemany(
                "UPDATE device SET status = ?, profile = ?, profile_assigned_at = ?, profile_pushed_at = ?"
                " WHERE serial = ?",
                [(*change, serial) for serial in serials],
            )

    def set_facts(self, facts: dict[str, str]) -> None:
        with self._db:
            self._db.executemany(
                "UPDATE device SET facts = ? WHERE serial = ?", [(text, s) for s, text in facts.items()]
            )

    def set_flaw(self, serials: Sequence[str], flaw: str) -> None:
        with self._db:
            self._db.executemany("UPDATE device SET flaw = ? WHERE serial = ?", [(flaw, s) for s in serials])

    def log(self, rows: Iterable[tuple[int, str, str, str, str]]) -> None:
        """Append (server, serial, op_type, op_date, body) to the logs of changes."""
        with self._db:
            self._db.executemany(
                "INSERT INTO operation (server, serial, op_type, op_date, body) VALUES (?, ?, ?, ?, ?)", rows
            )

    def last_operation(self) -> int:
        return int(self._db.execute("SELECT coalesce(max(id), 0) FROM operation").fetchone()[0])

    def operations(self, server: int, *, after: int, limit: int) -> list[Operation]:
        rows = self._db.execute(
            "SELECT id, server, serial, op_type, op_date, body FROM operation"
            " WHERE server = ? AND id > ? ORDER BY id LIMIT ?",
            (server, after, limit),
        )
        return [Operation._make(row) for row in rows]


def reported(row: DeviceRow) -> str:
    """Return the device as a page reports it, flaw included."""
    if not row.flaw:
        return row.body
    device: dict[str, object] = json.loads(row.body)
    if row.flaw == "no serial":
        del device["serial_number"]
    else:
        device["model"] = None
        device["device_assigned_date"] = "yesterday"
    return json.dumps(device)
