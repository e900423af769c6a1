"""What may be handed over: what a wheel says of its licence, however it says it, is read, judged, and never guessed."""

import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest

from release.bundle import SOURCES
from release.closure import closure
from release.licences import EXCEPTIONS, LIBRARIES, READ_BY_HAND, is_accepted, licence_of, objections
from release.wheels import Wheel, foreign_libraries, read_wheel
from tests.release.made import make_wheel


@pytest.mark.parametrize(
    ("headers", "licence"),
    [
        (["License-Expression: MIT OR Apache-2.0"], "MIT OR Apache-2.0"),
        (["License: BSD-3-Clause"], "BSD-3-Clause"),
        (["License: Apache 2.0 License"], "Apache-2.0"),
        (["Classifier: License :: OSI Approved :: MIT License"], "MIT"),
        (["License: Copyright (c) the authors", "Classifier: License :: OSI Approved :: BSD License"], "BSD-3-Clause"),
        (["License-Expression: GPL-3.0-only"], "GPL-3.0-only"),
        (["License: whatever you like"], None),
        ([], None),
    ],
)
def test_a_licence_is_read_in_each_of_the_forms_it_comes_in(
    headers: list[str], licence: str | None, tmp_path: Path
) -> None:
    assert licence_of(read_wheel(make_wheel(tmp_path, "thing", *headers))) == licence


@pytest.mark.parametrize(
    ("licence", "accepted"),
    [
        ("MIT", True),
        ("MIT AND GPL-3.0-only", False),
        ("MIT OR GPL-3.0-only", True),
        ("(MIT OR GPL-3.0-only) AND AGPL-3.0-only", False),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("GPL-3.0-or-later WITH GCC-exception-3.1", True),
        ("GPL-3.0-or-later", False),
        ("LGPL-2.1-or-later", False),
        ("MIT AND no-such-licence", False),
    ],
)
def test_all_of_an_and_and_one_of_an_or_have_to_be_accepted(licence: str, accepted: bool) -> None:
    assert is_accepted(licence) is accepted


@pytest.mark.parametrize(
    ("headers", "files", "words"),
    [
        (["License-Expression: AGPL-3.0-only"], [], "thing 1.0 is under AGPL-3.0-only"),
        (["License: mine"], [], "thing 1.0 says no licence that can be read"),
        (["License: MIT"], ["thing.libs/libnew-1a2b.so.3"], "brings libnew, whose licence LIBRARIES does not know"),
    ],
)
def test_what_may_not_be_handed_over_is_named(headers: list[str], files: list[str], words: str, tmp_path: Path) -> None:
    wheel = read_wheel(make_wheel(tmp_path, "thing", *headers, files=tuple(files)))

    [objection] = objections([wheel])

    assert words in objection


def test_libraries_inside_a_wheel_are_known_by_their_plain_names(tmp_path: Path) -> None:
    files = ("a.libs/libgfortran-040039e1-0352e75f.so.5.0.0", "a.libs/libscipy_openblas64_-32a4.so", "a/libown.so")

    wheel = read_wheel(make_wheel(tmp_path, "a", "License: MIT", files=(*files, "torch/lib/libgomp.so.1")))

    assert wheel.libraries == ("libgfortran", "libgomp", "libscipy_openblas")
    assert list(objections([wheel])) == []


def test_the_lists_kept_by_hand_hold_nothing_that_a_reason_is_missing_for() -> None:
    refused = {name for name, licence in {**READ_BY_HAND, **LIBRARIES}.items() if not is_accepted(licence)}

    assert refused == set(EXCEPTIONS), "an exception is for what is refused otherwise, and has a reason"


def test_nothing_stands_against_what_is_installed_here() -> None:
    projects = [tomllib.loads((source / "pyproject.toml").read_text())["project"] for source, _ in SOURCES.values()]
    needed = [one for project in projects for one in project["dependencies"]]
    optional = [extras for project in projects for extras in project.get("optional-dependencies", {}).items()]
    needed += [one for extra, requirements in optional if extra != "dev" for one in requirements]

    installed = []
    for name, version in closure(needed).items():
        found = distribution(name)
        libraries = tuple(foreign_libraries(str(file) for file in found.files or ()))
        installed.append(Wheel(Path(name), name, version, "", found.metadata, libraries))  # type: ignore[arg-type]

    assert list(objections(installed)) == []
