"""What a process that reads documents sees of the disk: libraries and fonts, by Landlock. Linux 5.13 and later."""

import ctypes
import mimetypes
import os
import struct
import sys
import sysconfig
from pathlib import Path

# Numbered alike on every machine.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION = 1
_PATH_BENEATH = 1
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
# How many rights over files a version knows, from the first on; later ones know no further ones (linux/landlock.h).
_RIGHTS = (13, 14, 15, 15, 16)
# Where the linker, the clock, lists of file types, and PDFium for its fonts look.
_SYSTEM = (
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/etc/ld.so.cache",
    "/etc/localtime",
    *mimetypes.knownfiles,
    "/usr/share",
    "/usr/local/share",
)


def leave_only_libraries() -> bool:
    """Forbid this process, for good, every file but those of libraries and fonts, which it may read.

    No process outside of it, its parent included, can be looked into either. It must have given up new privileges.

    Returns:
        Whether the kernel can do that, and lets this process ask for it.
    """
    if sys.platform != "linux":
        return False
    call = ctypes.CDLL(None, use_errno=True).syscall
    call.restype = ctypes.c_long
    version = call(_CREATE_RULESET, None, ctypes.c_size_t(0), _ASK_VERSION)
    if version < 1:
        return False
    handled = ctypes.create_string_buffer(struct.pack("=Q", (1 << _RIGHTS[min(version, len(_RIGHTS)) - 1]) - 1), 8)
    rules = call(_CREATE_RULESET, handled, ctypes.c_size_t(8), 0)
    if rules < 0:
        return False
    try:
        allowed = [_allow(call, rules, path) for path in readable()]
        return all(allowed) and call(_RESTRICT_SELF, rules, 0) == 0
    finally:
        os.close(rules)


def readable() -> list[Path]:
    """What there is of that; what may not even be looked at is not there."""
    return [path for path in _places() if os.path.exists(path)]  # Path.exists raises what it may not look at


def _places() -> set[Path]:
    """Where this package, Python, other packages, the libraries below them and fonts lie.

    What is imported before a file is read is not all: libraries come with the first file of their format.
    """
    package = Path(__file__).resolve().parents[1]
    installed = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    # A checkout has more in it than packages: the data directory, perhaps.
    found = {entry for entry in sys.path if entry and Path(entry).resolve() != package.parent}
    below = Path(sysconfig.get_path("stdlib")).parent
    return {package, below, *map(Path, installed | found), *map(Path, _SYSTEM)}


def _allow(call: "ctypes._NamedFuncPointer", rules: int, path: Path) -> bool:
    rights = _READ_FILE | _READ_DIR if path.is_dir() else _READ_FILE
    at = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = ctypes.create_string_buffer(struct.pack("=Qi", rights, at))
        return bool(call(_ADD_RULE, rules, _PATH_BENEATH, rule, 0) == 0)
    finally:
        os.close(at)
