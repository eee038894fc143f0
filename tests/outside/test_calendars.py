from bot.kit.db import Database
from bot.outside import store
from bot.outside.models import CalendarLink
from tests.fakes.clock import FakeClock


async def test_links_are_counted_found_read_and_ended_by_person(database: Database, clock: FakeClock) -> None:
    async with database.begin() as session:
        for number, user_id in enumerate(("U0ANA", "U0ANA", "U0BEN")):
            digest = f"{number}" * 64
            session.add(CalendarLink(id=f"l{number}", digest=digest, user_id=user_id, made_at=clock.now()))
    async with database.begin() as session:
        assert await store.count_links(session, "U0ANA") == 2
        await store.note_read(session, "l2", clock.now())
        assert await store.drop_links(session, "U0ANA") == 2
    async with database.read() as session:
        assert await store.link_of(session, "0" * 64) is None
        left = await store.link_of(session, "2" * 64)
    assert left is not None
    assert (left.user_id, left.read_at) == ("U0BEN", clock.now())
