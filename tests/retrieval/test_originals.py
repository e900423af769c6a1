"""retrieval.originals: what is still coming is never taken for what a dead process has left."""

import fcntl
from pathlib import Path
from threading import Event, Thread
from typing import BinaryIO

import pytest

from retrieval.originals import Originals

COUNT = 300


def test_nothing_that_comes_in_is_lost_to_a_purge_that_goes_on_beside_it(tmp_path: Path) -> None:
    originals, is_over = Originals(tmp_path), Event()
    known = {f"file-{number}" for number in range(COUNT)}

    def purge() -> None:
        while not is_over.is_set():
            originals.sweep(known)

    purging = Thread(target=purge)
    purging.start()
    try:
        for number in range(COUNT):
            with originals.staging() as staged:
                staged.write(b"x")
                staged.adopt(f"file-{number}")
    finally:
        is_over.set()
        purging.join()

    assert {path.name for path in tmp_path.iterdir()} == known


@pytest.mark.parametrize("is_whole", [True, False], ids=["given whole", "piece by piece"])
def test_a_file_that_is_swept_before_it_is_held_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_whole: bool
) -> None:
    originals, hold, swept = Originals(tmp_path), fcntl.flock, list[int]()

    def held_late(file: BinaryIO, how: int) -> None:
        if how == fcntl.LOCK_EX and not swept:
            swept.append(how)
            originals.sweep(set())
        hold(file, how)

    monkeypatch.setattr(fcntl, "flock", held_late)
    if is_whole:
        with originals.staged(b"x") as adopt:
            adopt("file-1")
    else:
        with originals.staging() as staged:
            staged.write(b"x")
            staged.adopt("file-1")

    assert originals.read("file-1") == b"x"
    assert [path.name for path in tmp_path.iterdir()] == ["file-1"]
