"""How content tokens and licences are shown: answers, modals, files and what the channel is told. Pure."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.backend.port import BackendTexts
from bot.kit.actor import Role
from bot.kit.errors import EnrollbotError
from bot.kit.spreadsheet import BYTE_ORDER_MARK, csv_lines
from bot.licenses.errors import StillUsed
from bot.licenses.facts import (
    AppLicences,
    Availability,
    ContentTokenCard,
    ContentTokenRow,
    ContentTokenState,
    ContentTokenView,
    Level,
    StoredContentToken,
    ThresholdSet,
)
from bot.slack.blocks import (
    Block,
    Message,
    Style,
    View,
    actions,
    bold,
    button,
    code,
    context,
    escape,
    fields,
    file_input,
    input_block,
    local_time,
    mention,
    modal,
    section,
    short,
    text_input,
)
from bot.slack.charts import CATEGORIES, smallest
from bot.slack.charts import bars as bar_chart
from bot.slack.charts import lines as line_chart

SHOW = "vpp.show"
SYNC = "vpp.sync"
ADD = "vpp.add"
RENEW = "vpp.renew"
FILE = "vpp.file"
REMOVE = "vpp.remove"
NEXT_APPS = "vpp.apps.next"
PREVIOUS_APPS = "vpp.apps.previous"
EXPORT_APPS = "vpp.apps.export"
NEXT = "vpp.list.next"
PREVIOUS = "vpp.list.previous"
EXPORT = "vpp.list.export"

PAGE = 10
_LABEL_CHARS = 75  # https://docs.slack.dev/reference/block-kit/block-elements/button-element
_NAMED_AT_MOST = 3
_DRAWN_AT_MOST = 3
_COLUMNS = (
    *("content_token", "location", "app_id", "pricing", "kind", "name", "bundle_id", "total", "assigned"),
    *("available", "retired", "device_assignable", "platforms", "threshold", "low_below", "level"),
    "changed_at",
)
_LIST_COLUMNS = (
    *("content_token", "state", "days_left", "expires_at", "location", "location_id", "organisation"),
    *("country", "managed_by", "apps", "books", "low", "none_left", "threshold", "tags", "last_read"),
    "last_failure",
)
FILE_LABEL = "Content token (.vpptoken)"


# Pieces


def days(count: int) -> str:
    return "1 day" if count == 1 else f"{count:,} days"


def state(view: ContentTokenView) -> str:
    """Return the state in words, with the days left where it has any."""
    if view.state.is_ended:
        return view.state.value
    return f"{view.state.value}, {days(view.days_left)} left"


def how_many(view: ContentTokenView) -> str:
    """Return how many apps and books a location has."""
    apps = "1 app" if view.apps == 1 else f"{view.apps:,} apps"
    if not view.books:
        return apps
    return f"{apps}, {'1 book' if view.books == 1 else f'{view.books:,} books'}"


def free(app: AppLicences) -> str:
    """Return how many licences are free: `17 of 500 free`, or that there is no limit."""
    if app.total is None or app.available is None:
        return "no limit"
    return f"{app.available:,} of {app.total:,} free"


def sync_button(view: ContentTokenView, label: str = "Sync now") -> Block:
    return _named(button(label, action_id=SYNC, value=view.id), view)


def renew_button(view: ContentTokenView, *, is_due: bool = True) -> Block:
    style: Style | None = "primary" if is_due else None
    return _named(button("Renew token", action_id=RENEW, value=view.id, style=style), view)


def show_button(view: ContentTokenView) -> Block:
    return _named(button("Show", action_id=SHOW, value=view.id), view)


def _named(made: Block, view: ContentTokenView) -> Block:
    """Name the content token to those who hear the screen: under each one the buttons look alike."""
    label = short(f"{made['text']['text']}: content token {view.name}", _LABEL_CHARS)
    return made | {"accessibility_label": label}


def _lines(*told: str | None) -> str:
    return "\n".join(line for line in told if line)


def _expiry(view: ContentTokenView) -> str:
    left = f"{days(view.days_left)} left" if view.days_left > 0 else "over"
    return f"{local_time(view.expires_at)} ({left})"


def _where(view: ContentTokenView) -> str:
    parts = [part for part in (view.org_name, view.country) if part]
    return f"Location {escape(view.location_name)}" + (f" ({escape(', '.join(parts))})" if parts else "")


def _managed(view: ContentTokenView, texts: BackendTexts) -> str | None:
    if view.manager is None:
        return None
    return (
        f"{bold(view.manager)} manages this location for {escape(texts.service)}: devices get their licences"
        " there. This bot only counts them and has changed nothing."
    )


def _scarce(licences: Sequence[AppLicences]) -> str:
    low = [each for each in licences if each.level is not Level.FINE]
    if not low:
        return ""
    named = ", ".join(f"{escape(each.title)} {free(each)}" for each in low[:_NAMED_AT_MOST])
    more = f" and {len(low) - _NAMED_AT_MOST:,} more" if len(low) > _NAMED_AT_MOST else ""
    return f"Scarce: {named}{more}"


def _counts(stored: StoredContentToken) -> str:
    return f"{how_many(stored.content_token)}. {_scarce(stored.licences)}".strip()


def _iso(moment: datetime | None) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else ""


# Lists


def content_token_list(
    rows: Sequence[ContentTokenRow], *, role: Role, slash: str, now: datetime, first: int = 0
) -> Message:
    """One page of the content tokens, two lines each; `first` is the place of the page's first."""
    if not rows:
        return _nothing(role, slash)
    first = max(0, min(first, len(rows) - 1)) // PAGE * PAGE
    page = rows[first : first + PAGE]
    where = f", {first + 1} to {first + len(page)}" if len(rows) > PAGE else ""
    word = "content token" if len(rows) == 1 else "content tokens"
    blocks = [section(f"*{len(rows):,} {word}{where}*")]
    if not first and len(rows) > 1:
        blocks.append(_days_left([row.content_token for row in rows]))
    blocks.extend(section(_row(row, now), accessory=show_button(row.content_token)) for row in page)
    turns = _turns(first, len(rows), previous=PREVIOUS, following=NEXT)
    return Message.of(*blocks, actions(*turns, button("Export CSV", action_id=EXPORT)))


