"""What stands in the place of something found: its placeholder, and until all is found, characters that no text has.

Those are as many as what they hide had, so that offsets stay, and finders see in them what they see in a placeholder.
"""

import re
from collections.abc import Mapping

from retrieval.types import PersonalDataKind

PLACEHOLDERS: Mapping[PersonalDataKind, str] = {
    "iban": "[IBAN]",
    "card": "[CARD]",
    "national_id": "[NATIONAL-ID]",
    "email": "[E-MAIL]",
    "phone": "[PHONE]",
}
PHONE = "\ufdd1"  # which a number behind it is listed with
_OTHER = "\ufdd0"
_REST = "\ufdd2"  # each character of what is hidden but the first
ANY_HIDDEN = f"{_OTHER}-{_REST}"  # within the brackets of a pattern
_TAKEN = re.compile(f"[{ANY_HIDDEN}]")
_WRITTEN = {placeholder: kind for kind, placeholder in PLACEHOLDERS.items()}
_UTF_32, _ANY = "utf-32-le", "surrogatepass"
_PLACEHOLDER = re.compile("|".join(map(re.escape, _WRITTEN)))


class Shown:
    """A text of which parts can be hidden. Its placeholders are from the start, so that both are read alike."""

    def __init__(self, text: str) -> None:
        free = _TAKEN.sub("\ufffd", text)
        self._length = len(text)
        # Four bytes to a character: as a list of them a long text would take many times its size.
        self._characters = bytearray(_PLACEHOLDER.sub(_as_hidden, free).encode(_UTF_32, _ANY))

    def __len__(self) -> int:
        return self._length

    def part(self, start: int, end: int) -> str:
        """What can be seen of a part."""
        return self._characters[4 * start : 4 * end].decode(_UTF_32, _ANY)

    def hide(self, start: int, end: int, kind: PersonalDataKind) -> None:
        """Hide something found."""
        self._characters[4 * start : 4 * end] = _hidden(kind, end - start).encode(_UTF_32)

    def back(self, place: int, count: int) -> int:
        """Where the last `count` characters before a place begin, of which whatever is hidden is one."""
        taken = count
        while len((part := self.part(max(0, place - taken), place)).replace(_REST, "")) < count and taken < place:
            taken *= 2
        return place - _reach(f"{_REST}*[^{_REST}]", count, part[::-1])

    def ahead(self, place: int, count: int) -> int:
        """Where the next `count` characters behind a place end, of which whatever is hidden is one."""
        taken = count
        while len((part := self.part(place, place + taken)).replace(_REST, "")) <= count and place + taken < len(self):
            taken *= 2
        return place + _reach(f"[^{_REST}]{_REST}*", count, part)


def before(text: str, start: int, reach: int) -> str:
    """The last `reach` characters before `start`, where whatever is hidden is one, however long it was."""
    taken = reach
    while len(shown := text[max(0, start - taken) : start].replace(_REST, "")) < reach and taken < start:
        taken *= 2
    return shown[-reach:]


def _reach(character: str, count: int, text: str) -> int:
    found = re.match(f"(?:{character}){{0,{count}}}", text)
    assert found is not None, "no characters are found anywhere"
    return found.end()


def _hidden(kind: PersonalDataKind, length: int) -> str:
    return (PHONE if kind == "phone" else _OTHER) + _REST * (length - 1)


def _as_hidden(placeholder: re.Match[str]) -> str:
    return _hidden(_WRITTEN[placeholder[0]], len(placeholder[0]))
