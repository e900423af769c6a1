"""Whether the data directory can be written, and who may read what lies there. Asks the file system, writes nothing."""

import os
from pathlib import Path
from stat import S_ISGID


def trouble(folder: Path, min_free_bytes: int) -> str | None:
    """Why nothing should be written there, None if it can; without the folder's path, as strangers may read it.

    Args:
        min_free_bytes: free space below which a disk counts as full.
    """
    try:
        found = os.statvfs(folder)
    except OSError as error:
        return f"the data directory cannot be looked at: {error.strerror}"
    if found.f_flag & os.ST_RDONLY:
        return "the data directory is on a read-only file system"
    if not os.access(folder, os.W_OK | os.X_OK):
        return "the data directory may not be written by this process"
    free = found.f_bavail * found.f_frsize
    if free < min_free_bytes:
        return f"the data directory's disk is full: {free:,} bytes are free, and {min_free_bytes:,} must be"
    return None


def kept_private(file: os.stat_result, folder: os.stat_result) -> bool:
    """Whether nobody reads a file but its owner, or the group that its folder is marked for.

    An orchestrator gives a volume to the server's own group so, and opens each file in it to the group.
    """
    is_given = folder.st_mode & S_ISGID and folder.st_gid == file.st_gid
    return not file.st_mode & (0o007 if is_given else 0o077)
