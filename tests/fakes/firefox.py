"""The machine's own Firefox, driven by WebDriver BiDi over its websocket: no driver, no download.

https://w3c.github.io/webdriver-bidi/ says what commands there are; these are the few that a test needs.
"""

import asyncio
import itertools
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

Json = dict[str, Any]

#: What a fresh profile would ask the world for, switched off; the rest goes to a port where nobody listens.
PREFERENCES: Mapping[str, bool | int | str] = {
    "app.normandy.enabled": False,
    "app.update.auto": False,
    "app.update.disabledForTesting": True,
    "browser.aboutConfig.showWarning": False,
    "browser.newtabpage.activity-stream.feeds.topsites": False,
    "browser.newtabpage.enabled": False,
    "browser.region.network.url": "",
    "browser.safebrowsing.downloads.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "browser.safebrowsing.provider.mozilla.updateURL": "",
    "browser.search.update": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "browser.startup.page": 0,
    "datareporting.healthreport.uploadEnabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "dom.push.connection.enabled": False,
    "extensions.getAddons.cache.enabled": False,
    "extensions.systemAddon.update.enabled": False,
    "extensions.update.enabled": False,
    "geo.enabled": False,
    "media.gmp-manager.updateEnabled": False,
    "media.gmp-manager.url": "",
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.dns.disablePrefetch": True,
    "network.prefetch-next": False,
    "network.proxy.http": "127.0.0.1",
    "network.proxy.http_port": 9,
    "network.proxy.no_proxies_on": "127.0.0.1, localhost",
    "network.proxy.ssl": "127.0.0.1",
    "network.proxy.ssl_port": 9,
    "network.proxy.type": 1,
    "services.settings.server": "data:,#remote-settings-dummy/v1",
    "signon.autofillForms": False,
    "startup.homepage_welcome_url": "",
    "toolkit.telemetry.enabled": False,
    "toolkit.telemetry.server": "",
    "trailhead.firstrun.didSeeAboutWelcome": True,
    "ui.prefersReducedMotion": 1,
}
KEYS = {"Enter": "\ue007", "Escape": "\ue00c"}
STARTS_WITHIN_S = 30
ENDS_WITHIN_S = 5


class FirefoxTold(Exception):
    """Firefox refused a command, or a script threw."""


class FirefoxPage:
    """The one tab of a Firefox that a test started."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, *, pid: int) -> None:
        self.pid = pid
        self._socket = socket
        self._numbers = itertools.count(1)
        self._context = ""

    async def ask(self, method: str, **params: Any) -> Json:
        """Send one command and wait for its answer; events in between are passed over."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": params})
        while (answer := await self._socket.receive_json()).get("id") != number:
            pass
        if answer["type"] != "success":
            raise FirefoxTold(f"{method}: {answer['error']}: {answer['message']}")
        result: Json = answer["result"]
        return result

    async def begin(self) -> None:
        await self.ask("session.new", capabilities={})
        (context,) = (await self.ask("browsingContext.getTree"))["contexts"]
        self._context = context["context"]

    async def goto(self, url: str) -> None:
        await self.ask("browsingContext.navigate", context=self._context, url=url, wait="complete")

    async def evaluate(self, expression: str) -> Any:
        """Return what a script comes to; it may be a promise."""
        got = await self.ask(
            "script.evaluate",
            expression=f"(async () => JSON.stringify(await ({expression}) ?? null))()",
            target={"context": self._context},
            awaitPromise=True,
        )
        if got["type"] != "success":
            raise FirefoxTold(got["exceptionDetails"]["text"])
        return json.loads(got["result"]["value"])

    async def until(self, condition: str, *, within_s: float = 10) -> None:
        """Wait until a condition holds; it is looked at before each frame that the page draws."""
        held = await self.evaluate(
            f"""new Promise((resolve) => {{
                const end = performance.now() + {within_s * 1000};
                const look = () => ({condition}) ? resolve(true)
                    : performance.now() > end ? resolve(false) : requestAnimationFrame(look);
                look();
            }})"""
        )
        if not held:
            raise FirefoxTold(f"never held: {condition}\n{await self.evaluate('document.body.innerText')}")

    async def types(self, *parts: str) -> None:
        """Press keys where the focus is: texts letter by letter, names of keys as that key."""
        keys = [key for part in parts for key in ([KEYS[part]] if part in KEYS else part)]
        presses = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        source = {"type": "key", "id": "keyboard", "actions": presses}
        await self.ask("input.performActions", context=self._context, actions=[source])


@asynccontextmanager
async def firefox(profile: Path) -> AsyncIterator[FirefoxPage]:
    """Start the Firefox on PATH with an empty profile, or skip the test where there is none."""
    path = shutil.which("firefox-esr")
    if path is None:
        pytest.skip("no firefox-esr on PATH: the page is not looked at in Firefox")
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in PREFERENCES.items()]
    (profile / "user.js").write_text("\n".join(lines) + "\n")
    process = await asyncio.create_subprocess_exec(
        path,
        *("--headless", "--no-remote", "--remote-debugging-port=0", "--profile", str(profile)),
        # Without this a release takes no other address of its settings service.
        env=os.environ | {"MOZ_REMOTE_SETTINGS_DEVTOOLS": "1"},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(STARTS_WITHIN_S):
            address = await _address(process)
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{address}/session", max_msg_size=0) as socket,
        ):
            page = FirefoxPage(socket, pid=process.pid)
            await page.begin()
            yield page
    finally:
        await _end(process)


async def _address(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    said = []
    async for line in process.stderr:
        said.append(line.decode(errors="replace"))
        if "WebDriver BiDi listening on " in said[-1]:
            return said[-1].rsplit(maxsplit=1)[-1]
    raise FirefoxTold("it ended before it listened: " + "".join(said[-5:]))


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the browser; the processes that it started go with it."""
    if process.returncode is None:
        process.terminate()
        try:
            await asyncio.wait_for(_drained(process), ENDS_WITHIN_S)
        except TimeoutError:
            os.killpg(process.pid, signal.SIGKILL)
            await _drained(process)


async def _drained(process: asyncio.subprocess.Process) -> None:
    await process.communicate()
