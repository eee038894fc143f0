"""What alerts tell outside Slack."""

from datetime import timedelta

from bot.outside.events import Events
from tests.alerts.conftest import Desk


async def test_opening_a_worse_level_and_the_end_are_events_in_order(desk: Desk) -> None:
    events = Events(desk.db, desk.clock, desk.rooms.audit, is_wanted=True)
    desk.service.tell_events(events)
    token, server = await desk.token(20)
    told: list[tuple[str, str]] = []
    for days in (0, 14, 0):
        await desk.look(timedelta(days=days))
        if days == 0 and told:
            await desk.renew(token, server, 365)
            await desk.look()
        while due := await events.due():
            told += [(event.body["type"], event.body["data"]["detail"]["level"]) for event in due]
            for event in due:
                await events.note_taken(event)
    assert told == [
        ("alert.opened", "note"),
        ("alert.level_changed", "warning"),
        ("alert.resolved", "warning"),
    ]
