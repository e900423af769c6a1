"""Files handed in to a library that is open, and put into its stores."""

import anyio

from retrieval.library import Library
from retrieval.types import Attachment, Document, File, Reader
from tests.retrieval.desk import ANNA


async def upload(library: Library, text: str, reader: Reader = ANNA, expires_in_s: int | None = None) -> File:
    archive = library.archive
    with archive.staging() as staged:
        await anyio.to_thread.run_sync(staged.write, text.encode())
        return await archive.add_file(
            staged, filename="a.txt", purpose="assistants", reader=reader, expires_in_s=expires_in_s
        )


async def read(library: Library, store: str, attachment: Attachment) -> Document:
    """Put a file into a store, and read it here and now."""
    await library.archive.attach(store, attachment, ANNA)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(library.work, 0.01)
        with anyio.fail_after(30):
            while (held := await library.archive.held(store, attachment.file_id, ANNA)).status == "in_progress":
                pass
        tasks.cancel_scope.cancel()
    return held
