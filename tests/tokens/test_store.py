from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from bot.kit.db import Database
from bot.tokens import store
from bot.tokens.models import KeyPairRow, SyncWish, Token
from tests.fakes.clock import FakeClock


def token(name: str, now: datetime, **facts: Any) -> Token:
    return Token(
        id=name.lower().ljust(32, "0"), name=name, name_key=name.lower(), added_by="U", added_at=now, **facts
    )


async def test_the_database_itself_keeps_live_names_and_servers_unique(
    database: Database, clock: FakeClock
) -> None:
    now = clock.now()
    async with database.begin() as session:
        session.add(token("paris", now, server_uuid="A"))
        session.add(token("lyon", now))
        session.add(token("nice", now))
    for clash in (
        Token(id="x", name="PARIS", name_key="paris", added_by="U", added_at=now),
        token("rome", now, server_uuid="A"),
    ):
        with pytest.raises(IntegrityError):
            async with database.begin() as session:
                session.add(clash)
    async with database.begin() as session:
        await store.change_token(session, "paris".ljust(32, "0"), {"removed_at": now})
    async with database.begin() as session:
        session.add(
            Token(id="y", name="Paris", name_key="paris", added_by="U", added_at=now, server_uuid="A")
        )
    async with database.read() as session:
        assert [found.name for found in await store.live_tokens(session)] == ["lyon", "nice", "Paris"]


async def test_a_token_has_one_current_and_one_staged_key_pair(database: Database, clock: FakeClock) -> None:
    def pair(row_id: str, state: str) -> KeyPairRow:
        return KeyPairRow(
            id=row_id,
            token_id="paris".ljust(32, "0"),
            state=state,
            certificate_pem="pem",
            fingerprint=row_id,
            private_key=b"sealed",
            made_by="U",
            made_at=clock.now(),
        )

    async with database.begin() as session:
        session.add(token("paris", clock.now()))
        await session.flush()
        session.add_all(
            [pair("1", "retired"), pair("2", "retired"), pair("3", "current"), pair("4", "staged")]
        )
    for state in ("current", "staged"):
        with pytest.raises(IntegrityError):
            async with database.begin() as session:
                session.add(pair("5", state))
    async with database.begin() as session:
        await store.promote_staged(session, "paris".ljust(32, "0"), "4")
    async with database.read() as session:
        pairs = await store.key_pairs(session, "paris".ljust(32, "0"))
    assert [(row.fingerprint, row.private_key is None) for row in pairs if row.state != "retired"] == [
        ("4", False)
    ]
    assert next(row for row in pairs if row.fingerprint == "3").private_key is None


async def test_a_stored_token_is_replaced_only_by_who_saw_its_version(
    database: Database, clock: FakeClock
) -> None:
    async with database.begin() as session:
        session.add(token("paris", clock.now()))
    token_id = "paris".ljust(32, "0")
    async with database.begin() as session:
        assert await store.replace_token(session, token_id, seen_version=0, values={"org_name": "A"})
    async with database.begin() as session:
        assert not await store.replace_token(session, token_id, seen_version=0, values={"org_name": "B"})
    async with database.read() as session:
        found = await store.live_token(session, token_id)
    assert found is not None
    assert (found.org_name, found.secret_version) == ("A", 1)


async def test_tokens_to_ask_about_are_those_not_asked_for_long_or_in_doubt(
    database: Database, clock: FakeClock
) -> None:
    now = clock.now()
    soon, ago = now + timedelta(days=1), now - timedelta(minutes=30)
    doubt = {"refused_first_at": now - timedelta(minutes=6), "refused_last_at": now - timedelta(minutes=6)}
    fresh = {"refused_first_at": now - timedelta(minutes=1), "refused_last_at": now - timedelta(minutes=1)}
    twice = {"refused_first_at": now - timedelta(minutes=6), "refused_last_at": now - timedelta(minutes=2)}
    sure = {"refused_first_at": now - timedelta(hours=2), "refused_last_at": ago}
    async with database.begin() as session:
        session.add_all(
            [
                token("awaiting", now),
                token("never", now, expires_at=soon),
                token("hourly", now, expires_at=soon, asked_at=now - timedelta(hours=1)),
                token("recent", now, expires_at=soon, asked_at=ago),
                token("doubt", now, expires_at=soon, asked_at=ago, **doubt),
                token("twice", now, expires_at=soon, asked_at=now - timedelta(minutes=2), **twice),
                token("fresh", now, expires_at=soon, asked_at=ago, **fresh),
                token("sure", now, expires_at=soon, asked_at=ago, **sure),
                token("expired", now, expires_at=now),
                token("removed", now, expires_at=soon, removed_at=now),
            ]
        )
    async with database.read() as session:
        due = await store.due_for_account(
            session, now, every=timedelta(hours=1), doubt_after=timedelta(minutes=5)
        )
    assert {found.rstrip("0") for found in due} == {"never", "hourly", "doubt", "twice"}


async def test_wishes_come_oldest_first_and_only_once(database: Database, clock: FakeClock) -> None:
    async with database.begin() as session:
        session.add(token("paris", clock.now()))
        await session.flush()
        for age, row_id in ((1, "b"), (3, "a"), (2, "c")):
            session.add(
                SyncWish(
                    id=row_id,
                    token_id="paris".ljust(32, "0"),
                    kind="delta",
                    reason="asked",
                    asked_by="U",
                    asked_at=clock.now() - timedelta(minutes=age),
                )
            )
    async with database.begin() as session:
        assert [wish.id for wish in await store.take_wishes(session)] == ["a", "c", "b"]
    async with database.begin() as session:
        assert await store.take_wishes(session) == []
