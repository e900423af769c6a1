"""Two values that share what they are measured in: "1,000 to 50,000 euros", "from 7 to 9 p.m."."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from server.grounding.numbers import INTEGER, is_doubtful, kept, plain
from server.grounding.units import CURRENCIES
from server.grounding.words import Kind, Word

_BETWEEN = frozenset({"to", "until", "–", "-"})


def with_shared_units(found: Sequence[Word]) -> list[Word]:
    """Give the first value of a range the unit that is written only behind the second."""
    done = list(found)
    for at in range(len(done) - 2):
        first, joint, second = done[at : at + 3]
        is_between = joint.text == "and" and at > 0 and done[at - 1].text.casefold() == "between"
        if (joint.text in _BETWEEN or is_between) and _is_bare(first):
            done[at] = _like(first, second)
    return done


def _is_bare(word: Word) -> bool:
    return word.kind is Kind.EXACT and not word.unit and bool(INTEGER.fullmatch(word.key.replace(".", "", 1)))


def _like(first: Word, second: Word) -> Word:
    value, count, bare = kept(second.key), kept(second.count), kept(first.key)
    if second.unit and value is not None and count is not None and bare is not None:
        if is_doubtful(first.key):
            if second.unit not in CURRENCIES.values():
                return first
            bare *= 1000
        size = value / count if count else Decimal(1)
        return replace(first, key=plain(bare * size), unit=second.unit, count=first.key)
    if second.key.startswith("time ") and first.key.isdecimal() and int(first.key) <= 12:
        hour = _begins_at(int(first.key), second)
        return first if hour is None else replace(first, key=f"time {hour}:00", count=f"time {hour}:00")
    return first


def _begins_at(hour: int, end: Word) -> int | None:
    """The hour by 24 hours at which a time begins whose end says in which half of the day that is; None: unsaid."""
    if end.text.casefold() == "midnight":
        return None
    written = end.text.partition(":")[0]
    if written.isdecimal() and not 1 <= int(written) <= 12:
        return hour
    ends_at = tuple(map(int, end.key.removeprefix("time ").split(":")))
    # "7 to 9 p.m." begins in the evening, "10 to 2 p.m." in the morning, and "10 to 2 a.m." on the day before.
    both = (hour % 12, hour % 12 + 12)
    return max((one for one in both if (one, 0) < ends_at), default=both[1])
