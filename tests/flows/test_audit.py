"""Who did what is looked up, paged and exported in chat, and tags decide who sees it."""

import csv
import json
import re
from datetime import timedelta

from bot.kit.actor import Actor, Role
from bot.sandbox.slack import people
from tests.flows.conftest import House


def numbers(text: str) -> list[int]:
    return [int(number) for number in dict.fromkeys(re.findall(r"entry (\d+)", text))]


async def test_the_audit_is_looked_up_paged_and_exported(house: House) -> None:
    access, setup = house.bot.services.access, Actor.cli("setup")
    for number in range(12):
        tags = frozenset({"schools"}) if number % 4 == 0 else None
        await access.grant(people.CLEO, role=Role.VIEWER, tags=tags, actor=setup)
        await access.revoke(people.CLEO, role=Role.VIEWER, actor=setup)
    house.clock.move(timedelta(days=2))
    await house.types(house.ana, "/enroll role grant @ben admin --tags schools")

    first = await house.types(house.ana, "/enroll audit")
    assert "25 entries" in first
    assert "Role granted · <@U0BEN>" in first
    assert "<@U0ANA> · entry 25" in first
    assert "role: admin · tags: schools" in first
    assert "setup at the command line · entry 24" in first
    assert numbers(first.text) == list(range(25, 15, -1))
    assert numbers((await house.presses(house.ana, "Next")).text) == list(range(15, 5, -1))
    last = await house.presses(house.ana, "Next")
    assert (numbers(last.text), "Next" in last.buttons) == ([5, 4, 3, 2, 1], False)
    assert numbers((await house.presses(house.ana, "Previous")).text) == list(range(15, 5, -1))

    heard = await house.types(house.ana, "/enroll audit actor: @ana action:role since:1d -subject: @cleo")
    assert numbers(heard.text) == [25]
    heard = await house.types(house.ana, "/enroll audit acter:@ana")
    assert "Did you mean actor:?" in heard
    assert "Leave a space behind the colon" in await house.types(house.ana, "/enroll audit actor:@ana")
    heard = await house.types(house.ana, "/enroll audit action:token")
    assert "No entry for `action:token`" in heard
    assert "Actions here: `role.granted` `role.revoked`" in heard

    heard = await house.types(house.ana, "/enroll audit --export action:role.granted")
    assert "13 entries of the audit for `action:role.granted`" in heard
    assert {message.raw["channel"] for message in heard.messages if message.raw.get("files")} == {"D0ANA"}
    entries = [json.loads(line) for line in (await house.ana.downloads("audit.jsonl")).splitlines()]
    assert (len(entries), entries[-1]["actor"], len(entries[-1]["mac"])) == (13, people.ANA, 64)
    table = list(csv.DictReader((await house.ana.downloads("audit.csv")).decode("utf-8-sig").splitlines()))
    assert [row["mac"] for row in table] == [entry["mac"] for entry in entries]
    assert (people.ANA, "audit.exported", "action:role.granted") in await house.acts()

    # Ben is admin of what is tagged schools: he sees no more of it, however he asks.
    heard = await house.types(house.ben, "/enroll audit")
    assert numbers(heard.text) == [25, 18, 17, 10, 9, 2, 1]
    assert "You see what was done with tokens tagged `schools`." in heard
    assert "No entry" in await house.types(house.ben, "/enroll audit action:audit")
    await house.types(house.ben, "/enroll audit")
    await house.presses(house.ben, "Export")
    entries = [json.loads(line) for line in (await house.ben.downloads("audit.jsonl")).splitlines()]
    assert [entry["number"] for entry in entries][:7] == [1, 2, 9, 10, 17, 18, 25]
    assert "This needs the role admin" in await house.types(house.cleo, "/enroll audit")
    assert (await house.bot.services.audit.verify()).entries == len(await house.acts())
