"""retrieval.snapshots: what is loaded is what was written, and a change writes one block."""

import json
import logging
from pathlib import Path

import pytest

from retrieval.index import BLOCK, SnapshotRefused
from retrieval.snapshots import Snapshots
from tests.retrieval.vectors import DIMS, Filled, publish, unit


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def filled() -> Filled:
    """Chunks in the first and the third block."""
    return Filled(unit(4), [1, 2, 2 * BLOCK, 2 * BLOCK + 1])


def test_a_snapshot_holds_what_the_index_held(tmp_path: Path, filled: Filled) -> None:
    publish(Snapshots(tmp_path), filled)

    loaded = Snapshots(tmp_path).load("e", DIMS)

    assert loaded is not None
    index, manifest = loaded
    assert (manifest.generation, manifest.stamp, manifest.last) == (3, "s", 2 * BLOCK + 1)
    assert index.search(filled.vectors[2], 4, filled.all(), filled.exact) == filled.ranked(filled.vectors[2])


def test_there_may_be_no_snapshot(tmp_path: Path) -> None:
    assert Snapshots(tmp_path).load("e", DIMS) is None


def test_what_was_only_staged_is_not_loaded(tmp_path: Path, filled: Filled) -> None:
    snapshots = Snapshots(tmp_path)
    snapshots.stage(filled.index, generation=1, stamp="s", embedder="e", last=1)

    assert snapshots.load("e", DIMS) is None


def test_a_change_writes_its_own_block_and_keeps_the_others(tmp_path: Path, filled: Filled) -> None:
    snapshots = Snapshots(tmp_path)
    publish(snapshots, filled)
    before = names(tmp_path)

    filled.index.remove([2])
    publish(snapshots, filled, generation=4)

    kept = names(tmp_path) & before
    assert [name.partition("-")[0] for name in kept] == ["2"]
    assert len(names(tmp_path)) == 3


def test_a_process_that_loaded_a_snapshot_keeps_its_blocks_too(tmp_path: Path, filled: Filled) -> None:
    publish(Snapshots(tmp_path), filled)
    before = names(tmp_path)
    second = Snapshots(tmp_path)
    loaded = second.load("e", DIMS)
    assert loaded is not None
    index, _ = loaded

    index.add([2 * BLOCK + 9], unit(1))
    manifest = second.stage(index, generation=4, stamp="s", embedder="e", last=2 * BLOCK + 9)

    assert second.publish(manifest)
    assert [name.partition("-")[0] for name in names(tmp_path) & before] == ["0"]


def test_a_block_that_another_process_dropped_is_written_again(tmp_path: Path, filled: Filled) -> None:
    snapshots = Snapshots(tmp_path)
    publish(snapshots, filled)
    Snapshots(tmp_path).clear()

    publish(snapshots, filled)

    assert len(names(tmp_path)) == 3


def test_dropping_a_block_leaves_the_others_to_be_loaded(tmp_path: Path, filled: Filled) -> None:
    snapshots = Snapshots(tmp_path)
    publish(snapshots, filled)

    snapshots.drop({2})
    loaded = snapshots.load("e", DIMS)

    assert loaded is not None
    assert set(loaded[0].blocks) == {0}


def test_dropping_takes_along_what_no_manifest_names(tmp_path: Path, filled: Filled) -> None:
    """A process that died between staging and publishing left it, and nobody knows what is in it."""
    publish(Snapshots(tmp_path), filled)
    kept = names(tmp_path)
    (tmp_path / "7-dead.faiss").write_bytes(b"?")
    (tmp_path / "7-dead.aside").write_bytes(b"?")

    Snapshots(tmp_path).drop({5})

    assert names(tmp_path) == kept


def test_a_snapshot_cleared_while_it_was_written_is_not_published(tmp_path: Path, filled: Filled) -> None:
    snapshots = Snapshots(tmp_path)
    manifest = snapshots.stage(filled.index, generation=1, stamp="s", embedder="e", last=1)
    snapshots.clear()

    assert not snapshots.publish(manifest)
    assert names(tmp_path) == set()


@pytest.mark.parametrize("place", [0, 40, -1, 60])
def test_a_flipped_byte_costs_its_block(
    tmp_path: Path, filled: Filled, place: int, caplog: pytest.LogCaptureFixture
) -> None:
    publish(Snapshots(tmp_path), filled)
    (path,) = tmp_path.glob("2-*.faiss")
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)

    with caplog.at_level(logging.WARNING):
        loaded = Snapshots(tmp_path).load("e", DIMS)

    assert loaded is not None
    assert set(loaded[0].blocks) == {0}
    assert "expected sha256" in caplog.text


def test_a_count_that_does_not_fit_costs_the_block(
    tmp_path: Path, filled: Filled, caplog: pytest.LogCaptureFixture
) -> None:
    publish(Snapshots(tmp_path), filled)
    (path,) = tmp_path.glob("*.json")
    path.write_text(path.read_text().replace('"rows": 2', '"rows": 7'))

    with caplog.at_level(logging.WARNING):
        loaded = Snapshots(tmp_path).load("e", DIMS)

    assert loaded is not None
    assert loaded[0].blocks == {}
    assert "expected 7 rows, found 2" in caplog.text


@pytest.mark.parametrize(
    ("change", "reason"), [({"embedder": "other"}, "vectors of other"), ({"colour": "red"}, "manifest")]
)
def test_a_manifest_that_does_not_fit_is_refused(
    tmp_path: Path, filled: Filled, change: dict[str, object], reason: str
) -> None:
    publish(Snapshots(tmp_path), filled)
    (path,) = tmp_path.glob("*.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))

    with pytest.raises(SnapshotRefused, match=reason):
        Snapshots(tmp_path).load("e", DIMS)


def test_a_cut_manifest_is_refused(tmp_path: Path, filled: Filled) -> None:
    publish(Snapshots(tmp_path), filled)
    next(tmp_path.glob("*.json")).write_text("{")

    with pytest.raises(SnapshotRefused, match="cannot be read"):
        Snapshots(tmp_path).load("e", DIMS)
