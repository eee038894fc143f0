from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.apple.answers import Answer
from bot.apple.dep import errors
from bot.apple.dep.errors import failure_of

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("120", timedelta(seconds=120)),
        (" 1.5 ", timedelta(seconds=1.5)),
        ("999999999", timedelta(days=1)),
        ("9" * 400, None),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("Sun, 22 Nov 2026 09:02:00 GMT", timedelta(minutes=2)),
        ("Sun, 22 Nov 2026 08:00:00 GMT", timedelta()),
        ("Sun, 22 Nov 2099 08:00:00 GMT", timedelta(days=1)),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, expected: timedelta | None) -> None:
    failure = failure_of(Answer(503, {"retry-after": text}, b""), now=NOW)
    assert isinstance(failure, errors.Failing)
    assert failure.retry_after == expected


def test_a_date_to_retry_at_is_counted_on_the_service_s_own_clock() -> None:
    headers = {"retry-after": "Sun, 22 Nov 2026 10:02:00 GMT", "date": "Sun, 22 Nov 2026 10:00:00 GMT"}
    failure = failure_of(Answer(429, headers, b""), now=NOW)
    assert isinstance(failure, errors.Busy)
    assert failure.retry_after == timedelta(minutes=2)


def test_terms_are_never_taken_for_an_ended_session() -> None:
    for word in (b"T_C_NOT_SIGNED", b"FORBIDDEN T_C_NOT_SIGNED"):
        assert type(failure_of(Answer(403, {}, word), now=NOW)) is errors.TermsNotSigned


@pytest.mark.parametrize("is_login", [True, False])
@pytest.mark.parametrize(
    "form", ["{}", '"{}"', " {}\r\n", '{{"code":"{}"}}', '{{"error":"{}"}}', "oauth_problem={}"]
)
@pytest.mark.parametrize(
    ("status", "word", "expected"),
    [
        (403, "T_C_NOT_SIGNED", errors.TermsNotSigned),
        (401, "T_C_NOT_SIGNED", errors.TermsNotSigned),
        (403, "ACCESS_DENIED", errors.AccessDenied),
        (403, "token_rejected", errors.TokenRejected),
        (401, "signature_invalid", errors.TokenRejected),
        (403, "EXPIRED_TOKEN", errors.TokenRejected),
        (400, "EXPIRED_CURSOR", errors.CursorExpired),
        (400, "INVALID_CURSOR", errors.CursorInvalid),
        (400, "CURSOR_REQUIRED", errors.CursorRequired),
        (400, "EXHAUSTED_CURSOR", errors.CursorExhausted),
        (400, "THROTTLED", errors.Busy),
        (400, "MALFORMED_REQUEST_BODY", errors.Refused),
        (400, "USER_AGENT_INVALID", errors.Refused),
        (400, "NOT_FOUND", errors.NotFound),
    ],
)
def test_a_word_means_the_same_however_it_is_wrapped_and_wherever_it_comes_from(
    status: int, word: str, expected: type[errors.DepFailure], form: str, is_login: bool
) -> None:
    failure = failure_of(Answer(status, {}, form.format(word).encode()), now=NOW, is_login=is_login)
    assert type(failure) is expected
    assert word in failure.word


@given(
    st.integers(100, 599).filter(lambda status: status != 200),
    st.binary(max_size=400) | st.text(max_size=400).map(str.encode),
    st.dictionaries(st.sampled_from(["date", "retry-after"]), st.text(max_size=50)),
    st.booleans(),
)
def test_any_answer_has_a_name(status: int, body: bytes, headers: dict[str, str], is_login: bool) -> None:
    failure = failure_of(Answer(status, headers, body), now=NOW, is_login=is_login)
    assert type(failure) is not errors.DepFailure
    assert len(failure.word) <= errors.MAX_WORD
