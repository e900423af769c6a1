"""Whether the data directory can be written, asked of real file systems, and who may read what lies there."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from server.storage import kept_private, trouble

ROOT = Path(__file__).parents[2]
_SAY = "import sys, pathlib, server.storage as storage; print(storage.trouble(pathlib.Path(sys.argv[1]), 4096))"
# A disk of 64 KiB: with room, full, and read-only.
_OF_A_SMALL_DISK = """
set -e
mount -t tmpfs -o size=64k none "$2"
"$1" -c "$3" "$2"
head -c 65536 /dev/zero > "$2/filling" || true
"$1" -c "$3" "$2"
rm "$2/filling"
mount -o remount,ro "$2"
"$1" -c "$3" "$2"
"""


def test_a_directory_with_room_is_no_trouble(tmp_path: Path) -> None:
    assert trouble(tmp_path, 1) is None


def test_a_disk_with_less_room_than_asked_for_is_full(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free

    said = trouble(tmp_path, free + (1 << 40))

    assert said is not None
    assert said.startswith("the data directory's disk is full")
    assert str(tmp_path) not in said


def test_a_directory_that_is_gone_is_trouble(tmp_path: Path) -> None:
    assert trouble(tmp_path / "gone", 0) == "the data directory cannot be looked at: No such file or directory"


@contextmanager
def as_nobody() -> Iterator[None]:
    """Ask for permissions as an ordinary user: nothing is forbidden to root."""
    if os.geteuid() != 0:
        yield
        return
    os.setreuid(65534, 0)
    try:
        yield
    finally:
        os.setreuid(0, 0)


def test_a_directory_of_somebody_else_is_trouble(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)

    with as_nobody():
        assert trouble(tmp_path, 0) == "the data directory may not be written by this process"


@pytest.mark.soak  # where the system lets its users mount
def test_a_disk_that_is_full_or_read_only_is_trouble(tmp_path: Path) -> None:
    values = (sys.executable, str(tmp_path), _SAY)
    said = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", _OF_A_SMALL_DISK, "sh", *values],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert said.stdout.splitlines() == [
        "None",
        "the data directory's disk is full: 0 bytes are free, and 4,096 must be",
        "the data directory is on a read-only file system",
    ]


@pytest.mark.parametrize(
    ("mode", "group", "folder_mode", "is_private"),
    [
        (0o600, 1, 0o700, True),
        (0o660, 1, 0o2770, True),
        (0o660, 1, 0o770, False),
        (0o660, 2, 0o2770, False),
        (0o661, 1, 0o2770, False),
    ],
)
def test_a_file_is_private_to_its_owner_or_to_the_group_that_its_folder_is_marked_for(
    mode: int, group: int, folder_mode: int, is_private: bool
) -> None:
    file, folder = (
        os.stat_result((bits, 0, 0, 1, 0, of, 0, 0, 0, 0)) for bits, of in ((mode, group), (folder_mode, 1))
    )

    assert kept_private(file, folder) is is_private
