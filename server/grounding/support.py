"""Does a passage say this sentence? Strict on purpose: a doubt leaves the sentence without a source.

A sentence is supported when one sentence of one passage contains it word for word, or says it in the same order with
little in between. Reordering is not accepted: "A pays B" and "B pays A" share every word.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from server.grounding.sentences import Sentence, sentences
from server.grounding.words import Kind, Word, content_keys, words

_ARTICLES = {"a", "an", "the"}
_PREAMBLE = re.compile(r"\s*according to [^,]*,", re.IGNORECASE)
_CLAUSE_END = re.compile(r"[,;:—]")
_JOINTS = {"and", "but", "or", "while", "whereas", "although", "though"}
# What must not be skipped between two words of a claim: it would change who, how much, or whether at all.
_WEIGHTY = {Kind.EXACT, Kind.NAME, Kind.QUANTITY, Kind.NEGATION, Kind.MODAL}
# Of the meaningful words between a claim's first and last word in the source, the share that the claim repeats.
_MIN_DENSITY = 0.7
# A claim with fewer words that names a number or a name is a phrase ("28 days"); a longer one makes a statement.
_STATEMENT_WORDS = 4


@dataclass(frozen=True, slots=True)
class Support:
    """The sentence that supports a claim: the passage's position, and where in its text."""

    passage: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Line:
    passage: int
    place: Sentence
    text: str
    words: tuple[Word, ...]
    shared: int  # words in common with the question
    shared_around: int  # the same for its passage and title


class Sources:
    """The passages of one question, cut into sentences and words once and asked for every sentence of the answer."""

    def __init__(self, passages: Sequence[str], question: str, titles: Sequence[str] = ()) -> None:
        asked = content_keys(question)
        self._question_denies = any(word.kind is Kind.NEGATION for word in words(question))
        self._lines = []
        for number, passage in enumerate(passages):
            title = titles[number] if titles else ""
            around = len(asked & content_keys(f"{title}\n{passage}"))
            for place in sentences(passage):
                text = passage[place.start : place.end]
                shared = len(asked & content_keys(text))
                self._lines.append(_Line(number, place, text, tuple(words(text)), shared, around))

    def support(self, claim: str) -> Support | None:
        """Find the sentence that says `claim`; of several, the one nearest to the question, then the earliest."""
        preamble = _PREAMBLE.match(claim)
        claim = claim[preamble.end() :] if preamble else claim
        said = words(claim)
        while said and said[0].key in _ARTICLES:
            said = said[1:]
        if all(word.kind in (Kind.FUNCTION, Kind.MODAL, Kind.NEGATION) for word in said):
            return None  # "Yes." stands in many texts and says nothing by itself
        found = [line for line in self._lines if self._says(line, claim, said)]
        if not found:
            return None
        best = max(found, key=lambda line: (line.shared, line.shared_around, -line.passage, -line.place.start))
        return Support(best.passage, best.place.start, best.place.end)

    def _says(self, line: _Line, claim: str, said: Sequence[Word]) -> bool:
        spans = [*_verbatim(line, claim, said), *_in_order(line, said)]
        claim_denies = any(word.kind is Kind.NEGATION for word in said)
        if claim_denies or self._question_denies:
            return bool(spans)
        has_fact = any(word.kind in (Kind.EXACT, Kind.NAME, Kind.QUANTITY) for word in said)
        is_phrase = has_fact and len(said) < _STATEMENT_WORDS
        return any(not _denied(line, first, last, is_phrase=is_phrase) for first, last in spans)


def _verbatim(line: _Line, claim: str, said: Sequence[Word]) -> list[tuple[int, int]]:
    """Where the claim's words stand side by side, with the same punctuation between them."""
    spans = []
    for first in range(len(line.words) - len(said) + 1):
        there = line.words[first : first + len(said)]
        if (
            all(_same_spelling(a, b) for a, b in zip(said, there, strict=True))
            and _gaps(claim, said) == _gaps(line.text, there)
            and not _cuts_a_number(line, first, first + len(said) - 1)
        ):
            spans.append((first, first + len(said) - 1))
    return spans


def _in_order(line: _Line, said: Sequence[Word]) -> list[tuple[int, int]]:
    """Where the claim's meaningful words follow each other, with nothing weighty and little else in between."""
    claim = [word for word in said if word.kind is not Kind.FUNCTION]
    if len(claim) < 2:
        return []
    spans = []
    for first, word in enumerate(line.words):
        if not _same_meaning(claim[0], word):
            continue
        at, skipped, clean = first, 0, True
        for wanted in claim[1:]:
            gap: list[Word] = []
            at += 1
            while at < len(line.words) and not _same_meaning(wanted, line.words[at]):
                gap.append(line.words[at])
                at += 1
            meaningful = [passed for passed in gap if passed.kind is not Kind.FUNCTION and passed.key not in _JOINTS]
            joint = any(passed.key in _JOINTS for passed in gap)
            clean &= not any(passed.kind in _WEIGHTY for passed in gap) and not (joint and meaningful)
            skipped += len(meaningful)
        is_dense = len(claim) >= _MIN_DENSITY * (len(claim) + skipped)
        if at < len(line.words) and clean and is_dense and not _cuts_a_number(line, first, at):
            spans.append((first, at))
    return spans


def _same_spelling(said: Word, there: Word) -> bool:
    if Kind.EXACT in (said.kind, there.kind):
        return said.text == there.text
    return said.text.casefold() == there.text.casefold()


def _same_meaning(said: Word, there: Word) -> bool:
    if said.kind in (Kind.EXACT, Kind.NAME) or there.kind is Kind.EXACT:
        return said.text == there.text
    if said.kind is Kind.NEGATION:
        return there.kind is Kind.NEGATION
    return said.key == there.key


def _gaps(text: str, of: Sequence[Word]) -> list[str]:
    return ["".join(text[left.end : right.start].split()) for left, right in pairwise(of)]


def _cuts_a_number(line: _Line, first: int, last: int) -> bool:
    """Is the outermost number only a part of one: 3 of "3 million", 15 of "15%", five of "twenty five"?"""
    inside, outside = line.words[last], line.words[last + 1 : last + 2]
    if inside.is_number and outside:
        touches = not line.text[inside.end : outside[0].start].strip()
        if touches and (outside[0].is_number or outside[0].text in "%‰"):
            return True
    inside, outside = line.words[first], line.words[max(0, first - 1) : first]
    if inside.is_number and outside:
        return outside[0].is_number and not line.text[outside[0].end : inside.start].strip()
    return False


def _denied(line: _Line, first: int, last: int, *, is_phrase: bool) -> bool:
    """Does the source take back what it says between two of its words?

    "must not exceed 500 euros" does contain the answer 500 euros, so for a phrase only the word right before counts;
    for a statement ("pets are allowed") every negation before it in its clause does.
    """
    before = line.words[max(0, first - 1) : first] if is_phrase else line.words[:first]
    after = line.words[last + 1 : last + 3]
    begin, end = line.words[first].start, line.words[last].end
    return any(
        word.kind is Kind.NEGATION and not _CLAUSE_END.search(line.text[word.end : begin]) for word in before
    ) or any(word.kind is Kind.NEGATION and not _CLAUSE_END.search(line.text[end : word.start]) for word in after)
