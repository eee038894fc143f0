"""What holds for tokens: names, settings, states, days left, and when a file renews one."""

import hashlib
import math
import re
import ssl
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from bot.backend.port import Account, BackendTexts
from bot.kit.actor import Rights, Role
from bot.kit.certificates import UNREADABLE
from bot.tokens.errors import (
    AppleIdWrong,
    ChannelWrong,
    KeyAndCertificateDiffer,
    KeyUnusable,
    NameReserved,
    NameWrong,
    NotLater,
    OwnerWrong,
    RenewalFault,
    RenewedExpired,
    ServerMadeAgain,
    TagWrong,
    UrlWrong,
    WarnDaysWrong,
    WrongOrganisation,
    WrongServer,
)
from bot.tokens.facts import NextAction, NextStep, TokenState

#: One refusal may be a hiccup of the service or a clock; two that far apart are not.
REJECTION_COUNTS_AFTER = timedelta(minutes=5)

#: How long after an opened renewal a rejection is explained by it.
RENEWAL_EXPLAINS_FOR = timedelta(hours=24)

#: How often the service is asked about a token.
ACCOUNT_EVERY = timedelta(hours=1)

_NAME = re.compile(r"[A-Za-z0-9._-]{1,40}")
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?|[0-9a-f:.]+")
_RESERVED = frozenset({"unassigned", "reassigned"})
_MAIL = re.compile(r"[^@\s<>\"]{1,64}@[^@\s<>\"]+\.[^@\s<>\".]{2,}")
_CHANNEL = re.compile(r"<?#?([CG][A-Z0-9]{2,})(?:\|[^>]*)?>?")
_OWNER = re.compile(r"<?(?:@|!subteam\^)?([UWS][A-Z0-9]{2,})(?:\|[^>]*)?>?")
_PERSONAL_DOMAIN = re.compile(
    r"(icloud|me|mac|gmail|googlemail|msn|ymail|aol|mail|fastmail|protonmail|qq|163|126|naver)\.com"
    r"|(yahoo|hotmail|outlook|live|gmx)\.[a-z.]+|(web|t-online)\.de|(mail|yandex)\.ru|(proton|pm)\.me"
)
_NOTHING = frozenset({"", "none", "-"})


class Setting(StrEnum):
    """What `token set` changes; the words are its options."""

    MDM_URL = "mdm-url"
    CHANNEL = "channel"
    APPROVALS = "approvals"
    OWNER = "owner"
    WARN = "warn"


def check_name(text: str, *, portal: str) -> str:
    """Return the name of a token as typed, without space around it. Raises `NameWrong`.

    The name is also that of a file and of the server in the portal: not hidden, and no word of its own there.
    """
    name = text.strip()
    if not _NAME.fullmatch(name) or name.startswith(".") or not re.search(r"[A-Za-z0-9]", name):
        raise NameWrong(name[:60])
    if name.lower() in _RESERVED:
        raise NameReserved(name, portal=portal)
    return name


def name_key(name: str) -> str:
    """Return what makes two names the same."""
    return name.strip().lower()


def check_apple_id(text: str) -> str:
    """Return an Apple ID in lower case. Raises `AppleIdWrong`."""
    apple_id = text.strip().lower()
    if len(apple_id) > 254 or not _MAIL.fullmatch(apple_id):
        raise AppleIdWrong(text.strip()[:60])
    return apple_id


def is_personal(apple_id: str) -> bool:
    """Say whether an address is of a mail service for private people."""
    return _PERSONAL_DOMAIN.fullmatch(apple_id.rpartition("@")[2].lower()) is not None


def check_url(text: str) -> str:
    """Return the address of an MDM server. Raises `UrlWrong`."""
    url = text.strip()
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - reading it is what checks it
    except ValueError:
        raise UrlWrong from None
    if parts.scheme.lower() != "https" or parts.username is not None or "#" in url:
        raise UrlWrong
    if not parts.hostname or not _HOST.fullmatch(parts.hostname):
        raise UrlWrong
    if len(url) > 2000 or not url.isascii() or not url.isprintable() or " " in url:
        raise UrlWrong
    return url


