"""Query to passages: candidates by meaning and by wording, fused into one score, copies collapsed.

A passage's score is in 0..1: the weighted mean of the cosine between query and passage (negative ones count as 0)
and of the share of the query's words that the passage carries (`retrieval.wording`). With the default weights and
the bundled embedder, unrelated passages stay below about 0.1, paraphrases without a common word begin at 0.2, and
what answers in the question's own words reaches 0.6.
A query of stop words alone is scored by its cosine. With late interaction, the comparison token by token counts for
0.7 of the score, and the above for the rest.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import islice
from time import perf_counter

import anyio.to_thread
import numpy as np

from retrieval.embedder import Embedder, Vectors
from retrieval.index import Visible
from retrieval.mirror import Mirror
from retrieval.postings import Words
from retrieval.store import meta, passages, scope, stores
from retrieval.store.database import Transaction
from retrieval.store.passages import Candidate, StoredPassage
from retrieval.store.scope import Scope
from retrieval.types import Filter, Fusion, Hits, Passage, Reader
from retrieval.wording import Wording, terms

# From each side, and at least four for each passage asked for: what fusion lifts stood rarely deeper than this.
CANDIDATES = 50
CANDIDATES_PER_PASSAGE = 4
# As deep a search goes at once. Are copies in its way, it goes on below them, so many times: all others wait meanwhile.
DEEPEST = 2000
ROUNDS = 20
# Of the comparison token by token in a passage's score; tests/eval/retrieval.py is where it was chosen.
LATE_WEIGHT = 0.7

# Words, and the signs that make a number another one.
_TELLING = re.compile(r"\w+|(?<!\w)[-−–+](?=[\d.])|[%‰€$£¥]")
# What a passage says is the same without them. Never a denial, a modal, or a word that places or orders something.
_FILLERS = frozenset({"a", "an", "the", "please", "kindly", "also"})

Scored = tuple[float, Candidate]


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
        weights: tuple[float, float] | None = None,
        as_of: int | None = None,
    ) -> Hits:
        """Return at most `k` passages that `reader` may read, best first; an empty result is not an error.

        Args:
            stores: ids or names; none given finds nothing.
            filters: find passages only of documents whose attributes match.
            score_threshold: the lowest `Passage.score` to return (see the top of this file).
            fusion: another than the default one.
            weights: of meaning and of wording, in place of the fusion's.
            as_of: a generation; documents that came after it are left out, and do not count in the weights of words.

        Raises:
            StoreNotFound: a store does not exist, or `reader` may not read it.
            StoreExpired: a store has not been used for as long as it was to be kept.
            RetrievalError: the search could not be made.
        """
        fusion = fusion or self._fusion
        if weights is not None:
            fusion = replace(fusion, embedding_weight=weights[0], text_weight=weights[1])
        return await anyio.to_thread.run_sync(
            self._search, query, tuple(stores), k, reader, filters, score_threshold, fusion, as_of
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
        as_of: int | None,
    ) -> Hits:
        # Outside the view: embedding takes longer than the search, and needs nothing of the store.
        began = perf_counter()
        meaning = self._embedder.embed([query])[0] if query.strip() and names and k > 0 else None
        embedded = perf_counter()
        with self._mirror.view() as tx:
            generation, _ = meta.generation(tx)
            numbers = [stores.number(tx, name, reader) for name in names]
            store_nos = sorted(set(numbers))
            stores.refuse_expired(tx, store_nos)
            ids = stores.ids(tx, store_nos)
            store_ids = tuple(ids[number] for number in numbers)
            if meaning is None:
                return Hits((), generation, store_ids)
            found_in = scope.resolve(tx, store_nos, filters, self._mirror.lists.hidden(tx, reader), as_of)
            words = self._mirror.words.of(reader)
            ranked = self._ranked(tx, query, meaning, words, found_in, max(k, fusion.late_interaction), fusion)
            shown = {
                stored.chunk_no: stored
                for stored in passages.load(tx, sorted(candidate.chunk_no for _, candidate in ranked))
            }
        # Outside again: reading passages anew takes longer than everything before.
        if fusion.late_interaction:
            ranked = self._compared(query, ranked)
        found = tuple(
            _passage(score, shown[candidate.chunk_no]) for score, candidate in ranked[:k] if score >= threshold
        )
        return Hits(found, generation, store_ids, embed_s=embedded - began, search_s=perf_counter() - embedded)

    def _ranked(
        self, tx: Transaction, query: str, meaning: Vectors, words: Words, scope: Scope, k: int, fusion: Fusion
    ) -> list[Scored]:
        """The best `k` candidates, best first, without copies of a better one; `k` wherever there are as many."""
        visible = self._mirror.visible(scope)
        wording = words.weigh(tx, terms(query, tx.words), visible)
        depth = max(CANDIDATES, CANDIDATES_PER_PASSAGE * k)
        deepest = max(depth, DEEPEST)
        scored: dict[int, Scored] = {}
        rounds = 0

        @cache  # copies are read once
        def by_wording(title: str, text: str) -> float:
            return wording.score(tx.words(f"{title}\n{text}"))

        while True:
            numbers = self._candidates(tx, meaning, words, wording, visible, depth)
            for candidate in passages.candidates(tx, sorted(numbers - scored.keys())):
                scored[candidate.chunk_no] = (_score(candidate, meaning, wording, by_wording, fusion), candidate)
            assert scored.keys() >= numbers, "the index holds a chunk that the store does not"
            ranked = sorted(scored.values(), key=lambda item: (-item[0], item[1].chunk_no))
            kept = list(islice(distinct(ranked), k))
            if len(kept) >= k or len(numbers) < depth or rounds == ROUNDS:
                return kept
            if depth == deepest:
                rounds += 1
                texts = {candidate.text for _, candidate in ranked}
                visible = self._mirror.copies.without(tx, visible, texts, is_first=rounds == 1)
            depth = min(4 * depth, deepest)

    def _candidates(
        self, tx: Transaction, meaning: Vectors, words: Words, wording: Wording, visible: Visible, depth: int
    ) -> set[int]:
        """The nearest by meaning and the heaviest by wording, up to `depth` of each."""
        numbers = set(self._mirror.nearest(tx, meaning, depth, visible))
        if not wording.says_nothing:
            heaviest, next_ones = words.heaviest(tx, wording, depth, visible)
            numbers.update(heaviest)
            # Of chunks with the same words, those that mean what was asked.
            numbers.update(self._mirror.nearest(tx, meaning, depth - len(heaviest), next_ones))
        return numbers

    def _compared(self, query: str, ranked: Sequence[Scored]) -> list[Scored]:
        """The same passages, ordered mainly by how well each token of the query is met by one of theirs."""
        asked, *read = self._embedder.token_vectors(
            [query, *(f"{candidate.title}\n{candidate.text}" for _, candidate in ranked)]
        )
        met = [_met(asked, tokens) for tokens in read]
        compared = [
            ((1 - LATE_WEIGHT) * score + LATE_WEIGHT * late, candidate)
            for (score, candidate), late in zip(ranked, met, strict=True)
        ]
        return sorted(compared, key=lambda item: (-item[0], item[1].chunk_no))


def distinct(ranked: Iterable[Scored]) -> Iterator[Scored]:
    """Drop passages that repeat a better one but for case, blanks, punctuation, articles and words of courtesy.

    A single other word, digit or sign keeps both: "20 days for staff" and "25 days for staff" are not the same passage,
    however near their vectors are (DECISIONS.md, near-duplicates).
    """
    seen: set[tuple[str, ...]] = set()
    texts: set[str] = set()
    for score, candidate in ranked:
        if candidate.text in texts:
            continue
        texts.add(candidate.text)
        wording = tuple(_telling(candidate.text))
        if wording not in seen:
            seen.add(wording)
            yield score, candidate


def _telling(text: str) -> Iterator[str]:
    for at, word in enumerate(_TELLING.findall(text)):
        folded = word.casefold()
        if folded not in _FILLERS or (at and word == "A"):  # "gate A"
            yield folded


def _score(
    candidate: Candidate,
    meaning: Vectors,
    wording: Wording,
    by_wording: Callable[[str, str], float],
    fusion: Fusion,
) -> float:
    cosine = float(np.frombuffer(candidate.vector, np.dtype("<f4")) @ meaning)
    by_meaning = min(1.0, max(0.0, cosine))
    if wording.says_nothing:
        return by_meaning
    weights = fusion.embedding_weight + fusion.text_weight
    worded = by_wording(candidate.title, candidate.text)
    return (fusion.embedding_weight * by_meaning + fusion.text_weight * worded) / weights


def _met(asked: Vectors, read: Vectors) -> float:
    """How well each token of a query is met by one of a passage's, on the whole, in 0..1."""
    if not len(asked) or not len(read):
        return 0.0  # a text of nothing but signs has no tokens
    return min(1.0, max(0.0, float((asked @ read.T).max(axis=1).mean())))


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
        flags=stored.flags,
        locator=stored.locator,
        personal_data=stored.personal_data,
    )
