"""The digest of a morning as a message. Pure."""

import re
from collections.abc import Mapping, Sequence

from bot.alerts.blocks import LIST, Writer
from bot.alerts.digests import Arrivals, Digest
from bot.audit.service import AuditProof
from bot.kit.errors import EnrollbotError
from bot.licenses.facts import JudgedLicences
from bot.slack.blocks import (
    Block,
    Message,
    actions,
    button,
    code,
    context,
    escape,
    local_time,
    section,
)

EVENT = "digest"
#: What stands in one message; the list has all.
ALERTS_AT_MOST = 10
_NAMED_AT_MOST = 3


def message(digest: Digest, *, writer: Writer) -> Message:
    """Return what the channel is told."""
    now = digest.until
    blocks: list[Block] = [section(_headline(digest))]
    blocks += [section(writer.line(view, now=now)) for view in digest.alerts[:ALERTS_AT_MOST]]
    more = len(digest.alerts) - ALERTS_AT_MOST
    if more > 0:
        blocks.append(section(f"And {more:,} more."))
    if digest.arrivals:
        lines = [_arrivals(each) for each in digest.arrivals]
        blocks.append(section("\n".join([f"New since {local_time(digest.since, now)}:", *lines])))
    small = [*([_low(digest.low)] if digest.low else []), *([_head(digest.head)] if digest.head else [])]
    if small:
        blocks.append(context(*small))
    if digest.alerts:
        blocks.append(actions(button("Show alerts", action_id=LIST, value="0")))
    return Message.of(*blocks)


def metadata(post_id: str) -> Mapping[str, object]:
    """Return what the post is known again by."""
    return {"event_type": EVENT, "event_payload": {"id": post_id}}


def directly(digest: Digest, error: EnrollbotError, *, writer: Writer) -> Message:
    """Return what an admin is told directly while the channel takes nothing."""
    why = (
        f"This could not be posted to <#{escape(digest.channel)}>: {escape(error)} It is tried again until"
        " the end of the working day."
    )
    return Message.of(*message(digest, writer=writer).blocks, context(why))


def _headline(digest: Digest) -> str:
    if not digest.has_news:
        tokens = _count(digest.tokens, "token")
        which = f"{tokens} and nothing open" if digest.tokens else "no enrollment token yet, nothing open"
        return f"*All is well:* {which}."
    parts = []
    if digest.alerts:
        are = "is" if len(digest.alerts) == 1 else "are"
        parts.append(f"{_count(len(digest.alerts), 'alert')} {are} open")
    else:
        parts.append("nothing is wrong")
    if digest.arrivals:
        parts.append(_count(sum(each.devices for each in digest.arrivals), "new device"))
    return f"*This morning: {', '.join(parts)}*"


def _arrivals(each: Arrivals) -> str:
    parts = [f"{count:,} got {escape(name)}" for name, count in _most(each.by_profile)]
    others = sum(each.by_profile.values()) - sum(count for _, count in _most(each.by_profile))
    if others:
        parts.append(f"{others:,} got other profiles")
    if each.elsewhere:
        parts.append(f"{each.elsewhere:,} with a profile from elsewhere")
    if each.without:
        parts.append(
            f"{_all([_count(count, _family(of)) for of, count in _by(each.without)])} without a profile"
        )
    return f"{escape(each.token)}: {_count(each.devices, 'new device')}, {', '.join(parts)}"


def _family(family: str | None) -> str:
    """Return a family as people write it: the service's word may lack the space before its capitals."""
    return re.sub(r"(?<=[a-z])(?=[A-Z]{2})", " ", family) if family else "device"


def _all(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _most(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda each: (-each[1], each[0]))[:_NAMED_AT_MOST]


def _by(counts: Mapping[str | None, int]) -> list[tuple[str | None, int]]:
    return sorted(counts.items(), key=lambda each: (-each[1], each[0] or ""))


def _low(low: Sequence[JudgedLicences]) -> str:
    named = ", ".join(
        f"{escape(each.app.title)} {each.app.available or 0:,} of {each.app.total or 0:,}"
        for each in low[:_NAMED_AT_MOST]
    )
    more = len(low) - _NAMED_AT_MOST
    rest = f" and {more:,} more" if more > 0 else ""
    return f"Few licences left of apps that nobody watches: {named}{rest}"


def _head(head: AuditProof) -> str:
    return f"The audit has {_count(head.entries, 'entry')}; the last one's hash is {code(head.head)}"


def _count(count: int, what: str) -> str:
    several = f"{what[:-1]}ies" if what.endswith("y") else f"{what}s"
    return f"{count:,} {escape(what if count == 1 else several)}"
