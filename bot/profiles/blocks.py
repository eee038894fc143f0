"""How profiles are shown: the wizard, cards, lists and what the channel is told. Pure."""

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bot.backend.port import BackendTexts
from bot.backend.profile import Authentication, Pairing, ProfileSettings, SetupScreen
from bot.kit.actor import Role
from bot.kit.errors import EnrollbotError
from bot.kit.spreadsheet import BYTE_ORDER_MARK, csv_lines
from bot.profiles import rules, wording
from bot.profiles.errors import ChangedMeanwhile, StillCarried
from bot.profiles.facts import (
    ContentFacts,
    Defined,
    Difference,
    DraftView,
    Fault,
    ProfileView,
    Step,
    VersionView,
)
from bot.profiles.wording import LABELS, NOTES
from bot.slack.blocks import (
    Block,
    Message,
    View,
    actions,
    bold,
    button,
    checkboxes,
    code,
    confirm,
    context,
    divider,
    escape,
    file_input,
    input_block,
    local_time,
    mention,
    modal,
    radio,
    section,
    select,
    short,
    text_input,
)
from bot.tokens.facts import TokenView

WIZARD = "profile.wizard"
IMPORT = "profile.import"
BACK = "profile.back"
CHOOSE = "profile.choose"
HIDE_ALL = "profile.hide_all"
SHOW_ALL = "profile.show_all"
KIOSK = "profile.kiosk"
REMOVE_CERTIFICATE = "profile.remove_certificate"
TRY_AGAIN = "profile.try_again"
START_OVER = "profile.start_over"
CREATE = "profile.create"
EDIT = "profile.edit"
SHOW = "profile.show"
#: Of the room of assignments, which stands above this one.
ASSIGN = "request.new"
JSON = "profile.json"
DELETE = "profile.delete"
NEXT_PAGE = "profile.next"
PREVIOUS_PAGE = "profile.previous"
EXPORT = "profile.export"
#: Asked for here, done by the room that assigns; the value is the profile's id.
MOVE_OPEN = "request.move_open"
MOVE_ALL = "request.move_all"
MOVE_FIRST = "request.move_first"

PAGE = 10
_NO_DEFAULTS: Mapping[str, str] = {}
FLAGS = "flags"
HIDDEN = "hidden_screens"
NO_CONTENT_TOKEN = "none"
_SHOWN_CHARACTERS = 600
#: Settings whose note is worth reading again where the profile is shown.
_NOTED_WHEN_ON = ("content_token", "single_app_mode")
#: Values that Slack's option texts would cut.
_TOKENS_AT_MOST = 100


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the wizard a view is; it travels in the view itself."""

    draft_id: str
    step: Step
    revision: int

    @classmethod
    def of(cls, draft: DraftView) -> "Place":
        return cls(draft.id, draft.step, draft.revision)

    def packed(self) -> str:
        return json.dumps([self.draft_id, self.step.value, self.revision], separators=(",", ":"))

    @classmethod
    def read(cls, text: str) -> "Place | None":
        """Read what `packed` wrote; None for anything else."""
        try:
            draft_id, step, revision = json.loads(text)
            return cls(str(draft_id), Step(step), int(revision))
        except (ValueError, TypeError):
            return None

    def block(self, setting: str) -> str:
        """Return the id of a setting's input: Slack keeps what was typed under an id that it has seen."""
        return f"{setting}|{self.step.value}|{self.revision}"


# The wizard


def wizard(
    draft: DraftView,
    *,
    texts: BackendTexts,
    screens: Sequence[SetupScreen],
    tokens: Sequence[TokenView],
    now: datetime,
    notices: Sequence[str] = (),
    faults: Sequence[Fault] = (),
    base: VersionView | None = None,
) -> View:
    """Return the draft's step. `notices` stand on top, `faults` beside their settings.

    `base` is the version that an edit follows, for the review.
    """
    place = Place.of(draft)
    blocks = [
        *_head(draft, now),
        *(section(f":warning: {escape(notice)}") for notice in notices),
        *(section(f":warning: *{LABELS[each.setting]}:* {escape(each.text)}") for each in faults),
    ]
    if draft.step is Step.BASICS:
        blocks += _basics(draft, place, tokens)
    elif draft.step is Step.MANAGEMENT:
        blocks += _management(draft, place, texts)
    elif draft.step is Step.SCREENS:
        blocks += _screens(draft, place, screens)
    elif draft.step is Step.ADVANCED:
        blocks += _advanced(draft, place)
    else:
        blocks += _review(draft, texts=texts, screens=screens, now=now, base=base)
    if draft.step is not Step.BASICS:
        blocks.append(actions(button("Back", action_id=BACK), block_id=f"back|{draft.step.value}"))
    last = f"Define version {_next_number(draft, base)}" if draft.is_edit else "Create profile"
    return modal(
        title=_title(draft),
        callback_id=WIZARD,
        blocks=blocks,
        submit=last if draft.step is Step.REVIEW else "Next",
        private_metadata=place.packed(),
    )


