"""Parts of a whole in words: "three-quarters full" is 75 percent, and "a quarter of an hour" is 15 minutes."""

from collections.abc import Sequence
from decimal import Decimal

from server.grounding.numbers import plain
from server.grounding.raw_words import Merged, as_one, folded_at
from server.grounding.units import MEASURES
from server.grounding.words import Word, listed

_COUNTS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "nine": 9}
_PARTS = {"half": 2, "third": 3, "quarter": 4, "fifth": 5, "tenth": 10}
# Only before these is it a part of something: a quarter is also three months, and a third also comes after a second.
_OF_A_WHOLE = frozenset(listed("of full empty less more off cheaper dearer higher lower longer shorter"))
_OF_A_WHOLE_HALF = frozenset(listed("of full empty the price as that their its"))
# "The first half of the year" is a time and no share of one.
_ORDERED = frozenset(listed("first second other last latter former upper lower this that either each every"))


def share_at(raw: Sequence[Word], at: int) -> Merged | None:
    """A share in words, as a percentage or, of a unit of time, as so much time."""
    before = folded_at(raw, at - 1) if at else ""
    read = None if before in _ORDERED else _fraction_at(raw, at)
    if read is None:
        return None
    count, parts, taken = read
    following = folded_at(raw, at + taken)
    is_bare_half = parts == 2 and taken == 1
    if following == "of" and folded_at(raw, at + taken + 1) in ("a", "an", "one"):
        unit, size = MEASURES.get(folded_at(raw, at + taken + 2), ("", 0))
        if unit:
            return as_one(raw, at, taken + 3, plain(Decimal(size * count) / parts), unit)
    if following not in (_OF_A_WHOLE_HALF if is_bare_half else _OF_A_WHOLE):
        return None
    # A third has no end in percent, and is written as itself.
    share = f"{count}/3" if parts == 3 else plain(Decimal(100 * count) / parts)
    return as_one(raw, at, taken, share, "%")


def _fraction_at(raw: Sequence[Word], at: int) -> tuple[int, int, int] | None:
    """How many of which parts, and in how many words."""
    word = folded_at(raw, at)
    count, _, part = word.partition("-")
    taken = 1
    if word == "half":
        return 1, 2, 1
    if not part:
        part, taken = folded_at(raw, at + 1), 2
    parts = _PARTS.get(part.removesuffix("s"))
    return (_COUNTS[count], parts, taken) if parts and count in _COUNTS else None
