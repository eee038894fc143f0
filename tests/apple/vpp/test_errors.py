import json
from datetime import UTC, datetime, timedelta

import pytest

from bot.apple.answers import Answer
from bot.apple.vpp import errors
from bot.apple.vpp.errors import failure_of

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


def answer(status: int, number: object = None, **headers: str) -> Answer:
    said = {} if number is None else {"errorNumber": number, "errorMessage": "said"}
    return Answer(status, headers, json.dumps(said).encode())


@pytest.mark.parametrize("status", [200, 400, 401, 403, 500])
@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (9621, errors.TokenExpired),
        (9622, errors.TokenRevoked),
        (9625, errors.TokenRevoked),
        pytest.param("9625", errors.TokenRevoked, id="a number as text"),
        (9601, errors.TokenRevoked),
        (9722, errors.TokenRevoked),
        (9646, errors.Busy),
        (9603, errors.Failing),
        (9729, errors.Failing),
        (9650, errors.PageOutOfRange),
    ],
)
def test_the_number_decides_whatever_the_status_is(
    status: int, number: object, expected: type[errors.VppFailure]
) -> None:
    failure = failure_of(answer(status, number), now=NOW)
    assert type(failure) is expected
    assert failure is not None
    assert failure.number == int(str(number))


@pytest.mark.parametrize(
    ("status", "number", "expected"),
    [
        (200, 9999, errors.Refused),
        (403, 9637, errors.Refused),
        (410, 9634, errors.Refused),
        (429, 9999, errors.Busy),
        (503, 9999, errors.Failing),
        (401, None, errors.TokenRevoked),
        (403, None, errors.Refused),
        (407, None, errors.Unreadable),
        (429, None, errors.Busy),
        (500, None, errors.Failing),
        (204, None, errors.Unreadable),
        (302, None, errors.Redirected),
    ],
)
def test_the_status_decides_where_the_number_does_not(
    status: int, number: int | None, expected: type[errors.VppFailure]
) -> None:
    assert type(failure_of(answer(status, number), now=NOW)) is expected


@pytest.mark.parametrize("body", [b"{}", b'{"assets": []}', b'{"errorNumber": 0}', b'{"errorNumber": null}'])
def test_an_answer_without_a_number_is_good(body: bytes) -> None:
    assert failure_of(Answer(200, {}, body), now=NOW) is None


def test_a_sign_in_page_is_not_the_service() -> None:
    assert type(failure_of(Answer(401, {}, b"<html>401</html>"), now=NOW)) is errors.Unreadable


def test_a_wait_that_is_asked_for_comes_along() -> None:
    failure = failure_of(answer(500, 9603, **{"retry-after": "120"}), now=NOW)
    assert isinstance(failure, errors.Failing)
    assert failure.retry_after == timedelta(seconds=120)


def test_what_the_service_says_is_kept_without_what_could_be_a_token() -> None:
    said = {"errorNumber": 9602, "errorMessage": f"Invalid argument: {'cGxhbnRlZA+/' * 30}== " + "a " * 300}
    failure = failure_of(Answer(400, {}, json.dumps(said).encode()), now=NOW)
    assert failure is not None
    assert failure.said.startswith("Invalid argument: …")
    assert len(failure.said) <= 200
    assert "cGxhbnRl" not in f"{failure!r} {failure}"
