"""What a misspelt word was most likely meant to be."""

from collections.abc import Iterable

from rapidfuzz import fuzz, process


def nearest(word: str, known: Iterable[str], *, at_least: float = 70) -> str | None:
    """Return the known word that `word` was most likely meant to be, None when none is near."""
    found = process.extractOne(word.lower(), sorted(set(known)), scorer=fuzz.ratio, score_cutoff=at_least)
    return found[0] if found else None
