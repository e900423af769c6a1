"""kill -9 at exact places of ingest, delete and snapshot: what was acknowledged is there, the rest can be redone."""

import json
from pathlib import Path

import anyio
import pytest

from retrieval.opening import open_library
from retrieval.store.database import Database
from retrieval.types import Document
from tests.retrieval.canaries import canary, holding
from tests.retrieval.desk import ANNA, WordsEmbedder, files, texts, write
from tests.retrieval.neighbour import neighbour
from tests.retrieval.soundness import problems

pytestmark = pytest.mark.anyio

FILES = 4
LEASE_S = 0.5

# Function, event, and which time: before and after each commit, rename and unlink of an ingest.
INGEST = [
    ("Originals.staged", "call", 2),
    ("refuse_unreadable", "return", 3),
    ("attach", "return", 2),
    ("Originals._adopt", "call", 2),
    ("Originals._adopt", "return", 2),
    ("Reception.hand_in", "return", 3),
    ("claim", "call", 1),
    ("claim", "return", 3),
    ("Holding.claim", "return", 2),
    ("ParseProcess.parse", "call", 1),
    ("ParseProcess.parse", "return", 2),
    ("cut", "return", 3),
    ("Ingester._read", "return", 2),
    ("complete", "call", 3),
    ("complete", "return", 2),
    ("point", "return", 3),
    ("Pool._embed", "return", 2),
    ("Ingester._end", "return", 1),
    ("Ingester._end", "return", 4),
    ("release", "call", 2),
    ("release", "return", 2),
]
# The same for files that are handed in together, and embedded together.
TOGETHER = [
    ("ParseProcess.parse", "return", 3),
    ("Pool.admit", "return", 4),
    ("Pool._embed", "call", 1),
    ("Pool._embed", "return", 1),
    ("complete", "return", 2),
    ("Ingester._end", "return", 3),
]
DELETE = [
    ("remove_file", "call", 1),
    ("note", "return", 1),
    ("remove_file", "return", 1),
    ("Originals.remove", "call", 1),
    ("Originals.remove", "return", 1),
    ("Snapshots.drop", "call", 1),
    ("Snapshots.drop", "return", 1),
    ("Database.checkpoint", "call", 1),
]
PURGE = [
    ("Purger._clear", "call", 1),
    ("Originals.sweep", "call", 2),
    ("Originals.sweep", "return", 2),
    ("Snapshots.drop", "return", 2),
    ("Database.checkpoint", "call", 2),
    ("Database.checkpoint", "return", 2),
    ("contents", "return", 2),
    ("Purger._unexplained", "return", 1),
    ("respell", "call", 1),
    ("respell", "return", 1),
    ("Purger._respell", "return", 1),
    ("Database.checkpoint", "return", 3),
    ("Database.vacuum", "call", 1),
    ("Database.vacuum", "return", 1),
    ("Purger.purge", "return", 1),
]
SNAPSHOT = [
    ("Snapshots.write", "call", 1),
    ("Snapshots.write", "return", 1),
    ("Snapshots.publish", "call", 1),
    ("sync_folder", "call", FILES + 1),  # each file that is handed in has had one of its own
    ("sync_folder", "return", FILES + 1),
    ("Snapshots.publish", "return", 1),
]


async def stored(data_dir: Path) -> list[Document]:
    async with open_library(data_dir, WordsEmbedder(), lease_s=LEASE_S) as library:
        documents: list[Document] = []
        for store in await library.stores(ANNA):
            documents += await library.documents(store.store_id, ANNA)
        return documents


async def check_all_found(data_dir: Path, count: int) -> None:
    async with open_library(data_dir, WordsEmbedder(), lease_s=LEASE_S) as library:
        for number in range(count):
            hits = await library.search(f"subject{number} CODE-{number}", stores=["shop"], k=20, reader=ANNA)
            of_it = [text for text in texts(hits.passages) if f"subject{number}" in text or f"CODE-{number}," in text]
            assert len(of_it) == 3


def names(documents: list[Document], status: str = "completed") -> set[str]:
    return {document.filename for document in documents if document.status == status}


