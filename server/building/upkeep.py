"""What is done to a data directory at times: purged, copied, brought back, computed again."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from retrieval.erasure import Purge
from server import upkeep
from server.audit.held import held
from server.building.records import open_audit, opened_ledger
from server.building.store import open_library
from server.settings import Settings
from server.signing import Signer

if TYPE_CHECKING:
    from retrieval.backup import Manifest
    from retrieval.restore import Restored


async def purge(settings: Settings) -> Purge:
    """Purge and certify what was removed; wait while another process does.

    Raises:
        SigningKeyError: the signing key cannot be used.
    """
    from server.eraser import Eraser

    with opened_ledger(settings) as ledger:
        async with open_library(settings) as library:
            recorded = partial(held, settings.data_dir / upkeep.AUDIT)
            return await Eraser(library, ledger, Signer.of(settings.data_dir), recorded=recorded).run_once()


async def backup(settings: Settings, folder: Path) -> "Manifest":
    """Copy a data directory into a folder.

    Raises:
        BackupRefused: the folder cannot be used.
    """
    with opened_ledger(settings) as ledger:
        async with open_library(settings) as library:
            audit = open_audit(settings, ledger) if (settings.data_dir / upkeep.AUDIT).exists() else None
            try:
                return await library.back_up(folder, upkeep.copies(ledger, audit))
            finally:
                if audit is not None:
                    audit.close()


def restore(settings: Settings, folder: Path, *, replace: bool) -> "tuple[Restored, int]":
    """Put a backup in the place of a data directory; say what was done, and when the backup was made.

    Raises:
        BackupRefused, RestoreRefused, DataInUse, LedgerError: nothing was changed.
    """
    from retrieval import restore as restoring
    from retrieval.backup import checked

    manifest = checked(folder)
    restoring.refuse_occupied(settings.data_dir, replace=replace)
    ledger = upkeep.merged_ledger(settings.data_dir, folder, restoring.pending_erasures(settings.data_dir))
    try:
        upkeep.bring_audit(settings.data_dir, folder)
        restored = restoring.restore(folder, settings.data_dir, ledger.erasures.gone(), replace=replace)
    finally:
        ledger.close()
    return restored, manifest.created_at


def reindex(settings: Settings, report: Callable[[int, int], None]) -> int:
    """Compute again what is computed from the stored texts; say how many chunks were embedded.

    Raises:
        RetrievalError: the store cannot be used.
    """
    from retrieval.embedder import MiniLM
    from retrieval.reindex import reindex as run

    return run(settings.data_dir, MiniLM(), report)
