"""Fetching a file that a person handed over in Slack."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SlackFile:
    """A file as it was handed over. The content may be a secret and stays out of logs."""

    name: str
    content: bytes = field(repr=False)
