"""How tokens are shown: modals, answers and what the channel is told. Pure."""

from collections.abc import Iterable, Sequence

from bot.backend.port import BackendTexts
from bot.kit.errors import EnrollbotError
from bot.slack.blocks import (
    Block,
    Message,
    Style,
    View,
    actions,
    bold,
    button,
    checkboxes,
    code,
    context,
    escape,
    file_input,
    input_block,
    local_time,
    mention,
    mention_group,
    modal,
    section,
    text_input,
)
from bot.tokens import rules
from bot.tokens.errors import (
    AlreadyInUse,
    FileFitsAnotherToken,
    FileUnusable,
    Need,
    NotAccepted,
    NotLater,
    OtherToken,
    RenewalFault,
    RenewalRefused,
    RenewedExpired,
    ServerMadeAgain,
    Standing,
    TokenAwaited,
    WrongOrganisation,
    WrongServer,
    way_out,
)
from bot.tokens.facts import (
    Added,
    Certificate,
    Checked,
    NextAction,
    Renewal,
    TokenView,
    Uploaded,
)

ADD = "token.add"
UPLOAD = NextAction.UPLOAD.value
#: Two buttons of one row must not share an id.
UPLOAD_TO_OTHER = "token.upload.other"
GET_CERTIFICATE = NextAction.GET_CERTIFICATE.value
RENEW = NextAction.RENEW.value
CHECK_AGAIN = NextAction.CHECK_AGAIN.value

_LABELS = {
    NextAction.GET_CERTIFICATE: "Get certificate",
    NextAction.UPLOAD: "Upload server token",
    NextAction.RENEW: "Renew token",
    NextAction.CHECK_AGAIN: "Check again",
}
_HEADLINES: dict[type[RenewalFault], str] = {
    WrongServer: "this file belongs to another MDM server",
    WrongOrganisation: "this file belongs to another organisation",
    RenewedExpired: "the token in this file has expired",
    NotLater: "this file holds no newer token",
    NotAccepted: "the token in this file was not confirmed",
    FileUnusable: "this file cannot be used",
}


# Pieces


def next_button(action: NextAction, token_id: str, *, label: str | None = None) -> Block:
    """Return the button of a next step; its value is the token's id."""
    style: Style | None = "primary" if action in (NextAction.UPLOAD, NextAction.RENEW) else None
    return button(label or _LABELS[action], action_id=action.value, value=token_id, style=style)


def next_step(token: TokenView) -> list[Block]:
    """Return what to do next about a token, with its buttons; nothing when all is well."""
    if token.next_step is None:
        return []
    told = section(next_text(token))
    return [told, actions(*(next_button(action, token.id) for action in token.next_step.actions))]


def upload_offer(error: TokenAwaited) -> list[Block]:
    """Return the button of what a token without a server token needs."""
    return [next_button(NextAction.UPLOAD, error.token_id)] if error.token_id else []


def next_text(token: TokenView) -> str:
    """Return the sentence of the next step with the token's names in it; empty when all is well."""
    return f"Next: {_fill(token.next_step.text, token)}" if token.next_step else ""


def numbered(steps: Sequence[str], token: TokenView) -> str:
    """Return steps with their numbers, the token's names filled in."""
    return "\n".join(f"{number}. {_fill(step, token)}" for number, step in enumerate(steps, start=1))


def owner(token: TokenView) -> str | None:
    """Return the mention of who owns a token: a person or a user group."""
    if token.owner is None:
        return None
    return mention_group(token.owner) if token.owner.startswith("S") else mention(token.owner)


def how_many(devices: int | None) -> str:
    return "1 device" if devices == 1 else f"{devices or 0:,} devices"


def days(count: int) -> str:
    return "1 day" if count == 1 else f"{count:,} days"


def _fill(template: str, token: TokenView) -> str:
    values = {
        "name": token.name,
        "server": token.server_name or token.name,
        "org": token.org_name or "the organisation",
        "apple_id": token.made_by or token.expected_apple_id or "the account that manages servers",
    }
    return rules.fill(template, {place: escape(value) for place, value in values.items()})


def _where(token: TokenView, texts: BackendTexts) -> str:
    made_by = f" · made by {escape(token.made_by)}" if token.made_by else ""
    server = f"MDM server in {escape(texts.portal)}: {escape(token.server_name)}"
    return f"{escape(token.org_name)} · {server}{made_by}"


