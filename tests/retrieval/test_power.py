"""What a power cut may not take: whatever is acknowledged was synced first, and its name after that.

Each test runs once as it is, and once with each of its syncs left out, which must be noticed.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from retrieval.backup import back_up, checked
from retrieval.embedder import DIMS
from retrieval.erasure import Gone
from retrieval.index import BLOCK
from retrieval.mirror import Mirror
from retrieval.originals import Originals
from retrieval.purge import Purger
from retrieval.removals import Removals
from retrieval.restore import restore
from retrieval.snapshots import Snapshots
from retrieval.store import attaching, contents, files, stores
from retrieval.store.contents import Content, StoredChunk
from retrieval.store.database import Database
from tests.retrieval.desk import ANNA, WordsEmbedder
from tests.retrieval.power import of, watched
from tests.retrieval.vectors import Filled, publish, unit

Act = Callable[[Path], None]
NOTHING = Gone({}, ())


def hand_in_whole(folder: Path) -> None:
    with Originals(folder / "files").staged(b"the words of a file") as adopt:
        adopt("file-1")


def hand_in_by_pieces(folder: Path) -> None:
    with Originals(folder / "files").staging() as staged:
        for piece in (b"the words ", b"of a file"):
            staged.write(piece)
        staged.adopt("file-1")


def save_the_index_twice(folder: Path) -> None:
    snapshots, filled = Snapshots(folder / "index"), Filled(unit(4), [1, 2, 2 * BLOCK, 2 * BLOCK + 1])
    publish(snapshots, filled)
    filled.index.remove([2])
    publish(snapshots, filled, generation=4)


def stock(data_dir: Path) -> tuple[Database, Originals]:
    """A store with one document, whose original is kept."""
    database, originals = Database(data_dir / "store.db"), Originals(data_dir / "files")
    vector = WordsEmbedder().embed(["words"])[0].tobytes()
    with database.write() as tx:
        store_no = stores.create(tx, "shop", ANNA, None)
        file_no, file_id = files.add(tx, owner="user:anna", filename="a.txt", size=5, sha256="x")
        document_no = attaching.attach(tx, store_no, file_no)
        contents.complete(tx, document_no, Content("", "words", "x", [StoredChunk(0, 5, "", "words", vector)]))
    with originals.staged(b"words") as adopt:
        adopt(file_id)
    return database, originals


def make_a_backup(folder: Path) -> None:
    data_dir = folder / "data"
    data_dir.mkdir()
    database, originals = stock(data_dir)
    back_up(database, originals, folder / "kept", {})
    database.close()
    checked(folder / "kept")


def bring_a_backup_back(folder: Path) -> None:
    restore(folder / "kept", folder / "data", NOTHING, replace=True)


def purge_a_removed_file(folder: Path) -> None:
    data_dir = folder / "data"
    data_dir.mkdir()
    database, originals = stock(data_dir)
    mirror = Mirror(database, Snapshots(data_dir / "index"), embedder="words", dims=DIMS)
    mirror.open()
    mirror.save()
    database.copy_to(data_dir / "store.db.v1.backup")
    with database.read() as tx:
        (file_id,) = files.known(tx)
    Removals(database, originals, mirror).delete(file_id, ANNA)
    purge = Purger(database, originals, mirror, data_dir).purge()
    database.close()
    assert purge.problem is None


@pytest.fixture(autouse=True)
def whole(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """A backup to bring back, made before anything is watched."""
    if request.node.callspec.params["act"] is bring_a_backup_back:
        make_a_backup(tmp_path)


ACTS = (
    hand_in_whole,
    hand_in_by_pieces,
    save_the_index_twice,
    make_a_backup,
    bring_a_backup_back,
    purge_a_removed_file,
)


@pytest.mark.parametrize("act", ACTS)
def test_what_is_acknowledged_outlasts_a_power_cut(tmp_path: Path, act: Act) -> None:
    with watched(tmp_path) as disk:
        act(tmp_path)

    assert disk.at_the_end == []
    assert disk.syncs


@pytest.mark.parametrize(
    ("act", "lost"),
    [
        (hand_in_whole, of("files/.aside-*")),
        (hand_in_whole, of("files")),
        (hand_in_by_pieces, of("files/.aside-*")),
        (hand_in_by_pieces, of("files")),
        (save_the_index_twice, of("index/*.aside")),
        (save_the_index_twice, of("index")),
        (save_the_index_twice, of("index/*.faiss")),
        (make_a_backup, of(".kept.*/store.db")),
        (make_a_backup, of(".kept.*/files/*")),
        (make_a_backup, of(".kept.*/manifest.json")),
        (make_a_backup, of(".kept.*/files")),
        (make_a_backup, of(".kept.*")),
        (make_a_backup, of("test_*")),  # the folder that the backup is in
        (bring_a_backup_back, of("restore-*/store.db")),
        (bring_a_backup_back, of("restore-*/files/*")),
        (bring_a_backup_back, of("restore-*/files")),
        (bring_a_backup_back, of("restore-*/restoring.json")),
        (bring_a_backup_back, of("data")),
        (purge_a_removed_file, of("data/files")),
        (purge_a_removed_file, of("data/index")),
        (purge_a_removed_file, of("data")),  # where copies of before a migration are
    ],
)
def test_a_sync_that_is_left_out_is_noticed(tmp_path: Path, act: Act, lost: Callable[[Path], bool]) -> None:
    with watched(tmp_path, lost) as disk:
        act(tmp_path)

    assert disk.at_the_end
