from collections.abc import Mapping, Sequence

from bot.kit.errors import EnrollbotError


class SlackRefuses(EnrollbotError):
    """An answer `{"ok": false, "error": word}` of the Web API.

    `details` go into `response_metadata.messages`, where Slack says which part of a payload is wrong.
    """

    def __init__(
        self,
        word: str,
        *,
        details: Sequence[str] = (),
        extra: Mapping[str, str] | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(" ".join([word, *details]))
        self.word = word
        self.details = list(details)
        self.extra = dict(extra or {})
        self.retry_after = retry_after


class PageRefuses(EnrollbotError):
    """A call of the page that cannot be done; `text` is a sentence to show."""

    def __init__(self, word: str, *, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.word = word
        self.text = text
        self.status = status
