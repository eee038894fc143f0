"""The base of every error whose text a person may read."""


class EnrollbotError(Exception):
    """An error written for the person who meets it.

    `str(error)` is one or two sentences of plain text: what happened and what to do next. It holds
    no secret, no payload and no stack. Text that came from outside (file names, names typed by a
    person, words of a remote service) may stand in it unescaped; the screen escapes it.
    """

    def __init__(self, message: str, *, next_step: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.message} {self.next_step}" if self.next_step else self.message
