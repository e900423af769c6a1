"""Which span of which passage says a sentence of an answer? Strict on purpose: a doubt leaves it without a source.

In this order: word for word, in the same order with little in between, in other words (server/grounding/restated.py),
part by part, where a sentence puts two statements together; and where no rule finds a source for a statement, what the
embedder takes for one.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, dropwhile
from typing import Literal

from retrieval.claim import Claim
from server.grounding.about import Question, left_out
from server.grounding.asserted import conditions, is_repeated
from server.grounding.likeness import Alike, Entailed
from server.grounding.lines import Line, lines_of
from server.grounding.match import denied, in_order, is_conditional, verbatim
from server.grounding.pairing import Elsewhere
from server.grounding.reading import read, root
from server.grounding.restated import Comparison, Doubt, compare, has_values
from server.grounding.values import merged
from server.grounding.words import ARTICLES, Kind, Word, content_keys, listed, words

Match = Literal["verbatim", "in_order", "restated", "parts", "entailed"]
Reason = Doubt | Literal["empty", "question", "nothing", "fault"]

# Who says it, and "No," in front of a whole sentence: an answer to the question, and no denial of what follows.
_PREAMBLE = re.compile(r"\s*(?:(?:yes|no|yes, indeed|of course|certainly),)?(?:\s*according to [^,]*,)?", re.IGNORECASE)
# What makes a sentence of a short answer, and adds nothing to it: "It is Tom Berg." answers as "Tom Berg" does.
_POINTING = re.compile(
    r"\s*(?:it|that|this|he|she|they|the answer)(?:\s+(?:is|was|are|were|would be|will be)|['’](?:s|re))\s+",
    re.IGNORECASE,
)
# A claim with fewer words that names a number or a name is a phrase ("28 days"); a longer one makes a statement.
_STATEMENT_WORDS = 4
# Of a claim's content words, the share that a sentence must hold before it is worth comparing or naming as a near miss.
_NEAR = 0.34
# Sentences that are compared word by word; what shares less with the claim has never been the source of one.
_COMPARED = 8
# What tells one sentence of the passages from another.
_TELLING = ("content", "value")
_STOPS = (".", "!", "?", ":", ";")
# How likely the embedder must take it that a sentence says a claim. Chosen with
# `python -m tests.bench.grounding --half blind_report --entailed`: at 0.8 more is found, and more is wrong.
LIKELY = 0.9
_STATING = frozenset(listed("is are was were be has have had may must can will shall should do does did"))
# What is longer than any statement is looked for in its own words alone: comparing takes the square of its length.
_LONGEST_STATEMENT = 100
_MOST_PARTS = 12
_PARTS = re.compile(r"(?:[,;]\s+|\s+)(?:and|but|while|whereas)\s+|[;,]\s+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Support:
    """A span that supports a claim: the passage's position, and where in its text."""

    passage: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found for one sentence: spans and how they match, or the reason for finding none."""

    supports: tuple[Support, ...] = ()
    match: Match | None = None
    reason: Reason | None = None


class Sources:
    """The passages of one question, cut into sentences and words once and asked for every sentence of the answer.

    They are cut when the first sentence is asked for, so that a fault in cutting is one of checking.
    """

    def __init__(
        self,
        passages: Sequence[str],
        question: str,
        alike: Alike,
        titles: Sequence[str] = (),
        entailed: Entailed | None = None,
    ) -> None:
        """Take the passages.

        Args:
            entailed: is asked about statements that no rule finds a source for; None: the rules alone decide.
        """
        self._passages, self._titles, self._asked, self._entailed = passages, titles, question, entailed
        self._alike = alike

    @cached_property
    def _question(self) -> Question:
        return Question(self._asked, self._alike)

    @cached_property
    def _question_denies(self) -> bool:
        return any(word.kind is Kind.NEGATION for word in words(self._asked))

    @cached_property
    def _lines(self) -> list[Line]:
        asked = content_keys(self._asked)
        titles = self._titles or [""] * len(self._passages)
        cut = [line for at, text in enumerate(self._passages) for line in lines_of(at, text, titles[at], asked)]
        roots = frozenset(term.key for term in read(self._asked) if term.role == "content")
        used = [frozenset(term.key for term in line.terms if term.role in _TELLING) for line in cut]
        users = Counter(chain.from_iterable(used))
        return [
            replace(line, context=replace(line.context, elsewhere=Elsewhere(users, own), asked=roots))
            for line, own in zip(cut, used, strict=True)
        ]

    def find(self, claim: str) -> Finding:
        """Find what says `claim`, a sentence of the answer; of several spans, the one nearest to the question."""
        preamble = _PREAMBLE.match(claim)
        claim = claim[preamble.end() :] if preamble else claim
        said = _named(merged(claim, words(claim)))
        if pointing := _POINTING.match(claim):
            pointed_at = claim[pointing.end() :]
            given = merged(pointed_at, words(pointed_at))
            named = _named(given)
            if _is_phrase(named) or (len(named) < len(given) and _is_fragment(pointed_at, named)):
                claim, said = pointed_at, named
        if all(word.kind in (Kind.FUNCTION, Kind.MODAL, Kind.NEGATION) for word in said):
            return Finding(reason="empty")  # "Yes." stands in many texts and says nothing by itself
        quoted, is_elsewhere = self._quoted(claim, said)
        if quoted is not None:
            return quoted
        if is_elsewhere:
            return Finding(reason="question")
        if len(said) > _LONGEST_STATEMENT:
            return Finding(reason="nothing")
        is_fragment = _is_fragment(claim, said)
        restated, reason = self._restated(claim, said if is_fragment else None)
        if restated is not None:
            return restated
        if parts := self._in_parts(claim):
            return parts
        likely = None if is_fragment else self._likely(claim)
        return likely or Finding(reason=reason)

    def _quoted(self, claim: str, said: Sequence[Word]) -> tuple[Finding | None, bool]:
        """Find the claim in its own words; and say whether it stands somewhere, but not about what was asked."""
        found: list[tuple[Line, Match]] = []
        is_phrase = _is_fragment(claim, said)
        misplaced = False
        least = sum(word.kind is not Kind.FUNCTION for word in said)
        for line in self._lines:
            match = self._says(line, claim, said) if len(line.words.words) >= least else None
            if match is None:
                continue
            if is_phrase and not self._question.is_answered_by(line.terms, line.context, said):
                misplaced = True
                continue
            found.append((line, match))
        if is_phrase and found:
            lines = [(line.terms, line.context) for line in self._lines]
            is_beaten = self._question.beaten_by(lines, said)
            kept = [(line, match) for line, match in found if not is_beaten(line.terms, line.context)]
            misplaced, found = misplaced or len(kept) < len(found), kept
        if not found:
            return None, misplaced
        line, match = max(
            found,
            key=lambda pair: (
                pair[0].shared,
                pair[0].shared_around,
                -pair[0].passage,
                -pair[0].place.start,
            ),
        )
        return Finding((Support(line.passage, line.place.start, line.place.end),), match), False

    def _says(self, line: Line, claim: str, said: Sequence[Word]) -> Match | None:
        claim_denies = any(word.kind is Kind.NEGATION for word in said)
        is_free = claim_denies or self._question_denies
        is_fragment, is_phrase = _is_fragment(claim, said), _is_phrase(said)
        is_dropped = bool(line.context.conditions) and not conditions(claim)
        if not is_fragment and (is_dropped or is_conditional(line.words, said)):
            return None
        keys = (line.context.asked or frozenset()) | {root(word.text) for word in said}
        unsaid = [
            part for part in line.context.unsaid if not (part.is_asked and is_phrase) and not is_repeated(part, keys)
        ]

        def is_meant(spans: Sequence[tuple[int, int]]) -> bool:
            return any(
                (is_free or not denied(line.words, first, last, is_phrase=is_phrase))
                and not any(part.covers(there[first].start, there[last].end) for part in unsaid)
                for first, last in spans
            )

        there = line.words.words

        if is_meant(verbatim(line.words, claim, said)):
            return "verbatim"
        return "in_order" if is_meant(in_order(line.words, said)) else None

    def _restated(self, claim: str, fragment: Sequence[Word] | None = None) -> tuple[Finding | None, Reason]:
        """Find the claim in other words; a fragment states nothing by itself, and must be about what was asked."""
        terms = read(claim)
        content = {term.key for term in terms if term.role in ("content", "value")}
        if sum(term.role in ("content", "value") for term in terms) < 2:
            return None, "nothing"
        near = sorted(
            self._lines,
            key=lambda line: -len(content & ({term.key for term in line.terms} | line.context.titles)),
        )[:_COMPARED]
        compared: list[tuple[Comparison, Line]] = [
            (compare(terms, line.terms, line.context, self._alike), line) for line in near
        ]
        good = [(comparison, line) for comparison, line in compared if comparison.doubt is None]
        if fragment is not None and good:
            good = [
                (one, line) for one, line in good if self._question.is_answered_by(line.terms, line.context, fragment)
            ]
            if not good:
                return None, "question"
        if good:
            comparison, line = max(good, key=lambda pair: (pair[0].shared, pair[1].shared, -pair[1].passage))
            start = line.previous.start if comparison.needs_before and line.previous else line.place.start
            return Finding((Support(line.passage, start, line.place.end),), "restated"), "nothing"
        nearest = max(compared, key=lambda pair: pair[0].shared, default=None)
        if nearest is None or nearest[0].shared < _NEAR or nearest[0].doubt is None:
            return None, "nothing"
        return None, nearest[0].doubt

    def _likely(self, claim: str) -> Finding | None:
        """Find what the embedder takes for saying it, among the nearest sentences with the same values."""
        if self._entailed is None:
            return None
        terms = read(claim)
        content = {term.key for term in terms if term.role == "content"}
        near = sorted(
            (line for line in self._lines if has_values(terms, line.terms)),
            key=lambda line: -len(content & ({term.key for term in line.terms} | line.context.titles)),
        )[:_COMPARED]
        likelihoods = self._entailed([self._beside(claim, line) for line in near])
        likelihood, line = max(zip(likelihoods, near, strict=True), key=lambda pair: pair[0], default=(0.0, None))
        if line is None or likelihood < LIKELY:
            return None
        if compare(terms, line.terms, line.context, self._alike).is_against:
            return None  # the embedder takes two who change places for the same
        return Finding((Support(line.passage, line.place.start, line.place.end),), "entailed")

    def _beside(self, claim: str, line: Line) -> Claim:
        passage = self._passages[line.passage]
        before = "" if line.previous is None else passage[line.previous.start : line.previous.end]
        title = self._titles[line.passage] if self._titles else ""
        return Claim(self._asked, claim, passage[line.place.start : line.place.end], title, before)

    def _in_parts(self, claim: str) -> Finding | None:
        """Two statements in one sentence, each of which must be said somewhere."""
        parts = [part for part in _PARTS.split(claim) if part.strip()]
        if not 2 <= len(parts) <= _MOST_PARTS:
            return None
        supports: dict[Support, None] = {}
        for part in self._completed(parts):
            terms = read(part)
            if sum(term.role in ("content", "value") for term in terms) < 2:
                return None
            said = merged(part, words(part))
            quoted = None if _is_phrase(said) else self._quoted(f"{part.rstrip('.')}.", said)[0]
            found = quoted or self._restated(part)[0]
            if found is None:
                return None
            supports.update(dict.fromkeys(found.supports))
        return Finding(tuple(supports), "parts")

    def _completed(self, parts: Sequence[str]) -> Iterator[str]:
        """Later parts leave out what the first one names: "the excess is 500 euros for A and 150 euros for B"."""
        first = read(parts[0])
        yield parts[0]
        for part in parts[1:]:
            missing = left_out(first, read(part))
            yield " ".join([*missing, part])


def _named(said: Sequence[Word]) -> list[Word]:
    """The words behind the articles in front."""
    return list(dropwhile(lambda word: word.key in ARTICLES, said))


def _is_phrase(said: Sequence[Word]) -> bool:
    has_fact = any(word.kind in (Kind.EXACT, Kind.NAME, Kind.QUANTITY) for word in said)
    return has_fact and len(said) < _STATEMENT_WORDS


def _is_fragment(claim: str, said: Sequence[Word]) -> bool:
    """Is it an answer without a statement of its own: "the eighth week of life"?"""
    if _is_phrase(said):
        return True
    if len(said) >= 2 * _STATEMENT_WORDS or any(word.text.casefold() in _STATING for word in said):
        return False
    opening = next((word for word in said if word.kind is not Kind.FUNCTION), said[0])
    is_short = len(said) <= _STATEMENT_WORDS or opening.kind in (Kind.EXACT, Kind.NAME, Kind.QUANTITY)
    return is_short or not claim.rstrip().endswith(_STOPS)
