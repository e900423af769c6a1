"""The second line of defence of the log: it is to hold no content, and what it holds all the same, no personal data.

The caller of a request stays as it is: one may well be known by an e-mail address, and its line is to say who it was.
So does an id that is a UUID, by which response, record and line are found together.
"""

import logging
import re
from collections.abc import Mapping
from itertools import cycle
from typing import Any

from retrieval.personal.find import find
from retrieval.personal.redact import redact

_JOINTS = re.compile(r"[._-]+")  # what an id has in the place of blanks
# RFC 9562; one in 700 has groups that read as somebody's number, by chance.
_UUID = re.compile(r"(?i)[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_ID, _CALLER = "id", "caller"


def tells_of_somebody(name: str) -> bool:
    """Whether an id that a client has chosen holds personal data."""
    if _UUID.fullmatch(name):
        return False
    return bool(find(name) or find(_JOINTS.sub(" ", name)))


class PersonalDataFilter(logging.Filter):
    """For a handler: replaces personal data in a message, in its facts, and in an exception that is already spelled."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record through. A message that cannot be spelled is left to the handler, which says so."""
        try:
            said = record.getMessage()
        except (TypeError, ValueError):
            return True
        facts: Mapping[str, Any] = getattr(record, "facts", {})
        if facts:
            record.facts = {name: _safe(name, value) for name, value in facts.items()}
        if (safe := _spelled_safely(said, facts)) != said:
            record.msg, record.args = safe, None
        if record.exc_text:
            record.exc_text = redact(record.exc_text).text
        return True


def _safe(name: str, value: Any) -> Any:
    return redact(value).text if isinstance(value, str) and not _stays(name, value) else value


def _stays(name: str, value: Any) -> bool:
    return name == _CALLER or (name == _ID and bool(_UUID.fullmatch(str(value))))


def _spelled_safely(said: str, facts: Mapping[str, Any]) -> str:
    kept = [re.escape(f"{name}={value} ") for name, value in facts.items() if _stays(name, value)]
    if not kept:
        return redact(said).text
    parts = re.split(f"({'|'.join(kept)})", said)
    return "".join(part if is_kept else redact(part).text for part, is_kept in zip(parts, cycle((False, True))))