def days_left(views: Iterable[ContentTokenView]) -> dict[str, float]:
    """Return the days left of every content token: of one that is no longer accepted none are."""
    return {view.name: 0 if view.state.is_ended else max(view.days_left, 0) for view in views}


def _days_left(views: Sequence[ContentTokenView]) -> Block:
    few = smallest(days_left(views), CATEGORIES)
    title = (
        "Days left by content token" if len(few) == len(views) else f"The {len(few)} with fewest days left"
    )
    return bar_chart(title, few, unit="Days left")


def _nothing(role: Role, slash: str) -> Message:
    told = "*No content token yet*\nWith the content token of a location, licences are counted here and told"
    told += " of before they run out."
    if role < Role.ADMIN:
        return Message.of(section(f"{told} An admin of this bot adds the first one."))
    return Message.of(section(f"{told}\nNext: add the first one with {code(f'{slash} vpp add NAME')}."))


def _row(row: ContentTokenRow, now: datetime) -> str:
    view = row.content_token
    parts = [f"Location {escape(view.location_name)}", how_many(view)]
    if row.none_left:
        parts.append(f"{row.none_left:,} with none left")
    if row.low:
        parts.append(f"{row.low:,} low")
    parts.append(_as_of(view, now))
    return f"{bold(view.name)} · {state(view)}\n{' · '.join(parts)}"


def _as_of(view: ContentTokenView, now: datetime) -> str:
    if view.counted_at is None:
        return "not read yet"
    return f"as of {local_time(view.counted_at, now)}" + (", the last try failed" if view.error else "")


def _turns(first: int, count: int, *, previous: str, following: str, of: str = "") -> list[Block]:
    turns = []
    if first:
        turns.append(button("Previous", action_id=previous, value=f"{of}{first - PAGE}"))
    if first + PAGE < count:
        turns.append(button("Next", action_id=following, value=f"{of}{first + PAGE}"))
    return turns


def list_csv(rows: Sequence[ContentTokenRow]) -> bytes:
    """All content tokens as a file for spreadsheets, times in UTC."""
    return BYTE_ORDER_MARK + csv_lines([_LIST_COLUMNS, *(_list_cells(row) for row in rows)])


