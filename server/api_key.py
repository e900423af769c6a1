"""An API key: what is known of it, and what may stand in it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from server import spelling
from server.identity import MAX_NAME, UNLIMITED, Limits, Role, is_name

ROLES: tuple[Role, ...] = get_args(Role)
_SHOWN = 80  # characters of what is no name
_LARGEST = 2**53 - 1  # what every reader of JSON can hold
_SPELLINGS = {
    "model": re.compile(r"[A-Za-z0-9][A-Za-z0-9._/@-]{0,255}"),
    "store": spelling.STORE,
}


class LedgerError(Exception):
    """The ledger cannot be used as asked; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Key:
    """An API key as the ledger knows it: everything but the secrets. Times are Unix seconds."""

    key_id: str
    principal: str
    groups: frozenset[str]
    roles: frozenset[Role]
    grounded_only: bool
    note: str  # what a person needs to recognise it
    created_at: int
    expires_at: int | None
    revoked_at: int | None
    last_used_at: int | None
    limits: Limits = UNLIMITED
    allowed_models: frozenset[str] | None = None  # None: all
    allowed_stores: frozenset[str] | None = None  # by id or name; None: all
    overlap_until: int | None = None  # it was rotated, and an older secret lives until then

    def is_valid(self, now: float) -> bool:
        """Say whether the key opens anything at that time."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def named(name: str, prefix: str) -> str:
    """The name as given, which access lists could know.

    Raises:
        LedgerError: they could not.
    """
    if not name.startswith(prefix) or not is_name(name.removeprefix(prefix)):
        raise LedgerError(
            f"{_shown(name)} is not a name like {prefix}anna: the prefix, then up to {MAX_NAME} printable characters, "
            "none a space."
        )
    return name


def noted(note: str) -> str:
    """The note as given, which a list can show.

    Raises:
        LedgerError: it cannot.
    """
    if len(note) > MAX_NAME or not note.isprintable():
        raise LedgerError(f"A key's note is one line of up to {MAX_NAME} printable characters.")
    return note


def allowed(kind: Literal["model", "store"], names: Iterable[str]) -> frozenset[str] | None:
    """The only ones that a key opens; None, where none are named: all.

    Raises:
        LedgerError: nothing of that kind can have one of the names.
    """
    given = frozenset(names)
    for name in sorted(given):
        if not _SPELLINGS[kind].fullmatch(name):
            raise LedgerError(f"{_shown(name)} cannot be the name of a {kind}.")
    return given or None


def sound(limits: Limits) -> Limits:
    """The limits as given.

    Raises:
        LedgerError: one of them would let nothing through, or is larger than can be written.
    """
    for name, value in limits.given():
        if not 1 <= value <= _LARGEST:
            bound = "at least 1" if value < 1 else f"at most {_LARGEST}"
            raise LedgerError(f"A key's {name} must be {bound}; it is {value}. Without it, there is no such limit.")
    return limits


def _shown(name: str) -> str:
    return repr(name if len(name) <= _SHOWN else f"{name[:_SHOWN]}…")
