"""An answer in a given form, checked: nothing is put into it or left out of it, and its sentences are cited in place.

In JSON, the claims are its numbers and the sentences of its strings, but not the names of its properties.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from hrm_model.template import UNANSWERABLE
from server.grounding.cite import Checked, Mark, Mode, Verdict, letters, overall
from server.grounding.faults import finding_of
from server.grounding.sentences import sentences
from server.grounding.support import Sources

_INSIDE = r'(?:\\.|[^"\\])*+'
# A string that is cut short is one all the same, or its words would be read as if no string were around them.
_VALUE = re.compile(
    rf'"{_INSIDE}"\s*:|"(?P<string>{_INSIDE})(?:"|\\?\Z)|(?P<number>-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)', re.DOTALL
)
_PAIR = r"\\u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}"
_ESCAPE = rf'{_PAIR}|\\u[\da-fA-F]{{4}}|\\["\\/bfnrt]'
_CHARACTER = re.compile(rf"(?P<escape>{_ESCAPE})|(?P<cut>\\u[\da-fA-F]{{0,3}}\Z)|.", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Claim:
    """What can be supported, and its place in the answer as it stands there."""

    text: str
    start: int
    end: int


class CitedStructure:
    """Takes an answer in pieces and gives it back unchanged; `strict` gives it back as a whole, or not at all."""

    def __init__(self, sources: Sources, *, mode: Mode, abstention: str, is_json: bool) -> None:
        self._sources, self._mode, self._abstention, self._is_json = sources, mode, abstention, is_json
        self._text = ""

    def may_check(self, piece: str) -> bool:
        """Never: an answer in a form is checked at its end."""
        return False

    def grow(self, piece: str) -> str:
        """Take a piece of the model's answer; return what can be sent now."""
        self._text += piece
        return "" if self._mode == "strict" else piece

    def end(self) -> tuple[str, Verdict]:
        """Return what was held back, and the verdict; `replaced` says that it is a refusal and not an answer."""
        claims = list(_claims_of_json(self._text) if self._is_json else _claims_of_text(self._text))
        found = [(claim, finding_of(self._sources, claim.text)) for claim in claims]
        marks = tuple(Mark(claim.start, claim.end, one) for claim, finding in found for one in finding.supports)
        supported = sum(bool(finding.supports) for _, finding in found)
        status = overall(supported, len(claims))
        if not marks and any(letters(claim.text) == UNANSWERABLE for claim in claims):
            status = "abstained"
        if self._mode == "strict" and status != "supported":
            withheld = tuple(Checked(None, None, finding) for _, finding in found)
            return self._abstention, Verdict(status, len(claims), checked=withheld, replaced=True)
        checked = tuple(Checked(claim.start, claim.end, finding) for claim, finding in found)
        rest = self._text if self._mode == "strict" else ""
        return rest, Verdict(status, len(claims), supported, () if self._mode == "off" else marks, checked)


def _claims_of_text(text: str) -> Iterator[Claim]:
    for place in sentences(text):
        yield Claim(text[place.start : place.end], place.start, place.end)


def _claims_of_json(text: str) -> Iterator[Claim]:
    """The claims of a JSON text, or of the beginning of one."""
    for found in _VALUE.finditer(text):
        if found["number"]:
            yield Claim(found["number"], found.start(), found.end())
        elif found["string"]:
            said, places = "", []
            for character in _CHARACTER.finditer(text, *found.span("string")):
                if character["cut"]:
                    break
                read = json.loads(f'"{character.group()}"') if character["escape"] else character.group()
                places += [(character.start(), character.end())] * len(read)
                said += read
            for place in sentences(said):
                yield Claim(said[place.start : place.end], places[place.start][0], places[place.end - 1][1])
