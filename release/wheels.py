"""What a wheel says of itself, read from the file that is handed over."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name, parse_wheel_filename

from release.closure import needs

# Shared libraries that a wheel's maker copied into it, with a hash in the name: libgomp-c9c6a3b0.so.1.0.0.
_SHARED = re.compile(r"(?P<name>lib[\w+]+?)(?:64_)?(?:-[^/]*)?\.so[.\d]*$")


@dataclass(frozen=True, slots=True)
class Wheel:
    """One file of the bundle."""

    path: Path
    name: NormalizedName
    version: str
    sha256: str
    metadata: Message
    libraries: tuple[str, ...]  # of others, that its maker put in: libgomp, libopenblas, ...

    def needs(self, extra: str = "") -> list[Requirement]:
        """What it needs on this platform."""
        return needs(self.metadata.get_all("Requires-Dist", []), extra)


def read_wheel(path: Path) -> Wheel:
    """Read a wheel's name, metadata, digest and foreign libraries.

    Raises:
        ValueError: the file is no wheel.
    """
    name, version, _, _ = parse_wheel_filename(path.name)
    with ZipFile(path) as archive:
        inside = archive.namelist()
        [metadata] = [entry for entry in inside if re.fullmatch(r"[^/]+\.dist-info/METADATA", entry)]
        text = archive.read(metadata).decode()
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Wheel(
        path=path,
        name=canonicalize_name(name),
        version=str(version),
        sha256=digest,
        metadata=HeaderParser().parsestr(text),
        libraries=tuple(sorted(set(foreign_libraries(inside)))),
    )


def read_wheels(folder: Path) -> list[Wheel]:
    """Every wheel of a folder, by name."""
    return sorted((read_wheel(path) for path in folder.glob("*.whl")), key=lambda wheel: wheel.name)


def foreign_libraries(inside: Iterable[str]) -> Iterator[str]:
    """Of the files of a distribution, the shared libraries that its maker did not write: their plain names."""
    for entry in inside:
        path = PurePosixPath(entry)
        # `auditwheel` puts them into `<package>.libs`; torch keeps its OpenMP beside its own.
        if path.parent.name.endswith(".libs") or path.name.startswith("libgomp"):
            found = _SHARED.search(path.name)
            yield found["name"] if found else path.name
