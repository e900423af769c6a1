"""server.commands.tree: which files a named folder means."""

import os
import socket
from pathlib import Path

import pytest

from server.commands.terminal import CommandError
from server.commands.tree import files_below


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.txt", "a.txt", "sub/c.txt", ".git/config", ".hidden.txt", "sub/~$c.docx"):
        path = tmp_path / "papers" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    return tmp_path / "papers"


def names(folder: Path, files: list[Path]) -> list[str]:
    return [file.relative_to(folder).as_posix() for file in files]


def test_all_files_below_are_meant_but_hidden_ones_and_locks(folder: Path) -> None:
    files, refused = files_below([folder])

    assert (names(folder, files), refused) == (["a.txt", "b.txt", "sub/c.txt"], [])


def test_a_file_that_is_named_twice_is_meant_once(folder: Path) -> None:
    files, _ = files_below([folder / "a.txt", folder, folder / ".hidden.txt"])

    assert names(folder, files) == ["a.txt", "b.txt", "sub/c.txt", ".hidden.txt"]


def test_links_that_lead_out_are_refused_by_name_and_links_inside_add_nothing(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("x")
    (tmp_path / "other").mkdir()
    (folder / "out.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "outside").symlink_to(tmp_path / "other")
    (folder / "again.txt").symlink_to("a.txt")
    (folder / "loop").symlink_to(folder)

    files, refused = files_below([folder])

    assert names(folder, files) == ["a.txt", "b.txt", "sub/c.txt"]
    assert sorted((error.path.name, error.reason) for error in refused) == [
        ("out.txt", "it is a link that leads out of the folder; name it to take it in"),
        ("outside", "it is a link that leads out of the folder; name it to take it in"),
    ]


def test_a_link_that_is_named_is_followed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "way").symlink_to(folder)
    (tmp_path / "one.txt").symlink_to(folder / "a.txt")

    files, refused = files_below([tmp_path / "way", tmp_path / "one.txt"])

    assert [file.name for file in files] == ["a.txt", "b.txt", "c.txt", "one.txt"]
    assert refused == []


def test_what_is_no_regular_file_is_left_to_be_refused_by_name(folder: Path) -> None:
    (folder / "gone.txt").symlink_to("nowhere")
    os.mkfifo(folder / "pipe.txt")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "s"))
        files, _ = files_below([folder])

    assert names(folder, files) == ["a.txt", "b.txt", "gone.txt", "pipe.txt", "s", "sub/c.txt"]


def test_a_folder_that_cannot_be_opened_is_refused_and_the_others_are_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = os.scandir  # an administrator's tests may open every folder

    def guarded(path: str) -> object:
        if str(path).endswith("sub"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", guarded)

    files, refused = files_below([folder])

    assert names(folder, files) == ["a.txt", "b.txt"]
    assert [str(error) for error in refused] == [f"{folder}/sub: the folder cannot be opened: Permission denied"]


def test_a_deep_tree_is_walked_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "top"
    for _ in range(300):
        path = path / "d"
    path.mkdir(parents=True)
    (path / "a.txt").write_text("x")

    files, _ = files_below([tmp_path / "top"])

    assert files == [path / "a.txt"]


def test_nothing_to_take_in_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no files"):
        files_below([tmp_path])
    with pytest.raises(CommandError, match="does not exist"):
        files_below([tmp_path / "missing"])
