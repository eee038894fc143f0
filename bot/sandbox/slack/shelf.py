import json
import sqlite3
from pathlib import Path
from typing import Any

Json = dict[str, Any]


class Shelf:
    """Keeps the stand-in's things in one SQLite file, or in memory when there is no folder.

    Each change is written at once, so that a killed process loses nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / "slack.sqlite"
            path.touch(mode=0o600)
        self._database = sqlite3.connect(
            ":memory:" if folder is None else path, isolation_level=None, check_same_thread=False
        )
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS things (kind TEXT, name TEXT, body TEXT, PRIMARY KEY (kind, name))"
        )
        self._database.execute("CREATE TABLE IF NOT EXISTS contents (name TEXT PRIMARY KEY, body BLOB)")

    def all(self, kind: str) -> dict[str, Json]:
        """Return everything of one kind by name, in the order in which it was first kept."""
        rows = self._database.execute("SELECT name, body FROM things WHERE kind = ? ORDER BY rowid", (kind,))
        return {name: json.loads(body) for name, body in rows}

    def keep(self, kind: str, name: str, thing: Json) -> None:
        self._database.execute(
            "INSERT INTO things VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET body = excluded.body",
            (kind, name, json.dumps(thing)),
        )

    def drop(self, kind: str, name: str) -> None:
        self._database.execute("DELETE FROM things WHERE kind = ? AND name = ?", (kind, name))

    def keep_content(self, name: str, content: bytes) -> None:
        self._database.execute("INSERT OR REPLACE INTO contents VALUES (?, ?)", (name, content))

    def content(self, name: str) -> bytes | None:
        row = self._database.execute("SELECT body FROM contents WHERE name = ?", (name,)).fetchone()
        return None if row is None else bytes(row[0])

    def drop_content(self, name: str) -> None:
        self._database.execute("DELETE FROM contents WHERE name = ?", (name,))

    def close(self) -> None:
        self._database.close()
