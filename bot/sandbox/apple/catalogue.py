"""Invents devices that look like the ones an organisation owns. The same seed invents the same ones."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

ALPHABET = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"  # serial numbers use neither I nor O
_TEN = len(ALPHABET) ** 10
_FIVE = len(ALPHABET) ** 5


@dataclass(frozen=True, slots=True)
class Kind:
    """One product: `plants` are the beginnings of old 12-character serials, none means 10 random ones."""

    model: str
    family: str
    os: str
    description: str
    colors: tuple[str, ...]
    storages: tuple[str, ...]
    plants: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    cellular: bool = False
    ethernet: bool = False
    share: int = 1


_IPAD_COLORS = ("SPACE GRAY", "BLUE", "PURPLE", "STARLIGHT")
_MAC_COLORS = ("SPACE GRAY", "SILVER", "MIDNIGHT")

KINDS = (
    Kind(
        "iPad (9th generation)",
        "iPad",
        "iPadOS",
        "IPAD 9TH GEN WI-FI {storage} {color}-USA",
        ("SPACE GRAY", "SILVER"),
        ("64GB", "256GB"),
        ("F9F", "DMP", "GG7"),
        ("Q1GC", "Q1KR"),
        share=8,
    ),
    Kind(
        "iPad (10th generation)",
        "iPad",
        "iPadOS",
        "IPAD 10TH GEN WI-FI {storage} {color}-USA",
        ("SILVER", "BLUE", "PINK", "YELLOW"),
        ("64GB", "256GB"),
        share=7,
    ),
    Kind(
        "iPad Air (M2)",
        "iPad",
        "iPadOS",
        "IPAD AIR 11 M2 WI-FI {storage} {color}-USA",
        _IPAD_COLORS,
        ("128GB", "256GB"),
        share=5,
    ),
    Kind(
        "iPad Air (M3)",
        "iPad",
        "iPadOS",
        "IPAD AIR 13 M3 CELLULAR {storage} {color}-USA",
        _IPAD_COLORS,
        ("128GB", "256GB"),
        cellular=True,
        share=2,
    ),
    Kind(
        "iPhone 13",
        "iPhone",
        "iOS",
        "IPHONE 13 {color} {storage}-USA",
        ("MIDNIGHT", "STARLIGHT", "BLUE", "PRODUCT RED"),
        ("128GB", "256GB"),
        ("F17", "G6T"),
        ("0D3Y", "PLJM"),
        cellular=True,
        share=3,
    ),
    Kind(
        "iPhone 16e",
        "iPhone",
        "iOS",
        "IPHONE 16E {color} {storage}-USA",
        ("BLACK", "WHITE"),
        ("128GB", "256GB"),
        cellular=True,
        share=4,
    ),
    Kind(
        "iPhone 17",
        "iPhone",
        "iOS",
        "IPHONE 17 {color} {storage}-USA",
        ("BLACK", "SAGE", "LAVENDER", "MIST BLUE"),
        ("256GB", "512GB"),
        cellular=True,
        share=2,
    ),
    Kind(
        "MacBook Air",
        "Mac",
        "OSX",
        "MBA 13.6 {color}/M3/8C GPU/16GB/{storage}-USA",
        _MAC_COLORS,
        ("256GB", "512GB"),
        share=6,
    ),
    Kind(
        "MacBook Pro",
        "Mac",
        "OSX",
        "MBP 13.3 {color}/2.0GHZ/8GB/{storage}-USA",
        ("SPACE GRAY", "SILVER"),
        ("256GB", "512GB"),
        ("C02", "FVF"),
        ("GGC0", "Q05N"),
        share=2,
    ),
    Kind(
        "MacBook Pro",
        "Mac",
        "OSX",
        "MBP 14.2 {color}/M4 PRO/24GB/{storage}-USA",
        ("SPACE BLACK", "SILVER"),
        ("512GB", "1TB"),
        share=2,
    ),
    Kind(
        "Mac mini",
        "Mac",
        "OSX",
        "MAC MINI {color}/M4/16GB/{storage}-USA",
        ("SILVER",),
        ("256GB", "512GB"),
        ethernet=True,
        share=1,
    ),
    Kind(
        "iMac",
        "Mac",
        "OSX",
        "IMAC 24 {color}/M4/10C GPU/16GB/{storage}-USA",
        ("BLUE", "GREEN", "SILVER"),
        ("256GB", "512GB"),
        ethernet=True,
        share=1,
    ),
    Kind(
        "Apple TV 4K",
        "AppleTV",
        "tvOS",
        "APPLE TV 4K WI-FI + ETHERNET {storage}-USA",
        ("BLACK",),
        ("128GB",),
        ethernet=True,
        share=1,
    ),
)
_PAIRS = tuple(first + second for second in ALPHABET for first in ALPHABET)
_WITH_V10_KEYS = 0.7


def _variants(kind: Kind) -> tuple[str, ...]:
    """Every color and storage of a product, as the rest of a device's JSON."""
    return tuple(
        f'"model":"{kind.model}","description":"{kind.description.format(color=color, storage=storage)}",'
        f'"color":"{color}","device_family":"{kind.family}","os":"{kind.os}"'
        for color in kind.colors
        for storage in kind.storages
    )


