"""What can go wrong in the knowledge store: facts as attributes, no status codes."""

from pathlib import Path

from retrieval.types import Fault


class RetrievalError(Exception):
    """The store or the index failed through no fault of the request."""


class NotTheOwner(Exception):
    """Who may use a store or a file is its owner's to say, and somebody who may only write it has tried to.

    Attributes:
        param: by what.
    """

    def __init__(self, said: str = "Only its owner and admins may change its 'access'.", param: str = "access") -> None:
        super().__init__(said)
        self.param = param


class StoreFailed(RetrievalError):
    """The database could not do its work: disk full, damaged, busy for too long, closed."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem


class SchemaTooNew(RetrievalError):
    """The database was written by a newer version of this software."""

    def __init__(self, path: Path, found: int, known: int) -> None:
        super().__init__(f"{path} has schema version {found}; this version knows {known} and cannot go back.")
        self.path = path
        self.found = found
        self.known = known


class BackupRefused(RetrievalError):
    """A folder that cannot be backed up into, or restored from."""

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(f"{folder}: {reason}.")
        self.folder = folder
        self.reason = reason


class RestoreRefused(RetrievalError):
    """There is a store where a backup was to go."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(f"{data_dir} holds a store already. Back it up first, then say --replace to let it go.")
        self.data_dir = data_dir


class DataInUse(RetrievalError):
    """Somebody else has the data directory, and it cannot be shared."""

    def __init__(self, data_dir: Path, reason: str) -> None:
        super().__init__(f"{data_dir}: {reason}.")
        self.data_dir = data_dir
        self.reason = reason


class ReaderUnavailable(RetrievalError):
    """The process that reads documents cannot be started."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"The process that reads documents cannot be started: {problem}.")
        self.problem = problem


class EmbedderDamaged(RetrievalError):
    """The embedding model's weights are not the ones that this version was made for."""

    def __init__(self, path: Path, expected: str, found: str) -> None:
        super().__init__(f"{path}: expected sha256 {expected}, found {found}.")
        self.path = path
        self.expected = expected
        self.found = found


class EmbedderMissing(RetrievalError):
    """The package that carries the embedding model is not installed."""

    def __init__(self, package: str) -> None:
        super().__init__(f"The package {package}, which carries the embedding model, is not installed.")
        self.package = package


class EmbedderMismatch(RetrievalError):
    """The store was built with another embedding model."""

    def __init__(self, stored: str, loaded: str) -> None:
        super().__init__(
            f"The store holds vectors of {stored}; the loaded embedder is {loaded}. "
            "`hrm-serve reindex` embeds the documents again; meanwhile the old version can go on serving them."
        )
        self.stored = stored
        self.loaded = loaded


class StoreNotFound(Exception):
    """No such store, or none that the caller may see: the two are indistinguishable on purpose."""

    def __init__(self, store: str) -> None:
        super().__init__(f"No vector store found with id '{store}'.")
        self.store = store


class StoreNameRefused(Exception):
    """A name that no store can have."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"'{name}' cannot name a store: use up to 64 of a-z, 0-9, '-' and '_', not starting with 'vs_', not 'none'."
        )
        self.name = name


class DocumentNotFound(Exception):
    """No such document, or none that the caller may see."""

    def __init__(self, file_id: str) -> None:
        super().__init__(f"No file found with id '{file_id}'.")
        self.file_id = file_id


class FileFormRefused(Exception):
    """A file that was redacted is asked for whole, or one that is whole elsewhere is put into a store that redacts.

    Which of these is not told: the other store may be nobody's business.
    """

    def __init__(self, file_id: str) -> None:
        super().__init__(
            f"The file '{file_id}' is kept either as it came or with its personal data redacted, and this asks for the"
            " other. Upload it again to put it into a store that does it the other way."
        )
        self.file_id = file_id


class StoreNotEmpty(Exception):
    """A store would begin or cease to redact while it holds files."""

    def __init__(self, store: str) -> None:
        super().__init__(
            f"The vector store '{store}' holds files, so it cannot begin or cease to redact personal data;"
            " make a new store and upload the files to it."
        )
        self.store = store


class RedactionDecided(Exception):
    """Somebody who may not see all that a store can hold would have it begin or cease to redact."""

    def __init__(self, store: str) -> None:
        super().__init__(
            f"Whether the vector store '{store}' redacts personal data was decided when it was made, and only an admin"
            " can change it; make a new store for the other."
        )
        self.store = store


class BatchNotFound(Exception):
    """A store has no such batch."""

    def __init__(self, batch_id: str) -> None:
        super().__init__(f"No file batch found with id '{batch_id}'.")
        self.batch_id = batch_id


class CursorUnknown(Exception):
    """A list was to go on from an object that is not in it. `param` is `after` or `before`."""

    def __init__(self, param: str, object_id: str) -> None:
        super().__init__(f"'{param}' is '{object_id}', which is not in this list.")
        self.param = param
        self.object_id = object_id


class StoreExpired(Exception):
    """A store was not used for as long as it was to be kept."""

    def __init__(self, store: str) -> None:
        super().__init__(f"The vector store '{store}' has expired; put its files into a new one.")
        self.store = store


def kind_of(error: Exception) -> str:
    """What sort of error a library has raised: without its words, which may quote the file that it is about."""
    return f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")


class DocumentRefused(Exception):
    """A file that cannot be ingested, with a reason that a person can act on."""

    def __init__(self, path: Path, reason: str, fault: Fault = "invalid_file") -> None:
        # A file may have any bytes for a name; what a terminal would not show as it is stands there escaped.
        name = str(path) if str(path).isprintable() else repr(str(path))
        super().__init__(f"{name}: {reason}")
        self.path = path
        self.reason = reason
        self.fault = fault
