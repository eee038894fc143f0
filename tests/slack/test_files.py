from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from bot.slack.files import FileNotFromSlack, FileNotHandedOver, FileTooLarge, SlackFile
from bot.slack.hosts import SlackHosts
from tests.slack.bot import Bot
from tests.slack.web_api import Fault


def served(content: bytes, **more: Any) -> Callable[[], web.StreamResponse]:
    return lambda: web.Response(body=content, **more)


def entry(bot: Bot, name: str = "srv.p7m", **more: Any) -> dict[str, Any]:
    return {
        "id": "F1",
        "name": name,
        "size": 5,
        "url_private_download": f"{bot.web.base}/files/{name}",
    } | more


async def test_a_file_is_fetched_with_the_bot_token(bot: Bot) -> None:
    bot.web.contents["srv.p7m"] = served(b"12345")
    assert await bot.slack.files.fetch_file(entry(bot)) == SlackFile("srv.p7m", b"12345")
    assert bot.web.authorizations == ["Bearer xoxb-worthless"]


@pytest.mark.parametrize("as_dict", [False, True])
async def test_a_bare_id_is_asked_about(bot: Bot, as_dict: bool) -> None:
    bot.web.files["F1"] = entry(bot)
    bot.web.contents["srv.p7m"] = served(b"12345")
    given: Any = {"id": "F1"} if as_dict else "F1"
    assert (await bot.slack.files.fetch_file(given)).content == b"12345"


async def test_a_file_that_slack_wants_asked_about_is_asked_about(bot: Bot) -> None:
    bot.web.files["F1"] = entry(bot)
    bot.web.contents["srv.p7m"] = served(b"12345")
    stub = {"id": "F1", "file_access": "check_file_info", "url_private": f"{bot.web.base}/files/none"}
    assert (await bot.slack.files.fetch_file(stub)).name == "srv.p7m"


async def test_a_file_that_says_it_is_too_large_is_not_fetched(bot: Bot) -> None:
    with pytest.raises(FileTooLarge, match="64 KiB"):
        await bot.slack.files.fetch_file(entry(bot, size=65537))
    assert bot.web.authorizations == []


@pytest.mark.parametrize(("length", "fits"), [(100, True), (101, False), (10_000_000, False)])
async def test_the_limit_holds_whatever_the_file_says(bot: Bot, length: int, fits: bool) -> None:
    bot.web.contents["srv.p7m"] = served(b"a" * length)
    if fits:
        assert len((await bot.slack.files.fetch_file(entry(bot), limit=100)).content) == length
        return
    with pytest.raises(FileTooLarge):
        await bot.slack.files.fetch_file(entry(bot), limit=100)


@pytest.mark.parametrize(
    "answer",
    [
        served(b"<!DOCTYPE html><title>Sign in", content_type="text/html"),
        served(b"\n <!doctype HTML>"),
        served(b"", status=404),
        served(b"", status=302, headers={"Location": "https://example.org"}),
        served(b"", status=500),
    ],
    ids=["sign-in page", "its beginning", "gone", "redirect", "failure"],
)
async def test_a_page_instead_of_the_file_is_recognised(
    bot: Bot, answer: Callable[[], web.StreamResponse]
) -> None:
    bot.web.contents["srv.p7m"] = answer
    with pytest.raises(FileNotHandedOver, match="files:read"):
        await bot.slack.files.fetch_file(entry(bot))


async def test_a_web_page_that_somebody_handed_over_is_taken_as_what_it_is(bot: Bot) -> None:
    page = b"<!DOCTYPE html><title>An error page that was saved</title>"
    bot.web.contents["srv.p7m"] = served(page, content_type="text/html")
    assert (await bot.slack.files.fetch_file(entry(bot, size=len(page)))).content == page
    with pytest.raises(FileNotHandedOver):
        await bot.slack.files.fetch_file(entry(bot, size=len(page) + 1))


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/srv.p7m",
        "https://files.slack.com.example.org/x",
        "https://example.org\\@files.slack.com/x",
        "https://files.slack.com@example.org/x",
        "http://files.slack.com/x",
        "https://slack-files.com.example.org/x",
        "http://127.0.0.1:1/x",
        "ftp://files.slack.com/x",
        "file:///etc/passwd",
        "https://[::1/x",
        "",
    ],
)
async def test_a_file_elsewhere_is_not_fetched(bot: Bot, url: str) -> None:
    bot.web.files["F1"] = {"id": "F1", "url_private": url}
    with pytest.raises(FileNotFromSlack):
        await bot.slack.files.fetch_file({"id": "F1", "name": "x", "url_private_download": url})
    assert "Bearer xoxb-worthless" not in bot.web.authorizations or bot.web.called("files.info")


@pytest.mark.parametrize(
    ("api_url", "url", "is_allowed"),
    [
        (None, "https://files.slack.com/files-pri/T1-F1/x", True),
        (None, "https://a.slack-files.com/x", True),
        (None, "https://slack.com/x", False),
        (None, "http://127.0.0.1:8080/x", False),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/files/x", True),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8081/files/x", False),
        ("http://127.0.0.1:8080", "https://files.slack.com/x", True),
        ("http://slack.example.org/api", "http://slack.example.org/x", False),
        ("https://slack.example.org/api", "https://slack.example.org/x", True),
    ],
)
def test_files_come_from_slack_or_the_stand_in_set(api_url: str | None, url: str, is_allowed: bool) -> None:
    assert (SlackHosts.of(api_url).file_url(url) is not None) == is_allowed


def test_what_is_in_a_file_is_not_shown() -> None:
    assert "secret" not in repr(SlackFile("srv.p7m", b"secret"))


@pytest.mark.parametrize(
    ("faults", "is_gone"),
    [
        ([], True),
        ([Fault("cant_delete_file")], False),
        ([Fault("file_not_found")], False),
        ([Fault("file_deleted")], True),
        # Carried out, and its answer lost: asked again, it was deleted.
        ([Fault(drops=True, is_done=True), Fault("file_deleted")], True),
        ([Fault(status=500)] * 9, False),
    ],
)
async def test_a_file_is_deleted_or_it_is_said_that_it_stays(
    bot: Bot, faults: list[Fault], is_gone: bool
) -> None:
    bot.web.fail("files.delete", *faults)
    assert await bot.slack.files.delete_file(entry(bot)) is is_gone
    assert all(body == {"file": "F1"} for body in bot.web.called("files.delete"))
