"""The knowledge store as the settings want it, opened for serving or for a command, and looked at from outside."""

from typing import TYPE_CHECKING

from retrieval.types import Fusion
from server.settings import Settings

if TYPE_CHECKING:
    from retrieval.checkup import Checkup
    from retrieval.embedder import MiniLM
    from retrieval.facts import Observe
    from retrieval.library import Library
    from retrieval.limits import Limits as ParseLimits


def open_library(settings: Settings) -> "Library":
    """Open the knowledge store for a command; close it with `async with`. The embedder loads at its first use."""
    from retrieval.opening import open_library as open_it

    return open_it(settings.data_dir, limits=_limits(settings), fusion=_fusion(settings))


def warm_library(settings: Settings, observe: "Observe | None" = None) -> "tuple[Library, MiniLM]":
    """Open the knowledge store for serving, with the embedder loaded."""
    from retrieval.embedder import MiniLM
    from retrieval.opening import open_library as open_it

    embedder = MiniLM()
    library = open_it(settings.data_dir, embedder, limits=_limits(settings), fusion=_fusion(settings), observe=observe)
    embedder.load()
    return library, embedder


def check_up(settings: Settings) -> "Checkup":
    """Look at the store from outside.

    Raises:
        StoreFailed: it cannot be read.
    """
    from retrieval.checkup import check_up as look

    return look(settings.data_dir)


def store_names(settings: Settings) -> frozenset[str]:
    """The ids and names of all stores, read without opening them.

    Raises:
        StoreFailed: they cannot be read.
    """
    from retrieval.checkup import store_names as names

    return names(settings.data_dir)


def sqlite_build() -> tuple[str, bool]:
    """SQLite's version, and whether it can search texts."""
    from retrieval.store.database import sqlite_build as build

    return build()


def _limits(settings: Settings) -> "ParseLimits":
    from retrieval.chunking import CHARS_A_CHUNK, MOST_CHUNKS
    from retrieval.limits import Limits as ParseLimits

    return ParseLimits(
        file_bytes=settings.parse_bytes,
        pages=settings.parse_pages,
        characters=settings.parse_characters,
        seconds=settings.parse_seconds,
        memory_bytes=settings.parse_memory,
        chunks=max(MOST_CHUNKS, settings.parse_characters // CHARS_A_CHUNK),
    )


def _fusion(settings: Settings) -> Fusion:
    return Fusion(1 - settings.text_weight, settings.text_weight, settings.late_interaction)