def check_tags(tags: Iterable[str]) -> frozenset[str]:
    """Return scope tags in lower case; at most 20. Raises `TagWrong`."""
    found = frozenset(tag.strip().lower() for tag in tags if tag.strip())
    for tag in sorted(found):
        if not _NAME.fullmatch(tag):
            raise TagWrong(tag[:60])
    if len(found) > 20:
        raise TagWrong(sorted(found)[20])
    return found


def split_tags(text: str) -> list[str]:
    """Return what stands between commas, semicolons or spaces, unchecked."""
    return [word for word in re.split(r"[\s,;]+", text) if word]


def parse_warn_days(text: str) -> tuple[int, ...]:
    """Read the days before expiry at which to warn, longest first. Raises `WarnDaysWrong`."""
    words = [word for word in re.split(r"[\s,;]+", text) if word]
    if not words or len(words) > 10 or not all(re.fullmatch(r"[0-9]{1,3}", word) for word in words):
        raise WarnDaysWrong
    days = {int(word) for word in words}
    if len(days) != len(words) or min(days) < 1 or max(days) > 365:
        raise WarnDaysWrong
    return tuple(sorted(days, reverse=True))


def parse_setting(setting: Setting, text: str) -> str | None:
    """Return what to store for a setting; `none` and nothing clear it. Raises what names the fault."""
    if text.strip().lower() in _NOTHING:
        return None
    if setting is Setting.MDM_URL:
        return check_url(text)
    if setting is Setting.WARN:
        return ",".join(str(day) for day in parse_warn_days(text))
    if setting is Setting.OWNER:
        wrong_owner = OwnerWrong(text.strip()[:60], is_channel=_id_in(_CHANNEL, text) is not None)
        return _id_in(_OWNER, text) or _raise(wrong_owner)
    wrong = ChannelWrong(text.strip()[:60], is_person=_id_in(_OWNER, text) is not None)
    return _id_in(_CHANNEL, text) or _raise(wrong)


def _id_in(pattern: re.Pattern[str], text: str) -> str | None:
    match = pattern.fullmatch(text.strip())
    return match[1] if match else None


def _raise(error: Exception) -> str:
    raise error


def days_left(expires_at: datetime, now: datetime) -> int:
    """Return the hours left over 24, rounded up: 1 on the last day, 0 or less once expired."""
    return math.ceil((expires_at - now) / timedelta(days=1))


@dataclass(frozen=True, slots=True)
class Health:
    """What decides the state of a token."""

    expires_at: datetime | None
    warn_days: Sequence[int]
    terms_since: datetime | None
    refused_first_at: datetime | None
    refused_last_at: datetime | None
    renewal_opened_at: datetime | None


def state_of(health: Health, now: datetime) -> TokenState:
    """Return the state; the worst that holds wins, in the order of what must be mended first."""
    if health.expires_at is None:
        return TokenState.AWAITING
    if health.expires_at <= now:
        return TokenState.EXPIRED
    if rejected_since(health) is not None:
        return TokenState.REJECTED
    if health.terms_since is not None:
        return TokenState.TERMS
    if days_left(health.expires_at, now) <= max(health.warn_days, default=0):
        return TokenState.EXPIRING
    return TokenState.ACTIVE


def rejected_since(health: Health) -> datetime | None:
    """Return since when the service rejects the token, None unless two refusals lie far enough apart."""
    first, last = health.refused_first_at, health.refused_last_at
    if first is None or last is None or last - first < REJECTION_COUNTS_AFTER:
        return None
    return first