def _title(draft: DraftView) -> str:
    return "Edit profile" if draft.is_edit else "Create profile"


def _next_number(draft: DraftView, base: VersionView | None) -> int:
    newest = base.number if base else draft.base_version or 0
    return newest + 1


def _head(draft: DraftView, now: datetime) -> list[Block]:
    steps = " › ".join(f"*{step.heading}*" if step is draft.step else step.heading for step in Step)
    lines = [steps]
    if draft.profile is not None:
        lines.append(f"{bold(draft.profile.name)} of token {escape(draft.profile.token_name)}")
    elif draft.token is not None and draft.step is not Step.BASICS:
        lines.append(f"Token {escape(draft.token.name)}")
    blocks = [context("\n".join(lines))]
    for person, since in draft.others:
        blocks.append(
            section(
                f":warning: {mention(person)} is editing this profile too, last changed"
                f" {local_time(since, now)}. Whoever defines second is told what the first one changed."
            )
        )
    if draft.step is Step.BASICS:
        blocks += [section(f":warning: {escape(draft.no_room)}")] if draft.no_room else []
        blocks += [section(escape(remark)) for remark in draft.remarks]
    newer = draft.profile
    if newer is not None and newer.defined_at > draft.opened_at:
        blocks.append(
            section(
                f":warning: Version {newer.version} was defined by {_person(newer.defined_by)}"
                f" {local_time(newer.defined_at, now)}, after you began. Yours would take its place; the"
                " review shows how they differ."
            )
        )
    if draft.is_resumed:
        told = f"This goes on with your draft of {local_time(draft.changed_at, now)}."
        blocks.append(section(told, button("Start over", action_id=START_OVER)))
    return blocks


def _basics(draft: DraftView, place: Place, tokens: Sequence[TokenView]) -> list[Block]:
    settings = draft.settings
    blocks = []
    if draft.profile is None and len(tokens) > 1:
        choices = [(token.id, token.name, token.org_name or "") for token in tokens[:_TOKENS_AT_MOST]]
        chosen = draft.token.id if draft.token else None
        element = select(_described(choices), placeholder="Choose a token", initial=chosen)
        blocks.append(_input("token", place, element, note="The profile belongs to it for good."))
    platforms = {platform.value: text for platform, text in wording.PLATFORMS.items()}
    return [
        *blocks,
        _text("name", place, settings, most=rules.MAX_NAME),
        _text("description", place, settings, most=rules.MAX_DESCRIPTION, multiline=True, optional=True),
        _input("platform", place, select(platforms, initial=settings.platform.value)),
    ]


def _management(draft: DraftView, place: Place, texts: BackendTexts) -> list[Block]:
    settings, platform = draft.settings, draft.settings.platform
    of_token = draft.token.mdm_url if draft.token else None
    own_url = f" Leave it empty to use the token's: {of_token}" if of_token else ""
    blocks = [
        _input(
            "mdm_url",
            place,
            text_input(initial=settings.mdm_url, placeholder="https://mdm.example.com/enroll"),
            note=f"{NOTES['mdm_url']}{own_url}",
            optional=bool(of_token),
        )
    ]
    if rules.is_offered("user_affinity", platform):
        blocks += _affinity(settings, place, draft.content)
    blocks.append(_yes_no("supervised", place, settings, "Devices are supervised"))
    blocks.append(_yes_no("locked", place, settings, "The management profile cannot be removed"))
    if rules.is_offered("pairing", platform):
        ways = {way.value: text for way, text in wording.pairings(texts).items()}
        element = select(ways, action_id=CHOOSE, initial=settings.pairing.value)
        blocks.append(_input("pairing", place, element, tells=True))
        if settings.pairing is Pairing.CERTIFICATES:
            blocks += _certificates("host_certificates", settings.host_certificates, place)
    if rules.is_offered("device_name_template", platform):
        blocks.append(
            _text(
                "device_name_template",
                place,
                settings,
                placeholder="{{DEVICETYPE}}-{{SERIAL}}",
                optional=True,
            )
        )
    return blocks


