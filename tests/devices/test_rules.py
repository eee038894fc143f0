import json
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.backend.port import DeviceFacts, Operation
from bot.devices import rules
from bot.devices.errors import FullSyncTooSoon, SyncTooSoon
from bot.devices.facts import pack, unpack
from bot.devices.models import DeviceState, SyncKind
from bot.devices.rules import Known, Reported, Step
from tests.fakes.backend import device

NOW = datetime(2026, 5, 1, 9, 0, tzinfo=UTC)
EARLIER, LATER = NOW - timedelta(hours=1), NOW + timedelta(hours=1)


def op(serial: str, operation: str, at: datetime | None, **facts: object) -> DeviceFacts:
    return msgspec.structs.replace(device(serial, **facts), operation=operation, operation_at=at)


def known(
    state: DeviceState = DeviceState.PRESENT,
    *,
    token: str = "t1",
    assigned: datetime | None = NOW,
    operation: datetime | None = None,
    forgotten: datetime | None = None,
) -> Known:
    return Known(token, state, assigned, operation, forgotten)


def judged(device: DeviceFacts, was: Known | None, *, full: datetime | None = None) -> Step:
    reported = rules.merge_delta([device])[device.serial]
    return rules.judge(reported, was, token_id="t1", full_since=full)


def test_the_newest_operation_of_a_serial_wins() -> None:
    merged = rules.merge_delta([op("A", "deleted", LATER), op("A", "added", EARLIER)])
    assert merged["A"].device.operation == "deleted"


def test_of_operations_at_the_same_time_the_later_in_the_page_wins() -> None:
    merged = rules.merge_delta([op("A", "added", NOW), op("A", "deleted", NOW), op("A", "modified", NOW)])
    assert merged["A"].device.operation == "modified"


def test_a_later_row_of_a_full_list_wins() -> None:
    merged = rules.merge_full([device("A", model="old"), device("B"), device("A", model="new")])
    assert [merged["A"].model, len(merged)] == ["new", 2]


@given(
    st.lists(
        st.tuples(st.sampled_from(["A", "B"]), st.sampled_from(list(Operation)), st.integers(0, 5)),
        max_size=12,
    )
)
def test_merging_agrees_with_sorting_all_operations(operations: list[tuple[str, Operation, int]]) -> None:
    page = [op(serial, kind.value, NOW + timedelta(hours=hour)) for serial, kind, hour in operations]
    expected: dict[str, str] = {}
    for serial, kind, _ in sorted(operations, key=lambda entry: entry[2]):
        expected[serial] = kind.value
    merged = rules.merge_delta(page)
    assert {serial: found.device.operation for serial, found in merged.items()} == expected


FORGOTTEN = known(DeviceState.FORGOTTEN, forgotten=NOW)
UNDATED = known(token="t2", assigned=None)
JUDGED = [
    ("unknown and added", op("A", "added", NOW), None, Step.ADD),
    ("unknown and modified", op("A", "modified", NOW), None, Step.ADD),
    ("unknown and deleted", op("A", "deleted", NOW), None, Step.IGNORE),
    ("known and modified", op("A", "modified", NOW), known(), Step.COMPARE),
    ("older than what counted", op("A", "deleted", EARLIER), known(operation=NOW), Step.IGNORE),
    ("as old as what counted", op("A", "deleted", NOW), known(operation=NOW), Step.REMOVE),
    ("deleted", op("A", "deleted", NOW), known(), Step.REMOVE),
    ("deleted again", op("A", "deleted", NOW), known(DeviceState.REMOVED), Step.IGNORE),
    ("removed and modified", op("A", "modified", NOW), known(DeviceState.REMOVED), Step.RETURN),
    (
        "forgotten, modified",
        op("A", "modified", LATER),
        known(DeviceState.FORGOTTEN, forgotten=NOW),
        Step.IGNORE,
    ),
    ("forgotten, added", op("A", "added", LATER), known(DeviceState.FORGOTTEN, forgotten=NOW), Step.RETURN),
    (
        "forgotten after added",
        op("A", "added", EARLIER),
        known(DeviceState.FORGOTTEN, forgotten=NOW),
        Step.IGNORE,
    ),
    ("elsewhere, deleted", op("A", "deleted", LATER), known(token="t2"), Step.IGNORE),
    ("elsewhere, newer", op("A", "added", NOW, assigned_at=LATER), known(token="t2"), Step.MOVE),
    ("elsewhere, as new", op("A", "added", NOW, assigned_at=NOW), known(token="t2"), Step.IGNORE),
    ("elsewhere, older", op("A", "added", NOW, assigned_at=EARLIER), known(token="t2"), Step.IGNORE),
    (
        "elsewhere, no dates",
        op("A", "added", NOW, assigned_at=None),
        known(token="t2", assigned=None),
        Step.IGNORE,
    ),
    ("elsewhere, removed", op("A", "added", NOW), known(DeviceState.REMOVED, token="t2"), Step.MOVE),
]


@pytest.mark.parametrize(("case", "reported", "was", "step"), JUDGED, ids=[case[0] for case in JUDGED])
def test_what_a_change_means(case: str, reported: DeviceFacts, was: Known | None, step: Step) -> None:
    assert judged(reported, was) is step


def test_a_full_list_brings_back_what_was_removed_whatever_operation_counted_last() -> None:
    assert judged(device("A"), known(DeviceState.REMOVED, operation=LATER), full=NOW) is Step.RETURN


