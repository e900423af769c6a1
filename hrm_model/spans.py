"""One answer's place in the texts that it has to be a span of: which tokens may come next.

A mask is a function of the texts and of the answer so far, as with a compiled grammar (grammar_matching.py); but every
question brings other texts, so that nothing is compiled here, and nobody waits for a compiler.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np

from hrm_model.endings import Allowed, Vocabulary
from hrm_model.errors import InvalidGrammar
from hrm_model.types import SpanOf

# What white space and dashes set apart; a number, a code or an address is one, and no part of it is said alone.
_WORD = re.compile(r"[^\s–—]+|[–—]")
_POSSESSIVE = ("'s", "’s")
_APART = b"\n"  # between two texts; within them white space is one blank


@dataclass(frozen=True, slots=True)
class Place:
    """Where an answer stands: what may come next, and where each of those tokens ends in the texts, all of them."""

    allowed: Allowed
    leads: dict[int, list[int]]


class Excerpts:
    """The texts of one request, side by side in UTF-8, with the places where a span of them may begin and end."""

    def __init__(self, form: SpanOf, words: Vocabulary) -> None:
        """Read the texts.

        Raises:
            InvalidGrammar: there is no word in them, and nothing else that may be said.
        """
        said, starts, ends = bytearray(), list[int](), set[int]()
        spans_end = 0
        for text, is_option in [*((text, False) for text in form.texts), *((text, True) for text in form.options)]:
            plain = " ".join(text.split())
            if not plain:
                continue
            begins, stops = ([0], [len(plain)]) if is_option else _bounds(plain)
            place = list(accumulate((len(letter.encode()) for letter in plain), initial=len(said)))
            starts += [place[at] for at in begins]
            ends |= {place[at] for at in stops}
            said += plain.encode() + _APART
            spans_end = spans_end if is_option else len(said)
        if not starts:
            raise InvalidGrammar("", "the texts hold no word")
        self._words, self._text, self._ends = words, bytes(said), ends
        opening = self._place(starts, may_end=False)
        apart = [token for token, at in opening.leads.items() if min(at) > spans_end]
        leaning = (apart, form.leaning) if form.leaning else None
        self.opening = replace(opening, allowed=replace(opening.allowed, leaning=leaning))

    def after(self, place: Place, token: int) -> Place:
        """The place after one of the tokens that may come next; after the closing one nothing may."""
        at = place.leads.get(token, [])
        return self._place(at, may_end=not self._ends.isdisjoint(at))

    def _place(self, places: Iterable[int], *, may_end: bool) -> Place:
        leads: dict[int, list[int]] = {}
        for at in places:
            line = self._text.index(_APART, at)
            for end in range(at + 1, min(at + self._words.longest, line) + 1):
                for token in self._words.spelling(self._text[at:end]):
                    leads.setdefault(token, []).append(end)
        mask = np.zeros_like(self._words.ordinary)
        mask[list(leads)] = True
        mask[self._words.end] = may_end
        return Place(Allowed(mask, self._words.end), leads)


def _bounds(text: str) -> tuple[list[int], list[int]]:
    """Where a span may begin and end: at words, with the punctuation and the brackets around them or without."""
    starts, ends = list[int](), list[int]()
    for found in _WORD.finditer(text):
        word, at = found[0], found.start()
        inner = [number for number, letter in enumerate(word) if letter.isalnum()] or [0, len(word) - 1]
        starts += range(at, at + inner[0] + 1)
        ends += range(at + inner[-1] + 1, found.end() + 1)
        if word[: inner[-1] + 1].endswith(_POSSESSIVE):
            ends.append(at + inner[-1] - 1)
    return starts, ends


class SpanMatching:
    """Follows one answer: the same as `grammar_matching.Matching`, for spans."""

    fault = None  # there is always a token that goes on, or the end

    def __init__(self, excerpts: Excerpts) -> None:
        """Begin in front of the answer."""
        self._excerpts, self._place = excerpts, excerpts.opening
        self._tried: list[tuple[int, Place]] = []  # a draft's tokens, and the place after each

    @property
    def is_complete(self) -> bool:
        """Whether nothing but the closing token may follow."""
        return not self._place.leads

    def accept(self, token: int) -> None:
        """Take note of the answer's next token."""
        if self._tried and self._tried[0][0] == token:
            (_, self._place), *self._tried = self._tried
        else:
            self._place, self._tried = self._excerpts.after(self._place, token), []

    def allowed(self, draft: Sequence[int]) -> list[Allowed | None]:
        """What may come next, and what after each token of a draft; None after what is not `fitting`."""
        fits = len(self.fitting(draft))
        after = [place.allowed for _, place in self._tried[:fits]]
        return [self._place.allowed, *after, *[None] * (len(draft) - fits)]

    def fitting(self, draft: Sequence[int]) -> list[int]:
        """The beginning of a draft that is a span."""
        if [token for token, _ in self._tried[: len(draft)]] != list(draft):
            self._tried = list(self._along(draft))
        return [token for token, _ in self._tried[: len(draft)]]

    def forced(self, most: int) -> list[int]:
        """Nothing: what follows in the texts is proposed as a draft anyway, which is read from the prompt."""
        return []

    def _along(self, draft: Sequence[int]) -> Iterator[tuple[int, Place]]:
        place = self._place
        for token in draft:
            if token not in place.leads:
                return
            place = self._excerpts.after(place, token)
            yield token, place


def span_matchings(form: SpanOf, choices: int, words: Vocabulary) -> list[SpanMatching]:
    """One for each choice.

    Raises:
        InvalidGrammar: see `Excerpts`.
    """
    excerpts = Excerpts(form, words)
    return [SpanMatching(excerpts) for _ in range(choices)]
