"""Passages as the checks read them: sentence by sentence, each with what surrounds it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from server.grounding.asserted import conditions, unsaid
from server.grounding.match import Words
from server.grounding.pairing import Context
from server.grounding.reading import Term, numbered, read
from server.grounding.sentences import Sentence
from server.grounding.statements import statements
from server.grounding.values import merged
from server.grounding.words import content_keys, listed, words

_PRONOUNS = frozenset(listed("it its they them their he him his she her this these that those"))
_BEFORE_IT = frozenset(listed("you we i on in at during after before"))


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence of a passage."""

    passage: int
    place: Sentence
    words: Words
    terms: tuple[Term, ...]
    context: Context
    previous: Sentence | None  # the sentence before it, which a pronoun of this one points to
    shared: int  # words in common with the question
    shared_around: int  # the same for its passage and title


def lines_of(number: int, passage: str, title: str, asked: set[str]) -> Iterator[Line]:
    """The sentences of a passage; `asked` are the keys of the question's words."""
    around = len(asked & content_keys(f"{title}\n{passage}"))
    heading = read(title)
    titles = frozenset(term.key for term in heading if term.role == "content")
    things = numbered(heading)
    previous: Sentence | None = None
    previous_keys: frozenset[str] = frozenset()
    for place in statements(passage):
        text = passage[place.start : place.end]
        terms = tuple(read(text))
        points_back = previous is not None and _points_back(terms)
        yield Line(
            number,
            place,
            Words(text, tuple(merged(text, words(text)))),
            terms,
            Context(
                titles=titles,
                before=previous_keys if points_back else frozenset(),
                numbered=things,
                unsaid=unsaid(text),
                conditions=conditions(text),
            ),
            previous,
            len(asked & content_keys(text)),
            around,
        )
        previous, previous_keys = place, frozenset(term.key for term in terms if term.role == "content")


def _points_back(terms: Sequence[Term]) -> bool:
    """Begins it with a pronoun, what you do to "it", or when "it" is so? A later pronoun is for a word of its own."""
    is_told = bool(terms) and terms[0].word.text.casefold() in _BEFORE_IT
    opening = 0
    for term in terms:
        if term.word.text.casefold() in _PRONOUNS:
            return True
        opening += term.role == "content"
        if opening > is_told:
            return False
    return False