def _affinity(settings: ProfileSettings, place: Place, content: Sequence[ContentFacts]) -> list[Block]:
    answers = {"with": wording.AFFINITIES[True], "without": wording.AFFINITIES[False]}
    chosen = "with" if settings.user_affinity else "without"
    blocks = [_input("user_affinity", place, radio(answers, action_id=CHOOSE, initial=chosen), tells=True)]
    if not settings.user_affinity:
        return blocks
    ways = {way.value: text for way, text in wording.AUTHENTICATIONS.items()}
    signed_in_by = settings.authentication.value if settings.authentication else None
    element = select(ways, action_id=CHOOSE, placeholder="How people sign in", initial=signed_in_by)
    blocks.append(_input("authentication", place, element, tells=True))
    if not rules.is_offered("install_company_portal", settings.platform):
        return blocks
    if settings.authentication is Authentication.COMPANY_PORTAL:
        told = f"*{LABELS['install_company_portal']}:* yes, since people sign in with it."
        blocks += [section(told), context(escape(NOTES["install_company_portal"]))]
    else:
        blocks.append(_yes_no("install_company_portal", place, settings, "Devices get Company Portal"))
    return [*blocks, *_content(settings, place, content)]


def _content(settings: ProfileSettings, place: Place, content: Sequence[ContentFacts]) -> list[Block]:
    """Return the choice of a content token; without one there is no Single App Mode."""
    if not content and settings.content_token is None:
        told = f"*{LABELS['content_token']}:* no content token here yet; an admin adds one with `vpp add`."
        return [context(told)]
    known = {each.id for each in content}
    choices = [(NO_CONTENT_TOKEN, "None", "")]
    choices += [(each.id, each.title, each.state) for each in content[: _TOKENS_AT_MOST - 2]]
    chosen = settings.content_token
    if chosen is not None and chosen not in {value for value, _, _ in choices}:
        title = next((each.title for each in content if each.id == chosen), "one that is not here any more")
        choices.append((chosen, title, "" if chosen in known else "Choose another one"))
    element = select(_described(choices), action_id=CHOOSE, initial=chosen or NO_CONTENT_TOKEN)
    blocks = [_input("content_token", place, element, tells=True)]
    if chosen is not None:
        blocks.append(_yes_no("single_app_mode", place, settings, "Only Company Portal until sign-in"))
    return blocks


def _screens(draft: DraftView, place: Place, screens: Sequence[SetupScreen]) -> list[Block]:
    settings = draft.settings
    hidden = set(settings.hidden_screens)
    offered = wording.groups(settings.platform, screens)
    blocks = [
        _text("department", place, settings, most=125, optional=True),
        _text("department_phone", place, settings, most=50, optional=True),
        section(
            f"*Setup Assistant screens:* {sum(screen.key in hidden for _, _, of in offered for screen in of)}"
            f" of {sum(len(of) for _, _, of in offered)} are hidden."
        ),
        actions(
            button("Hide all", action_id=HIDE_ALL),
            button("Show all", action_id=SHOW_ALL),
            button("Set for shared kiosks", action_id=KIOSK),
            # Its own id for good: the keyboard stays on the button that was pressed.
            block_id="screens",
        ),
    ]
    for key, label, of_group in offered:
        choices = [(screen.key, screen.title, wording.describe(screen)) for screen in of_group]
        element = select(choices, many=True, placeholder="None: all are shown", initial=hidden)
        blocks.append(
            input_block(
                label=label,
                block_id=place.block(f"{HIDDEN}.{key}"),
                element=element,
                hint=NOTES[HIDDEN] if key == "usual" else None,
                optional=True,
            )
        )
    return blocks


