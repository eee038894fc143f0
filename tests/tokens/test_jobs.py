from datetime import timedelta

from bot.kit.background import Background
from bot.kit.jobs import Jobs
from bot.tokens import jobs
from bot.tokens.facts import TokenState
from tests.tokens.conftest import Room


async def test_a_rejection_is_known_within_the_hour_by_itself(room: Room) -> None:
    token, server = await room.installed()
    server.generate_token("made in ABM and never uploaded")
    regular = Jobs(room.db, room.clock, Background())
    jobs.register(regular, room.tokens)
    states = []
    for _ in range(14):
        room.clock.move(jobs.LOOK_EVERY)
        await regular.run_due("tokens.account")
        states.append((await room.look(token)).state)
    assert states[10] is TokenState.ACTIVE
    assert states[12] is TokenState.REJECTED
    assert timedelta(minutes=65) >= jobs.LOOK_EVERY * 13
    assert server.count("login") == 3