def _list_cells(row: ContentTokenRow) -> list[str]:
    view = row.content_token
    return [
        *(view.name, view.state.value, str(view.days_left), _iso(view.expires_at), view.location_name),
        *(view.location_id, view.org_name or "", view.country or "", view.manager or ""),
        *(str(view.apps), str(view.books), str(row.low), str(row.none_left), _number(view.threshold)),
        *(" ".join(sorted(view.tags)), _iso(view.counted_at), view.error or ""),
    ]


def _number(number: int | None) -> str:
    return "" if number is None else str(number)


# One content token


def content_token_card(
    card: ContentTokenCard, *, texts: BackendTexts, role: Role, now: datetime, first: int = 0
) -> Message:
    """Show a content token and a page of its licences, the scarcest first, books last.

    `role` is what the reader may do with it.
    """
    view, licences = card.content_token, card.licences
    first = max(0, min(first, len(licences) - 1)) // PAGE * PAGE
    blocks = [section(f"{bold(f'Content token {view.name}')} · {state(view)}")]
    if not first:
        blocks += [fields(*_facts(card)), *_troubles(view, texts, now)]
    blocks += _licences(licences, first)
    if not first:
        blocks += _chart(card)
    turns = _turns(first, len(licences), previous=PREVIOUS_APPS, following=NEXT_APPS, of=f"{view.id}:")
    buttons = [*turns, button("Export CSV", action_id=EXPORT_APPS, value=view.id)] if licences else []
    if not first and role >= Role.OPERATOR:
        buttons.append(sync_button(view))
    if not first and role >= Role.ADMIN:
        buttons.append(renew_button(view, is_due=view.state is not ContentTokenState.ACTIVE))
    if buttons:
        blocks.append(actions(*buttons))
    read = _as_of(view, now)
    blocks.append(context(read[0].upper() + read[1:]))
    return Message.of(*blocks)


def _facts(card: ContentTokenCard) -> list[str]:
    view = card.content_token
    facts = [
        ("Location", escape(view.location_name)),
        ("Organisation", escape(", ".join(part for part in (view.org_name, view.country) if part))),
        ("Expires", _expiry(view)),
        ("Managed by", escape(view.manager) if view.manager else "no MDM"),
        ("Licences of", how_many(view)),
        ("Threshold", f"{view.threshold:,} licences" if view.threshold is not None else "10 %, at least 5"),
        ("Scope tags", escape(", ".join(sorted(view.tags))) if view.tags else "none"),
        ("Used by", _uses(card.uses)),
    ]
    return [f"*{name}*\n{value}" for name, value in facts if value]


def _uses(uses: Sequence[str]) -> str:
    shown = ", ".join(escape(each) for each in uses[:_NAMED_AT_MOST])
    more = f" and {len(uses) - _NAMED_AT_MOST:,} more" if len(uses) > _NAMED_AT_MOST else ""
    return shown + more


def _troubles(view: ContentTokenView, texts: BackendTexts, now: datetime) -> list[Block]:
    """Say what is wrong, what it means for devices, and what to do."""
    portal = escape(texts.portal)
    if view.state.is_ended:
        since = f" since {local_time(view.ended_since, now)}" if view.ended_since else ""
        return [
            section(
                _lines(
                    f"*{escape(texts.service)} no longer accepts it*{since}.",
                    "Installed apps keep working. The counts below are the last that were read; an MDM server"
                    " that has this content token can give no licence to a new device.",
                    f"Next: renew it with a new download from {portal}, here and in the MDM server.",
                )
            )
        ]
    if view.error:
        at = f" {local_time(view.asked_at, now)}" if view.asked_at else ""
        return [section(f"*The counts could not be read*{at}: {escape(view.error)} It is tried again.")]
    return []


def _licences(licences: Sequence[AppLicences], first: int) -> list[Block]:
    if not licences:
        return [section("The location has no apps and no books.")]
    page = licences[first : first + PAGE]
    where = f", {first + 1} to {first + len(page)} of {len(licences):,}" if len(licences) > PAGE else ""
    blocks = []
    for title, kept in (("Apps", False), ("Books", True)):
        told = [licence_line(each) for each in page if each.is_book is kept]
        if told:
            blocks.append(section("\n".join([f"*{title}*{where}, the scarcest first", *told])))
    return blocks


