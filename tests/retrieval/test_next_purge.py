"""retrieval.store.erasures: however much was removed, a purge looks for so much of it at a time as memory allows."""

from pathlib import Path

import numpy as np
import pytest

from retrieval.library import Library
from retrieval.opening import open_library
from retrieval.store import erasures
from retrieval.store.database import Database
from retrieval.store.erasures import MOST_TOGETHER
from tests.retrieval.canaries import canary
from tests.retrieval.desk import ANNA, WordsEmbedder, write

pytestmark = pytest.mark.anyio


async def remove(library: Library, folder: Path, count: int) -> list[str]:
    """Ingest and delete so many documents; return the erasures' ids, oldest first."""
    removed = []
    for seed in range(count):
        document = await library.ingest(write(folder, f"{seed}.txt", canary(seed)), store="shop", reader=ANNA)
        removed.append((await library.delete(document.file_id, ANNA)).erasure_id)
    return removed


def widen(data: Path, hashes: int) -> None:
    """As if each pending removal had been noted by a version that kept hashes, of a text with so many more runs."""
    draw, database = np.random.default_rng(1), Database(data / "store.db")
    with database.write() as tx:
        waiting = erasures.rows(tx)
        tx.run("DELETE FROM erasures")
        more = [draw.integers(0, 1 << 64, hashes, np.uint64).astype("<u8").tobytes() for _ in waiting]
        erasures.carry(tx, [(*row[:-3], added, *row[-2:]) for row, added in zip(waiting, more, strict=True)])
    database.close()


async def test_what_memory_has_no_room_for_is_looked_for_next(tmp_path: Path) -> None:
    async with open_library(tmp_path / "data", WordsEmbedder()) as library:
        removed = await remove(library, tmp_path, 5)
        widen(tmp_path / "data", MOST_TOGETHER // 3)

        purges = []
        while await library.erasures():
            purge = await library.purge()
            assert purge.problem is None
            purges.append(purge)
            for erasure in purge.erasures:
                await library.settle(erasure)

    assert [[erasure.erasure_id for erasure in purge.erasures] for purge in purges] == [
        removed[:2], removed[2:4], removed[4:],
    ]  # fmt: skip
    assert all(purge.scan is not None and purge.scan.runs < 2 * MOST_TOGETHER for purge in purges)


async def test_a_removal_that_is_too_much_alone_is_looked_for_alone(tmp_path: Path) -> None:
    async with open_library(tmp_path / "data", WordsEmbedder()) as library:
        first, _ = await remove(library, tmp_path, 2)
        widen(tmp_path / "data", 2 * MOST_TOGETHER)

        purge = await library.purge()

    assert [erasure.erasure_id for erasure in purge.erasures] == [first]
    assert purge.scan is not None
    assert purge.scan.runs > 2 * MOST_TOGETHER
