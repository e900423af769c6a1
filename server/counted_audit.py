"""An audit log whose records are counted, those above all that could not be written."""

from collections.abc import Callable, Mapping
from typing import Any

from server.audit.chain import AuditUnavailable
from server.ports import Audit


class CountedAudit:
    """Passes everything on to the log, and tells of each record whether it is there."""

    def __init__(self, audit: Audit, recorded: Callable[[bool], None]) -> None:
        """Tell `recorded`, from any thread, whether a record was written."""
        self._audit, self._recorded = audit, recorded

    def append(self, record: Mapping[str, Any], texts: Mapping[str, str], *, note: int | None = None) -> object:
        """As `Audit.append`; what takes a note's place is a record as well."""
        try:
            entry = self._audit.append(record, texts, note=note)
        except AuditUnavailable:
            self._recorded(False)
            raise
        self._recorded(True)
        return entry

    def begin(self, record: Mapping[str, Any], texts: Mapping[str, str]) -> int:
        """As `Audit.begin`; a note that cannot be made is a record that could not."""
        try:
            return self._audit.begin(record, texts)
        except AuditUnavailable:
            self._recorded(False)
            raise