@pytest.mark.parametrize("trap", INGEST, ids=lambda trap: "-".join(map(str, trap)))
async def test_a_kill_during_ingest_loses_nothing_acknowledged(tmp_path: Path, trap: tuple[str, str, int]) -> None:
    data, paths = tmp_path / "data", files(tmp_path, FILES)
    with neighbour(data, *map(str, trap)) as victim:
        assert victim.hear() == "ready"
        victim.tell(ingest=[str(path) for path in paths])
        assert victim.hear_out() == -9, "the trap was not reached"
        acknowledged = set(victim.acknowledged)

    assert acknowledged <= names(await stored(data))
    assert problems(data) == []

    async with open_library(data, WordsEmbedder(), lease_s=LEASE_S) as library:
        outcomes = await library.ingest_all(paths, store="shop", reader=ANNA)
    assert names([outcome for outcome in outcomes if isinstance(outcome, Document)]) == {path.name for path in paths}
    assert problems(data) == []
    await check_all_found(data, FILES)


@pytest.mark.parametrize("trap", TOGETHER, ids=lambda trap: "-".join(map(str, trap)))
async def test_a_kill_while_files_are_embedded_together_costs_none_of_them(
    tmp_path: Path, trap: tuple[str, str, int]
) -> None:
    data, paths = tmp_path / "data", files(tmp_path, FILES)
    with neighbour(data, *map(str, trap)) as victim:
        assert victim.hear() == "ready"
        victim.tell(take_in=[str(path) for path in paths])
        assert victim.hear_out() == -9, "the trap was not reached"

    assert len(await stored(data)) == FILES
    assert problems(data) == []
    async with open_library(data, WordsEmbedder(), lease_s=LEASE_S) as library:
        await library.ingest_all(paths, store="shop", reader=ANNA)
    assert names(await stored(data)) == {path.name for path in paths}
    assert problems(data) == []
    await check_all_found(data, FILES)


@pytest.mark.parametrize("trap", DELETE, ids=lambda trap: "-".join(map(str, trap)))
async def test_a_kill_during_a_deletion_leaves_it_done_or_not_begun(tmp_path: Path, trap: tuple[str, str, int]) -> None:
    data, paths = tmp_path / "data", files(tmp_path, FILES)
    async with open_library(data, WordsEmbedder()) as library:
        *_, doomed = [await library.ingest(path, store="shop", reader=ANNA) for path in paths]
    assert list((data / "index").iterdir()) != []
    with neighbour(data, *map(str, trap)) as victim:
        assert victim.hear() == "ready"
        victim.tell(delete=doomed.file_id)
        assert victim.hear_out() == -9, "the trap was not reached"

    left = names(await stored(data))
    is_done = doomed.filename not in left
    assert problems(data) == []
    assert left | {doomed.filename} == {path.name for path in paths}
    assert is_done == (trap not in DELETE[:3])
    await check_all_found(data, FILES - is_done)
    # What the snapshot holds is what the store holds.
    with neighbour(data) as other:
        assert other.hear() == "ready"
        found = [text for text in other.ask(search=f"subject{FILES - 1}") if f"subject{FILES - 1}" in text]
        assert bool(found) != is_done


@pytest.mark.parametrize("trap", PURGE, ids=lambda trap: "-".join(map(str, trap)))
async def test_a_kill_during_a_purge_leaves_it_to_the_next_one(tmp_path: Path, trap: tuple[str, str, int]) -> None:
    data = tmp_path / "data"
    kept, doomed = write(tmp_path, "kept.txt", canary(1)), write(tmp_path, "doomed.txt", canary(2))
    async with open_library(data, WordsEmbedder()) as library:
        await library.ingest(kept, store="shop", reader=ANNA)
        document = await library.ingest(doomed, store="shop", reader=ANNA)
    with neighbour(data, *map(str, trap)) as victim:
        assert victim.hear() == "ready"
        assert victim.ask(delete=document.file_id) == "done"
        # What no rewriting takes out of the store makes the purge go through all that it can do.
        set_readers(data, [canary(2)])
        victim.tell(purge=True)
        assert victim.hear_out() == -9, "the trap was not reached"
    set_readers(data, [])

    async with open_library(data, WordsEmbedder()) as library:
        purge = await library.purge()

        assert [erasure.file_id for erasure in purge.erasures] == [document.file_id]
        assert purge.problem is None
        assert holding(data, canary(2), canary(1), str(tmp_path)) == {}
        await library.settle(purge.erasures[0])
        assert (await library.search(canary(1), stores=["shop"], k=20, reader=ANNA)).passages
    assert problems(data) == []


