"""server.eraser: every removal ends in a certificate, whoever made it and whatever died in between."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

import anyio
import apsw
import pytest

from retrieval.erasure import Erasure, Gone
from retrieval.library import Library
from retrieval.opening import open_library
from retrieval.store import erasures
from retrieval.store.database import Database
from retrieval.types import Access
from server.audit.held import held
from server.certificates import Proof, exported, verify
from server.eraser import Eraser
from server.ledger import Ledger
from server.signing import Signer
from tests.retrieval.canaries import canary, holding
from tests.retrieval.desk import ANNA, WordsEmbedder, write

pytestmark = pytest.mark.anyio


async def ingest(library: Library, folder: Path, seed: int) -> str:
    path = write(folder, f"{seed}.txt", canary(seed))
    return (await library.ingest(path, store="shop", reader=ANNA)).file_id


async def test_a_removal_is_certified_and_nothing_else_remembers_it(
    library: Library, ledger: Ledger, data: Path, tmp_path: Path
) -> None:
    kept, doomed = [await ingest(library, tmp_path, seed) for seed in (1, 2)]
    erasure = await library.delete(doomed, ANNA)

    purge = await Eraser(library, ledger, Signer.of(data)).run_once()

    assert purge.problem is None
    assert await library.erasures() == []
    (record,) = ledger.erasures.listing()
    assert record.proof is not None
    said = verify(exported(record.proof, ""), ledger.erasures.public_keys())
    assert (said["id"], said["file_id"], said["owner"]) == (erasure.erasure_id, doomed, "user:anna")
    assert said["scan"]["clean"]
    assert ledger.erasures.gone() == Gone({doomed: "user:anna"}, [])
    assert holding(data, canary(2), canary(1), str(tmp_path)) == {}
    assert [document.file_id for document in await library.documents("shop", ANNA)] == [kept]


async def test_what_cannot_be_proven_yet_is_listed_as_pending(
    library: Library, ledger: Ledger, data: Path, tmp_path: Path
) -> None:
    await library.delete(await ingest(library, tmp_path, 1), ANNA)
    copy = write(data, "copy", canary(1))
    eraser = Eraser(library, ledger, Signer.of(data))

    assert (await eraser.run_once()).problem == "remains in copy"
    assert [record.proof for record in ledger.erasures.listing()] == [None]

    copy.unlink()
    assert (await eraser.run_once()).problem is None
    assert [record.proof is None for record in ledger.erasures.listing()] == [False]


async def test_removals_of_two_histories_are_certified_in_one_go(
    library: Library, ledger: Ledger, data: Path, tmp_path: Path
) -> None:
    """As after a restore, which carries the old store's pending removals, and their key, into the new one."""
    async with open_library(tmp_path / "old", WordsEmbedder()) as old:
        await old.delete(await ingest(old, tmp_path, 1), ANNA)
    await library.delete(await ingest(library, tmp_path, 2), ANNA)
    there, here = Database(tmp_path / "old" / "store.db"), Database(data / "store.db")
    with there.read() as tx:
        waiting = erasures.rows(tx)
    with here.write() as tx:
        erasures.carry(tx, waiting)
    there.close()
    here.close()

    purge = await Eraser(library, ledger, Signer.of(data)).run_once()

    assert (len(purge.erasures), purge.problem) == (2, None)
    assert all(record.proof for record in ledger.erasures.listing())


async def test_a_certificate_is_written_once_even_where_settling_it_was_lost(
    library: Library, ledger: Ledger, data: Path, tmp_path: Path
) -> None:
    erasure = await library.delete(await ingest(library, tmp_path, 1), ANNA)
    purge = await library.purge(ledger.stretches)
    assert purge.scan is not None
    Eraser(library, ledger, Signer.of(data), clock=lambda: 1.0)._certify(erasure, purge.scan)

    await Eraser(library, ledger, Signer.of(data), clock=lambda: 2.0).run_once()

    (record,) = ledger.erasures.listing()
    assert record.proof is not None
    assert json.loads(record.proof.certificate)["issued_at"] == 1
    assert await library.erasures() == []


async def test_removals_are_certified_as_they_come_and_prompts_forgotten(
    library: Library, ledger: Ledger, data: Path, tmp_path: Path
) -> None:
    forgotten: list[int] = []

    async def forget() -> None:
        forgotten.append(1)

    eraser = Eraser(library, ledger, Signer.of(data), forget=forget)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(eraser.work, 0.01)
        file_id = await ingest(library, tmp_path, 1)
        await wait_for(lambda: len(forgotten) > 0)
        before = len(forgotten)
        await library.set_access("shop", Access(read=("user:ben",)), ANNA)
        await wait_for(lambda: len(forgotten) > before)
        await library.delete(file_id, ANNA)
        await wait_for(lambda: any(record.proof for record in ledger.erasures.listing()))
        assert len(forgotten) >= before + 2
        tasks.cancel_scope.cancel()


