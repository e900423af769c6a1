"""retrieval.runs: remains of a text are found by its runs, wherever and however packed, and nothing else is."""

import gzip
import lzma
import random
import subprocess
import sys
import zipfile
from contextlib import closing
from pathlib import Path

import apsw
import numpy as np
import pytest

from retrieval import runs
from retrieval.runs import RUN, Sought
from tests.retrieval.canaries import canary

KEY = bytes(range(1, 17))
TEXT = canary(1)


def sought(*texts: str) -> Sought:
    return Sought(np.concatenate([*runs.of_texts(runs.joined(texts), KEY)]), KEY)


@pytest.mark.parametrize("offset", range(0, 40, 3))
def test_a_run_is_found_at_every_offset_and_one_character_less_is_not(offset: int) -> None:
    noise = canary(2).encode()[:offset]
    start = 17 + offset

    assert len(sought(TEXT).within(noise + b"\xff" + TEXT[start : start + RUN].encode() + b"\xff")) == 1
    assert len(sought(TEXT).within(noise + b"\xff" + TEXT[start : start + RUN - 1].encode() + b"\xff")) == 0


def test_another_text_has_none_of_the_runs() -> None:
    assert len(sought(TEXT).within(canary(3, words=5000).encode())) == 0


def test_runs_are_told_apart_wherever_they_differ() -> None:
    base = np.frombuffer(b"abcdefghijkl", np.uint8)
    texts = {base.tobytes()}
    for place in range(RUN):
        for value in range(256):
            changed = base.copy()
            changed[place] = value
            texts.add(changed.tobytes())

    assert len({int(runs.hashed(text, KEY)[0]) for text in texts}) == len(texts)


def test_what_is_found_is_what_a_file_and_the_texts_have_in_common_each_once() -> None:
    file = (canary(5) + canary(6) + canary(5)).encode()
    there = sought(canary(5), canary(7)).hashes

    found = Sought(np.concatenate([there[::-1], there]), KEY).within(file)

    assert found.tolist() == sorted(set(there.tolist()) & set(runs.hashed(file, KEY).tolist()))
    assert Sought(there, KEY).without(found).hashes.tolist() == sorted(set(there.tolist()) - set(found.tolist()))


def test_a_rule_or_a_table_of_zeros_identifies_nothing() -> None:
    assert len(sought("-" * 50, "0.0 0.0 0.0 0.0 0.0 0.0")) == 0
    assert len(sought("short", "")) == 0