def _advanced(draft: DraftView, place: Place) -> list[Block]:
    settings, platform = draft.settings, draft.settings.platform
    blocks = [
        _text("web_url", place, settings, placeholder="https://mdm.example.com/sign-in", optional=True),
        *_certificates("anchor_certificates", settings.anchor_certificates, place),
        _text("org_magic", place, settings, most=256, optional=True),
    ]
    if rules.is_offered("language", platform):
        blocks.append(_text("language", place, settings, placeholder="en", optional=True))
        blocks.append(_text("region", place, settings, placeholder="GB", optional=True))
    blocks.append(_text("support_email", place, settings, placeholder="help@example.com", optional=True))
    flags = [name for name in wording.FLAG_NOTES if rules.is_offered(name, platform)]
    boxes = checkboxes(
        [(name, LABELS[name], wording.FLAG_NOTES[name]) for name in flags],
        initial=[name for name in flags if getattr(settings, name)],
    )
    blocks.append(input_block(label="More", block_id=place.block(FLAGS), element=boxes, optional=True))
    return blocks


def _review(
    draft: DraftView,
    *,
    texts: BackendTexts,
    screens: Sequence[SetupScreen],
    now: datetime,
    base: VersionView | None,
) -> list[Block]:
    content = {each.id: each for each in draft.content}
    effective = rules.effective(draft.settings, screens)
    held = wording.named(effective, content)
    blocks: list[Block] = []
    if base is not None:
        before = wording.named(base.settings, content)
        changed = wording.differences(before, held, texts=texts, screens=screens)
        told = _changes(changed) if changed else "Nothing differs from it."
        blocks += [section(f"*Compared with version {base.number}*\n{told}"), divider()]
    url = held.mdm_url or (draft.token.mdm_url if draft.token else None)
    blocks += [
        section(
            f"*Sent to {escape(texts.service)}*\n" + _listed(wording.SENT, held, texts, screens, mdm_url=url)
        ),
        section(
            "*Read by your MDM server from this bot*\n"
            + _listed(wording.FOR_MDM_SERVER, held, texts, screens)
        ),
        context(_read_at(draft.profile, now)),
    ]
    remarks = rules.warnings(held, screens) + rules.content_warnings(effective, content)
    out = rules.left_out(draft.settings)
    if out:
        remarks.append(
            f"Left out, since they don't go with the rest: {', '.join(LABELS[name] for name in out)}."
        )
    return blocks + [section(f":warning: {escape(text)}") for text in remarks]


def _read_at(profile: ProfileView | None, now: datetime) -> str:
    if profile is None or profile.read_at is None:
        which = "this profile" if profile is None or profile.version == 1 else f"version {profile.version}"
        return (
            f"Your MDM server has not read {which} yet: `GET /api/v1/profiles/UUID`, with a token made by"
            " `enrollbot api-token add NAME`."
        )
    return f"Your MDM server last read version {profile.version} {local_time(profile.read_at, now)}."


def _listed(
    names: Sequence[str],
    settings: ProfileSettings,
    texts: BackendTexts,
    screens: Sequence[SetupScreen],
    *,
    mdm_url: str | None = None,
) -> str:
    lines = []
    for name in names:
        value = wording.value_in_words(name, settings, texts=texts, screens=screens)
        value = mdm_url or value if name == "mdm_url" else value
        is_off = name in wording.FLAG_NOTES and not getattr(settings, name)
        if value and not is_off and rules.is_offered(name, settings.platform):
            lines.append(f"{LABELS[name]}: {_as_typed(short(value, _SHOWN_CHARACTERS))}")
    template = settings.device_name_template
    if "device_name_template" in names and template and not rules.why_not_a_template(template):
        sample = wording.sample_name(template, settings.platform)
        lines.append(f"A device's name, for example: {escape(sample)}")
    return "\n".join(lines)


def _changes(changed: Sequence[Difference]) -> str:
    return "\n".join(
        f"{each.label}: {_as_typed(short(each.before, 200))} → {_as_typed(short(each.after, 400))}"
        for each in changed
    )


def _as_typed(value: str) -> str:
    """Return a value as it is: what Slack would take for bold or italics stands as code."""
    return code(value) if re.search(r"[*_~`]", value) else escape(value)


# Inputs


def _input(
    setting: str,
    place: Place,
    element: Block,
    *,
    note: str | None = None,
    optional: bool = False,
    tells: bool = False,
) -> Block:
    return input_block(
        label=LABELS[setting],
        block_id=place.block(setting),
        element=element,
        hint=note or NOTES.get(setting),
        optional=optional,
        tells=tells,
    )