def licence_line(app: AppLicences) -> str:
    """Return an app or book in one line."""
    pricing = f" ({escape(app.pricing)})" if app.is_book and app.pricing != "STDQ" else ""
    parts = [f"{bold(app.title)}{pricing} {free(app)}", f"{app.assigned:,} in use"]
    if app.retired:
        parts.append(f"{app.retired:,} retired")
    if app.level is Level.NONE:
        parts.append("*none left*")
    elif app.level is Level.LOW:
        parts.append(f"*low*, below {app.mark:,}")
    elif app.threshold is not None and not app.is_unlimited:
        parts.append(f"low below {app.mark:,}")
    return " · ".join(parts)


def _chart(card: ContentTokenCard) -> list[Block]:
    """Draw how many were free of the scarcest that changed; nothing where nothing did."""
    changed: list[tuple[AppLicences, Availability]] = []
    for app in card.licences:
        found = card.availability.get((app.app_id, app.pricing))
        if found is not None and len(set(found.values) - {None}) > 1 and not app.is_book:
            changed.append((app, found))
    if not changed:
        return []
    values = changed[0][1].values
    # A chart has a value at every moment: those of the scarcest. What is known for less long would cut it.
    known = [at for at in range(len(values)) if values[at] is not None]
    drawn = [pair for pair in changed if all(pair[1].values[at] is not None for at in known)][:_DRAWN_AT_MOST]
    since, end = drawn[0][1].since, drawn[0][1].until
    step = (end - since) / len(values)
    moments = [f"{since + step * (at + 1):%-d %b}" for at in known]
    names = [app.title for app, _ in drawn]
    named = [app.title if names.count(app.title) == 1 else f"{app.app_id} {app.title}" for app, _ in drawn]
    series = {
        name: [each.values[at] or 0 for at in known] for name, (_, each) in zip(named, drawn, strict=True)
    }
    return [line_chart("Licences free, 30 days", moments, series, y_label="licences free")]


def apps_csv(card: ContentTokenCard) -> bytes:
    """All licences of a content token as a file for spreadsheets, times in UTC."""
    cells = (_cells(card.content_token, app) for app in card.licences)
    return BYTE_ORDER_MARK + csv_lines([_COLUMNS, *cells])


def _cells(view: ContentTokenView, app: AppLicences) -> list[str]:
    def limited(number: int | None) -> str:
        return "unlimited" if number is None else str(number)

    return [
        *(view.name, view.location_name, app.app_id, app.pricing, "book" if app.is_book else "app"),
        *(app.name or "", app.bundle_id or "", limited(app.total), str(app.assigned)),
        *(limited(app.available), str(app.retired), "yes" if app.device_assignable else "no"),
        *(" ".join(app.platforms), _number(app.threshold), _number(app.mark), app.level.value),
        _iso(app.changed_at),
    ]


def exported(count: int, what: str) -> Message:
    """Return the line that goes with a CSV file."""
    return Message(f"{count:,} {what} as CSV.")


EXPORT_SENT = "The CSV is on its way to you as a direct message."


def place_of(value: str) -> tuple[str, int]:
    """Read what a page's button carries: a content token's id, and the page's first place."""
    content_token_id, _, first = value.rpartition(":")
    return content_token_id, int(first) if re.fullmatch(r"[0-9]{1,6}", first) else 0


# Handing one over


@dataclass(frozen=True, slots=True)
class Ways:
    """How a content token can be handed over. `address` is the upload page, None where there is none."""

    address: str | None
    expires_at: datetime | None


def how_to_add(name: str, tags: Sequence[str], ways: Ways, *, texts: BackendTexts, now: datetime) -> Message:
    """Say where the content token of a new location comes from, and how it is handed over."""
    value = json.dumps({"name": name, "tags": list(tags)}, separators=(",", ":"))
    file = button("Use a Slack file", action_id=FILE, value=value)
    tagged = f" --tags {','.join(tags)}" if tags else ""
    command = f"enrollbot vpp add {name} --file FILE{tagged}"
    return Message.of(
        section(_lines(f"*Add content token {escape(name)}*", texts.content_token_step)),
        *_ways(ways, file=file, command=command, now=now),
    )


