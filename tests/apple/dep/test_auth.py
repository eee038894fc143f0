from datetime import UTC, datetime

from pydantic import SecretStr

from bot.apple.dep.auth import Credentials, authorization

# A vector worked out by hand and by oauthlib: base string and key as RFC 5849 has them.
CREDENTIALS = Credentials(
    consumer_key="CK_00fadb3d36c6094cf479838455321b7c",
    consumer_secret=SecretStr("CS_5fb17e5676db0cf875211937e5166d0f662ea1f9"),
    access_token=SecretStr("AT_O2109279022Oe03b641fd6f07d7face7894211d521fd8bef09c3O137392"),
    access_secret=SecretStr("AS_837c228d968ff303837086a5a54be645314ef755"),
)


def test_a_login_is_signed_with_oauth_1_and_the_realm_adm() -> None:
    header = authorization(
        CREDENTIALS,
        url="https://mdmenrollment.apple.com/session",
        now=datetime.fromtimestamp(1700000000, UTC),
        nonce="abc123nonce",
    )["Authorization"]
    scheme, _, rest = header.partition(" ")
    parts = dict(part.strip().split("=", 1) for part in rest.split(","))
    assert scheme == "OAuth"
    assert parts == {
        "realm": '"ADM"',
        "oauth_consumer_key": '"CK_00fadb3d36c6094cf479838455321b7c"',
        "oauth_token": '"AT_O2109279022Oe03b641fd6f07d7face7894211d521fd8bef09c3O137392"',
        "oauth_signature_method": '"HMAC-SHA1"',
        "oauth_signature": '"0LoUj7d8As%2BbzNIr8tmJNKIX%2FO4%3D"',
        "oauth_timestamp": '"1700000000"',
        "oauth_nonce": '"abc123nonce"',
        "oauth_version": '"1.0"',
    }


def test_every_login_has_a_nonce_of_its_own() -> None:
    now = datetime(2026, 11, 22, tzinfo=UTC)
    headers = {
        authorization(CREDENTIALS, url="https://a.test/session", now=now)["Authorization"] for _ in "abc"
    }
    assert len(headers) == 3


def test_credentials_come_back_from_their_sealed_text() -> None:
    assert Credentials.unsealed(CREDENTIALS.sealed()) == CREDENTIALS
    assert "837c" not in f"{CREDENTIALS!r} {CREDENTIALS.sealed()!r}"