def _text(
    setting: str,
    place: Place,
    settings: ProfileSettings,
    *,
    most: int | None = None,
    placeholder: str | None = None,
    multiline: bool = False,
    optional: bool = False,
) -> Block:
    text = getattr(settings, setting) or None
    # Slack refuses a beginning that is longer than its limit: an import may bring one.
    limit = None if most is None else max(most, len(text or ""))
    element = text_input(initial=text, placeholder=placeholder, multiline=multiline, max_length=limit)
    return _input(setting, place, element, optional=optional)


def _yes_no(setting: str, place: Place, settings: ProfileSettings, text: str) -> Block:
    boxes = checkboxes({"yes": text}, initial=["yes"] if getattr(settings, setting) else [])
    return _input(setting, place, boxes, optional=True)


def _described(choices: Sequence[tuple[str, str, str]]) -> list[tuple[str, str] | tuple[str, str, str]]:
    return [choice if choice[2] else choice[:2] for choice in choices]


def _certificates(setting: str, kept: Sequence[str], place: Place) -> list[Block]:
    blocks = []
    for position, shown in enumerate(wording.certificates(kept)):
        told = (
            escape(shown)
            if isinstance(shown, str)
            else f"{bold(shown.subject)} · valid until {wording.day(shown.expires_at)}"
            f"\nSHA-256 {escape(shown.fingerprint)}"
        )
        remove = button(
            "Remove", action_id=REMOVE_CERTIFICATE, value=f"{setting}:{rules.digest(kept[position])}"
        )
        blocks.append(section(told, remove))
    left = rules.MAX_CERTIFICATES - len(kept)
    if left > 0:
        element = file_input(("cer", "crt", "pem", "der"), max_files=left)
        blocks.append(_input(setting, place, element, optional=True))
    return blocks


# What follows the wizard


def checking(draft: DraftView, *, texts: BackendTexts) -> View:
    """Return what is shown while the service defines the profile."""
    told = f"Checking…\n{escape(texts.service)} is being asked to define {bold(draft.settings.name)}."
    return modal(
        title=_title(draft),
        callback_id=WIZARD,
        blocks=[
            section(told),
            section(
                "If this has not changed after a minute, go back to the draft; nothing is lost.",
                button("Try again", action_id=TRY_AGAIN),
            ),
        ],
        close="Close",
        private_metadata=Place.of(draft).packed(),
    )


def reading(draft: DraftView) -> View:
    """Return what is shown while certificates are fetched."""
    return modal(
        title=_title(draft),
        callback_id=WIZARD,
        blocks=[
            section("Checking…\nReading the certificates."),
            section(
                "If this has not changed after a minute, go back to the draft; nothing is lost.",
                button("Try again", action_id=TRY_AGAIN),
            ),
        ],
        close="Close",
        private_metadata=Place.of(draft).packed(),
    )


def done_view(defined: Defined, *, texts: BackendTexts, slash: str, older: int = 0) -> View:
    """Say that a version is defined; `older` devices carry an earlier one, which is asked about."""
    profile = defined.profile
    return modal(
        title="Profile defined",
        callback_id="profile.done",
        blocks=[
            section(_done(defined, texts=texts, slash=slash)),
            *_who_gets_it(defined, older),
            *_show_buttons(profile, Role.ADMIN)[:1],
        ],
        close="Close",
    )


def _who_gets_it(defined: Defined, older: int) -> list[Block]:
    """Ask which devices should get a version; each answer is a preview first."""
    if defined.before is None or not older:
        return []
    carry = "1 device carries" if older == 1 else f"{older:,} devices carry"
    return [
        section(f"*{carry} an earlier version.* Which should get version {defined.profile.version}?"),
        actions(
            button("Those not yet set up", action_id=MOVE_OPEN, value=defined.profile.id),
            button("All of them", action_id=MOVE_ALL, value=defined.profile.id),
        ),
    ]


def done(defined: Defined, *, texts: BackendTexts, slash: str) -> Message:
    return Message.of(
        section(_done(defined, texts=texts, slash=slash)), *_show_buttons(defined.profile, Role.ADMIN)
    )