def how_to_renew(view: ContentTokenView, ways: Ways, *, texts: BackendTexts, now: datetime) -> Message:
    """Say which content token renews one, and how it is handed over."""
    file = button("Use a Slack file", action_id=FILE, value=json.dumps({"id": view.id}))
    return Message.of(
        section(
            _lines(
                f"*Renew content token {escape(view.name)}*",
                f"{_where(view)} · {state(view)}",
                f"{texts.content_token_step} It must be of location {bold(view.location_name)}.",
                "The stored one stays until the new one has passed every check.",
            )
        ),
        *_ways(ways, file=file, command=f"enrollbot vpp renew {view.name} --file FILE", now=now),
    )


def _ways(ways: Ways, *, file: Block, command: str, now: datetime) -> list[Block]:
    secret = "Whoever has the file can use the location's licences, so delete your copy afterwards."
    if ways.address is None:
        told = (
            f"{secret}\nHand it over at the command line with {code(command)}, or as a Slack file: a copy"
            " stays in Slack where the bot may not delete it. The upload page is not set up here: it needs"
            " ENROLLBOT_PUBLIC_URL, the https address of this bot."
        )
        return [section(told), actions(file)]
    page = button("Open upload page", action_id="vpp.page", url=ways.address, style="primary")
    until = f", until {local_time(ways.expires_at, now)}" if ways.expires_at else ""
    return [
        section(f"{secret} Hand it over on the upload page, which keeps it out of Slack."),
        actions(page, file),
        context(f"The page is yours and works once{until}. At the command line: {code(command)}"),
    ]


def file_modal(name: str, *, metadata: str, renews: ContentTokenView | None) -> View:
    """Ask for the file of a new content token, or of one that renews `renews`."""
    told = f"The content token of a new location, to be called {bold(name)}."
    if renews is not None:
        told = f"Renews content token {bold(name)} of location {bold(renews.location_name)}."
    told += (
        " The bot reads the file and then asks Slack to delete it. Where Slack does not let it, you are told"
        " how to delete it yourself."
    )
    return modal(
        title="Upload content token",
        callback_id=FILE,
        submit="Upload",
        private_metadata=metadata,
        blocks=[
            section(told),
            input_block(
                label=FILE_LABEL,
                block_id="file",
                element=file_input(),
                hint="The file as downloaded, at most 64 KiB.",
            ),
        ],
    )


def checking_view(*, texts: BackendTexts) -> View:
    told = f"Checking…\nReading the file and asking {escape(texts.service)} about the content token."
    return modal(
        title="Upload content token", callback_id="vpp.checking", close="Close", blocks=[section(told)]
    )


def stored_view(stored: StoredContentToken, *, by: str, texts: BackendTexts, left: Message | None) -> View:
    title = "Token added" if stored.former_expiry is None else "Token renewed"
    return _told_view(title, [*told(stored, by=by, texts=texts).blocks, *(left.blocks if left else ())])


def refused_view(error: EnrollbotError, *, is_renewal: bool, left: Message | None) -> View:
    title = "Not renewed" if is_renewal else "Not stored"
    blocks = [*refused(error, is_renewal=is_renewal).blocks, *(left.blocks if left else ())]
    return _told_view(title, blocks)


def _told_view(title: str, blocks: Sequence[Block]) -> View:
    return modal(title=title, callback_id="vpp.told", close="Done", blocks=blocks)


def told(stored: StoredContentToken, *, by: str, texts: BackendTexts) -> Message:
    """Tell of a content token that is stored now."""
    return renewed(stored, by=by, texts=texts) if stored.former_expiry else added(stored, by=by, texts=texts)


def added(stored: StoredContentToken, *, by: str, texts: BackendTexts) -> Message:
    view = stored.content_token
    remark = _managed(view, texts)
    return Message.of(
        section(
            _lines(
                f"*Content token {escape(view.name)} added* by {mention(by)}",
                f"{_where(view)} · expires {_expiry(view)}",
                _counts(stored),
            )
        ),
        *([context(remark)] if remark else []),
        actions(show_button(view)),
    )


def renewed(stored: StoredContentToken, *, by: str, texts: BackendTexts) -> Message:
    view = stored.content_token
    before = local_time(stored.former_expiry) if stored.former_expiry else ""
    remark = _managed(view, texts)
    return Message.of(
        section(
            _lines(
                f"*Content token {escape(view.name)} renewed* by {mention(by)}",
                f"Expiry: {before} → {_expiry(view)}",
                f"Same location, {escape(view.location_name)}: {_counts(stored)}",
                f"{_closed(stored.alerts_closed)}Nothing else to do here. If your MDM server has the former"
                " one, give it the new one too.",
            )
        ),
        *([context(remark)] if remark else []),
        actions(show_button(view)),
    )


