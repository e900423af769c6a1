"""retrieval.backup and restore: what comes back is what was there, whole, and without what was erased since."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import anyio
import pytest

from retrieval.backup import MANIFEST, checked
from retrieval.erasure import Gone, Taken
from retrieval.errors import BackupRefused, DataInUse, RestoreRefused, StoreFailed
from retrieval.library import Library
from retrieval.opening import open_library
from retrieval.restore import MARKER, Restored, restore
from retrieval.store.database import Database
from retrieval.types import Attachment
from tests.full_disk import full
from tests.retrieval.canaries import canary, holding
from tests.retrieval.desk import ANNA, WordsEmbedder, write
from tests.retrieval.handing_in import read, upload
from tests.retrieval.neighbour import ROOT, neighbour
from tests.retrieval.soundness import problems

pytestmark = pytest.mark.anyio

BACKUP = [
    ("back_up", "call", 1),
    ("Database.copy_to", "call", 1),
    ("Database.copy_to", "return", 1),
    ("copy_synced", "call", 2),
    ("copy_synced", "return", 2),
    ("_describe", "return", 1),
    ("write_synced", "call", 1),
    ("write_synced", "return", 1),
    ("sync_folder", "return", 2),
    ("sync_folder", "call", 3),
    ("back_up", "return", 1),
]
RESTORE = [
    ("checked", "return", 1),
    ("copy_synced", "return", 2),
    ("Database.__init__", "return", 1),
    ("_replay", "return", 1),
    ("_mark", "call", 1),
    ("write_synced", "return", 1),
    ("_mark", "return", 1),
    ("_finish", "call", 1),
    ("sync_folder", "call", 4),
    ("sync_folder", "return", 4),
    ("sync_folder", "call", 5),
    ("sync_folder", "return", 5),
    ("sync_folder", "call", 6),
    ("_finish", "return", 1),
]


async def ingest(library: Library, folder: Path, *seeds: int) -> list[str]:
    paths = [write(folder, f"{seed}.txt", canary(seed)) for seed in seeds]
    return [(await library.ingest(path, store="shop", reader=ANNA)).file_id for path in paths]


async def texts(data: Path) -> set[str]:
    async with open_library(data, WordsEmbedder()) as library:
        found = set()
        for document in await library.documents("shop", ANNA):
            if document.status != "completed":
                continue
            hits = await library.search(
                (await library.text(document.file_id, ANNA))[:80], stores=["shop"], k=1, reader=ANNA
            )
            assert hits.passages[0].file_id == document.file_id
            found.add(await library.text(document.file_id, ANNA))
        return found


async def made(tmp_path: Path, *seeds: int) -> tuple[Path, Path, list[str]]:
    data, folder = tmp_path / "data", tmp_path / "backup"
    async with open_library(data, WordsEmbedder()) as library:
        ids = await ingest(library, tmp_path, *seeds)
        await library.back_up(folder, {"notes": Path.touch})
    return data, folder, ids


async def test_a_backup_comes_back_in_an_empty_place(tmp_path: Path) -> None:
    _, folder, ids = await made(tmp_path, 1, 2, 3)
    manifest = checked(folder)

    assert set(manifest.files) == {"store.db", "notes", *(f"files/{file_id}" for file_id in ids)}
    assert manifest.embedder == "words@1"
    assert restore(folder, tmp_path / "new", Gone(), replace=False) == Restored(files=3, replayed=0)
    assert await texts(tmp_path / "new") == {canary(1), canary(2), canary(3)}
    assert problems(tmp_path / "new") == []
    assert folder.stat().st_mode & 0o777 == 0o700


async def test_a_backup_is_of_one_moment_while_documents_come_and_go(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with open_library(data, WordsEmbedder()) as library:
        ids = await ingest(library, tmp_path, *range(6))

        async def churn() -> None:
            for number, file_id in enumerate(ids):
                await library.delete(file_id, ANNA)
                await ingest(library, tmp_path, 100 + number)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(churn)
            for number in range(4):
                await library.back_up(tmp_path / f"backup{number}", {})

    for number in range(4):
        restore(tmp_path / f"backup{number}", tmp_path / f"new{number}", Gone(), replace=False)
        assert problems(tmp_path / f"new{number}") == []
        assert 5 <= len(await texts(tmp_path / f"new{number}")) <= 6


async def test_what_was_erased_since_stays_erased_and_is_proven_again(tmp_path: Path) -> None:
    data, folder, (kept, doomed) = await made(tmp_path, 1, 2)
    async with open_library(data, WordsEmbedder()) as library:
        first = await library.delete(doomed, ANNA)

    assert restore(folder, data, Gone({doomed: "user:boss"}), replace=True) == Restored(files=1, replayed=1)

    assert holding(data, canary(2), canary(1), str(tmp_path)) == {}
    async with open_library(data, WordsEmbedder()) as library:
        assert [document.file_id for document in await library.documents("shop", ANNA)] == [kept]
        # The one that was not proven yet when the store was replaced, and its repetition.
        pending = await library.erasures()
        assert [(erasure.reason, erasure.by) for erasure in pending] == [
            ("deleted", "user:anna"),
            ("replayed", "user:boss"),
        ]
        assert pending[0] == first
        while pending := await library.erasures():
            purge = await library.purge()
            assert purge.problem is None
            for erasure in purge.erasures:
                await library.settle(erasure)
    assert holding(data, canary(2), canary(1), str(tmp_path)) == {}


async def test_what_was_taken_out_of_a_store_since_is_out_of_it_again_and_is_proven_again(tmp_path: Path) -> None:
    data, folder = tmp_path / "data", tmp_path / "backup"
    async with open_library(data, WordsEmbedder()) as library:
        for store in ("shop", "shed"):
            await library.create_store(store, ANNA)
        ids = [(await upload(library, canary(seed))).file_id for seed in (1, 2)]
        for store in ("shop", "shed"):
            for file_id in ids:
                await read(library, store, Attachment(file_id))
        await library.back_up(folder, {})
        (shop,) = [store.store_id for store in await library.stores(ANNA) if store.name == "shop"]
        await library.archive.detach("shop", ids[1], ANNA)
        (erasure,) = await library.erasures()
    taken = Taken(erasure.file_id, erasure.store_ids, erasure.by, erasure.requested_at)
    earlier = Taken(ids[0], (shop,), "user:anna", 1)  # since then it was put there once more

    restored = restore(folder, data, Gone(taken=[earlier, taken]), replace=True)

    assert restored == Restored(files=2, replayed=0, taken_out=1)
    async with open_library(data, WordsEmbedder()) as library:
        held = {store: await library.documents(store, ANNA) for store in ("shop", "shed")}
        assert {store: {one.file_id for one in documents} for store, documents in held.items()} == {
            "shop": {ids[0]},
            "shed": set(ids),
        }
        again = [one for one in await library.erasures() if one.reason == "replayed"]
        assert [(one.file_id, one.store_ids, one.is_whole) for one in again] == [(ids[1], (shop,), False)]


async def test_a_file_without_an_original_counts_as_one_that_is_there(tmp_path: Path) -> None:
    data, folder = tmp_path / "data", tmp_path / "backup"
    async with open_library(data, WordsEmbedder()) as library:
        await library.create_store("shop", ANNA, personal_data="redact")
        _, doomed = await ingest(library, tmp_path, 1, 2)
        await library.back_up(folder, {})

    assert restore(folder, tmp_path / "new", Gone(), replace=False) == Restored(files=2, replayed=0)
    assert restore(folder, data, Gone({doomed: "user:boss"}), replace=True) == Restored(files=1, replayed=1)


async def test_a_restore_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    data, folder, _ = await made(tmp_path, 1)
    with full(3), pytest.raises(OSError, match="File too large"):
        restore(folder, data, Gone(), replace=True)
    assert not list(data.glob("restore-*"))

    with closing(Database(folder / "store.db")) as database:
        with database.write() as tx:
            tx.run("ALTER TABLE files RENAME TO others")
        database.checkpoint()
    content = (folder / "store.db").read_bytes()
    forge(folder, files={"store.db": {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}})
    with pytest.raises(StoreFailed, match="no such table"):
        restore(folder, data, Gone(), replace=True)

    assert not list(data.glob("restore-*"))
    assert not [path for path in open_files() if path.startswith(str(data))]
    assert await texts(data) == {canary(1)}


async def test_a_restore_takes_away_what_one_that_was_killed_has_left(tmp_path: Path) -> None:
    data, folder, _ = await made(tmp_path, 1)
    write(data / "restore-0123abcd", "store.db", canary(2))

    with pytest.raises(RestoreRefused):
        restore(folder, data, Gone(), replace=False)

    assert not list(data.glob("restore-*"))


async def test_a_store_that_is_there_goes_only_when_told(tmp_path: Path) -> None:
    data, folder, _ = await made(tmp_path, 1)
    async with open_library(data, WordsEmbedder()) as library:
        await ingest(library, tmp_path, 2)

    with pytest.raises(RestoreRefused, match="--replace"):
        restore(folder, data, Gone(), replace=False)
    assert await texts(data) == {canary(1), canary(2)}

    restore(folder, data, Gone(), replace=True)
    assert await texts(data) == {canary(1)}


async def test_a_directory_in_use_is_not_restored_and_one_being_restored_not_opened(tmp_path: Path) -> None:
    data, folder, _ = await made(tmp_path, 1)
    with neighbour(data) as other:
        assert other.hear() == "ready"
        with pytest.raises(DataInUse, match="stop the server"):
            restore(folder, data, Gone(), replace=True)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def open_files() -> list[str]:
    """What this process has open, by path."""
    found = []
    for descriptor in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            found.append(os.readlink(f"/proc/self/fd/{descriptor}"))
    return found


def forge(folder: Path, **changed: object) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(manifest | changed))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: flip(folder / "store.db"), "store.db is not what was backed up"),
        (lambda folder: flip(next((folder / "files").iterdir())), "is not what was backed up"),
        (lambda folder: (folder / "notes").unlink(), "notes cannot be read"),
        (lambda folder: (folder / "store.db").write_bytes(b""), "store.db is not what was backed up"),
        (lambda folder: (folder / MANIFEST).write_text("{"), "cannot be read"),
        (lambda folder: (folder / MANIFEST).write_text("[]"), "cannot be read"),
        (lambda folder: (folder / MANIFEST).unlink(), "cannot be read"),
        (lambda folder: forge(folder, format=9), "of format 9"),
        (lambda folder: forge(folder, files={}), "not that of a backup"),
        (lambda folder: forge(folder, files={"../x": {"bytes": 1, "sha256": ""}}), "not that of a backup"),
    ],
)
async def test_a_damaged_backup_is_refused_before_anything_is_touched(
    tmp_path: Path, damage: Callable[[Path], object], words: str
) -> None:
    data, folder, _ = await made(tmp_path, 1)
    damage(folder)

    with pytest.raises(BackupRefused, match=words):
        restore(folder, data, Gone(), replace=True)

    assert await texts(data) == {canary(1)}


async def test_a_backup_does_not_overwrite_anything(tmp_path: Path) -> None:
    async with open_library(tmp_path / "data", WordsEmbedder()) as library:
        write(tmp_path / "full", "a", "a")
        for folder in (tmp_path / "full", tmp_path / "full" / "a"):
            with pytest.raises(BackupRefused, match="something already"):
                await library.back_up(folder, {})
        (tmp_path / "empty").mkdir()
        await library.back_up(tmp_path / "empty", {})

    assert checked(tmp_path / "empty").files.keys() == {"store.db"}


@pytest.mark.parametrize("trap", BACKUP, ids=lambda trap: "-".join(map(str, trap)))
async def test_a_kill_during_a_backup_leaves_a_whole_one_or_none(tmp_path: Path, trap: tuple[str, str, int]) -> None:
    data, folder = tmp_path / "data", tmp_path / "backups" / "today"
    async with open_library(data, WordsEmbedder()) as library:
        await ingest(library, tmp_path, 1, 2, 3)
    with neighbour(data, *map(str, trap)) as victim:
        assert victim.hear() == "ready"
        victim.tell(backup=str(folder))
        assert victim.hear_out() == -9, "the trap was not reached"

    assert folder.exists() == (trap in BACKUP[-2:])
    if not folder.exists():
        async with open_library(data, WordsEmbedder()) as library:
            await library.back_up(folder, {})
    restore(folder, tmp_path / "new", Gone(), replace=False)
    assert await texts(tmp_path / "new") == {canary(1), canary(2), canary(3)} == await texts(data)


@pytest.mark.parametrize("trap", RESTORE, ids=lambda trap: "-".join(map(str, trap)))
async def test_a_kill_during_a_restore_leaves_all_of_it_or_nothing(tmp_path: Path, trap: tuple[str, str, int]) -> None:
    data, folder, _ = await made(tmp_path, 1, 2, 3)
    async with open_library(data, WordsEmbedder()) as library:
        await ingest(library, tmp_path, 4)
    died = subprocess.run(  # noqa: ASYNC221 (nothing else is to happen meanwhile)
        [sys.executable, "-m", "tests.retrieval.upkeep", "restore", str(folder), str(data), *map(str, trap)],
        cwd=ROOT,
        check=False,
        timeout=60,
    )
    assert died.returncode == -9, "the trap was not reached"

    is_done = RESTORE.index(trap) >= RESTORE.index(("_mark", "return", 1))
    assert await texts(data) == {canary(1), canary(2), canary(3)} | (set() if is_done else {canary(4)})
    assert problems(data) == []
    assert not (data / MARKER).exists()
    assert not list(data.glob("restore-*"))
    restore(folder, data, Gone(), replace=True)
    assert await texts(data) == {canary(1), canary(2), canary(3)}
