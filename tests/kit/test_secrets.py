import asyncio
import base64

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from bot.kit.db import Database
from bot.kit.secrets import (
    EncryptionKeyMalformed,
    EncryptionKeyMissing,
    EncryptionKeyWrong,
    Keyring,
    SecretNotText,
    SecretUnreadable,
    check_keys,
    generate_key,
)

OLD, NEW = b"o" * 32, b"n" * 32
PLACE = {"table": "token", "column": "private_key", "row": "r1"}


def as_text(*keys: bytes) -> SecretStr:
    return SecretStr(",".join(base64.urlsafe_b64encode(key).decode() for key in keys))


@given(st.text())
def test_a_secret_comes_back_from_its_place(plain: str) -> None:
    keyring = Keyring([NEW])
    assert keyring.decrypt(keyring.encrypt(SecretStr(plain), **PLACE), **PLACE).get_secret_value() == plain


def test_bytes_of_text_are_a_secret_too() -> None:
    keyring = Keyring([NEW])
    assert keyring.decrypt(keyring.encrypt(b"pem", **PLACE), **PLACE) == SecretStr("pem")


def test_bytes_that_would_not_come_back_are_refused_without_showing_them() -> None:
    with pytest.raises(SecretNotText) as refused:
        Keyring([NEW]).encrypt(b"hunter2\xff", **PLACE)
    assert "hunter2" not in str(refused.value)
    assert refused.value.__suppress_context__


def test_the_same_secret_is_never_sealed_the_same_way() -> None:
    keyring = Keyring([NEW])
    assert keyring.encrypt(b"secret", **PLACE) != keyring.encrypt(b"secret", **PLACE)


def test_a_sealed_value_does_not_hold_the_secret() -> None:
    assert b"hunter2" not in Keyring([NEW]).encrypt(b"hunter2", **PLACE)


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"table": "account"},
        {"column": "session"},
        {"row": "r2"},
        {"table": "tokenp", "column": "rivate_key"},
        {"column": "private_keyr", "row": "1"},
    ],
)
def test_a_secret_moved_elsewhere_does_not_open(elsewhere: dict[str, str]) -> None:
    keyring = Keyring([NEW])
    sealed = keyring.encrypt(b"secret", **PLACE)
    with pytest.raises(SecretUnreadable):
        keyring.decrypt(sealed, **(PLACE | elsewhere))


@pytest.mark.parametrize("position", range(len(Keyring([NEW]).encrypt(b"secret", **PLACE))))
def test_a_sealed_value_changed_or_cut_anywhere_is_unreadable(position: int) -> None:
    keyring = Keyring([NEW])
    sealed = keyring.encrypt(b"secret", **PLACE)
    changed = sealed[:position] + bytes([sealed[position] ^ 1]) + sealed[position + 1 :]
    for damaged in (changed, sealed[:position]):
        with pytest.raises(SecretUnreadable, match=r"token\.private_key"):
            keyring.decrypt(damaged, **PLACE)


def test_another_key_does_not_open_and_the_sentence_says_what_to_do() -> None:
    sealed = Keyring([OLD]).encrypt(b"secret", **PLACE)
    with pytest.raises(SecretUnreadable, match="ENROLLBOT_ENCRYPTION_KEYS"):
        Keyring([NEW]).decrypt(sealed, **PLACE)


def test_an_old_key_behind_the_new_one_still_opens_and_the_new_one_seals() -> None:
    sealed = Keyring([OLD]).encrypt(b"secret", **PLACE)
    both = Keyring.from_text(as_text(NEW, OLD))
    assert both.decrypt(sealed, **PLACE) == SecretStr("secret")
    assert both.needs_rotation(sealed)
    sealed_anew = both.encrypt(b"secret", **PLACE)
    assert not both.needs_rotation(sealed_anew)
    assert Keyring([NEW]).decrypt(sealed_anew, **PLACE) == SecretStr("secret")


def test_keys_are_read_with_spaces_and_trailing_commas() -> None:
    keys = as_text(NEW, OLD).get_secret_value().replace(",", " , ") + ",\n"
    assert Keyring.from_text(SecretStr(keys)).newest_id == Keyring([NEW]).newest_id


@pytest.mark.parametrize("text", [None, SecretStr(""), SecretStr(" , ")])
def test_without_a_key_the_sentence_says_how_to_make_one(text: SecretStr | None) -> None:
    with pytest.raises(EncryptionKeyMissing, match="enrollbot keys generate"):
        Keyring.from_text(text)


@pytest.mark.parametrize(
    "wrong",
    ["hunter2", "hunter2=", base64.urlsafe_b64encode(b"short").decode(), "é" * 44, "a" * 43, "ab cd" * 9],
)
def test_a_malformed_key_is_named_by_its_place_and_not_shown(wrong: str) -> None:
    with pytest.raises(EncryptionKeyMalformed, match="number 2") as refused:
        Keyring.from_text(SecretStr(f"{generate_key()},{wrong}"))
    assert wrong not in str(refused.value)


def test_a_generated_key_is_a_good_one_and_always_another() -> None:
    keys = {generate_key() for _ in range(20)}
    assert len(keys) == 20
    assert Keyring.from_text(SecretStr(",".join(keys)))


def test_nothing_shows_a_key() -> None:
    key = generate_key()
    keyring = Keyring.from_text(SecretStr(key))
    for shown in (repr(keyring), str(keyring), f"{[keyring]}"):
        assert key not in shown
        assert repr(base64.urlsafe_b64decode(key)) not in shown


def test_derived_keys_differ_by_purpose_and_key_and_stay_the_same() -> None:
    both = Keyring([NEW, OLD])
    assert both.derive("audit") == Keyring([NEW]).derive("audit")
    assert both.derive("audit", key_id=Keyring([OLD]).newest_id) == Keyring([OLD]).derive("audit")
    assert len({both.derive("audit"), both.derive("links"), Keyring([OLD]).derive("audit"), NEW}) == 4
    assert len(both.derive("audit")) == 32


@pytest.mark.parametrize("key_id", [b"gone", b""])
def test_a_key_that_is_not_given_derives_nothing(key_id: bytes) -> None:
    with pytest.raises(EncryptionKeyWrong):
        Keyring([NEW]).derive("audit", key_id=key_id)


async def test_a_new_database_takes_the_key_it_is_started_with(database: Database) -> None:
    await check_keys(database, Keyring([OLD]))
    await check_keys(database, Keyring([OLD]))
    with pytest.raises(EncryptionKeyWrong, match="ENROLLBOT_ENCRYPTION_KEYS"):
        await check_keys(database, Keyring([NEW]))


async def test_a_database_opens_with_its_old_key_behind_a_new_one(database: Database) -> None:
    await check_keys(database, Keyring([OLD]))
    await check_keys(database, Keyring([NEW, OLD]))
    await check_keys(database, Keyring([OLD]))


async def test_a_damaged_canary_is_a_wrong_key(database: Database) -> None:
    await check_keys(database, Keyring([OLD]))
    async with database.begin() as session:
        await session.execute(sa.text("UPDATE secret_canary SET sealed = :sealed"), {"sealed": b"\x01"})
    with pytest.raises(EncryptionKeyWrong):
        await check_keys(database, Keyring([OLD]))


async def test_replicas_that_start_together_on_a_new_database_agree(
    database: Database, database_url: str
) -> None:
    second = Database.open(database_url)
    await asyncio.gather(*(check_keys(db, Keyring([OLD])) for db in (database, second) * 3))
    with pytest.raises(EncryptionKeyWrong):
        await check_keys(second, Keyring([NEW]))
    await second.close()
