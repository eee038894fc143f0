"""Encrypt what must not be readable in the database, bound to the place where it stands.

AES-256-GCM; table, column and row id are associated data, so that a value copied to another row
does not decrypt there. A sealed value names its key, so that old keys go on reading during a
rotation.
"""

import base64
import binascii
import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field

from bot.kit.db import Database, Table, insert_ignoring
from bot.kit.errors import EnrollbotError

_FORMAT = b"\x01"
_KEY_ID_BYTES = 4
_NONCE_BYTES = 12
_HEAD_BYTES = len(_FORMAT) + _KEY_ID_BYTES + _NONCE_BYTES

GENERATE = "Make one with `enrollbot keys generate` and put it in ENROLLBOT_ENCRYPTION_KEYS."
PUT_BACK = (
    "Put the key that this database was made with back into ENROLLBOT_ENCRYPTION_KEYS, "
    "behind a newer one if there is one."
)


class EncryptionKeyMissing(EnrollbotError):
    def __init__(self) -> None:
        super().__init__("There is no encryption key.", next_step=GENERATE)


class EncryptionKeyMalformed(EnrollbotError):
    def __init__(self, position: int) -> None:
        super().__init__(
            f"Encryption key number {position} is not URL-safe base64 of 32 bytes.", next_step=GENERATE
        )


class EncryptionKeyWrong(EnrollbotError):
    def __init__(self) -> None:
        super().__init__("None of the encryption keys given opens this database.", next_step=PUT_BACK)


class SecretUnreadable(EnrollbotError):
    """A stored secret was made with a key that is not given, was moved, or was damaged."""

    def __init__(self, table: str, column: str) -> None:
        super().__init__(f"A stored secret ({table}.{column}) cannot be decrypted.", next_step=PUT_BACK)


class SecretNotText(ValueError):
    """Bytes that are no UTF-8 text would encrypt, and then never come back as a `SecretStr`."""


def generate_key() -> str:
    """Make a new key: URL-safe base64 of 32 random bytes."""
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


class Keyring:
    """The encryption keys, newest first: the first encrypts, all of them decrypt."""

    def __init__(self, keys: list[bytes]) -> None:
        if not keys:
            raise EncryptionKeyMissing
        self._by_id = {_key_id(key): key for key in keys}
        self.newest_id = _key_id(keys[0])

    @classmethod
    def from_text(cls, text: SecretStr | None) -> "Keyring":
        """Read comma-separated keys. Raises `EncryptionKeyMissing` or `EncryptionKeyMalformed`."""
        parts = [part.strip() for part in (text.get_secret_value() if text else "").split(",")]
        return cls([_decode_key(part, number) for number, part in enumerate(filter(None, parts), start=1)])

    def encrypt(self, plain: SecretStr | bytes, *, table: str, column: str, row: str) -> bytes:
        """Encrypt a value for one place in the database; bytes have to be UTF-8 text (PEM is)."""
        content = plain if isinstance(plain, bytes) else plain.get_secret_value().encode()
        _refuse_binary(content)
        nonce = os.urandom(_NONCE_BYTES)
        sealed = AESGCM(self._by_id[self.newest_id]).encrypt(nonce, content, _place(table, column, row))
        return _FORMAT + self.newest_id + nonce + sealed

    def decrypt(self, sealed: bytes, *, table: str, column: str, row: str) -> SecretStr:
        """Decrypt a value read from the place it was encrypted for. Raises `SecretUnreadable`."""
        key = self._by_id.get(sealed[1 : 1 + _KEY_ID_BYTES])
        if key is None or sealed[:1] != _FORMAT:
            raise SecretUnreadable(table, column)
        nonce = sealed[1 + _KEY_ID_BYTES : _HEAD_BYTES]
        try:
            plain = AESGCM(key).decrypt(nonce, sealed[_HEAD_BYTES:], _place(table, column, row))
        except (InvalidTag, ValueError):  # ValueError: cut off within its head
            raise SecretUnreadable(table, column) from None
        return SecretStr(plain.decode())

    def needs_rotation(self, sealed: bytes) -> bool:
        """Say whether a sealed value was made with another key than the newest."""
        return sealed[1 : 1 + _KEY_ID_BYTES] != self.newest_id

    def derive(self, purpose: str, *, key_id: bytes | None = None) -> bytes:
        """Derive 32 bytes for `purpose` from the newest key, or from the one named by `key_id`.

        Raises `EncryptionKeyWrong` when that key is not given.
        """
        key = self._by_id.get(self.newest_id if key_id is None else key_id)
        if key is None:
            raise EncryptionKeyWrong
        return HKDF(hashes.SHA256(), length=32, salt=None, info=purpose.encode()).derive(key)

    def __repr__(self) -> str:
        return f"Keyring({len(self._by_id)} keys)"


class Canary(Table, table=True):
    """A known value, encrypted: whether it opens tells at start whether the key is the right one."""

    __tablename__ = "secret_canary"

    id: str = Field(primary_key=True, max_length=32)
    sealed: bytes


_CANARY = "canary"


async def check_keys(db: Database, keyring: Keyring) -> None:
    """Prove that these keys open this database, or make its canary if it is new.

    Raises `EncryptionKeyWrong`.
    """
    async with db.begin() as session:
        await _check_canary(session, keyring)


async def _check_canary(session: AsyncSession, keyring: Keyring) -> None:
    sealed = keyring.encrypt(_CANARY.encode(), table="secret_canary", column="sealed", row=_CANARY)
    # Two replicas may start on a new database at once: one makes it, the other has to open that one.
    await insert_ignoring(session, Canary, {"id": _CANARY, "sealed": sealed})
    canary = await session.get_one(Canary, _CANARY)
    try:
        keyring.decrypt(canary.sealed, table="secret_canary", column="sealed", row=_CANARY)
    except SecretUnreadable:
        raise EncryptionKeyWrong from None


def _refuse_binary(content: bytes) -> None:
    try:
        content.decode()
    except UnicodeDecodeError:
        # Not `from` it: that error carries the content.
        raise SecretNotText from None


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"enrollbot key id" + key).digest()[:_KEY_ID_BYTES]


def _decode_key(text: str, position: int) -> bytes:
    try:
        key = base64.b64decode(text.encode(), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise EncryptionKeyMalformed(position) from None
    if len(key) != 32:
        raise EncryptionKeyMalformed(position)
    return key


def _place(table: str, column: str, row: str) -> bytes:
    # Lengths keep ("a", "bc") and ("ab", "c") apart.
    return b"".join(len(part.encode()).to_bytes(4) + part.encode() for part in (table, column, row))