def test_a_run_across_two_blocks_of_a_large_file_is_found(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(bytes((1 << 20) - 5) + TEXT[:RUN].encode() + bytes(1 << 20))

    assert sum(len(sought(TEXT).within(block)) for block in runs.contents(path)) == 1
    assert len(sought(TEXT).within(path.read_bytes())) == 1


def test_of_a_long_text_every_run_is_looked_for_a_part_at_a_time() -> None:
    text = canary(4, words=250_000)
    parts = list(runs.in_rooms(runs.of_texts(runs.joined([text]), KEY), 1 << 20))

    assert len(parts) > 2
    assert all(len(part) < 1 << 21 for part in parts)
    assert sum(map(len, parts)) > 0.98 * len(text), "all but what stands twice in it, or has too little variety"
    for at in (*range(0, len(text) - RUN, 99_991), (1 << 20) - RUN, (1 << 20) - 1, 1 << 20):
        assert any(len(Sought(part, KEY).within(text[at : at + RUN].encode())) for part in parts)


def test_runs_that_two_texts_make_together_are_not_looked_for() -> None:
    assert len(sought("abcdefghijkl", "mnopqrstuvwx").within(b"\xff".join([b"abcdefghijkl", b"mnopqrstuvwx"]))) == 2
    assert len(sought("abcdefghijkl", "mnopqrstuvwx")) == 2


def test_parts_are_put_together_as_far_as_there_is_room_and_nothing_is_a_part_too() -> None:
    parts = [np.arange(size, dtype=np.uint64) for size in (3, 4, 5, 6, 1)]

    assert [len(part) for part in runs.in_rooms(parts, 7)] == [7, 11, 1]
    assert [len(part) for part in runs.in_rooms([], 7)] == [0]


def test_what_is_masked_has_no_runs_of_what_it_was() -> None:
    data = runs.joined([TEXT])
    hidden = runs.masked(data, KEY)

    assert len(sought(TEXT).within(hidden)) == 0
    assert runs.masked(hidden, KEY) == data


def test_compressed_files_are_read_decompressed_too(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a", "wb") as zipped:
        zipped.write(TEXT.encode())
    with lzma.open(tmp_path / "b", "wb") as packed:
        packed.write(TEXT.encode())
    with zipfile.ZipFile(tmp_path / "c", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("d", TEXT)

    for name in "abc":
        assert any(len(sought(TEXT).within(block)) for block in runs.contents(tmp_path / name)), name


def zipped(path: Path, *texts: str) -> bytearray:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, text in enumerate(texts):
            archive.writestr(f"{number}.txt", text)
    return bytearray(path.read_bytes())


# Where the first member's facts stand in the file, and where in the directory at its end.
ENCRYPTED, METHOD, CRC = (6, 8), (8, 10), (14, 16)


@pytest.mark.parametrize(("fact", "value"), [(ENCRYPTED, 1), (METHOD, 77), (CRC, 1)])
def test_a_member_of_a_zip_that_cannot_be_unpacked_hides_no_other(
    tmp_path: Path, fact: tuple[int, int], value: int
) -> None:
    data = zipped(tmp_path / "a.zip", canary(2), TEXT)
    in_file, in_directory = fact
    for at in (in_file, data.index(b"PK\x01\x02") + in_directory):
        data[at] ^= value
    (tmp_path / "a.zip").write_bytes(data)

    found = [len(sought(TEXT).within(block)) for block in runs.contents(tmp_path / "a.zip")]

    assert sum(found) == len(sought(TEXT))


def test_what_is_damaged_is_unpacked_up_to_there(tmp_path: Path) -> None:
    """A copy that was broken off, or whose checksum is wrong, still gives the text to whoever opens it."""
    long = (TEXT + canary(2, words=20_000)).encode()
    (tmp_path / "a.gz").write_bytes(gzip.compress(long)[:-30_000])
    (tmp_path / "b.xz").write_bytes(lzma.compress(long)[:-30_000])
    archive = zipped(tmp_path / "c.zip", TEXT)
    archive[CRC[0]] ^= 1
    archive[archive.index(b"PK\x01\x02") + CRC[1]] ^= 1
    (tmp_path / "c.zip").write_bytes(archive)

    for path in tmp_path.iterdir():
        assert sum(len(sought(TEXT).within(block)) for block in runs.contents(path)) == len(sought(TEXT)), path.name


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_however_a_zip_is_damaged_it_stops_nobody_from_looking_further(tmp_path: Path, method: int) -> None:
    path, draw = tmp_path / "a.zip", random.Random(method)
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("é.txt", "some words " * 50)
        archive.writestr("other.txt", "other words " * 50)
    whole = path.read_bytes()

    for _ in range(300):
        damaged = bytearray(whole)
        for at in draw.sample(range(4, len(whole)), draw.choice((1, 2, 5))):
            damaged[at] = draw.randrange(256)
        path.write_bytes(damaged)

        assert next(runs.contents(path)) == damaged
        list(runs.contents(path))


@pytest.mark.parametrize("beginning", [b"\x1f\x8b", b"\x1f\x8b\x08\0\0\0\0\0\0\0", b"\xfd7zXZ\0", b"PK\x03\x04"])
def test_what_only_looks_compressed_is_read_as_it_is(tmp_path: Path, beginning: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(beginning + TEXT.encode())

    assert sum(len(sought(TEXT).within(block)) for block in runs.contents(path)) == len(sought(TEXT))


def test_looking_into_a_database_takes_its_locks_from_nobody(tmp_path: Path) -> None:
    """Without them the next process to close it would take itself for the last, and delete the log under this one."""
    path = tmp_path / "store.db"
    elsewhere = (
        f"import apsw; db = apsw.Connection({str(path)!r}); db.execute('INSERT INTO texts VALUES (2)'); db.close()"
    )
    with closing(apsw.Connection(str(path))) as db:
        db.execute("PRAGMA journal_mode = wal; CREATE TABLE texts (text); INSERT INTO texts VALUES (1)").fetchall()

        found = {
            name: b"".join(runs.contents(tmp_path / name)) for name in ("store.db", "store.db-wal", "store.db-shm")
        }
        subprocess.run([sys.executable, "-c", elsewhere], check=True)

        assert all(found.values())
        assert (tmp_path / "store.db-wal").exists()
        assert db.execute("SELECT count(*) FROM texts").get == 2


@pytest.mark.parametrize("name", ["none", "none.db", "none.db-wal"])
def test_a_file_that_is_gone_holds_nothing(tmp_path: Path, name: str) -> None:
    assert list(runs.contents(tmp_path / name)) == []


def test_a_database_that_cannot_be_read_is_no_clean_one(tmp_path: Path) -> None:
    (tmp_path / "store.db").mkdir()

    with pytest.raises(OSError, match="could not be read"):
        list(runs.contents(tmp_path / "store.db"))


def test_a_vector_is_found_by_parts_of_it() -> None:
    numbers = np.random.default_rng(1).random(384, np.float32)
    vector, half = numbers.tobytes(), numbers.astype(np.float16).tobytes()
    kept = Sought(np.concatenate([*runs.of_heads(runs.heads([vector, bytes(1536)]), KEY)]), KEY)

    assert len(kept.within(b"x" + vector)) == 16
    assert len(kept.within(b"x" + half)) == 8
    assert len(kept) == 24
    assert len(kept.within(vector[700:1000])) >= 2


def test_of_what_was_never_read_there_are_no_vectors_to_find() -> None:
    assert runs.heads([]) == runs.heads([bytes(8)]) == b""
    assert list(runs.of_heads(b"", KEY)) == []
