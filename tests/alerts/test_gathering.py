"""What a look takes for a problem that the tokens' own facts do not say."""

from datetime import timedelta

from bot.alerts.facts import Kind
from tests.alerts.conftest import Desk
from tests.fakes.rooms import ADMIN

MISSED = "post: Syncing token paris has not succeeded for two days"


async def test_a_token_without_a_sync_for_two_days_is_told(desk: Desk) -> None:
    await desk.token(300)
    found = []
    for _ in range(5):
        await desk.look(timedelta(hours=11))
        found.append([each.kind for each in await desk.service.open_alerts(actor=ADMIN)])
    assert found == [[], [], [], [], [Kind.SYNC_FAILING]]


async def test_after_a_long_sleep_there_is_an_hour_to_sync_first(desk: Desk) -> None:
    await desk.token(300)
    assert await desk.look() == []
    desk.clock.move(timedelta(days=5))
    assert await desk.look() == []
    assert await desk.look(timedelta(minutes=59)) == []
    assert await desk.look(timedelta(minutes=1)) == [MISSED]
