"""How near two words are in meaning, by the embedder that the store searches with."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from server.ports import Embedder

Alike = Callable[[Sequence[tuple[str, str]]], Sequence[float]]

# Single words come back with nearly every answer; a vector takes 1.5 kB.
REMEMBERED = 4096


class Likeness:
    """Cosines of pairs of words, in -1..1. Keeps the vectors of the words asked for last. Thread-safe."""

    def __init__(self, embedder: Callable[[], Embedder]) -> None:
        """Take the embedder as a thing to be asked for: it loads while the server already listens."""
        self._embedder = embedder
        self._vectors: OrderedDict[str, NDArray[np.float32]] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """The cosine of each pair. Takes a millisecond or two for each word that is new."""
        texts = list(dict.fromkeys(text for pair in pairs for text in pair))
        with self._lock:
            known = {text: self._vectors[text] for text in texts if text in self._vectors}
        # One by one: the last bits of a vector depend on what it is embedded beside, and an answer that is streamed
        # must be marked exactly as one that is not.
        for text in texts:
            if text not in known:
                known[text] = self._embedded(text)
        with self._lock:
            for text in texts:
                self._vectors[text] = known[text]
                self._vectors.move_to_end(text)
            while len(self._vectors) > REMEMBERED:
                self._vectors.popitem(last=False)
        return [float(np.clip(known[left] @ known[right], -1.0, 1.0)) for left, right in pairs]

    def _embedded(self, text: str) -> NDArray[np.float32]:
        embedder = self._embedder()
        vector: NDArray[np.float32] = embedder.embed_ids(embedder.encode([text]))[0]
        return vector
