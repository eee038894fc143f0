"""Apple Business Manager's pages in the stand-in, as a browser without scripts meets them."""

import re
from collections.abc import AsyncIterator
from html import unescape
from html.parser import HTMLParser

import httpx
import pytest

from bot.sandbox.apple import AppleStandIn, Server, serve
from tests.fakes.clock import FakeClock
from tests.sandbox.apple_client import keys


class Page(HTMLParser):
    """The labels with their fields, the buttons and the text of one page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.labels: dict[str, str] = {}
        self.fields: dict[str, dict[str, str]] = {}
        self.buttons: dict[str, str] = {}
        self.text = ""
        self._action = self._label = ""
        self._tags: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = {name: value or "" for name, value in attrs}
        self._tags.append(tag)
        if tag == "form":
            self._action = known["action"]
        if tag == "label":
            self._label = known["for"]
        if tag in ("input", "textarea"):
            self.fields[known["id"]] = {**known, "action": self._action}

    def handle_endtag(self, tag: str) -> None:
        while self._tags and self._tags.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "style" in self._tags:
            return
        self.text = " ".join(f"{self.text} {data}".split())
        if self._tags and self._tags[-1] == "label":
            self.labels[data.strip()] = self._label
        if self._tags and self._tags[-1] == "button":
            self.buttons[data.strip()] = self._action

    def field(self, label: str) -> dict[str, str]:
        return self.fields[self.labels[label]]


class Browser:
    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def open(self, path: str) -> Page:
        answer = await self.http.get(path, follow_redirects=True)
        assert answer.status_code == 200
        return Page(answer.text)

    async def press(
        self, page: Page, button: str, filled: dict[str, str] | None = None, *, file: bytes | None = None
    ) -> httpx.Response:
        """Press a button with the fields of its form as they are, but for those filled by label."""
        action = page.buttons[button]
        values = {f["name"]: f.get("value", "") for f in page.fields.values() if f["action"] == action}
        for label, value in (filled or {}).items():
            values[page.field(label)["name"]] = value
        files = None
        if file is not None:
            name = page.field("Public key certificate")["name"]
            values.pop(name)
            files = {name: ("paris.pem", file)}
        return await self.http.post(action, data=values, files=files, follow_redirects=True)


@pytest.fixture
def standin(clock: FakeClock) -> AppleStandIn:
    made = AppleStandIn(clock)
    made.create_organisation("Écoles <Paris>")
    return made


@pytest.fixture
def server(standin: AppleStandIn) -> Server:
    return standin.create_server("paris", devices=30)


@pytest.fixture
async def browser(standin: AppleStandIn) -> AsyncIterator[Browser]:
    async with serve(standin) as url, httpx.AsyncClient(base_url=url) as http:
        yield Browser(http)


def path(server: Server) -> str:
    return f"/abm/servers/{server.server_uuid}"


async def test_the_list_names_servers_with_devices_and_state(browser: Browser, server: Server) -> None:
    page = await browser.open("/")

    assert "Écoles <Paris>" in page.text
    assert "paris 30 No certificate yet" in page.text


async def test_a_server_is_added_and_asks_for_its_certificate(
    browser: Browser, standin: AppleStandIn
) -> None:
    answer = await browser.press(await browser.open("/abm"), "Add server", {"Server name": "lyon <1>"})

    page = Page(answer.text)
    assert standin.server("lyon <1>").name == "lyon <1>"
    assert "Upload its public key certificate next" in page.text
    assert "lyon <1>" in page.text
    assert "Upload certificate" in page.buttons
    assert "Download server token" not in page.buttons


@pytest.mark.parametrize("name", ["paris", "Unassigned", " "])
async def test_a_name_that_is_taken_or_reserved_is_refused(
    browser: Browser, standin: AppleStandIn, server: Server, name: str
) -> None:
    answer = await browser.press(await browser.open("/abm"), "Add server", {"Server name": name})

    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert list(standin.servers.values()) == [server]


async def test_a_certificate_goes_up_and_a_token_comes_down(browser: Browser, server: Server) -> None:
    page = await browser.open(path(server))
    uploaded = Page((await browser.press(page, "Upload certificate", file=keys().pem.encode())).text)

    token = await browser.press(uploaded, "Download server token")

    assert uploaded.field("Signed-in Apple ID")["value"] == "ade@example.com"
    assert token.headers["content-disposition"] == (
        'attachment; filename="paris_Token_2026-05-01T09-00-00Z_smime.p7m"'
    )
    assert token.content.startswith(b"Content-Type: application/pkcs7-mime")
    assert server.credentials is not None
    assert server.credentials.made_by == "ade@example.com"
    assert "Token valid until 1 May 2027, 09:00 UTC" in (await browser.open(path(server))).text


async def test_generating_again_is_warned_about_and_ends_the_token(
    browser: Browser, standin: AppleStandIn, server: Server
) -> None:
    standin.upload_certificate(server, keys().pem)
    first_time = await browser.open(path(server))
    await browser.press(first_time, "Download server token")
    before = server.credentials
    assert before is not None
    again = await browser.open(path(server))

    await browser.press(again, "Download server token", {"Signed-in Apple ID": "lea@example.com"})

    warning = "Generating a token ends the current one at once."
    assert warning not in first_time.text
    assert warning in again.text
    assert before.access_token in server.ended
    assert server.credentials is not None
    assert server.credentials.made_by == "lea@example.com"


@pytest.mark.parametrize("file", [b"", b"not a certificate", b"-----BEGIN PRIVATE KEY-----\nAA==\n"])
async def test_a_file_that_is_no_certificate_is_refused_at_its_field(
    browser: Browser, server: Server, file: bytes
) -> None:
    answer = await browser.press(await browser.open(path(server)), "Upload certificate", file=file)

    field = Page(answer.text).field("Public key certificate")
    assert answer.status_code == 422
    assert field["aria-invalid"] == "true"
    assert "refusal" in field["aria-describedby"].split()
    assert server.certificate_pem is None


async def test_an_apple_id_is_an_address(browser: Browser, standin: AppleStandIn, server: Server) -> None:
    standin.upload_certificate(server, keys().pem)

    answer = await browser.press(
        await browser.open(path(server)), "Download server token", {"Signed-in Apple ID": '"x"'}
    )

    assert answer.status_code == 422
    assert server.credentials is None


async def test_new_terms_stand_on_the_pages_until_accepted(
    browser: Browser, standin: AppleStandIn, server: Server
) -> None:
    standin.sign_terms(signed=False)
    page = await browser.open(path(server))

    answer = await browser.press(page, "Accept terms and conditions")

    assert "new terms and conditions to accept" in page.text
    assert "The terms and conditions are accepted." in Page(answer.text).text
    assert standin.organisation().terms_signed


async def test_devices_are_assigned_from_another_server(
    browser: Browser, standin: AppleStandIn, server: Server
) -> None:
    serials = standin.add_devices(standin.create_server("lyon"), 2)
    page = await browser.open(path(server))

    await browser.press(
        page, "Assign to this server", {"Serial numbers": f"{serials[0].lower()}, {serials[1]}"}
    )
    unknown = await browser.press(page, "Assign to this server", {"Serial numbers": "C0FFEE"})

    assert standin.snapshot("lyon") == []
    assert len(standin.snapshot("paris")) == 32
    assert unknown.status_code == 422
    assert "C0FFEE" in unknown.text


@pytest.mark.parametrize(("count", "status", "devices"), [("3", 200, 33), ("0", 422, 30), ("x", 422, 30)])
async def test_devices_are_bought(
    browser: Browser, standin: AppleStandIn, server: Server, count: str, status: int, devices: int
) -> None:
    answer = await browser.press(
        await browser.open(path(server)), "Buy devices", {"Number of devices to buy": count}
    )

    assert answer.status_code == status
    assert len(standin.snapshot("paris")) == devices


async def test_another_sites_form_is_refused(browser: Browser, standin: AppleStandIn, server: Server) -> None:
    standin.upload_certificate(server, keys().pem)

    answer = await browser.http.post(f"{path(server)}/token", headers={"Origin": "https://evil.example"})

    assert answer.status_code == 403
    assert server.credentials is None


async def test_a_server_that_is_not_there_is_not_found(browser: Browser, server: Server) -> None:
    answer = await browser.http.get("/abm/servers/0000")

    assert answer.status_code == 404
    assert "There is no server 0000 here." in unescape(answer.text)


async def test_pages_have_one_heading_a_language_and_a_label_for_each_field(
    browser: Browser, standin: AppleStandIn, server: Server
) -> None:
    standin.upload_certificate(server, keys().pem)
    for where in ("/abm", path(server)):
        html = (await browser.http.get(where)).text
        page = Page(html)

        assert '<html lang="en">' in html
        assert len(re.findall(r"<h1[ >]", html)) == 1
        assert set(page.fields) == set(page.labels.values())
        assert "<script" not in html