def _done(defined: Defined, *, texts: BackendTexts, slash: str) -> str:
    profile = defined.profile
    is_new = defined.before is None
    head = (
        f"{bold(profile.name)} *is defined* for token {escape(profile.token_name)}."
        if is_new
        else f"*Version {profile.version} of* {bold(profile.name)} *is defined.*"
    )
    lines = [
        head,
        f"{escape(texts.service)} knows it as {code(profile.profile_uuid)}.",
    ]
    if is_new:
        lines.append("No device has it yet: it is given to devices by assigning it.")
    else:
        lines.append(
            "It is for devices that are assigned it from now on; those with an earlier version keep theirs."
        )
    lines += [f":warning: {escape(warning)}" for warning in defined.warnings]
    lines.append(f"See it: {code(f'{slash} profile show ' + quoted(profile.full_name))}")
    return "\n".join(lines)


def told(
    defined: Defined,
    *,
    by: str,
    texts: BackendTexts,
    screens: Sequence[SetupScreen],
    content: Mapping[str, ContentFacts],
    older: int = 0,
) -> Message:
    """Tell the channel of a profile or version; `older` devices carry an earlier one."""
    profile = defined.profile
    if defined.before is None:
        return Message.of(
            section(
                f"*Profile* {bold(profile.name)} *created* by {mention(by)}"
                f" · token {escape(profile.token_name)}"
            )
        )
    before, after = (wording.named(each, content) for each in (defined.before.settings, profile.settings))
    changed = wording.differences(before, after, texts=texts, screens=screens)
    head = f"*Profile* {bold(profile.name)}: *version {profile.version}* by {mention(by)}"
    return Message.of(
        section(f"{head} · token {escape(profile.token_name)}\n{_changes(changed) or 'Nothing differs.'}"),
        *_who_gets_it(defined, older),
    )


def conflict(error: ChangedMeanwhile) -> str:
    """Say, for the top of the review, that somebody was quicker. Plain text."""
    newer = error.newer
    return (
        f"{error.message} This review compares yours with version {newer.number}: defining it now puts"
        " yours in its place. Close this to keep theirs."
    )


def import_modal(tokens: Sequence[TokenView], *, texts: BackendTexts, token_id: str | None) -> View:
    blocks = []
    if len(tokens) > 1:
        choices = [(token.id, token.name, token.org_name or "") for token in tokens[:_TOKENS_AT_MOST]]
        element = select(_described(choices), placeholder="Choose a token", initial=token_id)
        blocks.append(input_block(label=LABELS["token"], block_id="token", element=element))
    blocks.append(
        input_block(
            label="Profile (.json)",
            block_id="file",
            element=file_input(("json",)),
            hint=f"A JSON object with {texts.service}'s keys. It becomes a draft to look through first.",
        )
    )
    return modal(
        title="Import profile",
        callback_id=IMPORT,
        blocks=blocks,
        submit="Read",
        private_metadata=token_id or "",
    )


def reading_import() -> View:
    return modal(
        title="Import profile",
        callback_id=IMPORT,
        blocks=[section("Checking…\nReading the file.")],
        close="Close",
    )


def refused_import(error: EnrollbotError) -> View:
    return modal(
        title="Import profile",
        callback_id="profile.import.refused",
        blocks=[section(f"*Not imported*\n{escape(error)}")],
        close="Close",
    )


# Showing


def profile_list(
    profiles: Sequence[ProfileView],
    *,
    carried: Mapping[str, int],
    role: Role,
    slash: str,
    now: datetime,
    token_id: str = "",
    first: int = 0,
    defaults: Mapping[str, str] = _NO_DEFAULTS,
) -> Message:
    """Show ten profiles with their devices.

    `carried` counts devices by profile id, `defaults` are the platforms, in words, that one is default for.
    """
    if not profiles:
        step = (
            f"Create one: {code(f'{slash} profile create')}"
            if role >= Role.ADMIN
            else "An admin can create one."
        )
        blocks = [section(f"*No enrollment profiles* that you may see yet. {step}")]
        if role >= Role.ADMIN:
            blocks.append(actions(button("Create profile", action_id=CREATE, style="primary")))
        return Message.of(*blocks)
    first = min(max(first, 0), len(profiles) - 1) // PAGE * PAGE
    page = profiles[first : first + PAGE]
    where = (
        f" {first + 1} to {first + len(page)} of {len(profiles)}"
        if len(profiles) > PAGE
        else f" {len(profiles)}"
    )
    blocks = [section(f"*Enrollment profiles*{where}")]
    blocks += [
        section(
            _line(each, carried.get(each.id, 0), now, default=defaults.get(each.id)),
            button("Show", action_id=SHOW, value=each.id),
        )
        for each in page
    ]
    turns = []
    if first > 0:
        turns.append(button("Previous", action_id=PREVIOUS_PAGE, value=f"{token_id}:{first - PAGE}"))
    if first + PAGE < len(profiles):
        turns.append(button("Next", action_id=NEXT_PAGE, value=f"{token_id}:{first + PAGE}"))
    turns.append(button("Export CSV", action_id=EXPORT, value=token_id))
    return Message.of(*blocks, actions(*turns))


