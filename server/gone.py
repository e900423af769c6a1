"""What is said of a file that is no longer there: to who could read it, that it was erased; to others nothing."""

from datetime import UTC, datetime
from typing import NoReturn

from anyio.to_thread import run_sync

from retrieval.errors import DocumentNotFound
from retrieval.types import Reader
from server.deps import Services
from server.errors import FileErased

_WHAT = {"replaced": "was replaced by a newer one and erased", "expired": "expired and was erased"}


async def note_pending(services: Services) -> None:
    """Bring the ledger up to the store: the eraser does so too, and who looks right after a removal looks sooner."""
    noted = services.noted
    while True:
        removed, mark = await services.library.erasures_behind(noted.mark)
        if not removed:
            return
        await run_sync(services.erasures.expect, *removed)
        noted.mark = max(noted.mark, mark)  # another request may be further


async def refuse_missing(missing: DocumentNotFound, services: Services, reader: Reader) -> NoReturn:
    """Say why a file is not there.

    Raises:
        FileErased: it was erased, and `reader` could read it until then.
        DocumentNotFound: in every other case.
    """
    record = await run_sync(services.erasures.of_file, missing.file_id)
    if record is None and (removed := await services.library.erasure_of(missing.file_id)) is not None:
        await run_sync(services.erasures.expect, removed)
        record = await run_sync(services.erasures.of_file, missing.file_id)
    if record is None or not record.may_know(reader):
        raise missing
    day = datetime.fromtimestamp(record.requested_at, UTC).date().isoformat()
    raise FileErased(missing.file_id, _WHAT.get(record.reason, "was erased"), day) from missing
