"""How much memory this process could still take: what the machine has left, and what its container may have."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath


@dataclass(frozen=True, slots=True)
class _Version:
    """Where a version of Linux's control groups keeps what it says of memory."""

    hierarchy: str  # in /proc/self/cgroup
    folder: str
    limit: str
    used: str
    inactive: str  # in memory.stat


_VERSIONS = (
    _Version("", "sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
    _Version(
        "memory",
        "sys/fs/cgroup/memory",
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        "total_inactive_file",
    ),
)


def free_memory(root: Path = Path("/")) -> int:
    """Bytes that could be taken now.

    Memory that only caches files counts as free: a checkpoint that was just copied here fills it.

    Args:
        root: where `proc` and `sys` are.
    """
    available = int(_named(root / "proc/meminfo", "MemAvailable:")) * 1024
    return max(0, min([available, *(_left(version, group) for version, group in _groups(root))]))


def _groups(root: Path) -> Iterator[tuple[_Version, Path]]:
    """The control groups whose limits hold here: this process's own, and those that it is part of.

    Some containers see their own group in place of the root and the machine's name for it, which leads nowhere there.
    """
    own = root / "proc/self/cgroup"
    lines = own.read_text(encoding="utf-8", errors="replace").splitlines() if own.is_file() else []
    for line in lines:
        _, hierarchies, path = line.split(":", 2)
        for version in _VERSIONS:
            if version.hierarchy in hierarchies.split(","):
                inside = PurePosixPath(path.lstrip("/"))
                for part in (inside, *inside.parents) if ".." not in inside.parts else (PurePosixPath(),):
                    group = root / version.folder / part
                    if (group / version.limit).is_file() and _word(group / version.limit) != "max":
                        yield version, group


def _left(version: _Version, group: Path) -> int:
    cached = int(_named(group / "memory.stat", version.inactive))
    return int(_word(group / version.limit)) - int(_word(group / version.used)) + cached


def _word(file: Path) -> str:
    return file.read_text(encoding="ascii").strip()


def _named(file: Path, name: str) -> str:
    """What stands behind a name in a file of names and numbers."""
    lines = (line.split() for line in _word(file).splitlines())
    return next(words[1] for words in lines if words[0] == name)
