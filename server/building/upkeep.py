"""What is done to a data directory at times: purged, copied, brought back, computed again."""

from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from anyio.to_thread import run_sync

from retrieval.erasure import Purge
from server import upkeep
from server.audit.held import held
from server.audit.typed import Acts
from server.building.records import audit_of, open_audit, opened_ledger, remember
from server.building.store import open_library
from server.settings import Settings
from server.signing import Signer

if TYPE_CHECKING:
    from retrieval.backup import Manifest
    from retrieval.restore import Restored


async def purge(settings: Settings) -> Purge:
    """Purge and certify what was removed, after what is still to be taken out; wait while another process does.

    Raises:
        SigningKeyError: the signing key cannot be used.
    """
    from server.eraser import Eraser

    with opened_ledger(settings) as ledger:
        async with open_library(settings) as library:
            await run_sync(library.archive.tend)
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


def restore(
    settings: Settings, folder: Path, *, replace: bool, is_refusal: Callable[[Exception], bool]
) -> "tuple[Restored, int]":
    """Put a backup in the place of a data directory; say what was done, and when the backup was made.

    It is on record in the log that is there, or in the one that the backup brings.

    Args:
        is_refusal: as `Acts` has it.

    Raises:
        BackupRefused, RestoreRefused, DataInUse, LedgerError, AuditError, AuditUnavailable: no document was changed.
    """
    from retrieval import restore as restoring
    from retrieval.backup import checked

    manifest = checked(folder)
    restoring.refuse_occupied(settings.data_dir, replace=replace)
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    upkeep.bring_audit(settings.data_dir, folder)
    with ExitStack() as opened:
        # Without a ledger: there may be none yet, and the backup's takes the place of none alone.
        signer = Signer.of(settings.data_dir)
        audit = None if settings.audit == "off" else opened.enter_context(closing(audit_of(settings, signer)))
        acts = Acts(audit, "cli restore", "admin", is_refusal=is_refusal)
        facts = opened.enter_context(acts.one(texts={"folder": str(folder)}, as_of=manifest.created_at))
        waiting = restoring.pending_erasures(settings.data_dir)
        ledger = opened.enter_context(closing(upkeep.merged_ledger(settings.data_dir, folder, waiting)))
        remember(signer, ledger)
        restored = restoring.restore(folder, settings.data_dir, ledger.erasures.gone(), replace=replace)
        facts.record |= {"files": restored.files, "replayed": restored.replayed, "taken_out": restored.taken_out}
    return restored, manifest.created_at


def reindex(settings: Settings, report: Callable[[int, int], None]) -> int:
    """Compute again what is computed from the stored texts; say how many chunks were embedded.

    Raises:
        RetrievalError: the store cannot be used.
    """
    from retrieval.embedder import MiniLM
    from retrieval.reindex import reindex as run

    return run(settings.data_dir, MiniLM(), report)
