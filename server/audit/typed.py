"""What a record says of a command that somebody typed on the machine itself, beside what `facts` says of requests."""

import getpass
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from server.api_key import Key
from server.audit.chain import AuditUnavailable, RecordOwed
from server.audit.facts import ActFacts, who
from server.audit.log import AuditLog
from server.audit.naming import named
from server.auth import LOCAL
from server.identity import is_name


class Acts:
    """What one command does: any number of acts, found in the log by one request's id of their own."""

    def __init__(
        self, log: AuditLog | None, route: str, kind: str, *, is_refusal: Callable[[Exception], bool] | None = None
    ) -> None:
        """Record in a log; None: nothing is recorded.

        Args:
            route: what was typed, without its arguments, as `cli keys create`.
            is_refusal: whether an error says that what was asked is not done, and not that something has failed.
        """
        self._log, self._is_refusal = log, is_refusal
        self._base = {"kind": kind, **who(LOCAL, f"cli_{uuid4().hex}"), **operator(), "route": route}

    @contextmanager
    def one(
        self, path: Mapping[str, str] | None = None, texts: Mapping[str, str] | None = None, **known: Any
    ) -> Iterator[ActFacts]:
        """Note an act down before a block that does it, and record it after, with what the block has added.

        Args:
            path: what it is about; ids and names are shown, all else is hashed.
            texts: what else is to be hashed.
            known: what its record says from the beginning.

        Raises:
            AuditUnavailable: it cannot be noted, and so must not be done.
            RecordOwed: it may have been done, and the record waits.
        """
        shown, words = named(path or {})
        facts = ActFacts({"path": shown, **known}, {**words, **(texts or {})})
        if self._log is None:
            yield facts
            return
        outcome = "cut off"
        note = self._log.begin({**self._base, **facts.record, "outcome": outcome}, facts.texts)
        try:
            yield facts
            outcome = "done"
        except Exception as error:
            outcome = "refused" if self._is_refusal is not None and self._is_refusal(error) else "failed"
            raise
        finally:
            try:
                self._log.append({**self._base, **facts.record, "outcome": outcome}, facts.texts, note=note)
            except AuditUnavailable as error:
                raise RecordOwed(f"It may have been done, and is on record as soon as that can be. {error}") from error


def operator() -> dict[str, Any]:
    """Whom the operating system takes the person at this machine for: a name that they may have set, and a number."""
    try:
        name: str | None = getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        name = None
    return {"os_user": name if is_name(name) else None, "os_uid": os.getuid()}


def grants_of(key: Key) -> dict[str, Any]:
    """Who may do what with a key; nothing of its secrets, nor of what was noted beside it."""
    return {
        "principal": key.principal,
        "groups": sorted(key.groups),
        "roles": sorted(key.roles),
        "grounded_only": key.grounded_only,
        "expires_at": key.expires_at,
        "limits": dict(key.limits.given()),
        "models": None if key.allowed_models is None else sorted(key.allowed_models),
        "stores": None if key.allowed_stores is None else sorted(key.allowed_stores),
    }