def next_step(health: Health, now: datetime, *, texts: BackendTexts) -> NextStep | None:
    """Return what to do next about a token, None when nothing is due."""
    state = state_of(health, now)
    if state is TokenState.AWAITING:
        return NextStep(
            f"Upload the certificate to a new server in {texts.portal}, download its token and upload it"
            " here.",
            (NextAction.GET_CERTIFICATE, NextAction.UPLOAD),
        )
    if state is TokenState.TERMS:
        return NextStep(texts.terms_step, (NextAction.CHECK_AGAIN,))
    if state is TokenState.REJECTED and was_generated_elsewhere(health):
        return NextStep(
            f"A new token was generated in {texts.portal} and not yet uploaded here. Upload its file; if it"
            " is lost, download the token of server *{server}* once more, which ends the one before.",
            (NextAction.UPLOAD, NextAction.CHECK_AGAIN),
        )
    if state is TokenState.REJECTED:
        return NextStep(
            f"Renew it: generate a new token in {texts.portal} and upload it here.",
            (NextAction.RENEW, NextAction.CHECK_AGAIN),
        )
    if state is not TokenState.EXPIRED and health.refused_first_at is not None:
        return _in_doubt(health, portal=texts.portal)
    if state in (TokenState.EXPIRED, TokenState.EXPIRING):
        return NextStep(
            f"Renew it, about 10 minutes. The devices stay assigned to the server in {texts.portal}.",
            (NextAction.RENEW,),
        )
    return None


def _in_doubt(health: Health, *, portal: str) -> NextStep:
    if was_generated_elsewhere(health):
        return NextStep(
            f"The token was refused, it seems because one was generated in {portal} and not yet uploaded"
            " here. Upload its file.",
            (NextAction.UPLOAD, NextAction.CHECK_AGAIN),
        )
    return NextStep(
        "The token was refused. It is asked about again five minutes after; nothing has to be done before.",
        (NextAction.CHECK_AGAIN,),
    )


def fill(template: str, values: Mapping[str, str]) -> str:
    """Put values into the places of a text that an administrator may have written.

    Doubled braces stand for one, as in Python's own formats; a place that is not named stays as it is.
    """
    return re.sub(
        r"\{\{|\}\}|\{(\w+)\}",
        lambda found: values.get(found[1], found[0]) if found[1] else found[0][0],
        template,
    )


def was_generated_elsewhere(health: Health) -> bool:
    """Say whether a refusal is explained by a renewal that was opened within the day before it."""
    return explains(health.renewal_opened_at, health.refused_first_at)


def explains(opened: datetime | None, refused: datetime | None) -> bool:
    """Say whether a renewal opened then explains that the service refused the token then."""
    if opened is None or refused is None:
        return False
    return timedelta() <= refused - opened <= RENEWAL_EXPLAINS_FOR


@dataclass(frozen=True, slots=True)
class Holding:
    """What a stored token is known by: what a renewed one is compared with."""

    name: str
    consumer_key_digest: str
    expires_at: datetime
    server_uuid: str
    server_name: str
    org_id: str | None
    org_name: str


@dataclass(frozen=True, slots=True)
class Offered:
    """A token from an uploaded file. `account` is None when the service would not say."""

    consumer_key_digest: str
    expires_at: datetime
    by_staged_key: bool
    account: Account | None


def renewal_faults(
    holding: Holding, offered: Offered, now: datetime, *, texts: BackendTexts
) -> list[RenewalFault]:
    """Return every check that a file fails to renew a token with, the one that decides first.

    A token made for a new key pair is judged by server and organisation alone.
    """
    faults: list[RenewalFault] = []
    account = offered.account
    if account is not None:
        faults += _server_faults(holding, account, texts)
    same_key = offered.consumer_key_digest == holding.consumer_key_digest
    if not same_key and not offered.by_staged_key and not faults:
        made_for = account.server_name if account and account.server_uuid != holding.server_uuid else None
        faults.append(_wrong_server(holding, made_for, texts))
    if offered.expires_at <= now:
        faults.append(RenewedExpired(portal=texts.portal))
    elif not faults and not offered.by_staged_key and offered.expires_at <= holding.expires_at:
        # The expiry of another server's token says nothing about this one.
        faults.append(NotLater(offered.expires_at, holding.expires_at, portal=texts.portal))
    return faults


