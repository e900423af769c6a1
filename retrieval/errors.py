"""What can go wrong in the knowledge store: facts as attributes, no status codes."""

from pathlib import Path


class RetrievalError(Exception):
    """The store or the index failed through no fault of the request."""


class IndexUnavailable(RetrievalError):
    """The index cannot answer now (still loading, or being rebuilt)."""


class EmbedderMismatch(RetrievalError):
    """The store was built with another embedding model."""

    def __init__(self, stored: str, loaded: str) -> None:
        super().__init__(
            f"The store holds vectors of {stored}; the loaded embedder is {loaded}. Run `hrm-serve reindex`."
        )
        self.stored = stored
        self.loaded = loaded


class StoreNotFound(Exception):
    """No such store, or none that the caller may see: the two are indistinguishable on purpose."""

    def __init__(self, store: str) -> None:
        super().__init__(f"No vector store found with id '{store}'.")
        self.store = store


class DocumentNotFound(Exception):
    """No such document, or none that the caller may see."""

    def __init__(self, file_id: str) -> None:
        super().__init__(f"No file found with id '{file_id}'.")
        self.file_id = file_id


class DocumentRefused(Exception):
    """A file that cannot be ingested, with a reason that a person can act on."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason
