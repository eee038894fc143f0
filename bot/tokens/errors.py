"""What can be wrong with a token, a name, a file or a renewal: named facts, written for a person."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from bot.backend.port import BackendTexts, TokenFileUnusable
from bot.kit.errors import EnrollbotError


def download_again(portal: str) -> str:
    """Return the advice for a file that is of no use."""
    return f"In {portal}, open the server, download its token and upload that file as it is."


def ends_the_current(portal: str) -> str:
    """Return what goes with every advice to download: there is no download in the portal without this."""
    return f"Generating a token in {portal} ends the current one at once."


class TokenFault(EnrollbotError):
    """Base of what this room refuses."""


class NameWrong(TokenFault):
    def __init__(self, name: str) -> None:
        super().__init__(
            f"“{name}” cannot be the name of a token.",
            next_step="Use 1 to 40 letters, digits, dots, dashes or underscores, no dot first, such as"
            " paris-schools.",
        )


class NameReserved(NameWrong):
    """The portal has a server of this name of its own, and the names go together."""

    def __init__(self, name: str, *, portal: str) -> None:
        TokenFault.__init__(
            self,
            f"{portal} takes no server named {name}.",
            next_step="Choose another name, such as paris-schools.",
        )


class NameTaken(TokenFault):
    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"There is a token {name} already; upper and lower case make no difference.",
            next_step="Choose another name, or renew that token.",
        )


class TokenUnknown(TokenFault):
    """`is_limited`: the person sees only tokens with certain tags, and there may be others."""

    def __init__(self, name: str, nearest: str | None = None, *, slash: str, is_limited: bool) -> None:
        self.name = name
        self.nearest = nearest
        listed = "the tokens that you may see" if is_limited else "the tokens that there are"
        hint = f"Did you mean {nearest}?" if nearest else f"`{slash} token list` shows {listed}."
        super().__init__(
            f"There is no token {name}{' that you may see' if is_limited else ''}.", next_step=hint
        )


class TokenGone(TokenFault):
    def __init__(self) -> None:
        super().__init__("That token is not here any more, or you may not see it.")


class AppleIdWrong(TokenFault):
    def __init__(self, text: str) -> None:
        super().__init__(
            f"“{text}” is not an Apple ID.",
            next_step="Give the e-mail address of the account that will generate the token.",
        )


class UrlWrong(TokenFault):
    def __init__(self) -> None:
        super().__init__(
            "That is not an address of an MDM server.",
            next_step="Give an https:// address of at most 2,000 characters, without a user name or # in it.",
        )


class FormWrong(TokenFault):
    """Several things that were given are wrong; each is said."""

    def __init__(self, faults: Sequence[TokenFault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in faults))


class TagWrong(TokenFault):
    def __init__(self, tag: str) -> None:
        super().__init__(
            f"“{tag}” cannot be a scope tag.",
            next_step="Use up to 20 tags of 1 to 40 letters, digits, dots, dashes or underscores.",
        )


class TagsNotYours(TokenFault):
    def __init__(self, tags: Sequence[str]) -> None:
        self.tags = tuple(tags)
        super().__init__(
            f"Your role is limited to tags; you cannot set or remove {', '.join(tags)}.",
            next_step="Ask an admin without a limit.",
        )


class WarnDaysWrong(TokenFault):
    def __init__(self) -> None:
        super().__init__(
            "The warning days are not usable.",
            next_step="Give up to 10 different numbers of days from 1 to 365, such as 60,30,14,7,3,1.",
        )


class ChannelWrong(TokenFault):
    """`is_person`: what was given is a person or a user group, whose id says nothing to a reader."""

    def __init__(self, text: str, *, is_person: bool = False) -> None:
        super().__init__(
            "That is a person or a user group, not a channel."
            if is_person
            else f"“{text}” is not a channel of this workspace.",
            next_step="Pick it from the list after typing #.",
        )


class OwnerWrong(TokenFault):
    """`is_channel`: what was given is a channel, whose id says nothing to a reader."""

    def __init__(self, text: str, *, is_channel: bool = False) -> None:
        super().__init__(
            "That is a channel, neither a person nor a user group."
            if is_channel
            else f"“{text}” is neither a person nor a user group.",
            next_step="Pick one from the list after typing @.",
        )


class NothingToSet(TokenFault):
    def __init__(self) -> None:
        super().__init__(
            "These can be set: --mdm-url URL, --channel #channel, --approvals #channel, --owner @person or"
            " @group, --warn 60,30,14,7,3,1.",
            next_step="none clears one, such as --owner none.",
        )


class AgreementMissing(TokenFault):
    def __init__(self, *, service: str) -> None:
        super().__init__(
            f"A token needs your agreement that user and device information is sent to {service}.",
            next_step="Tick the box, or add --agree.",
        )


class TypedNameDiffers(TokenFault):
    def __init__(self, name: str) -> None:
        super().__init__(
            "The name typed is another one. Nothing was removed.", next_step=f"Type {name} to remove it."
        )


class DeliveredAgain(TokenFault):
    """The same press or command arrived twice; the first one counts."""

    def __init__(self) -> None:
        super().__init__("This was done already.")


class ChangedMeanwhile(TokenFault):
    def __init__(self, name: str) -> None:
        super().__init__(
            f"Token {name} was changed by somebody else in the meantime. Nothing was stored.",
            next_step="Look at it again and repeat what is still needed.",
        )


class TokenAwaited(TokenFault):
    """There is no token yet to renew or to talk to the service with."""

    def __init__(self, name: str, token_id: str | None = None, *, portal: str) -> None:
        self.name = name
        self.token_id = token_id
        super().__init__(
            f"Token {name} has no server token yet.", next_step=f"Upload the one made in {portal} first."
        )


class SecretsUnreadable(TokenFault):
    def __init__(self, name: str, *, portal: str) -> None:
        super().__init__(
            f"The stored key pair of token {name} cannot be read with the encryption keys of this bot.",
            next_step=f"Don't generate a token in {portal} now. Give the bot the key it was stored with, in"
            " ENROLLBOT_ENCRYPTION_KEYS.",
        )


class KeyUnusable(TokenFault):
    def __init__(self, what: str) -> None:
        super().__init__(
            what, next_step="Give the key and the certificate that the other server used, both PEM."
        )


class KeyAndCertificateDiffer(KeyUnusable):
    def __init__(self) -> None:
        super().__init__("The private key and the certificate don't belong together.")


@dataclass(frozen=True, slots=True)
class Standing:
    """What the service says about the token in use, when another one was refused.

    `accepted` is None when it could not be asked.
    """

    accepted: bool | None
    expires_at: datetime | None
    days_left: int | None


class Need(Enum):
    """What an uploaded file is to the other token that it belongs to.

    `IN_USE`: that one uses it already. `OUTDATED`: that one uses a newer one. `ENDED`: generating it ended
    what that one uses. `FILE`: that one has none yet, or how it stands is not known.
    """

    IN_USE = 0
    OUTDATED = 1
    ENDED = 2
    FILE = 3

    @property
    def is_none(self) -> bool:
        return self in (Need.IN_USE, Need.OUTDATED)


@dataclass(frozen=True, slots=True)
class OtherToken:
    """A token of this bot that an uploaded file belongs to.

    `can_open` is False when the file is for its server, but made for the certificate of another token.
    """

    id: str
    name: str
    need: Need
    can_open: bool = True


class FileEmpty(TokenFileUnusable):
    def __init__(self, *, portal: str) -> None:
        super().__init__(
            "The file is empty.", next_step=f"Upload the file ending in .p7m as {portal} gave it."
        )


class AlreadyInUse(TokenFault):
    """The file is the one in use, and the service accepts it."""

    def __init__(self, name: str, days_left: int | None) -> None:
        self.name = name
        days = "1 day" if days_left == 1 else f"{days_left:,} days"
        left = "" if days_left is None else f" ({days} left)"
        super().__init__(f"Nothing to do: this is the token that {name} uses now{left}.")


class FileFitsAnotherToken(TokenFault):
    """The file was made for the certificate of another token of this bot.

    `standing` is about the token it was uploaded to, None when that one has no server token yet.
    """

    def __init__(
        self, name: str, *, other: OtherToken, server_name: str | None, standing: Standing | None
    ) -> None:
        self.name = name
        self.other = other
        self.server_name = server_name
        self.standing = standing
        super().__init__(
            f"This file was made for the certificate of token {other.name}, not for {name}. Nothing was"
            " changed.",
            next_step=None if other.need.is_none else f"Upload it to {other.name}.",
        )


class ServerHasToken(TokenFault):
    """The server has a live token here already; `other` is its name, None if the person may not see it."""

    def __init__(self, name: str, *, server_name: str, other: str | None, portal: str) -> None:
        self.name = name
        self.other = other
        first = f"token {other}" if other else "another token of this bot"
        step = f"Renew {other} instead" if other else "Ask an admin without a limit"
        super().__init__(
            f"Server {server_name} in {portal} already belongs to {first}. Nothing was stored.",
            next_step=f"{step}, or make a new server in {portal} for {name}.",
        )


class NotVerified(TokenFault):
    """The service did not confirm an uploaded token, so it was not stored."""

    def __init__(self, reason: str, *, next_step: str, was_refused: bool = False) -> None:
        self.reason = reason
        self.was_refused = was_refused
        super().__init__(f"{reason} Nothing was stored.", next_step=next_step)


class RenewalFault(EnrollbotError):
    """One check that a renewed token did not pass.

    The message is the fact, the next step the way out where the service no longer accepts the token in
    use. `is_own_way` says that it is the way out in any case.
    """

    is_own_way = False


class FileUnusable(RenewalFault):
    """The file cannot be opened with this token's key pairs, or holds nothing that can be used."""

    def __init__(self, error: EnrollbotError, *, portal: str) -> None:
        super().__init__(error.message, next_step=error.next_step or download_again(portal))


