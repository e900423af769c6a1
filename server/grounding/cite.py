"""An answer on its way to the client: sentences are checked as they end, and markers put after those that hold.

A marker stands after the sentence's closing punctuation and before the white space that follows: `28 days. [1]`.
"""

import re
from dataclasses import dataclass
from typing import Literal

from hrm_model.template import UNANSWERABLE
from server.grounding.sentences import OpenText, Sentence
from server.grounding.support import Sources, Support

Status = Literal["supported", "partial", "unsupported", "abstained", "no_sources"]
Mode = Literal["off", "cite", "strict"]

_MARKER = re.compile(r"\[(\d+)\]")
_PERHAPS_MARKER = re.compile(r"\[\d*$")


@dataclass(frozen=True, slots=True)
class Mark:
    """A supported sentence, by its place in the text that the client got (the marker included)."""

    start: int
    end: int
    support: Support


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the check of a whole answer came to. The counts are of the model's sentences, withheld ones included."""

    status: Status
    sentences: int = 0
    supported_sentences: int = 0
    marks: tuple[Mark, ...] = ()
    replaced: bool = False  # the configured sentence stands where the model's answer would have


class CitedText:
    """Takes an answer in pieces and gives back what may be sent.

    However the answer was cut into pieces, the same text and the same verdict come out.
    """

    def __init__(self, sources: Sources, *, mode: Mode, abstention: str) -> None:
        self._sources = sources
        self._mode = mode
        self._abstention = abstention
        self._undecided: str | None = ""  # None: certain that the answer is not the abstention
        self._perhaps_marker = ""
        self._text = OpenText()
        self._sent = 0  # how much of the model's text has been dealt with
        self._length = 0  # of what has been given back
        self._sentences = 0
        self._marks: list[Mark] = []
        self._supported = 0

    def grow(self, piece: str) -> str:
        """Take a piece of the model's answer; return what can be sent now."""
        if self._undecided is not None:
            self._undecided += piece
            if UNANSWERABLE.startswith(letters(self._undecided)):
                return ""
            piece, self._undecided = self._undecided, None
        piece = self._defused(piece)
        out = self._settle(self._text.grow(piece))
        if self._mode != "strict":
            out += self._give(self._text.text[self._sent : len(self._text.text.rstrip())])
        return out

    def end(self) -> tuple[str, Verdict]:
        """Return what was held back, and the verdict."""
        if self._undecided is not None and letters(self._undecided) == UNANSWERABLE:
            return self._abstention, Verdict("abstained", replaced=True)
        rest = (self._undecided or "") + self._perhaps_marker
        out = self._settle(self._text.grow(rest)) + self._settle(self._text.end())
        if self._mode != "strict":
            out += self._give(self._text.text[self._sent :])
        status: Status = "partial"
        if self._supported == 0:
            status = "unsupported"
        elif self._supported == self._sentences:
            status = "supported"
        if self._mode == "strict" and not self._length:
            return self._abstention, Verdict(status, self._sentences, replaced=True)
        return out, Verdict(status, self._sentences, self._supported, tuple(self._marks))

    def _settle(self, closed: list[Sentence]) -> str:
        out = ""
        for sentence in closed:
            self._sentences += 1
            support = self._sources.support(self._text.text[sentence.start : sentence.end])
            self._supported += support is not None
            if self._mode != "strict":
                out += self._give(self._text.text[self._sent : sentence.end])
            elif support is not None:
                gap = self._text.text[self._sent : sentence.start] if self._length else ""
                out += self._give(gap + self._text.text[sentence.start : sentence.end])
            if self._mode == "strict":
                self._sent = sentence.end
            if support is not None and self._mode != "off":
                start = self._length - (sentence.end - sentence.start)
                out += self._give(f" [{support.passage + 1}]", of_the_model=False)
                self._marks.append(Mark(start, self._length, support))
        return out

    def _give(self, text: str, *, of_the_model: bool = True) -> str:
        self._length += len(text)
        if of_the_model:
            self._sent += len(text)
        return text

    def _defused(self, piece: str) -> str:
        """Turn `[3]` of the model's own making into `(3)`: a marker in brackets means that the server checked."""
        if self._mode == "off":
            return piece
        piece = self._perhaps_marker + piece
        tail = _PERHAPS_MARKER.search(piece)
        self._perhaps_marker = tail.group() if tail else ""
        return _MARKER.sub(r"(\1)", piece[: len(piece) - len(self._perhaps_marker)])


def letters(text: str) -> str:
    """What of a text is compared with the abstention: spelling without case, spaces and punctuation."""
    return "".join(character for character in text if character.isalnum()).casefold()
