"""Our own wheels: everything that the server needs at run time is in them, and nothing else."""

import platform
import shutil
import sysconfig
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

import pytest

from release.bundle import CLIENT, SERVER, SOURCES, build_wheel
from release.wheels import read_wheel


@pytest.mark.parametrize(("name", "tops"), [(SERVER, {"hrm_model", "retrieval", "server"}), (CLIENT, {"hrm_client"})])
def test_a_wheel_holds_every_file_of_its_packages(name: str, tops: set[str], tmp_path: Path) -> None:
    source, parts = SOURCES[name]
    build_wheel(source, parts, tmp_path)

    [path] = tmp_path.glob("*.whl")

    with ZipFile(path) as wheel:
        inside = {entry for entry in wheel.namelist() if ".dist-info/" not in entry}
    there = {
        file.relative_to(source).as_posix()
        for top in tops
        for file in (source / top).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    compiled = {entry for entry in inside if entry.startswith("hrm_model/compiled/_step.")}
    assert inside - compiled == there - compiled
    assert len(compiled) == (name == SERVER and has_compiler())
    assert {PurePosixPath(entry).parts[0] for entry in inside} == tops


def has_compiler() -> bool:
    """Whether the compiled step can be built here."""
    return platform.machine() == "x86_64" and shutil.which(sysconfig.get_config_var("CC").split()[0]) is not None


def test_the_same_source_makes_the_same_wheel(tmp_path: Path) -> None:
    digests = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        build_wheel(*SOURCES[CLIENT], folder)
        [path] = folder.glob("*.whl")
        digests.append(read_wheel(path).sha256)

    assert digests[0] == digests[1]
