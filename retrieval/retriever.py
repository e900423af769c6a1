"""Query to passages: candidates by meaning and by wording, fused into one score, copies collapsed.

A passage's score is in 0..1: the weighted mean of the cosine between query and passage (negative ones count as 0)
and of the share of the query's words that the passage carries (`retrieval.wording`). With the default weights and
the bundled embedder, unrelated passages stay below about 0.1, paraphrases without a common word begin at 0.2, and
what answers in the question's own words reaches 0.6.
A query of stop words alone is scored by its cosine.
"""

import re
from collections.abc import Iterator, Sequence

import anyio.to_thread
import numpy as np

from retrieval.embedder import Embedder, Vectors
from retrieval.mirror import Mirror
from retrieval.store import meta, passages, scope, stores
from retrieval.store.database import Transaction
from retrieval.store.passages import StoredPassage
from retrieval.store.scope import Scope
from retrieval.types import Filter, Fusion, Hits, Passage, Reader
from retrieval.wording import Wording, terms

# From each side, and at least four for each passage asked for: what fusion lifts stood rarely deeper than this.
CANDIDATES = 50
CANDIDATES_PER_PASSAGE = 4


class Searcher:
    """Answers searches from the store and its mirror. Holds no state of its own."""

    def __init__(self, mirror: Mirror, embedder: Embedder, fusion: Fusion) -> None:
        self._mirror = mirror
        self._embedder = embedder
        self._fusion = fusion

    async def search(
        self,
        query: str,
        *,
        stores: Sequence[str],
        k: int,
        reader: Reader,
        filters: Filter | None = None,
        score_threshold: float = 0.0,
        fusion: Fusion | None = None,
    ) -> Hits:
        """Return at most `k` passages that `reader` may read, best first; an empty result is not an error.

        Args:
            stores: ids or names; none given finds nothing.
            filters: find passages only of documents whose attributes match.
            score_threshold: the lowest `Passage.score` to return (see the top of this file).
            fusion: other weights than the default ones.

        Raises:
            StoreNotFound: a store does not exist, or `reader` may not read it.
            StoreExpired: a store has not been used for as long as it was to be kept.
            RetrievalError: the search could not be made.
        """
        return await anyio.to_thread.run_sync(
            self._search, query, tuple(stores), k, reader, filters, score_threshold, fusion or self._fusion
        )

    def _search(
        self,
        query: str,
        names: tuple[str, ...],
        k: int,
        reader: Reader,
        filters: Filter | None,
        threshold: float,
        fusion: Fusion,
    ) -> Hits:
        # Outside the view: embedding takes longer than the search, and needs nothing of the store.
        meaning = self._embedder.embed([query])[0] if query.strip() and names and k > 0 else None
        with self._mirror.view() as tx:
            generation, _ = meta.generation(tx)
            store_nos = sorted({stores.number(tx, name, reader) for name in names})
            stores.refuse_expired(tx, store_nos)
            if meaning is None:
                return Hits((), generation)
            found_in = scope.resolve(tx, store_nos, reader, filters)
            scored = self._scored(tx, query, meaning, found_in, k, fusion)
        ranked = sorted(scored, key=lambda item: (-item[0], item[1].chunk_no))
        kept = [_passage(score, stored) for score, stored in distinct(item for item in ranked if item[0] >= threshold)]
        return Hits(tuple(kept[:k]), generation)

    def _scored(
        self, tx: Transaction, query: str, meaning: Vectors, scope: Scope, k: int, fusion: Fusion
    ) -> list[tuple[float, StoredPassage]]:
        depth = max(CANDIDATES, CANDIDATES_PER_PASSAGE * k)
        visible = self._mirror.visible(scope)
        wording = self._mirror.words.weigh(tx, terms(query, tx.words), visible)
        numbers = set(self._mirror.nearest(tx, meaning, depth, visible))
        if not wording.says_nothing:
            heaviest, next_ones = self._mirror.words.heaviest(tx, wording, depth, visible)
            numbers.update(heaviest)
            # Of chunks with the same words, those that mean what was asked.
            numbers.update(self._mirror.nearest(tx, meaning, depth - len(heaviest), next_ones))
        loaded = passages.load(tx, sorted(numbers))
        assert len(loaded) == len(numbers), "the index holds a chunk that the store does not"
        return [(_score(tx, stored, meaning, wording, fusion), stored) for stored in loaded]


def distinct(ranked: Iterator[tuple[float, StoredPassage]]) -> Iterator[tuple[float, StoredPassage]]:
    """Drop passages that repeat a better one but for case, blanks and punctuation.

    A single other word or digit keeps both: "20 days for staff" and "25 days for staff" are not the same passage,
    however near their vectors are.
    """
    seen: set[str] = set()
    for score, stored in ranked:
        wording = " ".join(re.findall(r"\w+", stored.text.casefold()))
        if wording not in seen:
            seen.add(wording)
            yield score, stored


def _score(tx: Transaction, stored: StoredPassage, meaning: Vectors, wording: Wording, fusion: Fusion) -> float:
    cosine = float(np.frombuffer(stored.vector, np.dtype("<f4")) @ meaning)
    by_meaning = min(1.0, max(0.0, cosine))
    if wording.says_nothing:
        return by_meaning
    by_wording = wording.score(tx.words(f"{stored.title}\n{stored.text}"))
    weights = fusion.embedding_weight + fusion.text_weight
    return (fusion.embedding_weight * by_meaning + fusion.text_weight * by_wording) / weights


def _passage(score: float, stored: StoredPassage) -> Passage:
    return Passage(
        chunk_id=f"chunk-{stored.chunk_no}",
        file_id=stored.file_id,
        store_id=stored.store_id,
        filename=stored.filename,
        title=stored.title,
        text=stored.text,
        start_char=stored.start_char,
        end_char=stored.end_char,
        sha256=stored.text_sha256,
        score=score,
        attributes=stored.attributes,
        page=stored.page,
        locator=stored.locator,
    )