def _expiry(token: TokenView) -> str:
    if token.expires_at is None or token.days_left is None:
        return "no token yet"
    return f"{local_time(token.expires_at)} ({days(token.days_left)} left)"


def _lines(*lines: str | None) -> str:
    return "\n".join(line for line in lines if line)


# Adding


def add_modal(name: str = "", *, texts: BackendTexts) -> View:
    """Ask for what a new token needs."""
    name_hint = (
        "1 to 40 letters, digits, dots, dashes or underscores. Give the server the same name in"
        f" {texts.portal}; there it is only a label."
    )
    return modal(
        title="Add a token",
        callback_id=ADD,
        submit="Add",
        blocks=[
            _text("Name", "name", name_hint, placeholder="paris", initial=name, most=40),
            _text("Apple ID", "apple_id", _APPLE_ID_HINT, placeholder="ade@example.com", most=254),
            _text("MDM server URL", "mdm_url", _URL_HINT, placeholder="https://mdm.example.com", most=2000),
            _text("Scope tags", "tags", _TAGS_HINT, placeholder="schools, france", most=800),
            input_block(label="Agreement", block_id="agree", element=checkboxes({"agree": texts.agreement})),
        ],
    )


_APPLE_ID_HINT = (
    "The account that will generate the token. Its password change or departure ends the token, so an"
    " account of the organisation is better than a personal one."
)
_URL_HINT = "Where devices enroll; profiles take it from here. It can be set later."
_TAGS_HINT = "Labels that limit who sees and manages this token, its profiles and its devices."


def _text(label: str, block_id: str, hint: str, *, placeholder: str, most: int, initial: str = "") -> Block:
    element = text_input(placeholder=placeholder, initial=initial, max_length=most)
    is_optional = block_id in ("mdm_url", "tags")
    return input_block(label=label, block_id=block_id, element=element, hint=hint, optional=is_optional)


def adding_view() -> View:
    return _waiting("Add a token", "Making the key pair…")


def added(result: Added, *, texts: BackendTexts) -> Message:
    """Say what to do in the portal now; the certificate comes as a file beside it."""
    token = result.token
    sent = f"The certificate {code(result.certificate.file_name)} is in your direct messages."
    return Message.of(
        section(
            _lines(
                f"*Token {escape(token.name)} added; it awaits its server token*",
                f"{sent} In {escape(texts.portal)}:",
            )
        ),
        section(numbered(result.steps, token)),
        *_remarks(result.remarks),
        actions(next_button(NextAction.GET_CERTIFICATE, token.id), next_button(NextAction.UPLOAD, token.id)),
    )


def added_view(result: Added, *, texts: BackendTexts) -> View:
    return _told("Token added", added(result, texts=texts).blocks)


def certificate_comment(name: str, certificate: Certificate, *, texts: BackendTexts) -> str:
    """Return the line that goes with a certificate file."""
    return (
        f"Certificate of token {escape(name)}, to upload to its server in {escape(texts.portal)}."
        " It is no secret."
        f" SHA-256 {code(certificate.fingerprint[:16])}…"
    )


def certificate_sent(certificate: Certificate) -> str:
    return f"{code(certificate.file_name)} is in your direct messages."


# Uploading


def upload_modal(token: TokenView, *, texts: BackendTexts) -> View:
    """Ask for the server token file of one token."""
    if token.has_token:
        told = (
            f"Renews token {bold(token.name)} of server {bold(token.server_name)}. The one in use stays until"
        )
        told += " the new one has passed every check."
    else:
        told = f"The file that {escape(texts.portal)} gave for the server of token {bold(token.name)}."
    return modal(
        title="Upload server token",
        callback_id=UPLOAD,
        submit="Upload",
        private_metadata=token.id,
        blocks=[
            section(told),
            input_block(
                label="Server token (.p7m)",
                block_id="file",
                element=file_input(),
                hint="The file as downloaded, at most 64 KiB. It is encrypted: only this bot can open it.",
            ),
        ],
    )


def checking_view(*, texts: BackendTexts) -> View:
    asking = f"Opening the file and asking {escape(texts.service)} about the token."
    return _waiting("Upload server token", f"Checking…\n{asking}")


def in_use_view(error: AlreadyInUse) -> View:
    """Say that the file is the token in use: there is nothing to press."""
    return _told("Upload server token", [section(escape(error.message))])


def uploaded_view(result: Uploaded, message: Message) -> View:
    return _told("Token renewed" if result.former else "Token active", message.blocks)