class RenewedExpired(RenewalFault):
    def __init__(self, *, portal: str) -> None:
        super().__init__(
            "The token in this file has expired.",
            next_step=f"Generate a new one on the same server in {portal}.",
        )


class NotLater(RenewalFault):
    def __init__(self, expires_at: datetime, current: datetime, *, portal: str) -> None:
        self.expires_at = expires_at
        same = expires_at == current
        super().__init__(
            "This is the token that is in use already."
            if same
            else "The token in this file expires before the one in use.",
            next_step="Upload the newest file of the server; if there is none, download its token in"
            f" {portal} and upload that one.",
        )


class WrongServer(RenewalFault):
    """The file belongs to another MDM server. `made_for` is its name, `other` a token here that has it."""

    def __init__(
        self, name: str, *, server_name: str, made_for: str | None, portal: str, other: str | None = None
    ) -> None:
        self.name = name
        self.server_name = server_name
        self.made_for = made_for
        self.other = other
        where = f"server {made_for}" if made_for else "another server"
        super().__init__(
            f"It was made for {where}; token {name} needs one made for server {server_name}.",
            next_step=f"In {portal}, open server {server_name}, download its token and upload it here.",
        )


class ServerMadeAgain(RenewalFault):
    """The server has the old name and a new UUID: it was deleted and made again."""

    is_own_way = True

    def __init__(self, name: str, *, server_name: str, texts: BackendTexts) -> None:
        self.server_name = server_name
        super().__init__(
            f"Server {server_name} was deleted in {texts.portal} and made again; for {texts.service} it is a"
            " new server with no devices and no profiles of the old one.",
            next_step="Add it here as a new token.",
        )