def set_readers(data: Path, names: list[str]) -> None:
    """Write into a pending erasure, which no purge takes for something that the store holds by right."""
    database = Database(data / "store.db")
    with database.write() as tx:
        tx.run("UPDATE erasures SET readers = ?", json.dumps(names))
    database.close()


@pytest.mark.parametrize("trap", SNAPSHOT, ids=lambda trap: "-".join(map(str, trap)))
async def test_a_kill_while_the_index_is_saved_costs_nothing(tmp_path: Path, trap: tuple[str, str, int]) -> None:
    data, paths = tmp_path / "data", files(tmp_path, FILES)
    with neighbour(data, *map(str, trap)) as victim:
        assert victim.hear() == "ready"
        assert victim.ask(ingest=[str(path) for path in paths]) == "done"
        assert victim.hear_out() == -9, "the trap was not reached"

    assert problems(data) == []
    await check_all_found(data, FILES)


@pytest.mark.parametrize("acknowledged", range(4))
async def test_a_kill_from_outside_at_any_time_is_survived_too(tmp_path: Path, acknowledged: int) -> None:
    await check_survives_a_kill(tmp_path, acknowledged, delay_s=0)


@pytest.mark.soak
@pytest.mark.parametrize("delay_ms", range(0, 800, 4))
async def test_hundreds_of_kills_at_all_moments_are_survived(tmp_path: Path, delay_ms: int) -> None:
    await check_survives_a_kill(tmp_path, acknowledged=delay_ms // 4 % 8, delay_s=delay_ms / 1000)


async def check_survives_a_kill(tmp_path: Path, acknowledged: int, delay_s: float) -> None:
    """Kill a neighbour some time after it has acknowledged so many files; all those must be there."""
    data, paths = tmp_path / "data", files(tmp_path, 8)
    with neighbour(data) as victim:
        assert victim.hear() == "ready"
        victim.tell(ingest=[str(path) for path in paths])
        assert victim._process.stdout is not None
        for _ in range(acknowledged):
            victim._process.stdout.readline()
        await anyio.sleep(delay_s)
        victim.kill()

    assert len(names(await stored(data))) >= acknowledged
    assert problems(data) == []
    async with open_library(data, WordsEmbedder(), lease_s=LEASE_S) as library:
        await library.ingest_all(paths, store="shop", reader=ANNA)
    assert problems(data) == []
    await check_all_found(data, 8)


@pytest.mark.parametrize("acknowledged", [0, 1, 3])
async def test_a_kill_from_outside_at_any_time_of_an_erasure_is_survived_too(tmp_path: Path, acknowledged: int) -> None:
    await check_erases_despite_a_kill(tmp_path, acknowledged, delay_s=0)


@pytest.mark.soak
@pytest.mark.parametrize("delay_ms", range(0, 400, 4))
async def test_a_hundred_kills_at_all_moments_of_an_erasure_are_survived(tmp_path: Path, delay_ms: int) -> None:
    await check_erases_despite_a_kill(tmp_path, acknowledged=delay_ms // 4 % 4, delay_s=delay_ms / 1000)


async def check_erases_despite_a_kill(tmp_path: Path, acknowledged: int, delay_s: float) -> None:
    """Kill a neighbour that deletes and purges one document after another; what it acknowledged must be gone."""
    data = tmp_path / "data"
    async with open_library(data, WordsEmbedder()) as library:
        ids = {}
        for seed in range(5):
            path = write(tmp_path, f"{seed}.txt", canary(seed))
            ids[(await library.ingest(path, store="shop", reader=ANNA)).file_id] = seed
    with neighbour(data) as victim:
        assert victim.hear() == "ready"
        victim.tell(erase=list(ids))
        assert victim._process.stdout is not None
        for _ in range(acknowledged):
            victim.acknowledged.append(json.loads(victim._process.stdout.readline())["acknowledged"])
        await anyio.sleep(delay_s)
        victim.kill()

    left = {document.file_id for document in await stored(data)}
    gone = ids.keys() - left
    assert set(victim.acknowledged) <= gone
    async with open_library(data, WordsEmbedder()) as library:
        assert (await library.purge()).problem is None
        kept = "\n".join(canary(ids[file_id]) for file_id in left)
        assert holding(data, "\n".join(canary(ids[file_id]) for file_id in gone), kept, str(tmp_path)) == {}
    assert problems(data) == []
