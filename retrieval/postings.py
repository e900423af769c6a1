"""Which chunks hold a query's words, for a whole query at once, in memory.

The lexical index names the chunks of each word; here they are kept by word, counted within what a search may find, and
added up. SQLite's own ranking would look up every match by itself, and count words of chunks that nobody may see.
"""

from collections import OrderedDict
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from retrieval.index import Visible
from retrieval.store import passages
from retrieval.store.database import Transaction
from retrieval.types import Reader
from retrieval.wording import Term, Wording, weigh

Postings = NDArray[np.int32]
_Key = tuple[bytes, tuple[str, ...]]  # a reader's rights, digested, and words

# Entries kept in all: 64 MB. Words of a million chunks' questions come back often, and seldom ones have few entries.
KEPT = 16_000_000
# What keeping a term, each of its words and each of their characters costs besides its chunks, in entries: what nobody
# has written is asked for without end, and a question of 10,000 characters may be one term of 3,000 words.
TERM = 100
WORD = 13
CHARACTER = 1


class LexicalIndex:
    """The chunks of each term asked for lately, reader by reader. Not thread-safe: used inside the mirror's view alone.

    A term takes longer the first time, which would tell a reader what others have asked.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._entries = 0
        # Up to which chunk, and the chunks; by the words as they are cut, so that `Fee?` and `fees` are kept once.
        self._known: OrderedDict[_Key, tuple[int, Postings]] = OrderedDict()

    def of(self, reader: Reader) -> "Words":
        """The terms for one reader."""
        rights = [
            (sorted(one.names), one.is_admin, None if one.stores is None else sorted(one.stores))
            for one in reader.each()
        ]
        return Words(self, blake2b(repr(rights).encode(), digest_size=16).digest())

    def forget(self) -> None:
        """Drop everything; for when something was removed, whose words may be among those asked for."""
        self._known.clear()
        self._entries = 0

    def chunks(self, tx: Transaction, whose: bytes, term: Term, last: int) -> Postings:
        """The chunks up to `last` that hold it; removed ones may be among them, which nothing makes visible again."""
        key = (whose, term.words)
        upto, chunks = self._known.get(key, (0, np.zeros(0, np.int32)))
        if self._known.pop(key, None) is not None:
            self._entries -= _cost(key, chunks)
        if upto < last:
            added = passages.containing(tx, term.expression(), upto)
            chunks = np.concatenate([chunks, added[added <= last]])
        self._known[key] = (last, chunks)
        self._entries += _cost(key, chunks)
        while self._entries > self._kept and len(self._known) > 1:
            least, (_, dropped) = self._known.popitem(last=False)
            self._entries -= _cost(least, dropped)
        return chunks


@dataclass(frozen=True, slots=True)
class Words:
    """The lexical index as one reader asks it."""

    _index: LexicalIndex
    _whose: bytes

    def weigh(self, tx: Transaction, terms: list[Term], visible: Visible) -> Wording:
        """Weigh a query's terms by how rare they are among the visible chunks."""
        return weigh(
            terms,
            int(np.count_nonzero(visible)),
            lambda term: int(np.count_nonzero(visible[self._chunks(tx, term, visible)])),
        )

    def heaviest(self, tx: Transaction, wording: Wording, k: int, visible: Visible) -> tuple[list[int], Visible]:
        """The visible chunks that hold most of a query's weight, as far as the weights tell them apart.

        Returns:
            At most `k` chunks, and of those which weigh the same as the next one, a flag per chunk number;
            none flagged: there are no more.
        """
        carried = np.zeros(len(visible), np.float32)
        for term, weight in wording.weights.items():
            carried[self._chunks(tx, term, visible)] += weight
        carried[~visible] = 0
        # Not by a list of those that carry anything: a frequent word is in half of a million chunks.
        beyond, border = np.partition(carried, (-k - 1, -k))[-k - 1 : -k + 1 or None] if k < len(carried) else (0, 0)
        if not beyond:
            return np.flatnonzero(carried).tolist(), np.zeros(len(visible), np.bool_)
        return np.flatnonzero(carried > border).tolist(), carried == border

    def _chunks(self, tx: Transaction, term: Term, visible: Visible) -> Postings:
        return self._index.chunks(tx, self._whose, term, len(visible) - 1)


def _cost(key: _Key, chunks: Postings) -> int:
    _, words = key
    return TERM + WORD * len(words) + CHARACTER * sum(map(len, words)) + len(chunks)
