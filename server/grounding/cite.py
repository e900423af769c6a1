"""An answer on its way to the client: sentences are checked as they end, and markers put after those that hold.

A marker stands after the sentence's closing punctuation and before the white space that follows: `28 days. [1]`.
"""

from dataclasses import dataclass
from typing import Literal

from hrm_model.template import UNANSWERABLE
from server.grounding.brackets import Brackets
from server.grounding.faults import finding_of
from server.grounding.sentences import OpenText, Sentence
from server.grounding.support import Finding, Sources, Support

Status = Literal["supported", "partial", "unsupported", "abstained", "no_sources"]
Mode = Literal["off", "cite", "strict"]

# A sentence ends in one of these, or in the white space of a new line, and only there is there something to check.
_ENDINGS = frozenset(".!?…\n\"'”’)]")


@dataclass(frozen=True, slots=True)
class Mark:
    """A supported sentence, by its place in the text that the client got (the marker included)."""

    start: int
    end: int
    support: Support


@dataclass(frozen=True, slots=True)
class Checked:
    """What became of one sentence of the model's; its place is in the text that the client got, None if withheld."""

    start: int | None
    end: int | None
    finding: Finding

    @property
    def verdict(self) -> Literal["supported", "unsupported", "withheld"]:
        """In a word."""
        if self.finding.supports:
            return "supported"
        return "unsupported" if self.start is not None else "withheld"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the check of a whole answer came to. The counts are of the model's sentences, withheld ones included."""

    status: Status
    sentences: int = 0
    supported_sentences: int = 0
    marks: tuple[Mark, ...] = ()
    checked: tuple[Checked, ...] = ()  # one for each sentence, in order
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
        self._brackets = Brackets()
        self._text = OpenText()
        self._sent = 0  # how much of the model's text has been dealt with
        self._length = 0  # of what has been given back
        self._marks: list[Mark] = []
        self._checked: list[Checked] = []

    def may_check(self, piece: str) -> bool:
        """May taking this piece end a sentence, so that it costs the time of a check?"""
        tail = self._text.text[-8:] + self._brackets.held + (self._undecided or "") + piece
        return not _ENDINGS.isdisjoint(tail)

    def grow(self, piece: str) -> str:
        """Take a piece of the model's answer; return what can be sent now."""
        if self._undecided is not None:
            self._undecided += piece
            if UNANSWERABLE.startswith(letters(self._undecided)):
                return ""
            piece, self._undecided = self._undecided, None
        if self._mode != "off":
            piece = self._brackets.grow(piece)
        out = self._settle(self._text.grow(piece))
        if self._mode != "strict":
            out += self._give(self._text.text[self._sent : len(self._text.text.rstrip())])
        return out

    def end(self) -> tuple[str, Verdict]:
        """Return what was held back, and the verdict."""
        if self._undecided is not None and letters(self._undecided) == UNANSWERABLE:
            return self._abstention, Verdict("abstained", replaced=True)
        rest = self._undecided or ""
        if self._mode != "off":
            rest = self._brackets.grow(rest) + self._brackets.end()
        out = self._settle(self._text.grow(rest)) + self._settle(self._text.end())
        if self._mode != "strict":
            out += self._give(self._text.text[self._sent :])
        checked = tuple(self._checked)
        supported = sum(one.verdict == "supported" for one in checked)
        status = overall(supported, len(checked))
        if self._mode == "strict" and not self._length:
            return self._abstention, Verdict(status, len(checked), checked=checked, replaced=True)
        return out, Verdict(status, len(checked), supported, tuple(self._marks), checked)

    def _settle(self, closed: list[Sentence]) -> str:
        out = ""
        for sentence in closed:
            finding = finding_of(self._sources, self._text.text[sentence.start : sentence.end])
            if self._mode != "strict":
                out += self._give(self._text.text[self._sent : sentence.end])
            elif finding.supports:
                gap = self._text.text[self._sent : sentence.start] if self._length else ""
                out += self._give(gap + self._text.text[sentence.start : sentence.end])
            if self._mode == "strict":
                self._sent = sentence.end
                if not finding.supports:
                    self._checked.append(Checked(None, None, finding))
                    continue
            start = self._length - (sentence.end - sentence.start)
            self._checked.append(Checked(start, self._length, finding))
            if self._mode != "off":
                out += self._mark(start, finding)
        return out

    def _mark(self, start: int, finding: Finding) -> str:
        """The markers behind a sentence: one for each passage, and in the report one for each span."""
        out = ""
        for passage in dict.fromkeys(support.passage for support in finding.supports):
            out += self._give(f" [{passage + 1}]", of_the_model=False)
            spans = [support for support in finding.supports if support.passage == passage]
            self._marks += [Mark(start, self._length, support) for support in spans]
        return out

    def _give(self, text: str, *, of_the_model: bool = True) -> str:
        self._length += len(text)
        if of_the_model:
            self._sent += len(text)
        return text


def overall(supported: int, claims: int) -> Status:
    """The verdict on an answer from those on its sentences."""
    if not supported:
        return "unsupported"
    return "supported" if supported == claims else "partial"


def letters(text: str) -> str:
    """What of a text is compared with the abstention: spelling without case, spaces and punctuation."""
    return "".join(character for character in text if character.isalnum()).casefold()
