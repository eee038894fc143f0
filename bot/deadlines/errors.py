"""What can be wrong with a date to watch, its name or a certificate: named facts, written for a person."""

from collections.abc import Collection

from bot.kit.errors import EnrollbotError


class DeadlineFault(EnrollbotError):
    """Base of what this room refuses."""


class DeadlineNameWrong(DeadlineFault):
    def __init__(self, name: str) -> None:
        super().__init__(
            f"“{name}” cannot be the name of a deadline.",
            next_step="Use 1 to 40 letters, digits, dots, dashes or underscores, no dot first, such as"
            " mdm-push.",
        )


class DeadlineNameTaken(DeadlineFault):
    def __init__(self, name: str) -> None:
        super().__init__(
            f"There is a deadline {name} already, and you may not change it.",
            next_step="Choose another name.",
        )


class DeadlineUnknown(DeadlineFault):
    def __init__(self, name: str, nearest: str | None, *, slash: str) -> None:
        self.nearest = nearest
        hint = (
            f"Did you mean {nearest}?" if nearest else f"`{slash} watch list` shows those that you may see."
        )
        super().__init__(f"There is no deadline {name} that you may see.", next_step=hint)


class DeadlineGone(DeadlineFault):
    def __init__(self) -> None:
        super().__init__("That deadline is not here any more, or you may not see it.")


class DateWrong(DeadlineFault):
    def __init__(self, text: str) -> None:
        super().__init__(
            f"“{text}” is not a date.", next_step="Write year, month and day, such as 2027-03-01."
        )


class DatePast(DeadlineFault):
    def __init__(self, text: str) -> None:
        super().__init__(
            f"{text} has begun already.", next_step="Give a day to come, such as that of the renewal."
        )


class DateTooFar(DeadlineFault):
    def __init__(self, text: str, years: int) -> None:
        super().__init__(
            f"{text} is more than {years} years away.",
            next_step="Look at the year once more; dates are written as 2027-03-01.",
        )


class DeadlineTagWrong(DeadlineFault):
    def __init__(self, tag: str) -> None:
        super().__init__(
            f"“{tag}” cannot be a scope tag.",
            next_step="Use up to 20 tags of 1 to 40 letters, digits, dots, dashes or underscores.",
        )


class DeadlineTagsNotYours(DeadlineFault):
    def __init__(self, own: Collection[str]) -> None:
        super().__init__(
            "Your role is limited to tags, so a deadline of yours carries one of them and no others.",
            next_step=f"Give it some of your tags: {', '.join(sorted(own))}.",
        )


class ChannelWrong(DeadlineFault):
    def __init__(self, text: str) -> None:
        super().__init__(
            f"“{text}” is not a channel.", next_step="Choose it from the list that # opens, or write none."
        )


class OwnerWrong(DeadlineFault):
    def __init__(self, text: str) -> None:
        super().__init__(
            f"“{text}” is not a person or user group.",
            next_step="Choose them from the list that @ opens, or write none.",
        )


class CertificateDecides(DeadlineFault):
    """A date was typed for what has a certificate, whose own end is the right one."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"The date of {name} comes from its certificate.",
            next_step="Upload the renewed certificate, or remove the deadline first.",
        )


class TooManyDeadlines(DeadlineFault):
    def __init__(self, limit: int) -> None:
        super().__init__(f"There are {limit} deadlines already.", next_step="Remove some that are over.")


class CertificateFault(DeadlineFault):
    """Base of what is wrong with an uploaded file. Nothing of it is kept."""


class HoldsPrivateKey(CertificateFault):
    def __init__(self) -> None:
        super().__init__(
            "This file holds a private key. It was not kept here, but it has been in Slack.",
            next_step="Delete it in Slack, and upload the certificate alone (.pem or .cer). Who could read"
            " the file has the key: consider making a new one.",
        )


class IsRequest(CertificateFault):
    def __init__(self) -> None:
        super().__init__(
            "This file is a signing request, not a certificate: it has no expiry date yet.",
            next_step="Upload the certificate that was made from it.",
        )


class NoCertificate(CertificateFault):
    def __init__(self) -> None:
        super().__init__(
            "There is no certificate in this file that can be read.",
            next_step="Upload the public part of the certificate, a .pem or .cer file.",
        )


class CertificateOver(CertificateFault):
    def __init__(self, day: str) -> None:
        super().__init__(
            f"This certificate expired on {day}.",
            next_step="Upload the one in use, or the renewed one.",
        )


class CertificateOlder(CertificateFault):
    def __init__(self, day: str) -> None:
        super().__init__(
            f"This certificate expires on {day}, before the one that is watched.",
            next_step="Upload the renewed one.",
        )


class OtherTopic(CertificateFault):
    """A renewed push certificate that stands for other devices than the one before."""

    def __init__(self, before: str, after: str | None, *, service: str) -> None:
        self.before = before
        self.after = after
        super().__init__(
            f"This certificate has another topic: {after or 'none'} instead of {before}. With it in the MDM"
            " server, every device must enroll again.",
            next_step=f"Renew the former one with the same {service} Account, and upload that. If another"
            " topic is meant, tick the box.",
        )


class DeliveredAgain(DeadlineFault):
    """Slack delivered something a second time: its first delivery answers."""

    def __init__(self) -> None:
        super().__init__("This was done already.")