def uploaded(result: Uploaded, *, by: str, texts: BackendTexts, alerts_closed: int = 0) -> Message:
    """Tell of a stored token. `alerts_closed` counts the alerts that it mended."""
    if result.former is None:
        return installed(result, by=by, texts=texts)
    return renewed(result, by=by, texts=texts, alerts_closed=alerts_closed)


def installed(result: Uploaded, *, by: str, texts: BackendTexts) -> Message:
    """Tell the channel of a token that is active now. `by` is a Slack user id."""
    token = result.token
    return Message.of(
        section(
            _lines(
                f"*Token {escape(token.name)} is active*, uploaded by {mention(by)}",
                _where(token, texts),
                f"Expires {_expiry(token)}",
                "The first full sync has started; its result follows.",
            )
        ),
        *_remarks(result.remarks),
    )


def renewed(result: Uploaded, *, by: str, texts: BackendTexts, alerts_closed: int = 0) -> Message:
    """Tell the channel of a renewal: old and new expiry, and who made the token."""
    token, former = result.token, result.former
    if former is None:
        return installed(result, by=by, texts=texts)
    same_maker = token.made_by is not None and token.made_by == former.made_by
    return Message.of(
        section(
            _lines(
                f"*Token {escape(token.name)} renewed* by {mention(by)}",
                f"Expiry: {local_time(former.expires_at)} → {_expiry(token)}",
                "Same MDM server, same organisation."
                + (f" Made by {escape(token.made_by)}, as before." if same_maker else ""),
                "The new key pair is in use; the former one is gone." if former.key_replaced else None,
                "A sync has started and will say how many devices there were before and are after it.",
                _closed(alerts_closed),
            )
        ),
        *_remarks(result.remarks),
    )


def _closed(alerts: int) -> str | None:
    if not alerts:
        return None
    return "1 alert closed." if alerts == 1 else f"{alerts} alerts closed."


def refused_view(token: TokenView, error: EnrollbotError, *, texts: BackendTexts) -> View:
    """Say why a file was not stored, how the token in use stands, and what to do next."""
    title = "Not renewed" if token.has_token else "Not stored"
    return _told(title, refused(token, error, texts=texts).blocks)


def refused(token: TokenView, error: EnrollbotError, *, texts: BackendTexts) -> Message:
    if isinstance(error, RenewalRefused):
        return _renewal_refused(token, error, texts)
    if isinstance(error, FileFitsAnotherToken):
        return _fits_another(token, error, texts)
    return Message.of(
        section(
            _lines(
                f"*Nothing was stored for token {escape(token.name)}*",
                escape(error.message),
                f"Next: {escape(error.next_step)}" if error.next_step else None,
            )
        ),
        actions(next_button(NextAction.GET_CERTIFICATE, token.id), next_button(NextAction.UPLOAD, token.id)),
    )


def _renewal_refused(token: TokenView, error: RenewalRefused, texts: BackendTexts) -> Message:
    decisive, other = error.faults[0], error.other
    own = way_out(decisive, error.standing, portal=texts.portal)
    return Message.of(
        section(
            _lines(
                f"*Not renewed: {_headline(decisive, texts)}*",
                *(escape(fault.message) for fault in error.faults),
                "Nothing was changed here.",
                _standing(token.name, error.standing, texts),
                _needed_elsewhere(other),
                _next(_for_the_other(other, token, texts), token, escape(own)),
            )
        ),
        actions(*_refusal_buttons(token, other, decisive)),
    )


def _headline(fault: RenewalFault, texts: BackendTexts) -> str:
    if isinstance(fault, ServerMadeAgain):
        return f"the server was deleted in {escape(texts.portal)} and made again"
    return _HEADLINES.get(type(fault), "the file did not pass every check")


def _fits_another(token: TokenView, error: FileFitsAnotherToken, texts: BackendTexts) -> Message:
    server, other, standing = error.server_name or token.name, error.other, error.standing
    if other.need.is_none:
        return _belongs_where_it_is(token, error, texts)
    word = "Not renewed" if standing else "Not stored"
    own = (
        _way_to_own(token.name, server, standing, texts)
        if standing
        else f"upload the file made for {token.name} here."
    )
    return Message.of(
        section(
            _lines(
                f"*{word}: this file belongs to another MDM server*",
                f"It was made for the certificate of token {escape(other.name)}; token"
                f" {escape(token.name)} needs one made for server {escape(server)}.",
                "Nothing was changed here.",
                _standing(token.name, standing, texts),
                _needed_elsewhere(other),
                _next(_for_the_other(other, token, texts), token, escape(own)),
            )
        ),
        actions(*_refusal_buttons(token, other, None)),
    )


