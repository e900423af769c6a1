"""Whether the data directory can be written. Asks the file system, and writes nothing."""

import os
from pathlib import Path


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