async def test_a_store_in_trouble_makes_erasures_wait_and_says_so_once(
    ledger: Ledger, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    library = open_library(data, WordsEmbedder())
    library.close()

    with anyio.move_on_after(0.1):
        await Eraser(library, ledger, Signer.of(data)).work(0.01)

    assert caplog.text.count("erasures wait") == 1


@pytest.mark.parametrize("fault", ["a busy ledger", "a file that cannot be read", "an audit log that cannot be read"])
async def test_whatever_fails_for_a_while_makes_erasures_wait_and_ends_nothing(
    fault: str,
    library: Library,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("server.eraser.AGAIN_S", 0.01)
    ledger = Ledger(data / "ledger.db", busy_timeout_ms=10)
    await library.delete(await ingest(library, tmp_path, 1), ANNA)
    mended = fail(fault, data)

    async with anyio.create_task_group() as tasks:
        recorded = partial(held, data / "audit.db")
        tasks.start_soon(Eraser(library, ledger, Signer.of(data), recorded=recorded).work, 0.01)
        await wait_for(lambda: "erasures wait" in caplog.text)
        mended()
        await wait_for(lambda: ledger.erasures.waiting() == 0 and list(ledger.erasures.listing()) != [])
        tasks.cancel_scope.cancel()

    assert caplog.text.count("erasures wait") == 1
    ledger.close()


async def test_a_store_that_cannot_be_purged_is_read_less_and_less_often_but_does_not_wait_for_ever(
    library: Library, ledger: Ledger, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.eraser.AGAIN_S", 0.1)
    monkeypatch.setattr("server.eraser.MOST_AGAIN_S", 0.4)
    await library.delete(await ingest(library, tmp_path, 1), ANNA)
    write(data, "copy", canary(1))
    times: list[float] = []

    def tried() -> Iterator[str]:
        times.append(time.monotonic())
        yield from ()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Eraser(library, ledger, Signer.of(data), recorded=tried).work, 0.01)
        await wait_for(lambda: len(times) >= 12)  # with a pause that always doubles: after minutes
        tasks.cancel_scope.cancel()

    pauses = [after - before for before, after in pairwise(times)]
    assert all(pause > least for pause, least in zip(pauses, (0.1, 0.2, 0.4, 0.4), strict=False))


async def test_prompts_are_forgotten_while_a_purge_waits_to_be_tried_again(
    library: Library,
    ledger: Ledger,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("server.eraser.AGAIN_S", 60.0)
    forgotten: list[int] = []

    async def forget() -> None:
        forgotten.append(1)

    kept, gone = [await ingest(library, tmp_path, seed) for seed in (1, 2)]
    await library.delete(gone, ANNA)
    write(data, "copy", canary(2))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Eraser(library, ledger, Signer.of(data), forget=forget).work, 0.01)
        await wait_for(lambda: "erasures wait" in caplog.text)
        before = len(forgotten)
        await library.delete(kept, ANNA)
        await wait_for(lambda: len(forgotten) > before)
        tasks.cancel_scope.cancel()


def fail(fault: str, data: Path) -> Callable[[], None]:
    """Bring a fault about; what is returned ends it."""
    if fault == "a busy ledger":
        other = apsw.Connection(str(data / "ledger.db"))
        other.execute("BEGIN IMMEDIATE")
        return other.close
    path = data / ("audit.db" if "audit" in fault else "copy")
    if fault == "a file that cannot be read":
        path.symlink_to("/proc/self/mem")  # not even by root
    else:
        path.write_text(canary(1))
    return path.unlink


async def test_the_record_is_for_owners_and_those_who_asked(
    library: Library, ledger: Ledger, data: Path, tmp_path: Path
) -> None:
    erasure = await library.delete(await ingest(library, tmp_path, 1), ANNA)
    ledger.erasures.expect(erasure)
    ledger.erasures.expect(erasure)

    assert [record.erasure_id for record in ledger.erasures.page(["user:anna"], limit=9)] == [erasure.erasure_id]
    assert ledger.erasures.one(erasure.erasure_id, ["user:anna"]) is not None
    assert ledger.erasures.page(["user:ben"], limit=9) == []
    assert ledger.erasures.one(erasure.erasure_id, ["user:ben"]) is None


async def wait_for(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(20):
        while not condition():  # noqa: ASYNC110 (what is waited for happens in a database)
            await anyio.sleep(0.01)


async def test_no_certificate_is_signed_before_prompts_are_forgotten(
    library: Library, ledger: Ledger, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of what is removed while a purge that began before it is under way."""
    told: list[str] = []

    async def forget() -> None:
        told.append("forgotten")

    eraser = Eraser(library, ledger, Signer.of(data), forget=forget)
    file_id = await ingest(library, tmp_path, 1)
    await eraser.run_once()
    told.clear()
    pending, certify = library.erasures, ledger.erasures.certify

    async def removed_meanwhile() -> Sequence[Erasure]:
        if not told:
            told.append("removed")
            await library.delete(file_id, ANNA)
        return await pending()

    def certified(erasure_id: str, proof: Proof) -> None:
        told.append("certified")
        certify(erasure_id, proof)

    monkeypatch.setattr(library, "erasures", removed_meanwhile)
    monkeypatch.setattr(ledger.erasures, "certify", certified)
    await eraser.run_once()

    assert told == ["removed", "forgotten", "certified"]
