"""server.upkeep: what a backup brings is what it holds, whatever a killed process has left lying in its place."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import apsw
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from retrieval.backup import STORE
from retrieval.opening import open_library
from retrieval.store import going, stores
from retrieval.store.database import Database
from retrieval.types import Reader
from server.audit.log import AuditLog
from server.cli import main
from server.erasure_records import ErasureRecord
from server.ledger import Ledger
from server.signing import Signer
from server.upkeep import AUDIT, LEDGER, bring_audit, merged_ledger
from tests.retrieval.canaries import canary, holding
from tests.retrieval.desk import write
from tests.retrieval.power import of, watched

LOCAL = Reader(frozenset({"user:local"}))
SIGNER = Signer(Ed25519PrivateKey.generate())


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "backup").mkdir()
    return tmp_path / "data"


@contextmanager
def killed(path: Path) -> Iterator[None]:
    """What is done in the block stays in the write-ahead log, as after a kill; the database itself is lost."""
    keeping = apsw.Connection(str(path))
    keeping.execute("SELECT * FROM sqlite_schema").fetchall()
    yield
    wal = path.with_name(f"{path.name}-wal")
    shutil.copy(wal, path.with_name("kept"))
    keeping.close()
    path.unlink()
    path.with_name("kept").rename(wal)


def make_keys(ledger: Ledger, count: int) -> None:
    for number in range(count):
        ledger.keys.create(principal=f"user:{number}", roles=["admin"])


def principals(ledger: Ledger) -> set[str]:
    return {key.principal for key in ledger.keys.all()}


def is_sound(path: Path) -> bool:
    db = apsw.Connection(str(path))
    try:
        return bool(db.pragma("integrity_check") == "ok")
    finally:
        db.close()


def test_a_ledger_that_is_brought_back_takes_over_nothing_of_a_log_that_lies_there(data: Path, tmp_path: Path) -> None:
    ledger = Ledger(data / LEDGER)
    make_keys(ledger, 3)
    before = principals(ledger)
    ledger.copy_to(tmp_path / "backup" / LEDGER)
    with killed(data / LEDGER):
        make_keys(ledger, 40)
        ledger.close()

    restored = merged_ledger(data, tmp_path / "backup", [])

    assert principals(restored) == before
    restored.close()
    assert is_sound(data / LEDGER)


def test_an_audit_log_that_is_brought_back_likewise(data: Path, tmp_path: Path) -> None:
    log = AuditLog(data / AUDIT, SIGNER)
    for number in range(5):
        log.append({"request": f"req_{number}"}, {})
    log.copy_to(tmp_path / "backup" / AUDIT)
    with killed(data / AUDIT):
        for number in range(60):
            log.append({"request": f"later_{number}"}, {"question": "May I?"})
        log.close()

    bring_audit(data, tmp_path / "backup")

    restored = AuditLog(data / AUDIT, SIGNER)
    assert restored.verify([SIGNER.public_key]).number == 5
    restored.close()


def test_what_a_restore_that_was_killed_has_left_is_not_read_into_the_next_one_s_copy(
    data: Path, tmp_path: Path
) -> None:
    ledger = Ledger(data / LEDGER)
    ledger.copy_to(tmp_path / "backup" / LEDGER)
    ledger.close()
    brought = data / f"{LEDGER}.brought"
    left = Ledger(brought)
    with killed(brought):
        left.erasures.remember_key("key_left", "PEM", 1)
        left.close()

    restored = merged_ledger(data, tmp_path / "backup", [])

    assert restored.erasures.public_keys() == {}
    restored.close()
    assert list(data.glob(f"{LEDGER}.*")) == []


def bring(data_dir: Path, backup: Path) -> None:
    bring_audit(data_dir, backup)
    merged_ledger(data_dir, backup, ()).close()


@pytest.fixture
def backup(data: Path) -> Path:
    """Of a server that has done nothing yet, beside an empty data directory."""
    data.mkdir()
    folder = data.with_name("backup")
    Ledger(folder / LEDGER).close()
    AuditLog(folder / AUDIT, SIGNER).close()
    return folder


def test_what_is_brought_back_outlasts_a_power_cut(data: Path, backup: Path) -> None:
    with watched(data) as disk:
        bring(data, backup)

    assert disk.at_the_end == []
    assert disk.syncs


@pytest.mark.parametrize("lost", [of("audit.db.brought"), of("ledger.db.brought"), of("data")])
def test_a_sync_that_is_left_out_of_bringing_it_back_is_noticed(
    data: Path, backup: Path, lost: Callable[[Path], bool]
) -> None:
    with watched(data, lost) as disk:
        bring(data, backup)

    assert disk.at_the_end


def test_a_copy_for_a_backup_is_synced(data: Path) -> None:
    data.mkdir()
    ledger = Ledger(data / "of_now.db")
    with watched(data) as disk:
        ledger.copy_to(data / "copy.db")
    ledger.close()

    assert data / "copy.db" in disk.syncs


def erasures_of(data: Path) -> list[ErasureRecord]:
    ledger = Ledger(data / LEDGER)
    try:
        return list(ledger.erasures.listing())
    finally:
        ledger.close()


def remove_notes_and_die(data: Path) -> None:
    """What a process has done that is killed between taking a store away and the first turn of emptying it."""
    store = Database(data / STORE)
    with store.write() as tx:
        going.take_away(tx, stores.number(tx, "notes", LOCAL), "user:ann")
    store.close()


def test_what_was_removed_and_had_reached_no_ledger_yet_does_not_come_back(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server is killed between an answered DELETE and its eraser's next look."""
    monkeypatch.setenv("HRM_DATA_DIR", str(data))
    paths = [write(tmp_path, f"{seed}.txt", canary(seed)) for seed in (1, 2)]
    assert main(["ingest", *map(str, paths), "--store", "notes"]) == 0
    assert main(["backup", str(tmp_path / "monday")]) == 0

    async def remove() -> str:
        async with open_library(data) as library:
            (doomed,) = [found for found in await library.documents("notes", LOCAL) if found.filename == "2.txt"]
            return (await library.delete(doomed.file_id, LOCAL)).file_id

    gone = anyio.run(remove)
    assert erasures_of(data) == []

    assert main(["restore", str(tmp_path / "monday"), "--replace"]) == 0

    assert "1 erased since were left out" in capsys.readouterr().out
    assert main(["stores", "notes"]) == 0
    assert gone not in capsys.readouterr().out
    assert main(["purge"]) == 0
    assert [(record.file_id, record.reason, record.proof is None) for record in erasures_of(data)] == [
        (gone, "deleted", False),
        (gone, "replayed", False),
    ]
    assert holding(data, canary(2), canary(1), str(tmp_path)) == {}


