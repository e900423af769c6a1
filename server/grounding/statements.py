"""The statements of a passage: its sentences, and each line of a list of "name: value" for itself.

Only passages are cut like this. An answer is cut while it is still being written (server/grounding/sentences.py), and
must come out the same however it arrives.
"""

import re
from collections.abc import Iterator

from server.grounding.sentences import Sentence, sentences
from server.grounding.words import words

# A short name, a colon, and something behind it; what stands in brackets may be longer and have a colon of its own.
_ENTRY = re.compile(r"[ \t]*[^\W_a-z][^\n:.(]{0,60}(?:\([^()\n]{0,80}\)[^\n:.(]{0,40})?:[ \t]+\S")
_LINE = re.compile(r"\n[ \t]*")
_WRITTEN = re.compile(r"\S(?:[^\n]*\S)?")  # a line without the white space around it
# The longest sentence of the labelled passages has 61. Comparing takes the square of the length.
_MOST_WORDS = 300


def statements(passage: str) -> Iterator[Sentence]:
    """Cut a passage into what is compared with an answer.

    Where no sentence ends for long, each line is taken for one; what is too long even so is left out.
    """
    for place in _entries(passage):
        if _is_sentence(passage, place):
            yield place
        else:
            yield from (line for line in _lines(passage, place) if _is_sentence(passage, line))


def _is_sentence(passage: str, place: Sentence) -> bool:
    return place.end - place.start <= _MOST_WORDS or len(words(passage[place.start : place.end])) <= _MOST_WORDS


def _lines(passage: str, place: Sentence) -> Iterator[Sentence]:
    for line in _WRITTEN.finditer(passage, place.start, place.end):
        yield Sentence(line.start(), line.end())


def _entries(passage: str) -> Iterator[Sentence]:
    for place in sentences(passage):
        start = place.start
        for gap in _LINE.finditer(passage, place.start, place.end):
            if _ENTRY.match(passage, gap.end(), place.end):
                yield Sentence(start, gap.start())
                start = gap.end()
        yield Sentence(start, place.end)