def _line(profile: ProfileView, devices: int, now: datetime, *, default: str | None) -> str:
    adopted = " · adopted" if profile.is_adopted else ""
    adopted += f" · default for {default}" if default else ""
    return (
        f"{bold(profile.name)}\n{wording.PLATFORMS[profile.settings.platform]} · token"
        f" {escape(profile.token_name)} · version {profile.version}, {local_time(profile.defined_at, now)}"
        f" · {_devices(devices)}{adopted}"
    )


def profile_csv(profiles: Sequence[ProfileView], *, carried: Mapping[str, int]) -> bytes:
    rows = [
        [
            *(each.token_name, each.name, wording.PLATFORMS[each.settings.platform], str(each.version)),
            *(each.profile_uuid, str(carried.get(each.id, 0)), each.defined_at.isoformat(), each.defined_by),
        ]
        for each in profiles
    ]
    head = ["token", "name", "platform", "version", "profile_uuid", "devices", "defined_at", "defined_by"]
    return BYTE_ORDER_MARK + csv_lines([head, *rows])


@dataclass(frozen=True, slots=True)
class Around:
    """What a profile has to do with. `carried` counts devices by the UUID of a version.

    `default` are the platforms, in words, whose new devices get it by themselves, `content` the content
    tokens of its versions by id.
    """

    carried: Mapping[str, int]
    default: str | None
    content: Mapping[str, ContentFacts]


def card(
    profile: ProfileView,
    versions: Sequence[VersionView],
    around: Around,
    *,
    texts: BackendTexts,
    screens: Sequence[SetupScreen],
    role: Role,
    now: datetime,
) -> Message:
    """Show everything about a profile."""
    carried, default, content = around.carried, around.default, around.content
    settings = wording.named(profile.settings, content)
    versions = [replace(each, settings=wording.named(each.settings, content)) for each in versions]
    by_itself = f"\n*Default* of its token for {default}: new devices get it after a sync" if default else ""
    total = sum(carried.values())
    origin = (
        f"Found on devices and read from {escape(texts.service)} {local_time(profile.created_at, now)}"
        if profile.is_adopted
        else f"Created by {_person(profile.created_by)} {local_time(profile.created_at, now)}"
    )
    url = profile.wire.get("url")
    remarks = rules.warnings(settings, screens) + rules.content_warnings(profile.settings, content)
    warnings = [f":warning: {escape(text)}" for text in remarks]
    notes = [escape(NOTES[name]) for name in _NOTED_WHEN_ON if getattr(settings, name)]
    rule = f'(device.enrollmentProfileName -eq "{profile.name}")'
    blocks = [
        section(
            f"{bold(profile.name)} · token {escape(profile.token_name)} · {_devices(total)}\n{origin}"
            f"\nVersion {profile.version}: {code(profile.profile_uuid)}{by_itself}"
        ),
        section(
            f"*Sent to {escape(texts.service)}*\n"
            + _listed(wording.SENT, settings, texts, screens, mdm_url=url if isinstance(url, str) else None)
        ),
        section(
            "*Read by your MDM server from this bot*\n"
            + _listed(wording.FOR_MDM_SERVER, settings, texts, screens)
        ),
        context(_read_at(profile, now)),
        context(f"Dynamic group, where your MDM server copies the name: {code(rule)}"),
        *([context("\n".join(notes))] if notes else []),
        *([section("\n".join(warnings))] if warnings else []),
        *_version_lines(versions, carried, texts=texts, screens=screens, now=now),
        *_show_buttons(profile, role, shows=False),
    ]
    return Message.of(*blocks)


