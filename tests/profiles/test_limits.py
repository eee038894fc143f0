"""A hundred profiles with the longest and the oddest names: every screen stays within Slack's limits."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from bot.backend.apple_profile import body_of
from bot.backend.apple_screens import APPLE_SCREENS
from bot.backend.profile import Authentication, Pairing, ProfilePlatform, ProfileSettings
from bot.kit.actor import Role
from bot.profiles import blocks, rules
from bot.profiles.facts import Defined, DraftView, Fault, ProfileView, Step, VersionView
from bot.profiles.models import DraftState, Profile, ProfileVersion
from bot.sandbox.slack.blocks import check_message_blocks, check_view
from bot.slack.blocks import Message, View
from bot.slack.commands import words
from tests.builders import token_view
from tests.fakes import certificates
from tests.fakes.backend import TEXTS
from tests.fakes.rooms import VIEWER
from tests.profiles.conftest import Room

NOW = datetime(2026, 5, 1, 9, 0, tzinfo=UTC)
ODD = (
    *("<!channel> ", "<@UVICTIM> ", "مرحبا بالعالم ", "שלום ", "🙂👩‍👩‍👧 ", "`code` ", "*bold* _it_ ~no~ "),
    *("&lt;&amp; ", "<https://x.example|here> ", "=HYPERLINK(1) ", "\u200f\u202b", "> quote "),
)
NAMES = [f"{number:03} {ODD[number % len(ODD)] * 99}"[: rules.MAX_NAME - 1] + "." for number in range(100)]
URL = "https://mdm.example.com/" + "a" * 1900
HOSTILE = " ".join(ODD)


def mentions(shown: Message | View) -> list[str]:
    """Return what Slack would make of a text that stands in the screen: mentions, links, channels."""
    found = shown.blocks if isinstance(shown, Message) else shown["blocks"]
    texts = [*_parsed(found), shown.text] if isinstance(shown, Message) else list(_parsed(found))
    return [text for text in texts if re.search(r"<(?!!date\^)(?!@U0ADE>)[!@#h]", text)]


def _parsed(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for each in node:
            yield from _parsed(each)
    elif isinstance(node, dict):
        if node.get("type") == "mrkdwn":
            yield node["text"]
        for each in node.values():
            yield from _parsed(each)


def settings(name: str, **changes: Any) -> ProfileSettings:
    """Everything that can be filled in, as long as it may be."""
    usual: dict[str, Any] = {
        "name": name,
        "description": (HOSTILE * 9)[: rules.MAX_DESCRIPTION],
        "platform": ProfilePlatform.ANY,
        "user_affinity": True,
        "authentication": Authentication.COMPANY_PORTAL,
        "device_name_template": "`*{{SERIAL}}" + "<!here>" * 5,
        "pairing": Pairing.CERTIFICATES,
        "host_certificates": tuple(
            certificates.kept(f"{at} <!channel> *bold* `code` =1+1 مرحبا") for at in range(10)
        ),
        "anchor_certificates": tuple(
            certificates.kept(f"{at} <!channel> *bold* `code` =1+1 مرحبا") for at in range(10)
        ),
        "department": (HOSTILE * 3)[:125],
        "department_phone": HOSTILE[:50],
        "mdm_url": URL,
        "web_url": URL,
        "org_magic": (HOSTILE * 9)[:256],
        "support_email": "a@" + "b" * 240 + ".com",
        "language": "en",
        "region": "GB",
        "hidden_screens": (
            *(screen.key for screen in APPLE_SCREENS),
            *(f"{at}{HOSTILE * 4}" for at in range(40)),
        ),
    }
    return ProfileSettings(**usual | changes)


def profile(name: str = NAMES[0], *, version: int = 1, **changes: Any) -> ProfileView:
    given = settings(name, **changes)
    return ProfileView(
        id="p" * 32,
        token_id="t" * 32,
        token_name="x" * 50,
        tags=frozenset(),
        name=name,
        version=version,
        profile_uuid="A" * 32,
        settings=given,
        wire=body_of(given, mdm_url=URL, org_magic="M"),
        is_adopted=False,
        created_by="U0ADE",
        created_at=NOW,
        defined_by="U0ADE",
        defined_at=NOW,
        read_at=NOW,
    )


def versions(of: ProfileView, number: int) -> list[VersionView]:
    """Versions, the newest first, each of which changed everything."""
    return [
        VersionView(
            profile=of,
            number=at,
            profile_uuid=f"{at:032}",
            settings=of.settings if at % 2 else settings(NAMES[1], **dict.fromkeys(_TEXTS), supervised=False),
            wire={},
            defined_by="U0ADE",
            defined_at=NOW,
        )
        for at in range(number, 0, -1)
    ]


_TEXTS = ("description", "department", "department_phone", "web_url", "org_magic", "support_email")


def draft(step: Step, **changes: Any) -> DraftView:
    return replace(
        DraftView(
            id="d" * 32,
            step=step,
            revision=99,
            state=DraftState.OPEN,
            settings=settings(NAMES[0]),
            token=token_view("x" * 50, mdm_url=URL, org_name=HOSTILE),
            profile=None,
            base_version=None,
            remarks=(HOSTILE * 9,) * 3,
            opened_at=NOW,
            changed_at=NOW,
            sending_since=None,
            others=(("U0ADE", NOW),) * 10,
        ),
        **changes,
    )


def wizard(shown: DraftView, *, faults: Sequence[Fault] = (), base: VersionView | None = None) -> View:
    return blocks.wizard(
        shown,
        texts=TEXTS,
        screens=APPLE_SCREENS,
        tokens=[token_view(f"{at}{'x' * 45}", org_name=HOSTILE) for at in range(120)],
        now=NOW,
        notices=[HOSTILE * 20],
        faults=faults,
        base=base,
    )


def test_every_page_of_the_list_fits_and_mentions_nobody() -> None:
    profiles = [replace(profile(name), id=f"{at:032}") for at, name in enumerate(NAMES)]
    seen = []
    for first in (*range(0, 100, 10), 999, -5):
        message = blocks.profile_list(
            profiles, carried={}, role=Role.ADMIN, slash="/enroll", now=NOW, token_id="t" * 32, first=first
        )
        check_message_blocks(message.blocks)
        assert mentions(message) == []
        seen += re.findall(r"\*(\d{3}) ", str(message.blocks))
    assert sorted(seen[:100]) == [f"{at:03}" for at in range(100)]


def test_the_csv_names_each_profile_and_holds_no_formula() -> None:
    names = [*NAMES, "=1+1", "@SUM(A1)", "+33"]
    content = blocks.profile_csv([profile(name) for name in names], carried={})
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))
    assert [row[1].lstrip("'") for row in rows[1:]] == names
    assert not any(cell.startswith(("=", "@", "+", "-")) for row in rows for cell in row)


@pytest.mark.parametrize("name", NAMES[: len(ODD)], ids=range(len(ODD)))
def test_all_that_is_said_of_a_profile_fits_and_mentions_nobody(name: str) -> None:
    shown = profile(name, version=30)
    history = versions(shown, 30)
    defined = Defined(shown, history[1], tuple(rules.warnings(shown.settings, APPLE_SCREENS)))
    usual: dict[str, Any] = {"texts": TEXTS, "screens": APPLE_SCREENS}
    around = blocks.Around({each.profile_uuid: 9999 for each in history}, None, {})
    messages = (
        blocks.card(
            shown,
            history,
            around,
            role=Role.ADMIN,
            now=NOW,
            **usual,
        ),
        blocks.told(defined, by="U0ADE", content={}, **usual),
        blocks.told(replace(defined, before=None), by="U0ADE", content={}, **usual),
        blocks.done(defined, texts=TEXTS, slash="/enroll"),
        blocks.delete_question(shown),
        blocks.deleted(shown, by="U0ADE", texts=TEXTS),
    )
    for message in messages:
        check_message_blocks(message.blocks)
        assert mentions(message) == []
    view = blocks.done_view(defined, texts=TEXTS, slash="/enroll")
    check_view(view)
    assert mentions(view) == []
    file_name, content = blocks.json_file(shown)
    assert re.fullmatch(r"[^/\\\s]{1,60}\.json", file_name)
    assert msgspec.json.decode(content)["profile_name"] == name


@pytest.mark.parametrize("platform", ProfilePlatform)
def test_every_step_of_the_wizard_fits_and_mentions_nobody(platform: ProfilePlatform) -> None:
    given = settings(NAMES[0], platform=platform)
    edited = profile(version=2)
    (newer, older) = versions(edited, 2)
    for step in Step:
        faults = [Fault(setting, HOSTILE * 9) for setting, of in rules.STEP_OF.items() if of is step]
        for shown, base in (
            (draft(step, settings=given), None),
            (draft(step, settings=given, profile=edited, base_version=1), older),
            (draft(step, settings=given, profile=edited, base_version=2), newer),
        ):
            view = wizard(shown, faults=faults, base=base)
            check_view(view)
            assert mentions(view) == []
    for view in (
        blocks.checking(draft(Step.REVIEW), texts=TEXTS),
        blocks.import_modal([token_view(f"x{at}") for at in range(120)], texts=TEXTS, token_id=None),
    ):
        check_view(view)
        assert mentions(view) == []


async def test_each_of_a_hundred_profiles_is_found_by_its_name_as_it_is_typed(room: Room) -> None:
    async with room.rooms.db.begin() as session:
        for at, name in enumerate(NAMES):
            session.add(
                Profile(
                    id=f"{at:032}",
                    token_id=room.token_id,
                    name=name,
                    name_key=rules.name_key(name),
                    version=1,
                    created_by="U0ADE",
                    created_at=NOW + timedelta(seconds=at),
                )
            )
        await session.flush()
        for at, name in enumerate(NAMES):
            given = {"name": name}
            session.add(
                ProfileVersion(
                    profile_id=f"{at:032}",
                    number=1,
                    profile_uuid=f"{at:032}",
                    settings=given,
                    body={},
                    defined_by="U0ADE",
                    defined_at=NOW,
                )
            )
    for name in NAMES:
        # Slack escapes what is typed.
        typed = blocks.quoted(name).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        (word,) = words(typed)
        assert (await room.profiles.get(word.value, actor=VIEWER)).name == name
