"""What the server needs from the other packages, in the server's own words.

The docstrings are the contract that tests/contract runs against the fakes and the real things alike.
"""

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from hrm_model.types import Event, Limits, Load, Prompt, Sampling, Spelled
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
    Filter,
    Hits,
    Page,
    Reader,
    Staged,
    Store,
)
from server.erasure_records import ErasureRecord


class Engine(Protocol):
    """Turns one prompt into a stream of text."""

    @property
    def limits(self) -> Limits:
        """What a request may ask for; constant for the engine's life."""
        ...

    def generate(
        self, prompt: Prompt, sampling: Sampling, *, n: int = 1, partition: str | None = None
    ) -> AsyncGenerator[Event, None]:
        """Yield `Started`, then per choice any number of `Text` and exactly one of `Finished` or `Failed`.

        Closing the generator early cancels all its choices and frees their pages.

        Args:
            partition: whose prompts may be found again instead of being read, and by whom this one may: by nobody
                else, as the time that it saves would tell them of it. None: nothing is found or kept.

        Raises:
            RequestRefused: before `Started` (too long, queue full, could never fit, invalid).
            EngineClosed: before `Started`, while draining.
            EngineError: before `Started`; after it, failures are `Failed` events.
        """
        ...

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text as plain text, without control tokens. May be called from any thread."""
        ...

    def load(self) -> Load:
        """A snapshot of the work in hand."""
        ...

    async def purge(self, partition: str | None = None) -> None:
        """Forget the prompts kept for a partition, or all, and overwrite what ended answers have left in the cache.

        When this returns, it is done; answers that are being written are not disturbed.
        """
        ...

    async def drain(self, timeout_s: float) -> None:
        """Refuse new requests, let the running ones end, and cancel what is left after `timeout_s`."""
        ...


class Audit(Protocol):
    """Keeps a record of what happened."""

    def append(self, record: Mapping[str, Any], texts: Mapping[str, str]) -> object:
        """Add a record, and of each text a hash that is salted for this record alone. May take a disk's time.

        Raises:
            AuditUnavailable: it could not be written.
        """
        ...


class Speller(Protocol):
    """Reads prompts back as the engine's model reads them."""

    def spelled(self, prompt: Prompt) -> Spelled:
        """The prompt's text and that of each token; as many tokens as `Started` will count.

        May be called from any thread.

        Raises:
            InvalidPrompt: the engine would refuse it for the same reason.
        """
        ...


class Retriever(Protocol):
    """Finds the passages that bear on a question."""

    async def search(
        self,
        query: str,
        *,
        stores: Sequence[str],
        k: int,
        reader: Reader,
        filters: Filter | None = None,
        score_threshold: float = 0.0,
    ) -> Hits:
        """Return at most `k` passages that `reader` may read, best first; an empty result is not an error.

        `stores` are ids or names; none given finds nothing. With `filters`, only passages of documents whose
        attributes match are found, `k` of them wherever there are as many.

        Raises:
            StoreNotFound: a store does not exist, or `reader` may not read it.
            RetrievalError: the search could not be made.
        """
        ...


class Erasures(Protocol):
    """The record of erasures. May be called from any thread; blocks."""

    def expect(self, erasure: Erasure) -> None:
        """Record that something was removed, before anything is proven; again changes nothing."""
        ...

    def waiting(self) -> int:
        """How many have no certificate yet."""
        ...

    def one(self, erasure_id: str, principal: str | None) -> ErasureRecord | None:
        """One record that `principal` may see: its own files' and its own requests'; None: every one."""
        ...

    def of_file(self, file_id: str) -> ErasureRecord | None:
        """The first removal of a file for good, whoever may know of it; None: there was none."""
        ...

    def listing(self, principal: str | None) -> list[ErasureRecord]:
        """The records that `principal` may see, oldest first; None: every one."""
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

    async def ingest(self, path: Path, *, store: str, reader: Reader) -> Document:
        """Take a file in; the same content again changes nothing and returns the document there is.

        The store is created, owned by the reader's principal, if it does not exist.

        Raises:
            DocumentRefused: the file cannot be ingested.
            StoreNotFound: the store exists and `reader` may not write it.
        """
        ...

    async def documents(self, store: str, reader: Reader) -> list[Document]:
        """The documents of a store, oldest first."""
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

    async def purge(self, known: Callable[[], Iterable[str | bytes]] = ...) -> Purge:
        """Clear away what is left of removed documents, and look for it in every file of the data directory.

        Args:
            known: texts and blobs that files other than the store's own hold by right; called in a worker thread.
        """
        ...

    async def settle(self, erasure: Erasure) -> None:
        """Forget a removal, once its certificate is safe; again changes nothing."""
        ...

    async def revoked(self) -> int:
        """The last generation that took something away from somebody: a removal, or a change of access."""
        ...

    async def generation(self) -> int:
        """The store's generation: grows with every change that a search could see."""
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
        """Give a file lists of its own; None: it goes by the stores that hold it."""
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
        """Describe a store anew, and with `access` share it anew."""
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


class Embedder(Protocol):
    """The store's embedding model. May be used from any thread."""

    @property
    def name(self) -> str:
        """As clients name it."""
        ...

    @property
    def dims(self) -> int:
        """Numbers in a vector."""
        ...

    @property
    def vocabulary(self) -> int:
        """How many tokens there are."""
        ...

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of each text, the model's own markers left out."""
        ...

    def embed_ids(self, texts: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """(N, dims) float32, each row of length 1."""
        ...
