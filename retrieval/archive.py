"""Files and stores as an API manages them: uploaded, put into stores, described, shared, left to expire.

Like the library, whose database it shares: calls run in worker threads, and access is denied by default.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import BinaryIO

from anyio.to_thread import run_sync

from retrieval.clearing import Clearing
from retrieval.errors import StoreFailed
from retrieval.mirror import Mirror
from retrieval.originals import Originals
from retrieval.removals import forget_now
from retrieval.store import attaching, batches, contents, documents, files, going, history, personal, slugs, stores
from retrieval.store.access import principal
from retrieval.store.async_database import AsyncDatabase
from retrieval.store.database import Database, Transaction
from retrieval.store.erasures import deleted
from retrieval.types import (
    Access,
    Attachment,
    Attribute,
    Batch,
    Cursor,
    Description,
    Document,
    DocumentStatus,
    File,
    Page,
    Reader,
    Staged,
    Store,
)

log = logging.getLogger(__name__)


class Archive:
    """The managing side of a data directory. Methods raise StoreNotFound, DocumentNotFound and BatchNotFound alike for
    what does not exist and for what the reader may not use in this way, and NotTheOwner for lists that are not the
    reader's to change."""

    def __init__(self, database: Database, originals: Originals, mirror: Mirror) -> None:
        self._database = database
        self._stored = AsyncDatabase(database)
        self._originals = originals
        self._mirror = mirror
        self._clearing = Clearing(database, originals, mirror.forget)
        self._active: dict[str, int] = {}  # stores that were searched, by name or id, and when; not yet written down

    def staging(self) -> AbstractContextManager[Staged]:
        """A place on disk for a file that is still coming; what is not added is dropped. Blocks: use in a thread."""
        return self._originals.staging()

    async def add_file(
        self,
        staged: Staged,
        *,
        filename: str,
        purpose: str,
        reader: Reader,
        access: Access | None = None,
        expires_in_s: int | None = None,
    ) -> File:
        """Keep what was staged as a file of the reader's principal."""

        def add(tx: Transaction) -> File:
            file_no, file_id = files.add(
                tx,
                owner=principal(reader),
                filename=filename,
                size=staged.size,
                sha256=staged.sha256,
                purpose=purpose,
                expires_at=None if expires_in_s is None else int(time.time()) + expires_in_s,
                is_upload=True,
                access=access,
            )
            staged.adopt(file_id)
            return files.one(tx, file_no, reader)

        return await self._stored.write(add)

    async def file(self, file_id: str, reader: Reader) -> File:
        """One file."""
        return await self._stored.read(lambda tx: files.one(tx, files.number(tx, file_id, reader), reader))

    async def files(self, reader: Reader, cursor: Cursor, purpose: str | None = None) -> Page[File]:
        """The files that `reader` may read."""
        return await self._stored.read(lambda tx: files.page(tx, reader, cursor, purpose))

    async def share_file(self, file_id: str, access: Access | None, reader: Reader) -> File:
        """Give a file lists of its own; None: it goes by the stores that hold it, see `documents.share`."""

        def share(tx: Transaction) -> tuple[File, bool]:
            file_no = files.sharable(tx, file_id, reader)
            was_taken_out = documents.share(tx, file_no, access, reader)
            return files.one(tx, file_no, reader), was_taken_out

        file, was_taken_out = await self._stored.write(share)
        if was_taken_out:
            await run_sync(self._forget, ())
        return file

    async def original(self, file_id: str, reader: Reader) -> BinaryIO:
        """The file as it came, open for reading, which goes on when it is deleted meanwhile.

        Raises:
            FileFormRefused: it is redacted, or about to be.
        """

        async def check() -> None:
            await self._stored.read(lambda tx: personal.refuse_redacted(tx, files.number(tx, file_id, reader)))

        await check()
        try:
            return await run_sync(self._originals.open, file_id)
        except FileNotFoundError:
            await check()  # it may have gone since
            raise

    async def make_store(
        self,
        description: Description,
        reader: Reader,
        access: Access | None = None,
        attachments: Sequence[Attachment] = (),
    ) -> Store:
        """Add a store with these files; its slug is made of its name, see `slugs.free_slug`."""

        def make(tx: Transaction) -> Store:
            store_no = stores.create(tx, slugs.free_slug(tx, description.name, reader), reader, access)
            stores.describe(tx, store_no, description)
            for attachment in attachments:
                attaching.attached(tx, store_no, attachment, reader)
            return stores.one(tx, store_no, reader)

        return await self._stored.write(make)

    async def change_store(
        self, store: str, change: Callable[[Description], Description], reader: Reader, access: Access | None = None
    ) -> Store:
        """Describe a store anew, and with `access` share it anew."""

        def describe(tx: Transaction) -> Store:
            store_no = stores.number(tx, store, reader, "write")
            stores.change(tx, store_no, change, reader)
            if access is not None:
                stores.grant(tx, stores.sharable(tx, store, reader), access)
            return stores.one(tx, store_no, reader)

        return await self._stored.write(describe)

    async def page_of_stores(self, reader: Reader, cursor: Cursor) -> Page[Store]:
        """The stores that `reader` may read."""
        return await self._stored.read(lambda tx: stores.page(tx, reader, cursor))

    async def remove_store(self, store: str, reader: Reader) -> str:
        """Remove a store and what searches found in it; return its id. Uploaded files stay."""

        def take_away(tx: Transaction) -> tuple[str, int | None]:
            store_no = stores.number(tx, store, reader, "write")
            store_id = going.take_away(tx, store_no, principal(reader))
            if going.held(tx, store_no, 1):
                return store_id, store_no
            going.end(tx, store_no)
            return store_id, None

        store_id, store_no = await self._stored.write(take_away)
        # Where others are emptying all that may be at a time, `tend` does so: nobody waits for what is somebody else's.
        if store_no is not None and self._clearing.places.available_tokens > 0:
            # Abandoned on cancel: it goes on, and ends when the library closes.
            await run_sync(self._clearing.store, store_no, abandon_on_cancel=True, limiter=self._clearing.places)
        return store_id

    async def attach(self, store: str, attachment: Attachment, reader: Reader) -> Document:
        """Put a file into a store; it is read in the background. Again: with other attributes, or read anew."""

        def put(tx: Transaction) -> Document:
            return attaching.attached(tx, stores.number(tx, store, reader, "write"), attachment, reader)

        return await self._stored.write(put)

    async def held(self, store: str, file_id: str, reader: Reader) -> Document:
        """A file of a store."""

        def find(tx: Transaction) -> Document:
            document = documents.one(tx, documents.in_store(tx, stores.number(tx, store, reader), file_id, reader))
            assert document is not None, "a document is gone within one view"
            return document

        return await self._stored.read(find)

    async def page_of_held(
        self,
        store: str,
        reader: Reader,
        cursor: Cursor,
        *,
        status: DocumentStatus | None = None,
        batch: str | None = None,
    ) -> Page[Document]:
        """The files of a store, or of a batch of it, that `reader` may read."""

        def listed(tx: Transaction) -> Page[Document]:
            store_no = stores.number(tx, store, reader)
            batch_no = None if batch is None else batches.number(tx, store_no, batch)
            return documents.page(tx, store_no, reader, cursor, status=status, batch_no=batch_no)

        return await self._stored.read(listed)

    async def describe_held(
        self, store: str, file_id: str, attributes: Mapping[str, Attribute], reader: Reader
    ) -> Document:
        """Replace what filters compare of a file in a store."""

        def change(tx: Transaction) -> Document:
            document_no = documents.in_store(tx, stores.number(tx, store, reader, "write"), file_id, reader)
            return documents.set_attributes(tx, document_no, attributes)

        return await self._stored.write(change)

    async def text_of_held(self, store: str, file_id: str, reader: Reader) -> str:
        """What was read of a file in a store; empty before it was."""

        def find(tx: Transaction) -> str:
            return contents.text_of(tx, documents.in_store(tx, stores.number(tx, store, reader), file_id, reader))

        return await self._stored.read(find)

    async def detach(self, store: str, file_id: str, reader: Reader) -> None:
        """Take a file out of a store; when this returns, no search of the store finds it."""

        def take_out(tx: Transaction) -> list[str]:
            document_no = documents.in_store(tx, stores.number(tx, store, reader, "write"), file_id, reader)
            gone = documents.remove(tx, document_no, deleted(reader))
            return [gone] if gone else []

        await run_sync(self._forget, await self._stored.write(take_out))

    async def start_batch(self, store: str, attachments: Sequence[Attachment], reader: Reader) -> Batch:
        """Put files into a store together: all of them, or none if one cannot be."""

        def start(tx: Transaction) -> Batch:
            store_no = stores.number(tx, store, reader, "write")
            for attachment in attachments:
                attaching.attached(tx, store_no, attachment, reader)
            numbers = [documents.in_store(tx, store_no, attachment.file_id, reader) for attachment in attachments]
            return batches.one(tx, batches.create(tx, store_no, numbers), reader)

        return await self._stored.write(start)

    async def batch(self, store: str, batch_id: str, reader: Reader) -> Batch:
        """How far a batch is."""

        def find(tx: Transaction) -> Batch:
            return batches.one(tx, batches.number(tx, stores.number(tx, store, reader), batch_id), reader)

        return await self._stored.read(find)

    async def cancel_batch(self, store: str, batch_id: str, reader: Reader) -> Batch:
        """Give up what of a batch has not been read yet."""

        def cancel(tx: Transaction) -> Batch:
            batch_no = batches.number(tx, stores.number(tx, store, reader, "write"), batch_id)
            batches.cancel(tx, batch_no, reader)
            return batches.one(tx, batch_no, reader)

        return await self._stored.write(cancel)

    def note_search(self, names: Sequence[str]) -> None:
        """Remember that stores were searched; `tend` writes it down, since a search must not wait for a writer."""
        self._active |= dict.fromkeys(names, int(time.time()))

    def stop(self) -> None:
        """Leave what is still to be cleared away to the next process, after what is being removed now. Blocks."""
        self._clearing.stop()

    def tend(self, *, is_last: bool = False) -> None:
        """Write down which stores were searched, and clear away what was removed, expired or is long past. Blocks.

        Args:
            is_last: clear no more than a little, as the process ends.
        """
        self._originals.drop_redacted(self._database)
        now = int(time.time())  # first: what is searched from here on had not expired by then
        active, self._active = self._active, {}
        if active:
            try:
                with self._database.write() as tx:
                    stores.touch(tx, stores.numbers(tx, active))
            except StoreFailed:
                self._active = active | self._active
                raise
        history.forget_oldest(self._database)
        if count := self._clearing.everything(now, is_last=is_last):
            log.info("%d documents and files cleared away of stores that were removed, or expired", count)

    def _forget(self, gone: Sequence[str]) -> None:
        forget_now(self._database, self._originals, self._mirror, gone)
