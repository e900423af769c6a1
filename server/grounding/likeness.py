"""How near two words are in meaning, and whether a sentence says what another does, by the store's embedder."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from retrieval.claim import Claim
from server.ports import Embedder

Alike = Callable[[Sequence[tuple[str, str]]], Sequence[float]]
Entailed = Callable[[Sequence[Claim]], Sequence[float]]


class Likeness:
    """Cosines of pairs of words, in -1..1, for one request.

    Its vectors end with it: kept for others, they would outlive the erasure of the document that held the word, and
    would tell by a millisecond or two that somebody else's answer had needed it.
    """

    def __init__(self, embedder: Callable[[], Embedder]) -> None:
        """Take the embedder as a thing to be asked for: it loads while the server already listens."""
        self._embedder = embedder
        self._vectors: dict[str, NDArray[np.float32]] = {}

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """The cosine of each pair. Takes a millisecond or two for each word that is new."""
        # One by one: the last bits of a vector depend on what it is embedded beside, and an answer that is streamed
        # must be marked exactly as one that is not.
        for text in dict.fromkeys(text for pair in pairs for text in pair):
            if text not in self._vectors:
                self._vectors[text] = self._embedded(text)
        vectors = self._vectors
        return [float(np.clip(vectors[left] @ vectors[right], -1.0, 1.0)) for left, right in pairs]

    def entailed(self, claims: Sequence[Claim]) -> list[float]:
        """How likely it is, in 0..1, that each source says what the answer beside it says. Takes 100 ms for eight."""
        # Together: a sentence is asked about beside the same sources whether or not its answer is streamed.
        return self._embedder().entailed(claims)

    def _embedded(self, text: str) -> NDArray[np.float32]:
        embedder = self._embedder()
        vector: NDArray[np.float32] = embedder.embed_ids(embedder.encode([text]))[0]
        return vector
