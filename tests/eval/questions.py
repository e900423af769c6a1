"""The questions of the evaluation, and which passage answers each.

`questions.tsv` and `followups.tsv` were written for this project; the FAQ's questions are headings of the corpus.
A line names the document that answers, words of the passage in it (none where the document is one passage), the
question, and for a follow-up the question before it.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.eval.corpus import Section

Half = Literal["tune", "report"]
HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, and the passage that answers it."""

    key: str  # of the document
    says: str  # words of the passage; empty: any passage of the document
    question: str
    before: str = ""  # the question asked before this one

    @property
    def half(self) -> Half:
        """Where it counts. By its document, so that no document is in both."""
        return "tune" if hashlib.sha256(self.key.encode()).digest()[0] % 2 else "report"


def read_questions() -> list[Asked]:
    """The questions that stand alone."""
    return [
        Asked(key, "".join(says), question)
        for key, *says, question in (line.split("\t") for line in _lines("questions.tsv"))
    ]


def read_follow_ups() -> list[Asked]:
    """The questions that need the one before."""
    return [
        Asked(key, says, question, before)
        for key, says, before, question in (line.split("\t") for line in _lines("followups.tsv"))
    ]


def headings(sections: list[Section]) -> list[Asked]:
    """The question headings, each answered by what stands below it. A heading that two sections have asks nothing."""
    times: dict[str, int] = {}
    for section in sections:
        times[section.heading] = times.get(section.heading, 0) + 1
    return [
        Asked(section.key, "", section.heading) for section in sections if section.asks and times[section.heading] == 1
    ]


def _lines(name: str) -> list[str]:
    return (HERE / name).read_text(encoding="utf-8").splitlines()