def _closed(alerts: int) -> str:
    if not alerts:
        return ""
    return "1 alert closed. " if alerts == 1 else f"{alerts} alerts closed. "


def refused(error: EnrollbotError, *, is_renewal: bool) -> Message:
    """Say why a file was not stored, and what to do next."""
    headline = "*Not renewed*" if is_renewal else "*Nothing was stored*"
    step = f"Next: {escape(error.next_step)}" if error.next_step else None
    return Message.of(section(_lines(headline, escape(error.message), step)))


def left_in_slack(file_name: str) -> Message:
    """Say that a file with a live secret is still in Slack, and what to do about it."""
    return Message.of(
        section(
            _lines(
                f"*{escape(short(file_name, 60))} is still in Slack*",
                "Slack does not let the bot delete it. Whoever finds it can use the location's licences.",
                "Next: in Slack, open *Files*, find it, and delete it.",
            )
        )
    )


# Changing


def threshold_set(done: ThresholdSet) -> Message:
    view, app = done.content_token, done.app
    what = f"{bold(app.title)} of {bold(view.name)}" if app else f"every app of {bold(view.name)}"
    if done.after is None:
        rule = f"{what}: the threshold is cleared; "
        mark = "low is below 10 % or 5 licences, whichever is larger"
        if app is not None and app.threshold is not None:
            mark = f"low is below the content token's {app.threshold:,}"
    else:
        rule, mark = f"{what}: ", f"low is below {done.after:,} licences"
    now = ""
    if app is not None:
        now = f"\nNow {free(app)}" + ("" if app.level is Level.FINE else f": {app.level.value}") + "."
        if app.is_unlimited:
            now = "\nIts licences have no limit, so it is never low."
    elif done.after is not None:
        now = "\nApps with a threshold of their own keep it. Every app that is low is told of from now on."
    return Message.of(section(f"{rule}{mark}.{now}"))


@dataclass(frozen=True, slots=True)
class Synced:
    """How reading the counts of one content token went: `refusal` is why it was not tried."""

    content_token: ContentTokenView
    low: Sequence[AppLicences] = ()
    refusal: EnrollbotError | None = None


def synced(results: Iterable[Synced], *, now: datetime) -> Message:
    """Say how it went, a content token a line."""
    blocks = []
    for each in results:
        view = each.content_token
        if each.refusal is not None:
            text = f"{bold(view.name)}: {escape(str(each.refusal))}"
        elif view.error is not None:
            text = f"{bold(view.name)}: the counts could not be read. {escape(view.error)}"
        else:
            text = f"{bold(view.name)}: {how_many(view)}, {_as_of(view, now)}. {_scarce(each.low)}".strip()
        blocks.append(section(text, accessory=show_button(view)))
    return Message.of(*blocks)


def remove_modal(view: ContentTokenView) -> View:
    """Ask for the name to be typed, and say what removal does."""
    return modal(
        title="Remove content token",
        callback_id=REMOVE,
        submit="Remove",
        private_metadata=view.id,
        blocks=[
            section(
                _lines(
                    f"*Content token {escape(view.name)}* ({state(view)})",
                    f"{_where(view)}, {how_many(view)}",
                    "The stored secret is deleted at once and cannot be brought back. Licences are no longer"
                    " counted here, and nobody is told any more before they run out.",
                    "Nothing changes for devices, in the location or in your MDM server.",
                )
            ),
            input_block(
                label="Name of the content token",
                block_id="name",
                element=text_input(placeholder=view.name, max_length=40),
                hint=f"Type {view.name} to remove it.",
            ),
        ],
    )


def still_used(error: StillUsed) -> Message:
    return Message.of(section(_lines(f"*{escape(error.message)}*", f"Next: {escape(error.next_step)}")))


def removed(view: ContentTokenView, *, by: str) -> Message:
    return Message.of(
        section(
            _lines(
                f"*Content token {escape(view.name)} removed* by {mention(by)}",
                f"{_where(view)}. Its secret is deleted; licences are no longer counted here.",
            )
        )
    )