def test_nor_does_a_removed_store_that_was_still_to_be_emptied(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server is killed, or stopped, between the DELETE of a large store and the last turn of emptying it."""
    monkeypatch.setenv("HRM_DATA_DIR", str(data))
    paths = [write(tmp_path, f"{seed}.txt", canary(seed)) for seed in (1, 2, 3)]
    assert main(["ingest", *map(str, paths[:2]), "--store", "notes"]) == 0
    assert main(["backup", str(tmp_path / "monday")]) == 0
    assert main(["ingest", str(paths[2]), "--store", "notes"]) == 0
    remove_notes_and_die(data)

    assert main(["restore", str(tmp_path / "monday"), "--replace"]) == 0

    assert "2 erased since were left out" in capsys.readouterr().out
    assert main(["purge"]) == 0
    records = erasures_of(data)
    assert sorted(record.reason for record in records) == ["deleted"] * 3 + ["replayed"] * 2
    assert {(record.requested_by, record.proof is None) for record in records} == {("user:ann", False)}
    assert holding(data, canary(1), canary(9), str(tmp_path)) == {}
    assert holding(data, canary(3), canary(9), str(tmp_path)) == {}


def test_a_purge_takes_out_first_what_a_killed_process_has_left_of_a_removed_store(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HRM_DATA_DIR", str(data))
    paths = [write(tmp_path, f"{seed}.txt", canary(seed)) for seed in (1, 2)]
    assert main(["ingest", *map(str, paths), "--store", "notes"]) == 0
    remove_notes_and_die(data)
    capsys.readouterr()

    assert main(["purge"]) == 0

    assert "2 erasures certified" in capsys.readouterr().out
    assert holding(data, canary(1), canary(9), str(tmp_path)) == {}
    assert main(["purge"]) == 0
    assert capsys.readouterr().out == "Nothing was removed since the last purge.\n"
