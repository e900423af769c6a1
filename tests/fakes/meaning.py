"""An embedder without weights: each word has a direction of its own, so that only equal words are alike."""

import re
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from retrieval.claim import Claim

DIMS = 512


class WordsApart:
    """The server's `Embedder`. Tokens are the words, by a number that is the same everywhere."""

    name = "words-apart"
    dims = DIMS
    vocabulary = 1 << 32

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        return [[zlib.crc32(word.encode()) for word in re.findall(r"\w+", text.casefold())] for text in texts]

    def embed_ids(self, texts: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        rows = np.zeros((len(texts), DIMS), np.float32)
        for row, ids in zip(rows, texts, strict=True):
            for number in ids:
                row[number % DIMS] += 1
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(np.float32).tiny)
        return rows

    def entailed(self, claims: Sequence[Claim]) -> list[float]:
        """Takes nothing for said: beside this embedder the rules decide alone."""
        return [0.0 for _ in claims]


def apart(pairs: Sequence[tuple[str, str]]) -> list[float]:
    """Cosines where only equal words are alike."""
    return [float(left == right) for left, right in pairs]