_BY_SHARE = tuple(pair for kind in KINDS for pair in [(kind, _variants(kind))] * kind.share)


@dataclass(frozen=True, slots=True)
class MadeDevice:
    """`facts` and `v10` are the insides of a JSON object, ready to be joined into a page."""

    serial: str
    facts: str
    v10: str


def invent(count: int, *, start: int, seed: int) -> Iterator[MadeDevice]:
    """Invent `count` devices; `start` is how many were invented before, so that no serial comes twice."""
    chance = random.Random(f"{seed}:{start}")
    for index in range(start, start + count):
        kind, variants = _BY_SHARE[int(chance.random() * len(_BY_SHARE))]
        serial = _serial(kind, index, seed, chance)
        variant = variants[int(chance.random() * len(variants))]
        facts = f'"serial_number":"{serial}",{variant}'
        v10 = _v10(kind, index, chance) if chance.random() < _WITH_V10_KEYS else ""
        yield MadeDevice(serial, facts, v10)


def _serial(kind: Kind, index: int, seed: int, chance: random.Random) -> str:
    # Multiplying by a number that shares no factor with the size visits every value once: no repeats.
    if not kind.plants:
        return _letters(((index + seed * 7_919_777) * 1_181_783_497_276_653) % _TEN, 10)
    middle = _letters(((index + seed * 104_729) * 24_036_583) % _FIVE, 5)
    plant = kind.plants[int(chance.random() * len(kind.plants))]
    return plant + middle + kind.codes[int(chance.random() * len(kind.codes))]


def _letters(number: int, length: int) -> str:
    text = ""
    while len(text) < length:
        number, pair = divmod(number, len(_PAIRS))
        text += _PAIRS[pair]
    return text[:length]


def _v10(kind: Kind, index: int, chance: random.Random) -> str:
    wifi = chance.getrandbits(24)
    keys = [f'"wifi_mac_address":"{_mac(wifi)}"', f'"bluetooth_mac_address":"{_mac(wifi ^ 1)}"']
    if kind.ethernet:
        keys.append(f'"ethernet_mac_address":"{_mac(wifi ^ 2)}"')
    if kind.cellular:
        keys.append(f'"imei":["{_imei(index, 35_4)}","{_imei(index, 35_5)}"]')
        keys.append(f'"eid":"8904903200740888260{index % 10**13:013d}"')
    return ",".join(keys)


def _mac(low: int) -> str:
    return f"F0:B3:EC:{low >> 16 & 255:02X}:{low >> 8 & 255:02X}:{low & 255:02X}"


def _imei(index: int, maker: int) -> str:
    digits = f"{maker}{index % 10**11:011d}"
    doubled = [int(d) * (1 + place % 2) for place, d in enumerate(digits)]
    return f"{digits}{-sum(d // 10 + d % 10 for d in doubled) % 10}"
