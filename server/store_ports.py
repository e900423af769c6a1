"""What the server needs of the store beyond searching it: its documents, its management, its record of erasures.

The docstrings are the contract. tests/contract runs that of Library against the fake and the real things
alike; the others are tested as they are.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import BinaryIO, Protocol

from retrieval.erasure import Erasure, Purge
from retrieval.facts import StoreFacts
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
from server.erasure_records import ErasureRecord


class Erasures(Protocol):
    """The record of erasures. May be called from any thread; blocks."""

    def expect(self, *removed: Erasure) -> None:
        """Record together that things were removed, before anything is proven; again changes nothing."""
        ...

    def waiting(self) -> int:
        """How many have no certificate yet."""
        ...

    def one(self, erasure_id: str, principals: Sequence[str | None]) -> ErasureRecord | None:
        """One record that each of the principals may see, as in `page`."""
        ...

    def of_file(self, file_id: str) -> ErasureRecord | None:
        """The first removal of a file for good, whoever may know of it; None: there was none."""
        ...

    def page(
        self, principals: Sequence[str | None], *, limit: int, after: str | None = None, newest_first: bool = False
    ) -> list[ErasureRecord]:
        """At most `limit` records behind `after` that each of the principals may see; None: one that may see every one.

        That is what was theirs, and what they had removed.
        """
        ...

    def public_keys(self) -> dict[str, str]:
        """Every key that ever signed here: its PEM by its id."""
        ...


class Library(Protocol):
    """The documents and stores behind the retriever."""

    async def stores(self, reader: Reader) -> list[Store]:
        """The stores that `reader` may read, by name."""
        ...

    async def store(self, name_or_id: str, reader: Reader) -> Store:
        """One store.

        Raises:
            StoreNotFound: it does not exist, or `reader` may not read it.
        """
        ...

    async def text(self, file_id: str, reader: Reader) -> str:
        """The stored text that all offsets refer to.

        Raises:
            DocumentNotFound: it does not exist, or `reader` may not read it.
        """
        ...

    async def delete(self, file_id: str, reader: Reader) -> Erasure:
        """Remove a document; when this returns, no search in any process finds it.

        Raises:
            DocumentNotFound: it does not exist, or `reader` may not write it.
        """
        ...

    async def erasures(self) -> list[Erasure]:
        """The removals that no certificate was written for yet, oldest first."""
        ...

    async def erasures_behind(self, mark: int) -> tuple[list[Erasure], int]:
        """Some of these that came behind a mark, oldest first, and the mark behind them; none: there are no others.

        Args:
            mark: 0: before the first of all.
        """
        ...

    async def erasure_of(self, file_id: str) -> Erasure | None:
        """The first of these that removed a file for good; None: none of them did."""
        ...

    async def purge(self, known: Callable[[], Iterable[str | bytes]] = ..., besides: Collection[str] = ...) -> Purge:
        """Clear away what is left of removed documents, and look for it in every file of the data directory.

        Args:
            known: texts and blobs that files other than the store's own hold by right; called in a worker thread.
            besides: ids of removals that are not looked for now.
        """
        ...

    async def settle(self, erasure: Erasure) -> None:
        """Forget a removal, once its certificate is safe; again changes nothing."""
        ...

    async def revoked(self) -> int:
        """The last generation that took something away from somebody: a removal, or a change of access."""
        ...

    def facts(self) -> StoreFacts:
        """What can be counted of the store and of this process's index. Blocks for a moment, never for a search.

        Raises:
            RetrievalError: the store cannot be read.
        """
        ...


class Archive(Protocol):
    """Files and stores as an API manages them.

    Methods raise StoreNotFound, DocumentNotFound and BatchNotFound alike for what does not exist and for what the
    reader may not use in this way. Lists raise CursorUnknown for an `after` or `before` that is not in them.
    """

    def staging(self) -> AbstractContextManager[Staged]:
        """A place on disk for a file that is still coming; what is not added is dropped. Blocks."""
        ...

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
        ...

    async def file(self, file_id: str, reader: Reader) -> File:
        """One file."""
        ...

    async def files(self, reader: Reader, cursor: Cursor, purpose: str | None = None) -> Page[File]:
        """The files that `reader` may read."""
        ...

    async def share_file(self, file_id: str, access: Access | None, reader: Reader) -> File:
        """Give a file lists of its own; None: it goes by the stores that hold it.

        Side effects: with None, it is taken out of stores that `reader` may not read.

        Raises:
            NotTheOwner: `reader` may write it, but neither owns it nor is an admin.
        """
        ...

    async def original(self, file_id: str, reader: Reader) -> BinaryIO:
        """The file as it came, open for reading, which goes on when it is deleted meanwhile."""
        ...

    async def make_store(
        self,
        description: Description,
        reader: Reader,
        access: Access | None = None,
        attachments: Sequence[Attachment] = (),
    ) -> Store:
        """Add a store with these files; its slug is made of its name, and tells nothing of stores that are hidden."""
        ...

    async def change_store(
        self, store: str, change: Callable[[Description], Description], reader: Reader, access: Access | None = None
    ) -> Store:
        """Describe a store anew, and with `access` share it anew.

        Raises:
            NotTheOwner: as in `share_file`; then nothing is changed.
        """
        ...

    async def page_of_stores(self, reader: Reader, cursor: Cursor) -> Page[Store]:
        """The stores that `reader` may read."""
        ...

    async def remove_store(self, store: str, reader: Reader) -> str:
        """Remove a store and what searches found in it; return its id. Uploaded files stay."""
        ...

    async def attach(self, store: str, attachment: Attachment, reader: Reader) -> Document:
        """Put a file into a store; it is read in the background. Again: with other attributes, or read anew."""
        ...

    async def held(self, store: str, file_id: str, reader: Reader) -> Document:
        """A file of a store."""
        ...

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
        ...

    async def describe_held(
        self, store: str, file_id: str, attributes: Mapping[str, Attribute], reader: Reader
    ) -> Document:
        """Replace what filters compare of a file in a store."""
        ...

    async def text_of_held(self, store: str, file_id: str, reader: Reader) -> str:
        """What was read of a file in a store; empty before it was."""
        ...

    async def detach(self, store: str, file_id: str, reader: Reader) -> None:
        """Take a file out of a store; when this returns, no search of the store finds it."""
        ...

    async def start_batch(self, store: str, attachments: Sequence[Attachment], reader: Reader) -> Batch:
        """Put files into a store together: all of them, or none if one cannot be."""
        ...

    async def batch(self, store: str, batch_id: str, reader: Reader) -> Batch:
        """How far a batch is."""
        ...

    async def cancel_batch(self, store: str, batch_id: str, reader: Reader) -> Batch:
        """Give up what of a batch has not been read yet."""
        ...
