"""Office files as the ZIP archives that they are: what is unfit is refused before a library opens it."""

import io
import lzma
import zipfile
import zlib
from pathlib import Path

from retrieval.errors import DocumentRefused
from retrieval.formats.damage import reason_of
from retrieval.limits import Limits

_CONTENT_TYPES = "[Content_Types].xml"
# How the main part of each program's files is declared.
_MAIN = {
    "Word": b"wordprocessingml.document.main+xml",
    "PowerPoint": b"presentationml.presentation.main+xml",
    "Excel": b"spreadsheetml.sheet.main+xml",
}
_EXTENSIONS = {"Word": "docx", "PowerPoint": "pptx", "Excel": "xlsx"}
_DECLARATIONS = 1_000_000  # bytes of declarations that are looked at; usual are 2,000
_ENCRYPTED = 0x1
_BOUNDED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# What Office programs never write, and their readers here would leave the text of out.
_DOCTYPES = tuple("<!DOCTYPE".encode(code) for code in ("ascii", "utf-16-le", "utf-16-be"))
_RATIO = 1032  # what these make of a byte, at most (zlib.net/feldspar.html)


def refuse_unfit(path: Path, data: bytes, program: str, limits: Limits) -> None:
    """Raise DocumentRefused for an archive that is broken, a bomb, encrypted, full of macros, or another program's.

    The sizes that an archive declares can be relied on: more than that is never unpacked.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = archive.infolist()
            if any(part.compress_type in _BOUNDED and part.file_size > _RATIO * part.compress_size for part in parts):
                raise DocumentRefused(path, "it is damaged (it declares a part longer than it can be)")
            unpacked = sum(part.file_size for part in parts)
            if unpacked > limits.unpacked_bytes:
                raise DocumentRefused(
                    path,
                    f"it unpacks to {unpacked:,} bytes from {len(data):,}; at most {limits.unpacked_bytes:,} are "
                    "unpacked; if it is no trap, split it, take out pictures, or raise HRM_PARSE_MEMORY",
                )
            if any(part.flag_bits & _ENCRYPTED for part in parts):
                raise DocumentRefused(path, f"it is encrypted; open it in {program} and save it without a password")
            with archive.open(_CONTENT_TYPES) as declared:
                declarations = declared.read(_DECLARATIONS)
            if any(_declares_entities(archive, part) for part in parts):
                raise DocumentRefused(path, f"its XML declares entities; open it in {program} and save it again")
    except KeyError as error:
        raise DocumentRefused(path, f"it is an archive, but no {program} file", "unsupported_file") from error
    except (zipfile.BadZipFile, EOFError, NotImplementedError, OSError, RuntimeError, ValueError) as error:
        raise DocumentRefused(path, reason_of(error, program)) from error
    if b"macroEnabled" in declarations or b"vbaProject" in declarations:
        raise DocumentRefused(
            path, f"it contains macros; save it as {_EXTENSIONS[program]}, without them", "unsupported_file"
        )
    if _MAIN[program] not in declarations:
        other = next((name for name, main in _MAIN.items() if main in declarations), None)
        said = f"a {other} file; name it *.{_EXTENSIONS[other]}" if other else f"no {program} file"
        raise DocumentRefused(path, f"its content is {said}", "unsupported_file")


def _declares_entities(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> bool:
    if not part.filename.endswith((".xml", ".rels")):
        return False
    try:
        data = archive.read(part)
    except (
        zipfile.BadZipFile,
        EOFError,
        NotImplementedError,
        OSError,
        RuntimeError,
        ValueError,
        zlib.error,
        lzma.LZMAError,
    ):
        return False  # whoever needs it will say so
    return any(doctype in data for doctype in _DOCTYPES)