class WrongOrganisation(RenewalFault):
    def __init__(self, name: str, *, expected: str, got: str, portal: str) -> None:
        self.expected = expected
        self.got = got
        super().__init__(
            f"It belongs to the organisation {got}; token {name} belongs to {expected}.",
            next_step=f"In {portal}, check the organisation's name, change to {expected} and download it"
            " there.",
        )


class NotAccepted(RenewalFault):
    """The service did not confirm the new token. `was_refused`: it answered that it is not good."""

    def __init__(self, reason: str, *, next_step: str, was_refused: bool) -> None:
        super().__init__(reason, next_step=next_step)
        self.is_own_way = not was_refused


class RenewalRefused(TokenFault):
    """An uploaded token that does not renew this one. Everything stored is as it was.

    `faults` are all the checks that failed, the one that decides first. `other` is the token of this
    bot that the file belongs to, if there is one that the person may renew.
    """

    def __init__(
        self,
        name: str,
        *,
        faults: Sequence[RenewalFault],
        standing: Standing,
        portal: str,
        other: OtherToken | None = None,
    ) -> None:
        self.name = name
        self.faults = tuple(faults)
        self.standing = standing
        self.other = other
        super().__init__(
            f"Token {name} was not renewed: " + " ".join(fault.message for fault in self.faults),
            next_step=way_out(self.faults[0], standing, portal=portal),
        )


def way_out(fault: RenewalFault | None, standing: Standing, *, portal: str) -> str:
    """Return what to do for the token in use after another file was refused.

    A token that is still accepted is not put at risk: nobody is sent to generate one.
    """
    if fault is not None and fault.is_own_way and fault.next_step:
        return fault.next_step
    if standing.accepted:
        return "If the right file was generated, upload it; else nothing has to be done."
    if standing.accepted is None:
        return (
            f"If the right file was generated, upload it; else ask again before anything is done in {portal}."
        )
    step = fault.next_step if fault is not None and fault.next_step else download_again(portal)
    return f"{step} {ends_the_current(portal)}"