def _version_lines(
    versions: Sequence[VersionView],
    carried: Mapping[str, int],
    *,
    texts: BackendTexts,
    screens: Sequence[SetupScreen],
    now: datetime,
) -> list[Block]:
    if len(versions) < 2:
        return []
    lines = []
    for newer, older in itertools.pairwise(versions):
        changed = wording.differences(older.settings, newer.settings, texts=texts, screens=screens)
        lines.append(
            f"*Version {newer.number}* by {_person(newer.defined_by)} {local_time(newer.defined_at, now)}"
            f" · {_devices(carried.get(newer.profile_uuid, 0))}\n{_changes(changed) or 'Nothing differs.'}"
        )
    oldest = versions[-1]
    lines.append(
        f"*Version {oldest.number}* by {_person(oldest.defined_by)} {local_time(oldest.defined_at, now)}"
        f" · {_devices(carried.get(oldest.profile_uuid, 0))}"
    )
    shown = [section(line) for line in lines[:20]]
    left = len(lines) - len(shown)
    return [*shown, context(f"… and {left} earlier version{'s' if left > 1 else ''}")] if left else shown


def _show_buttons(profile: ProfileView, role: Role, *, shows: bool = True) -> list[Block]:
    row = [button("Show profile", action_id=SHOW, value=profile.id)] if shows else []
    if role >= Role.OPERATOR:
        row.append(button("New assignment", action_id=ASSIGN, value=profile.id))
    if role >= Role.ADMIN:
        row.append(button("Edit profile", action_id=EDIT, value=profile.id))
    row.append(button("Get JSON", action_id=JSON, value=profile.id))
    if role >= Role.ADMIN and not shows:
        question = confirm(
            title="Delete profile",
            text=f"Delete {bold(short(profile.name, 100))} here? It is refused while devices carry it.",
            confirm="Delete",
            deny="Keep",
            style="danger",
        )
        row.append(button("Delete", action_id=DELETE, value=profile.id, style="danger", confirm=question))
    return [actions(*row)]


def delete_question(profile: ProfileView) -> Message:
    question = confirm(
        title="Delete profile",
        text=f"Delete {bold(short(profile.name, 100))} here?",
        confirm="Delete",
        deny="Keep",
        style="danger",
    )
    return Message.of(
        section(
            f"Delete profile {bold(profile.name)} of token {escape(profile.token_name)}?"
            " No device carries it."
        ),
        actions(button("Delete", action_id=DELETE, value=profile.id, style="danger", confirm=question)),
    )


def deleted(profile: ProfileView, *, by: str, texts: BackendTexts) -> Message:
    return Message.of(
        section(
            f"*Profile* {bold(profile.name)} *deleted* by {mention(by)} · token {escape(profile.token_name)}"
            f"\n{escape(texts.service)} keeps what it was told and cannot be asked to forget it; no"
            " device has it."
        )
    )


def carried_view(error: StillCarried, *, profile: ProfileView, slash: str, devices: int) -> Message:
    """List what holds a profile; `devices` carry it and can be moved to another."""
    held = "\n".join(f"• {escape(hold)}" for hold in error.holds)
    told = section(f"*Profile* {bold(profile.name)} *is not deleted:*\n{held}")
    if not devices:
        return Message.of(told, section(f"Next: {escape(error.next_step or '')}"))
    query = f"profile:{quoted(profile.name)}"
    return Message.of(
        told,
        section(
            f"Next: give those devices another profile. See them: {code(f'{slash} device list {query}')}"
        ),
        actions(button("Move devices first", action_id=MOVE_FIRST, value=profile.id)),
    )


def quoted(name: str) -> str:
    """Return a name as it is typed in a command: in quotes wherever the grammar could take it apart."""
    if re.fullmatch(r"[A-Za-z0-9._/][A-Za-z0-9._/-]*", name):
        return name
    return f"'{name}'" if '"' in name else f'"{name}"'


def json_file(profile: ProfileView) -> tuple[str, bytes]:
    """Return a file's name and a profile in the service's keys."""
    kept = "".join(char if char.isalnum() or char in "._-" else "-" for char in profile.name)[:60]
    content = json.dumps(profile.wire, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
    return f"{kept.strip('-.') or 'profile'}.json", content.encode()


def how_many(number: int) -> str:
    return "1 profile" if number == 1 else f"{number:,} profiles"


def _devices(number: int) -> str:
    return "1 device" if number == 1 else f"{number:,} devices"


def _person(who: str) -> str:
    return mention(who) if who[:1] in ("U", "W") and who.isalnum() and who.isupper() else escape(who)
