"""The statements of a passage: its sentences, and each line of a list of "name: value" for itself.

Only passages are cut like this. An answer is cut while it is still being written (server/grounding/sentences.py), and
must come out the same however it arrives.
"""

import re
from collections.abc import Iterator

from server.grounding.sentences import Sentence, sentences

# A short name, a colon, and something behind it; what stands in brackets may be longer and have a colon of its own.
_ENTRY = re.compile(r"[ \t]*[^\W_a-z][^\n:.(]{0,60}(?:\([^()\n]{0,80}\)[^\n:.(]{0,40})?:[ \t]+\S")
_LINE = re.compile(r"\n[ \t]*")


def statements(passage: str) -> Iterator[Sentence]:
    """Cut a passage into what is compared with an answer."""
    for place in sentences(passage):
        start = place.start
        for gap in _LINE.finditer(passage, place.start, place.end):
            if _ENTRY.match(passage, gap.end(), place.end):
                yield Sentence(start, gap.start())
                start = gap.end()
        yield Sentence(start, place.end)
