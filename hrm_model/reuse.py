"""Prompts that have been read: an identical one finds its K/V and its first logits again. Plain Python, no tensors.

Only whole prompts can be found: each token of a bidirectional prompt has read all the others, so that two prompts with
a common beginning have nothing in common. Kept prompts live in pages that nobody else needs, and go when somebody
does. They are found by the partition that read them and by no other, because a short time to the first token tells
that somebody has asked the same before.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hrm_model.pages import PagePool

Key = tuple[str, tuple[int, ...]]  # partition, ids


@dataclass(frozen=True, slots=True)
class KeptPrompt:
    """Pages that hold a prompt, and the logits after it, which only the runner looks into."""

    pages: tuple[int, ...]
    first: object


class KeptPrompts:
    """The kept prompts, the least recently used first. Each keeps its pages in the pool."""

    def __init__(self, pool: PagePool, max_pages: int) -> None:
        """Start with none.

        Args:
            max_pages: that may be kept altogether; 0 keeps nothing.
        """
        self._pool, self._max_pages = pool, max_pages
        self._prompts: OrderedDict[Key, KeptPrompt] = OrderedDict()
        self._pages = 0

    @property
    def pages(self) -> int:
        """Pages that are kept, those that sequences share among them."""
        return self._pages

    def find(self, key: Key | None) -> KeptPrompt | None:
        """The prompt under `key`, which counts as used now."""
        if key is None or (kept := self._prompts.get(key)) is None:
            return None
        self._prompts.move_to_end(key)
        return kept

    def takes(self, pages: int) -> bool:
        """Whether a prompt of so many pages is kept at all."""
        return pages <= self._max_pages

    def keep(self, key: Key, pages: list[int], first: object) -> None:
        """Keep a prompt that was read into `pages`, at the expense of the least recently used ones."""
        if key in self._prompts or not self.takes(len(pages)):
            return
        while self._pages + len(pages) > self._max_pages:
            self.drop_oldest()
        self._pool.keep(pages)
        self._prompts[key] = KeptPrompt(tuple(pages), first)
        self._pages += len(pages)

    def in_use(self) -> Iterator[tuple[Sequence[int], int]]:
        """The pages of each prompt, and how many tokens it has in them."""
        for (_, ids), kept in self._prompts.items():
            yield kept.pages, len(ids)

    def drop_oldest(self) -> None:
        """Forget the least recently used prompt."""
        self._drop(next(iter(self._prompts)))

    def purge(self, partition: str | None) -> None:
        """Forget what `partition` has read; None: everything."""
        for key in [key for key in self._prompts if partition in (None, key[0])]:
            self._drop(key)

    def _drop(self, key: Key) -> None:
        kept = self._prompts.pop(key)
        self._pages -= len(kept.pages)
        self._pool.drop(kept.pages)