def _belongs_where_it_is(token: TokenView, error: FileFitsAnotherToken, texts: BackendTexts) -> Message:
    """Say that another token has the file, or a newer one; only a token without one is helped on."""
    other, standing = escape(error.other.name), error.standing
    fact = (
        f"*This is the token that {other} already uses. Nothing to do.*"
        if error.other.need is Need.IN_USE
        else f"*{other} already uses a newer token than this. Nothing to do.*"
    )
    stands = _standing(token.name, standing, texts)
    lines = [fact, f"Nothing was changed for {escape(token.name)}.", stands]
    if standing is not None and standing.accepted is not False:
        return Message.of(section(_lines(*lines)))
    server = error.server_name or token.name
    own = _way_to_own(token.name, server, standing, texts) if standing else "Upload it here."
    waits = f"{escape(token.name)} still needs the file of its own server. "
    return Message.of(
        section(_lines(*lines, f"Next: {waits}{escape(own)}")),
        actions(next_button(NextAction.UPLOAD, token.id)),
    )


def _way_to_own(name: str, server: str, standing: Standing, texts: BackendTexts) -> str:
    fault = WrongServer(name, server_name=server, made_for=None, portal=texts.portal)
    return way_out(fault, standing, portal=texts.portal)


def _standing(name: str, standing: Standing | None, texts: BackendTexts) -> str | None:
    if standing is None:
        return None
    service = escape(texts.service)
    if standing.accepted is None:
        return f"{escape(name)}: {service} could not be asked about the current token."
    if standing.accepted:
        left = f" ({days(standing.days_left)} left)" if standing.days_left is not None else ""
        return f"{escape(name)}: {service} still accepts the current token{left}."
    return (
        f"{escape(name)}: {service} no longer accepts the current token; new devices get no profile until a"
        " right file is uploaded."
    )


def _needed_elsewhere(other: OtherToken | None) -> str | None:
    if other is None or other.need is not Need.ENDED:
        return None
    ended = f"{escape(other.name)}: generating this file ended its former token"
    return f"{ended}, so it is needed there now." if other.can_open else f"{ended}."


def _for_the_other(other: OtherToken | None, token: TokenView, texts: BackendTexts) -> str:
    if other is None:
        return ""
    name = escape(other.name)
    if other.can_open:
        return f"upload this file to {name}."
    return (
        f"the server of {name} has the certificate of {escape(token.name)} in {escape(texts.portal)}."
        f" Put the one of {name} there, download its token and upload it to {name}."
    )


def _next(first: str, token: TokenView, own: str) -> str:
    return (
        f"Next: {first} Then, for {escape(token.name)}: {own[:1].lower()}{own[1:]}"
        if first
        else f"Next: {own}"
    )


def _refusal_buttons(
    token: TokenView, other: OtherToken | None, fault: RenewalFault | None
) -> Iterable[Block]:
    if other is not None:
        if not other.can_open:
            label = f"Certificate of {other.name}"
            yield button(label, action_id=GET_CERTIFICATE, value=other.id, style="primary")
        yield button(f"Upload to {other.name}", action_id=UPLOAD_TO_OTHER, value=other.id, style="primary")
    if isinstance(fault, ServerMadeAgain):
        yield button("Add token", action_id=ADD)
    yield next_button(NextAction.UPLOAD, token.id)


# Renewing


def renewal(opened: Renewal, *, texts: BackendTexts) -> Message:
    """Show who signs in where, what it ends, and the steps; the upload button stands at the end.

    Where a new token could not be checked now, say why to wait instead.
    """
    token = opened.token
    facts = _lines(
        f"*Renew token {escape(token.name)}*",
        f"{_where(token, texts)} · expires {_expiry(token)}",
        f"The bot is ready: key pair and database are in order. {escape(opened.answer.sentence)}",
        *(escape(sentence) for sentence in opened.running),
    )
    if not opened.may_go_on:
        return Message.of(
            section(facts),
            section(_why_to_wait(opened, texts)),
            actions(
                next_button(NextAction.RENEW, token.id, label="Open the renewal again"),
                next_button(NextAction.CHECK_AGAIN, token.id),
                next_button(NextAction.UPLOAD, token.id),
            ),
        )
    who = bold(opened.sign_in_as) if opened.sign_in_as else "an account that manages servers"
    where = f"*Who signs in:* {who} · *Server in {escape(texts.portal)}:* {bold(token.server_name)}"
    buttons = [next_button(NextAction.UPLOAD, token.id)]
    if opened.certificate is not None or token.staged_fingerprint is not None:
        buttons.append(next_button(NextAction.GET_CERTIFICATE, token.id))
    return Message.of(
        section(facts),
        section(f"*Before you begin:* {_fill(opened.warning, token)}"),
        section(where),
        section(numbered(opened.steps, token)),
        *_staged_note(opened),
        actions(*buttons),
    )


