from datetime import UTC, datetime, timedelta, timezone

import msgspec

from bot.devices.facts import KeptFacts, pack, unpack
from tests.fakes.backend import device


def test_every_kept_fact_is_packed_under_its_own_name() -> None:
    came = device(
        "A", color="GOLD", imei=("35",), eid="8904", migration_deadline=datetime(2027, 1, 1, tzinfo=UTC)
    )
    kept = unpack(pack(came))
    assert {name: getattr(kept, name) for name in KeptFacts.__struct_fields__} == {
        name: getattr(came, name) for name in KeptFacts.__struct_fields__
    }


def test_the_operation_and_the_offset_of_a_time_are_no_facts() -> None:
    moment = datetime(2026, 5, 1, 9, 0, tzinfo=UTC)
    one = device("A", assigned_at=moment)
    same = msgspec.structs.replace(
        one,
        operation="modified",
        operation_at=moment,
        assigned_at=moment.astimezone(timezone(timedelta(hours=2))),
    )
    assert pack(one) == pack(same)
    assert pack(one) != pack(msgspec.structs.replace(one, color="GOLD"))
