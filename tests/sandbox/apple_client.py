"""A small client of Apple's web service for tests of the stand-in: signs with oauthlib, hides nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from oauthlib.oauth1 import Client

from bot.kit.clock import Clock
from bot.sandbox.apple import AppleStandIn, Credentials, Server, serve
from tests.fakes.clock import FakeClock


@dataclass(frozen=True)
class Keys:
    private: rsa.RSAPrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()


@cache
def keys(name: str = "enrollbot") -> Keys:
    """An RSA key and its self-signed certificate; the same one for the same name."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return Keys(private, certificate(private, name=name))


def certificate(
    private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, *, name: str = "enrollbot"
) -> x509.Certificate:
    """A self-signed certificate of a key, valid ten years."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder(
        subject_name=subject,
        issuer_name=subject,
        public_key=private.public_key(),
        serial_number=4711,
        not_valid_before=start,
        not_valid_after=start + timedelta(days=3650),
    )
    return builder.sign(private, hashes.SHA256())


@dataclass
class AppleClient:
    """Speaks for one server. `headers` go with every call; a session is opened by `open_session`."""

    http: httpx.AsyncClient
    clock: Clock
    credentials: Credentials
    headers: dict[str, str] = field(
        default_factory=lambda: {"User-Agent": "test/1.0", "X-Server-Protocol-Version": "10"}
    )
    nonces: int = 0

    def authorization(
        self, *, nonce: str | None = None, off: timedelta = timedelta(), secret: str = ""
    ) -> str:
        """Sign a request to /session, as of `off` from the clock's time, perhaps with a wrong secret."""
        self.nonces += 1
        made = self.credentials
        signer = Client(
            made.consumer_key,
            client_secret=made.consumer_secret,
            resource_owner_key=made.access_token,
            resource_owner_secret=secret or made.access_secret,
            realm="ADM",
            nonce=nonce or f"nonce-{self.nonces}",
            timestamp=str(int((self.clock.now() + off).timestamp())),
        )
        _, headers, _ = signer.sign(f"{self.http.base_url}".rstrip("/") + "/session")
        return str(headers["Authorization"])

    async def ask_session(self, authorization: str | None = None) -> httpx.Response:
        signed = self.authorization() if authorization is None else authorization
        return await self.http.get("/session", headers={**self.headers, "Authorization": signed})

    async def open_session(self) -> None:
        answer = await self.ask_session()
        assert answer.status_code == 200, answer.text
        self.headers["X-ADM-Auth-Session"] = answer.json()["auth_session_token"]

    async def call(self, method: str, path: str, body: object = None) -> httpx.Response:
        return await self.http.request(method, path, json=body, headers=self.headers)

    async def post(self, path: str, body: object) -> httpx.Response:
        return await self.call("POST", path, body)

    async def fetch_all(self, limit: int = 1000) -> tuple[list[dict[str, Any]], str]:
        """Fetch every page; return the devices and the cursor to sync from."""
        devices: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            page = (await self.post("/server/devices", {"limit": limit, **cursor})).json()
            devices += page["devices"]
            cursor = {"cursor": page["cursor"]}
            if not page["more_to_follow"]:
                return devices, page["cursor"]


@dataclass
class Paris:
    """A served stand-in with one server, `paris`, that has a token, and a client with a session."""

    standin: AppleStandIn
    server: Server
    client: AppleClient
    url: str

    async def second_client(self, name: str) -> AppleClient:
        """Add a server `name` with a token, and return a client with a session of its own."""
        server = self.standin.create_server(name)
        self.standin.upload_certificate(server, keys().pem)
        self.standin.generate_token(server)
        assert server.credentials is not None
        client = AppleClient(self.client.http, self.client.clock, server.credentials)
        await client.open_session()
        return client


@asynccontextmanager
async def paris(clock: FakeClock, *, devices: int = 0) -> AsyncIterator[Paris]:
    standin = AppleStandIn(clock)
    server = standin.create_server("paris", devices=devices)
    standin.upload_certificate(server, keys().pem)
    standin.generate_token(server, "ade@example.com")
    assert server.credentials is not None
    async with serve(standin) as url, httpx.AsyncClient(base_url=url, timeout=5) as http:
        client = AppleClient(http, clock, server.credentials)
        await client.open_session()
        yield Paris(standin, server, client, url)
    standin.close()
