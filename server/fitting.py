"""Passages into a number of tokens: whole ones in their order, or the beginning of one. Knows no prompts."""

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace

from retrieval.types import Passage
from server.grounding.sentences import sentences
from server.ports import Engine

LEAST = 3  # tokens of the shortest passage: one of text, and the blank line

# A title that would keep its passage out is cut to this much: a line names a source, a page of it does not.
_TITLE_TOKENS = 48
# Longer than any word of a language: what is broken here is data, such as a hash or a table without spaces.
_WORD_CHARACTERS = 64


def fitting(passages: Sequence[Passage], engine: Engine, room: int) -> list[Passage]:
    """Take passages until one does not fit; where none has fitted yet, the beginning of the first that can begin.

    Titles that are too long for the room are cut. A passage of which nothing fits is left out, and the next one tried.
    """
    used: list[Passage] = []
    longest_title = min(_TITLE_TOKENS, room // 4)
    for passage, whole in zip(passages, costs(passages, engine), strict=True):
        fitted, cost = passage, whole
        if cost > room and (title := _title(passage.title, engine, longest_title)) != passage.title:
            fitted = replace(passage, title=title)
            (cost,) = costs([fitted], engine)
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
    # 2: the blank line that sets a passage apart is one token, or two.
    return [tokens + 2 for tokens in engine.count([_written(passage) for passage in passages])]


def _title(title: str, engine: Engine, room: int) -> str:
    def cost(end: int) -> int:
        return engine.count([title[:end]])[0]

    return title[: _longest(_ends_of_words(title), room, cost)]


def _beginning(passage: Passage, engine: Engine, room: int) -> Passage | None:
    """The longest one that fits: whole sentences, or whole words where the first sentence is too long."""

    def part(end: int) -> Passage:
        return replace(passage, text=passage.text[:end], end_char=passage.start_char + end)

    def cost(end: int) -> int:
        return costs([part(end)], engine)[0]

    for ends in ([place.end for place in sentences(passage.text)], _ends_of_words(passage.text)):
        # The whole is known not to fit, and may be costly to count again.
        if end := _longest([end for end in ends if end < len(passage.text)], room, cost):
            return part(end)
    return None


def _ends_of_words(text: str) -> list[int]:
    """Where a text may be cut: after each word, and anywhere in what is too long to be one."""
    ends: list[int] = []
    for word in re.finditer(r"\S+", text):
        if word.end() - word.start() > _WORD_CHARACTERS:
            ends.extend(range(word.start() + 1, word.end()))
        ends.append(word.end())
    return ends


def _longest(ends: Sequence[int], room: int, cost: Callable[[int], int]) -> int:
    """The last end that fits; 0: none does.

    Looks at short beginnings first, so that of a long text only about as much is counted as there is room for.
    """
    beyond = 1
    while beyond < len(ends) and cost(ends[beyond - 1]) <= room:
        beyond *= 2
    number = bisect_right(ends, room, hi=min(beyond, len(ends)), key=cost)
    return ends[number - 1] if number else 0


def _written(passage: Passage) -> str:
    return f"{passage.title}:\n\n{passage.text}" if passage.title else passage.text
