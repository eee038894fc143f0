"""What this room hands on: plain values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Event:
    """An event that waits to be told. `tries` is how often that failed."""

    number: int
    id: str
    kind: str
    at: datetime
    body: Mapping[str, Any]
    tries: int
