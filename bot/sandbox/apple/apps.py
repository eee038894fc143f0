"""Apps and books that a location may have, invented; the same ones for the same seed."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

COMPANY_PORTAL = "719171358"
UNLIMITED = 2_147_483_647

_FIRST = (
    "Field", "Ward", "Depot", "Class", "Counter", "Harbour", "Night", "Orchard", "Paper", "Quiet",
    "River", "Shop", "Stage", "Store", "Summit", "Till", "Tower", "Valley", "Visit", "Work",
)  # fmt: skip
_SECOND = (
    "Notes", "Check", "Atlas", "Roster", "Forms", "Scanner", "Board", "Mail", "Library", "Planner",
    "Counts", "Route", "Tickets", "Viewer", "Lessons", "Clock", "Stock", "Signals", "Sketch", "Guide",
)  # fmt: skip
_PLATFORMS = (["iOS"], ["iOS"], ["iOS", "macOS"], ["macOS"], ["tvOS"])


@dataclass(slots=True)
class Stock:
    """An app or book and its licences. `is_custom` ones are named only to who shows the location's token."""

    adam_id: str
    name: str
    bundle_id: str
    total: int
    assigned: int
    platforms: list[str]
    pricing: str = "STDQ"
    is_book: bool = False
    device_assignable: bool = True
    is_custom: bool = False

    @property
    def available(self) -> int:
        return self.total - self.assigned


def company_portal(*, total: int, assigned: int) -> Stock:
    return Stock(
        COMPANY_PORTAL,
        "Intune Company Portal",
        "com.microsoft.CompanyPortal",
        total,
        assigned,
        ["iOS", "visionOS"],
    )


def invent_stock(count: int, *, seed: str) -> Iterator[Stock]:
    """Make up apps: some are free without a limit, some are books, some are custom apps."""
    chance = random.Random(f"stock:{seed}")
    for number in range(count):
        first, second = _FIRST[number % 20], _SECOND[number // 20 % 20]
        free = number % 7 == 3
        total = UNLIMITED if free else chance.choice((25, 50, 100, 250, 500))
        assigned = chance.randint(0, 400) if free else chance.randint(0, total * 4 // 5)
        yield Stock(
            adam_id=str(400_000_000 + number * 977 + chance.randrange(900)),
            name=f"{first} {second}" + (f" {number // 400 + 1}" if number >= 400 else ""),
            bundle_id=f"com.example.{first}.{second}{number // 400 or ''}".lower(),
            total=total,
            assigned=assigned,
            platforms=list(_PLATFORMS[number % len(_PLATFORMS)]),
            is_book=number % 30 == 29,
            device_assignable=number % 30 != 29 and number % 11 != 5,
            is_custom=number % 40 == 39,
        )
