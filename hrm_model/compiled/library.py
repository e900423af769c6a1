"""Finds the compiled step: built when the package is installed, where there is a C compiler."""

import ctypes
from ctypes import c_int, c_int64, c_void_p
from functools import cache
from importlib.util import find_spec

from hrm_model.compiled.structs import LAYOUT


@cache
def library() -> ctypes.CDLL:
    """Load step.c's functions.

    Raises:
        OSError: see `opened`.
    """
    found = find_spec("hrm_model.compiled._step")
    return opened(None if found is None else found.origin)


def lack() -> str | None:
    """Why the compiled step cannot run here; None where it can."""
    try:
        library()
    except OSError as error:
        return str(error)
    return None


def opened(path: str | None) -> ctypes.CDLL:
    """Load step.c's functions from a file; None is one that is not there.

    Raises:
        OSError: it was not built, or for another processor, or from another version of the file.
    """
    if path is None:
        raise OSError("it was not built: its installation found no C compiler for x86-64")
    functions = ctypes.CDLL(path)
    try:
        functions.hrm_open.argtypes, functions.hrm_open.restype = (c_void_p,), c_void_p
        functions.hrm_step.argtypes, functions.hrm_step.restype = (c_void_p, c_void_p, c_int64), c_int
        functions.hrm_close.argtypes, functions.hrm_close.restype = (c_void_p,), None
        functions.hrm_is_wide_here.argtypes, functions.hrm_is_wide_here.restype = (), c_int
        functions.hrm_has_tiles.argtypes, functions.hrm_has_tiles.restype = (), c_int
        is_another = functions.hrm_layout() != LAYOUT
    except AttributeError:
        is_another = True
    if is_another:
        raise OSError("it was built from another version of step.c; install again")
    if not functions.hrm_runs_here():
        raise OSError("it wants AVX2 and FMA, which this processor lacks")
    return functions
