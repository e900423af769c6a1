"""Pages without tensors: a page holds PAGE_TOKENS tokens in every slot, and may have several holders.

Pages that are neighbours are read where they lie; others have to be gathered first, for every slot of every step.
So free pages are kept as runs of neighbours, and a sequence gets one run wherever there is one.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence

PAGE_TOKENS = 16


def rows_of(pages: list[int], start: int, end: int) -> range | list[int]:
    """The storage rows of a sequence's tokens `start` to `end`: a range where its pages are neighbours."""
    if pages == list(range(pages[0], pages[0] + len(pages))):
        first = pages[0] * PAGE_TOKENS
        return range(first + start, first + end)
    return [pages[token // PAGE_TOKENS] * PAGE_TOKENS + token % PAGE_TOKENS for token in range(start, end)]


def pages_for(tokens: int) -> int:
    """Pages that hold `tokens` tokens."""
    return -(-tokens // PAGE_TOKENS)


class FreePages:
    """The pages that nobody holds."""

    def __init__(self, pages: int) -> None:
        """Start with pages 0 to `pages`, all of them free."""
        self._runs = [range(pages)] if pages else []  # in order, and never two that touch
        self._count = pages

    def __len__(self) -> int:
        return self._count

    def take(self, count: int) -> list[int]:
        """Take `count` pages: the smallest run that has them, or else what the largest runs have.

        Args:
            count: at most as many as are free.
        """
        assert 0 <= count <= self._count, "more pages than are free"
        taken: list[int] = []
        while len(taken) < count:
            wanted = count - len(taken)
            enough = [run for run in self._runs if len(run) >= wanted]
            run = min(enough, key=len) if enough else max(self._runs, key=len)
            at = self._runs.index(run)
            taken.extend(run[:wanted])
            self._runs[at : at + 1] = [run[wanted:]] if len(run) > wanted else []
        self._count -= count
        return taken

    def give(self, pages: Sequence[int]) -> None:
        """Take back what nobody holds any more."""
        for page in pages:
            at = bisect_left(self._runs, page, key=lambda run: run.start)
            start, stop = page, page + 1
            if at < len(self._runs) and self._runs[at].start == stop:
                stop = self._runs.pop(at).stop
            if at and self._runs[at - 1].stop == start:
                at -= 1
                start = self._runs.pop(at).start
            self._runs.insert(at, range(start, stop))
        self._count += len(pages)


class PagePool:
    """Which pages are free, which are held by sequences, and which only keep a prompt that may be asked again."""

    def __init__(self, pages: int) -> None:
        """Start with everything free."""
        self.size = pages
        self.idle = 0  # pages that are kept, and held by no sequence
        self._free = FreePages(pages)
        self._holders = [0] * pages
        self._is_kept = [False] * pages
        self._soiled: set[int] = set()  # pages that somebody has had since they were last swept

    @property
    def free(self) -> int:
        """Pages that nobody wants."""
        return len(self._free)

    def sweep(self, among: Iterable[int] | None = None) -> list[int]:
        """The free pages that somebody has had since the last sweep; the others have nothing to be overwritten.

        Args:
            among: only of these; None: of all.
        """
        soiled = self._soiled if among is None else self._soiled.intersection(among)
        return self._swept(page for page in soiled if not self._holders[page] and not self._is_kept[page])

    def sweep_behind(self, in_use: Iterable[tuple[Sequence[int], int]]) -> list[int]:
        """The same of pages that are held or kept: the rows of theirs that hold nothing of whoever has them now.

        Args:
            in_use: pages, and how many tokens are in them. A page may be in several, and holds what it has in any.
        """
        rows: dict[int, int] = {}
        for pages, tokens in in_use:
            for place, page in enumerate(pages):
                rows[page] = max(rows.get(page, 0), min(PAGE_TOKENS, tokens - place * PAGE_TOKENS))
        swept = self._swept(self._soiled.intersection(rows))
        return [page * PAGE_TOKENS + row for page in swept for row in range(rows[page], PAGE_TOKENS)]

    def _swept(self, pages: Iterable[int]) -> list[int]:
        swept = sorted(pages)
        self._soiled.difference_update(swept)
        return swept

    def take(self, count: int) -> list[int]:
        """Hold `count` free pages; there must be as many."""
        taken = self._free.take(count)
        for page in taken:
            self._holders[page] = 1
        return taken

    def hold(self, pages: Iterable[int]) -> list[int]:
        """Hold pages that others hold or keep already."""
        held = list(pages)
        for page in held:
            assert self._holders[page] or self._is_kept[page], "a free page belongs to whoever takes it"
            self.idle -= self._is_idle(page)
            self._holders[page] += 1
        return held

    def release(self, pages: Iterable[int]) -> list[int]:
        """Let pages go, each as often as it was held, and return those that are free now."""
        freed: list[int] = []
        for page in pages:
            self._holders[page] -= 1
            if self._settle(page):
                freed.append(page)
        return freed

    def keep(self, pages: Iterable[int]) -> None:
        """Keep pages that are held, so that they are not free when they are let go."""
        for page in pages:
            assert self._holders[page], "what is kept is held by whoever filled it"
            assert not self._is_kept[page], "a page holds one prompt"
            self._is_kept[page] = True

    def drop(self, pages: Iterable[int]) -> None:
        """Keep pages no longer."""
        for page in pages:
            self.idle -= self._is_idle(page)
            self._is_kept[page] = False
            self._settle(page)

    def idle_of(self, pages: Iterable[int]) -> int:
        """How many of `pages` are kept, and held by no sequence."""
        return sum(map(self._is_idle, pages))

    def _is_idle(self, page: int) -> bool:
        return self._is_kept[page] and not self._holders[page]

    def _settle(self, page: int) -> bool:
        """Count a page that has lost a holder or its keeper, and say whether that was the last one."""
        self.idle += self._is_idle(page)
        if self._holders[page] or self._is_kept[page]:
            return False
        self._free.give([page])
        self._soiled.add(page)
        return True
