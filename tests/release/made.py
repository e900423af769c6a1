"""Small wheels for tests, made without a build."""

from pathlib import Path
from zipfile import ZipFile


def make_wheel(folder: Path, name: str, *headers: str, files: tuple[str, ...] = ()) -> Path:
    """A wheel of version 1.0 with these lines in its metadata and these (empty) files in it."""
    path = folder / f"{name.replace('-', '_')}-1.0-py3-none-any.whl"
    text = "\n".join(["Metadata-Version: 2.4", f"Name: {name}", "Version: 1.0", *headers]) + "\n"
    with ZipFile(path, "w") as archive:
        archive.writestr(f"{name.replace('-', '_')}-1.0.dist-info/METADATA", text)
        for file in files:
            archive.writestr(file, "")
    return path
