"""`hrm-serve recall`: what a graph would find of a store's nearest passages, measured on the store."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from retrieval.types import Recall
from server.auth import LOCAL
from server.commands.terminal import CommandError, DataDir, check_there, chunk_lines, settings_for
from server.settings import Settings


def recall(
    store: Annotated[str, typer.Argument(help="The store, by name or id.", metavar="STORE")],
    questions: Annotated[
        Path | None,
        typer.Option(help="A text file with a question on each line; without it, the first words of passages."),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Build an HNSW graph of a store, and print how much of the ten nearest it finds (recall@10), and how fast.

    Changes nothing, also while a server runs: measure a store before choosing `"index": "hnsw"` for it.
    """
    settings = settings_for(data_dir)
    asked = _questions(questions)
    for line in in_words(asyncio.run(_measure(settings, store, asked))):
        print(line)


def in_words(measured: Recall) -> list[str]:
    """What a person is told."""
    if not measured.questions:
        return [f"{measured.chunks} chunks: so few are always looked at one by one, which is exact and as fast."]
    return [
        f"recall@10 {measured.at_10:.3f} over {measured.questions} questions, {measured.chunks} chunks",
        f"by graph {measured.graph_ms:.1f} ms, exactly {measured.exact_ms:.1f} ms (median, the index alone)",
    ]


def _questions(path: Path | None) -> list[str]:
    if path is None:
        return []
    found = [line.strip() for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    if not found:
        raise CommandError(f"{path} holds no questions; write one on each line.")
    return found


async def _measure(settings: Settings, store: str, questions: list[str]) -> Recall:
    from server.building.store import open_library

    check_there(settings)
    async with open_library(settings) as library:
        return await library.trial.measure(store, LOCAL.reader(), questions, chunk_lines())