def _why_to_wait(opened: Renewal, texts: BackendTexts) -> str:
    token = opened.token
    wait = (
        f"*Don't generate a token in {escape(texts.portal)} yet*: it ends the current one at once, and it"
        " cannot be taken here"
    )
    if opened.answer.terms_open:
        return f"{wait} until the terms are accepted.\nNext: {_fill(texts.terms_step, token)}"
    return (
        f"{wait} as long as {escape(texts.service)} does not answer. A file that is there already can be"
        " uploaded.\nNext: open the renewal again in a few minutes."
    )


def _staged_note(opened: Renewal) -> list[Block]:
    if opened.certificate is not None:
        return [
            context(f"{code(opened.certificate.file_name)}, the new certificate, is in your direct messages.")
        ]
    if opened.token.staged_fingerprint is not None:
        return [context("A new key pair is waiting too: a token made for either certificate is taken.")]
    return []


# Changing


def settings_changed(token: TokenView, *, has_channel: bool = True) -> Message:
    """Show the settings of a token as they are now; `has_channel`: the bot has one for every token."""
    else_in = "the bot's channel" if has_channel else "none"
    channel = f"<#{token.channel}>" if token.channel else else_in
    approvals = f"<#{token.approvals_channel}>" if token.approvals_channel else else_in
    return Message.of(
        section(
            _lines(
                f"*Token {escape(token.name)} is set*",
                f"MDM server URL: {code(token.mdm_url) if token.mdm_url else 'not set'}",
                f"Channel: {channel} · Approvals: {approvals}",
                f"Owner: {owner(token) or 'nobody'}",
                f"Warns {', '.join(str(day) for day in token.warn_days)} days before expiry",
            )
        )
    )


def tags(token: TokenView, *, slash: str) -> Message:
    """Show the scope tags of a token, and how to change them."""
    command = f"{slash} token tag {token.name}"
    return Message.of(
        section(f"*Scope tags of {escape(token.name)}:* {_tag_list(token)}"),
        context(f"{code(f'{command} a,b')} replaces them, {code(f'{command} none')} clears them."),
    )


def tags_set(token: TokenView) -> Message:
    """Say which scope tags a token has now."""
    return Message.of(section(f"*Tags of {escape(token.name)} set:* {_tag_list(token)}"))


def _tag_list(token: TokenView) -> str:
    return ", ".join(code(tag) for tag in sorted(token.tags)) or "none"


def tags_changed(token: TokenView, *, by: str) -> Message:
    """Tell the channel of changed tags: they decide who sees what."""
    return Message.of(
        section(
            _lines(
                f"*Scope tags of token {escape(token.name)}* set by {mention(by)}: {_tag_list(token)}",
                "Its profiles and devices follow at once.",
            )
        )
    )


def checked(result: Checked, *, texts: BackendTexts) -> Message:
    """Say what the service answered just now, and what to do next."""
    token, answer = result.token, result.answer
    if result.syncing:
        names = escape(_listed(result.syncing))
        verb = "is" if len(result.syncing) == 1 else "are"
        return Message.of(section(f"Accepted. {names} {verb} syncing."), *next_step(token))
    asked = f"Asked {escape(texts.service)} at {local_time(answer.at)}: "
    if answer.terms_open:
        asked += f"still not accepted for {escape(token.org_name)}."
    else:
        asked += escape(answer.sentence)
    return Message.of(section(asked), *next_step(token))


def _listed(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


# Frames


def _waiting(title: str, text: str) -> View:
    return modal(title=title, callback_id="token.waiting", close="Close", blocks=[section(text)])


def _told(title: str, blocks: Sequence[Block]) -> View:
    return modal(title=title, callback_id="token.told", close="Done", blocks=blocks)


def _remarks(remarks: Sequence[str]) -> list[Block]:
    return [context(*(escape(remark) for remark in remarks))] if remarks else []