@pytest.mark.parametrize(("began", "step"), [(LATER, Step.RETURN), (EARLIER, Step.IGNORE)])
def test_a_forgotten_device_returns_with_the_next_full_list_not_the_running_one(
    began: datetime, step: Step
) -> None:
    assert judged(device("A"), known(DeviceState.FORGOTTEN, forgotten=NOW), full=began) is step


def test_a_device_added_and_modified_on_one_page_counts_as_added_again() -> None:
    page = [op("A", "added", LATER), op("A", "modified", LATER + timedelta(minutes=1))]
    reported = rules.merge_delta(page)["A"]
    was = known(DeviceState.FORGOTTEN, forgotten=NOW)
    assert rules.judge(reported, was, token_id="t1", full_since=None) is Step.RETURN


def test_a_row_without_a_date_moves_no_date_back() -> None:
    assert rules.merged_operation_at(None, NOW) == NOW
    assert rules.merged_operation_at(LATER, NOW) == LATER


def test_changed_fields_name_before_and_after_as_json() -> None:
    before = unpack(pack(device("A", model="old", imei=("1",))))
    after = unpack(pack(device("A", model="new", imei=("1", "2"))))
    stored = json.loads(json.dumps(rules.changed_fields(before, after)))
    assert stored == {"model": ["old", "new"], "imei": [["1"], ["1", "2"]]}


@pytest.mark.parametrize(("allowed", "asked"), [(None, 1000), (0, 1000), (100, 100), (5000, 1000), (1, 1)])
def test_the_page_size_is_what_is_allowed_capped_at_1000(allowed: int | None, asked: int) -> None:
    assert rules.page_size(allowed) == asked


@pytest.mark.parametrize(
    ("ago", "minutes"),
    [(timedelta(0), 15), (timedelta(seconds=1), 15), (timedelta(minutes=14, seconds=1), 1)],
)
def test_a_sync_by_hand_too_soon_says_the_minutes_and_the_clock_time(ago: timedelta, minutes: int) -> None:
    with pytest.raises(SyncTooSoon) as refused:
        rules.check_by_hand("paris", last_started_at=NOW - ago, now=NOW)
    assert refused.value.minutes == minutes
    assert f"{NOW - ago + timedelta(minutes=15):%H:%M}" in str(refused.value)


@pytest.mark.parametrize("last", [None, NOW - timedelta(minutes=15), NOW - timedelta(days=2)])
def test_a_sync_by_hand_is_allowed_after_15_minutes(last: datetime | None) -> None:
    rules.check_by_hand("paris", last_started_at=last, now=NOW)


def test_a_full_sync_is_allowed_once_in_7_days() -> None:
    rules.check_full("paris", last_full_at=None, now=NOW)
    rules.check_full("paris", last_full_at=NOW - timedelta(days=7), now=NOW)
    with pytest.raises(FullSyncTooSoon) as refused:
        rules.check_full("paris", last_full_at=NOW - timedelta(days=6, hours=23), now=NOW)
    assert refused.value.allowed_at == NOW + timedelta(hours=1)


@pytest.mark.parametrize(
    ("age", "kind"),
    [
        (timedelta(days=7), SyncKind.DELTA),
        (timedelta(days=8), SyncKind.FULL),
        (timedelta(days=9), SyncKind.FULL),
    ],
)
def test_the_automatic_sync_is_full_when_the_last_full_one_is_8_days_old(
    age: timedelta, kind: SyncKind
) -> None:
    assert rules.automatic_kind(last_full_at=NOW - age, now=NOW) is kind


def test_automatic_syncs_are_spread_over_the_hour() -> None:
    day = timedelta(hours=24)
    starts = {rules.slot_start(f"token{n}", every=day, now=NOW) for n in range(200)}
    assert len({start.minute for start in starts}) > 40
    assert max(starts) - min(starts) < timedelta(hours=1)


@given(st.integers(0, 10**9), st.integers(1, 24))
def test_a_slot_began_at_most_one_period_ago(offset_s: int, hours: int) -> None:
    now, every = NOW + timedelta(seconds=offset_s), timedelta(hours=hours)
    start = rules.slot_start("token", every=every, now=now)
    assert start <= now < start + every


def due(*, ok: timedelta | None, failures: int = 0, failed: timedelta | None = None) -> bool:
    return rules.is_due(
        "t",
        every=timedelta(hours=24),
        last_ok_at=NOW - ok if ok is not None else None,
        failures=failures,
        last_failed_at=NOW - failed if failed is not None else None,
        now=NOW,
    )


def test_a_token_never_synced_or_not_for_a_day_is_due() -> None:
    assert due(ok=None)
    assert due(ok=timedelta(hours=24))
    assert not due(ok=timedelta(minutes=1))


@pytest.mark.parametrize(
    ("failures", "wait"), [(1, timedelta(minutes=15)), (2, timedelta(hours=1)), (3, timedelta(hours=4))]
)
def test_after_a_failure_it_is_tried_again_in_15_minutes_then_1_hour_then_4(
    failures: int, wait: timedelta
) -> None:
    a_day = timedelta(hours=24)
    assert due(ok=a_day, failures=failures, failed=wait)
    assert not due(ok=a_day, failures=failures, failed=wait - timedelta(seconds=1))


def test_reported_remembers_the_newest_addition() -> None:
    merged = rules.merge_delta([op("A", "added", NOW), op("A", "added", EARLIER)])
    assert merged["A"] == Reported(merged["A"].device, NOW)
    assert merged["A"].device.operation_at == NOW
