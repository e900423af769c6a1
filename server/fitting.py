"""Passages into a number of tokens: whole ones in their order, or the beginning of one. Knows no prompts."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from retrieval.types import Passage
from server.grounding.sentences import sentences
from server.ports import Engine

_APART = 2  # the blank line that sets a passage apart is one token, or two
LEAST = 1 + _APART  # tokens of the shortest passage: one of text, and the blank line

# A title that would keep its passage out is cut to this much: a line names a source, a page of it does not.
_TITLE_TOKENS = 48
# Longer than any word of a language: what is broken here is data, such as a hash or a table without spaces.
_WORD_CHARACTERS = 64


def fitting(passages: Sequence[Passage], engine: Engine, room: int) -> list[Passage]:
    """Take passages until one does not fit; where none has fitted yet, the beginning of the first that can begin.

    Titles that are too long for the room are cut. A passage of which nothing fits is left out, and the next one tried.
    Of what is thousands of times as long as the room, as a caller may bring it, no more is counted than might fit.
    """
    used: list[Passage] = []
    longest_title = min(_TITLE_TOKENS, room // 4)
    for passage in passages:
        fitted, cost = passage, _cost(passage, engine, room)
        if cost > room and (title := _title(passage.title, engine, longest_title)) != passage.title:
            fitted = replace(passage, title=title)
            cost = _cost(fitted, engine, room)
        if cost <= room:
            used.append(fitted)
            room -= cost
        elif used:
            break
        elif part := _beginning(fitted, engine, room) or _beginning(replace(passage, title=""), engine, room):
            return [part]
    return used


def costs(passages: Sequence[Passage], engine: Engine) -> list[int]:
    """Tokens that each passage takes in a prompt."""
    return [tokens + _APART for tokens in engine.count([_written(passage) for passage in passages])]


def _cost(passage: Passage, engine: Engine, room: int) -> int:
    """The same of one; only as many as are certain where those are more than the room."""
    return _tokens(_written(passage), engine, room - _APART) + _APART


def _tokens(text: str, engine: Engine, room: int) -> int:
    least = engine.least(text)
    return least if least > room else engine.count([text])[0]


def _title(title: str, engine: Engine, room: int) -> str:
    def cost(end: int) -> int:
        return _tokens(title[:end], engine, room)

    return title[: _longest(_ends_of_words(title), room, cost)]


def _beginning(passage: Passage, engine: Engine, room: int) -> Passage | None:
    """The longest one that fits: whole sentences, or whole words where the first sentence is too long."""

    def part(end: int) -> Passage:
        return replace(passage, text=passage.text[:end], end_char=passage.start_char + end)

    def cost(end: int) -> int:
        return _cost(part(end), engine, room)

    text = _within(passage.text, engine, room)
    for ends in ((place.end for place in sentences(text)), _ends_of_words(text)):
        # The whole is known not to fit, and may be costly to count again.
        if end := _longest((end for end in ends if end < len(text)), room, cost):
            return part(end)
    return None


def _within(text: str, engine: Engine, room: int) -> str:
    """The beginning of a text without most of what is certainly too far on to fit."""
    while len(text) > 1 and engine.least(half := text[: len(text) // 2]) > room:
        text = half
    return text


def _ends_of_words(text: str) -> Iterator[int]:
    """Where a text may be cut: after each word, and anywhere in what is too long to be one."""
    for word in re.finditer(r"\S+", text):
        if word.end() - word.start() > _WORD_CHARACTERS:
            yield from range(word.start() + 1, word.end())
        yield word.end()


def _longest(ends: Iterable[int], room: int, cost: Callable[[int], int]) -> int:
    """The last end that fits; 0: none does.

    Looks at short beginnings first, so that of a long text only about as much is counted as there is room for.
    """
    ends, looked_at = iter(ends), list[int]()
    while more := list(islice(ends, max(1, len(looked_at)))):
        looked_at += more
        if cost(looked_at[-1]) > room:
            break
    number = bisect_right(looked_at, room, key=cost)
    return looked_at[number - 1] if number else 0


def _written(passage: Passage) -> str:
    return f"{passage.title}:\n\n{passage.text}" if passage.title else passage.text