def _server_faults(holding: Holding, account: Account, texts: BackendTexts) -> list[RenewalFault]:
    faults: list[RenewalFault] = []
    same_organisation = are_of_one_organisation(holding, account)
    if account.server_uuid != holding.server_uuid:
        if account.server_name == holding.server_name and same_organisation:
            faults.append(ServerMadeAgain(holding.name, server_name=holding.server_name, texts=texts))
        else:
            faults.append(_wrong_server(holding, account.server_name, texts))
    if not same_organisation:
        faults.append(
            WrongOrganisation(
                holding.name, expected=holding.org_name, got=account.org_name, portal=texts.portal
            )
        )
    return faults


def _wrong_server(holding: Holding, made_for: str | None, texts: BackendTexts) -> WrongServer:
    return WrongServer(holding.name, server_name=holding.server_name, made_for=made_for, portal=texts.portal)


class Organised(Protocol):
    """What is known to belong to an organisation."""

    @property
    def org_id(self) -> str | None: ...

    @property
    def org_name(self) -> str | None: ...


def are_of_one_organisation(one: Organised, other: Organised) -> bool:
    """Say whether two belong to one organisation, by its id where both have one."""
    if one.org_id is not None and other.org_id is not None:
        return one.org_id == other.org_id
    return one.org_name is not None and one.org_name == other.org_name


def remarks_on_maker(made_by: str | None, *, expected: str | None, former: str | None) -> tuple[str, ...]:
    """Return sentences on the Apple ID that made a token: another one than before, or a private one."""
    if made_by is None:
        return ()
    remarks = []
    if former is not None and made_by.lower() != former.lower():
        remarks.append(
            f"Made by {made_by}, before {former}: from now on that account's password change or departure"
            " ends this token."
        )
    elif former is None and expected is not None and made_by.lower() != expected.lower():
        remarks.append(
            f"Made by {made_by}, not by {expected}: that account's password change or departure ends this"
            " token."
        )
    if is_personal(made_by):
        remarks.append(personal_remark(made_by))
    return tuple(remarks)


def personal_remark(apple_id: str) -> str:
    """Return the sentence on an Apple ID of a private mail service."""
    return (
        f"{apple_id} is at a personal mail service. An account of the organisation outlives the person who"
        " leaves; the next renewal can use one."
    )


def tags_within(rights: Rights, changed: Iterable[str]) -> list[str]:
    """Return those of `changed` that a person with these rights may not set or remove."""
    as_admin = [grant for grant in rights.grants if grant.role >= Role.ADMIN]
    if any(grant.tags is None for grant in as_admin):
        return []
    allowed = frozenset[str]().union(*(grant.tags or frozenset() for grant in as_admin))
    return sorted(set(changed) - allowed)


def digest(text: str) -> str:
    """Return what a consumer key is compared by; the key itself is not kept in clear."""
    return hashlib.sha256(text.encode()).hexdigest()


def fingerprint(certificate_pem: str) -> str:
    """Return the SHA-256 of a PEM certificate's DER form, in hex. Raises `KeyUnusable`."""
    try:
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate_pem.strip())).hexdigest()
    except ValueError:
        raise KeyUnusable("The certificate is not a PEM certificate.") from None


def check_key_pair(private_key_pem: bytes, certificate_pem: bytes) -> None:
    """Raise unless both are PEM, RSA, unencrypted and belong together."""
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
    except UNREADABLE:
        raise KeyUnusable("The certificate is not a PEM certificate.") from None
    try:
        key = serialization.load_pem_private_key(private_key_pem, password=None)
    except TypeError:
        raise KeyUnusable("The private key is protected by a password; give it without one.") from None
    except (ValueError, UnsupportedAlgorithm):
        raise KeyUnusable("The private key is not a PEM private key.") from None
    public = certificate.public_key()
    if not isinstance(key, rsa.RSAPrivateKey) or not isinstance(public, rsa.RSAPublicKey):
        raise KeyUnusable("The private key and the certificate must be RSA.")
    if key.public_key().public_numbers() != public.public_numbers():
        raise KeyAndCertificateDiffer
