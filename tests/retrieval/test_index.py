"""retrieval.index: exact search among visible chunks, and snapshots that are verified before they are used."""

import json
from pathlib import Path

import numpy as np
import pytest

from retrieval.embedder import Vectors
from retrieval.index import SnapshotRefused, Snapshots, VectorIndex, Visible

DIMS = 8


def unit(count: int, seed: int = 0) -> Vectors:
    rows = np.random.default_rng(seed).standard_normal((count, DIMS)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def filled(count: int = 200) -> tuple[VectorIndex, Vectors]:
    index, vectors = VectorIndex(DIMS), unit(count)
    index.add(range(1, count + 1), vectors)
    return index, vectors


def all_of(count: int) -> Visible:
    return np.arange(count + 1) > 0


def publish(snapshots: Snapshots, index: VectorIndex, generation: int = 3) -> None:
    assert snapshots.publish(*snapshots.stage(index, generation=generation, stamp="s", embedder="e"))


def test_a_search_finds_what_a_comparison_with_every_vector_finds() -> None:
    index, vectors = filled()
    query = unit(1, seed=1)[0]

    assert index.search(query, 20, all_of(200)) == list(np.argsort(-(vectors @ query))[:20] + 1)


def test_what_is_not_visible_is_not_found_and_takes_no_place() -> None:
    index, vectors = filled()
    query = unit(1, seed=1)[0]
    visible = all_of(200)
    visible[::7] = False
    visible[100:] = False

    found = index.search(query, 10, visible)

    ranked = [int(number) + 1 for number in np.argsort(-(vectors @ query)) if visible[number + 1]]
    assert found == ranked[:10]


def test_fewer_are_found_where_fewer_are_visible() -> None:
    index, _ = filled()
    visible = np.zeros(201, np.bool_)
    visible[[5, 9]] = True

    assert sorted(index.search(unit(1)[0], 10, visible)) == [5, 9]
    assert index.search(unit(1)[0], 10, np.zeros(201, np.bool_)) == []
    assert VectorIndex(DIMS).search(unit(1)[0], 10, np.zeros(1, np.bool_)) == []


def test_removed_chunks_are_gone_from_memory() -> None:
    index, vectors = filled()

    index.remove([1, 3, 999])
    index.remove([])

    assert index.rows == 198
    assert not {1, 3} & set(index.numbers.tolist())
    assert index.search(vectors[0], 1, all_of(200)) != [1]


def test_a_snapshot_holds_what_the_index_held(tmp_path: Path) -> None:
    index, vectors = filled()
    snapshots = Snapshots(tmp_path)
    publish(snapshots, index)

    loaded = snapshots.load("e", DIMS)

    assert loaded is not None
    read, manifest = loaded
    assert (manifest.generation, manifest.stamp, manifest.rows) == (3, "s", 200)
    assert read.search(vectors[7], 5, all_of(200)) == index.search(vectors[7], 5, all_of(200))


def test_there_may_be_no_snapshot(tmp_path: Path) -> None:
    assert Snapshots(tmp_path).load("e", DIMS) is None


def test_what_was_only_staged_is_not_loaded(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path)
    snapshots.stage(filled()[0], generation=1, stamp="s", embedder="e")

    assert snapshots.load("e", DIMS) is None


def test_publishing_drops_older_snapshots(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path)
    publish(snapshots, filled(10)[0], generation=1)
    publish(snapshots, filled(20)[0], generation=2)

    loaded = snapshots.load("e", DIMS)

    assert loaded is not None
    assert loaded[1].rows == 20
    assert len(list(tmp_path.iterdir())) == 2


def test_a_snapshot_cleared_while_it_was_written_is_not_published(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path)
    name, manifest = snapshots.stage(filled()[0], generation=1, stamp="s", embedder="e")
    snapshots.clear()

    assert not snapshots.publish(name, manifest)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", [0, 40, -1, 2000])
def test_a_flipped_byte_is_noticed(tmp_path: Path, place: int) -> None:
    snapshots = Snapshots(tmp_path)
    publish(snapshots, filled()[0])
    (path,) = tmp_path.glob("*.faiss")
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)

    with pytest.raises(SnapshotRefused, match="expected sha256"):
        snapshots.load("e", DIMS)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"rows": 7}, "expected 7 rows, found 200"),
        ({"embedder": "other"}, "vectors of other"),
        ({"colour": "red"}, "manifest"),
    ],
)
def test_a_manifest_that_does_not_fit_is_noticed(tmp_path: Path, change: dict[str, object], reason: str) -> None:
    snapshots = Snapshots(tmp_path)
    publish(snapshots, filled()[0])
    (path,) = tmp_path.glob("*.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))

    with pytest.raises(SnapshotRefused, match=reason):
        snapshots.load("e", DIMS)


def test_a_lost_file_and_a_cut_manifest_are_noticed(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path)
    publish(snapshots, filled()[0])
    next(tmp_path.glob("*.faiss")).unlink()
    with pytest.raises(SnapshotRefused, match="No such file"):
        snapshots.load("e", DIMS)

    next(tmp_path.glob("*.json")).write_text("{")
    with pytest.raises(SnapshotRefused, match="cannot be read"):
        snapshots.load("e", DIMS)


def test_a_file_of_another_kind_is_refused_even_with_the_right_digest(tmp_path: Path) -> None:
    path = tmp_path / "x.faiss"
    path.write_bytes(b"no index at all")
    with pytest.raises(SnapshotRefused):
        VectorIndex.read(path, DIMS)

    filled()[0].write(path)
    with pytest.raises(SnapshotRefused, match="not a flat index of 9"):
        VectorIndex.read(path, DIMS + 1)
