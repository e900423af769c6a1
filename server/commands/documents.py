"""`hrm-serve ingest`, `search`, `delete` and `stores`: the knowledge store from the command line.

They act as the person at this machine, an admin. A running server over the same data directory sees every
change with its next search.
"""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer

from retrieval.types import Access, Document, Passage
from server.auth import LOCAL
from server.commands.progress import FileProgress
from server.commands.terminal import CommandError, DataDir, moment, print_rows, settings_for
from server.settings import Settings

LOCAL_READER = LOCAL.reader()
StoreOption = Annotated[str | None, typer.Option("--store", help="The store, by name or id.", metavar="NAME")]


def ingest(
    paths: Annotated[
        list[Path], typer.Argument(help="Files, and folders with all that is in them.", metavar="PATH...")
    ],
    store: StoreOption = None,
    read: Annotated[
        list[str] | None,
        typer.Option(help="Who may read the store, if this makes it: user:x, group:y or '*'.", metavar="NAME"),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Take documents into a store, and wait until searches find them."""
    settings = settings_for(data_dir)
    name = _store_of(store, settings)
    files = _files(paths)
    began = perf_counter()
    outcomes, before = asyncio.run(_ingest(settings, files, name, read or []))
    seconds = perf_counter() - began
    taken = [outcome for outcome in outcomes if isinstance(outcome, Document)]
    refused = [outcome for outcome in outcomes if not isinstance(outcome, Document)]
    fresh = [document for document in taken if document.file_id not in before]
    for error in refused:
        print(f"refused: {error}", file=sys.stderr)
    print(
        f"{len(fresh)} new in {name} ({sum(document.chunks for document in fresh)} chunks), "
        f"{len(taken) - len(fresh)} unchanged, {len(refused)} refused; {seconds:.1f} s"
    )
    if refused:
        raise typer.Exit(1)


def search(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    store: StoreOption = None,
    k: Annotated[int, typer.Option("-k", help="How many passages.", min=1, max=50)] = 5,
    data_dir: DataDir = None,
) -> None:
    """Print the passages that bear on a question, with file, offsets and score."""
    settings = settings_for(data_dir)
    passages = asyncio.run(_search(settings, query, store or settings.default_store, k))
    if not passages:
        print("Nothing was found.", file=sys.stderr)
        raise typer.Exit(1)
    for number, passage in enumerate(passages, start=1):
        title = f"  {passage.title}" if passage.title else ""
        print(f"{number}. {passage.score:.3f}  {passage.filename}:{passage.start_char}-{passage.end_char}{title}")
        print(f"   {passage.file_id}")
        print("\n".join(f"   {line}" for line in passage.text.strip().splitlines()) + "\n")


def delete(
    file_ids: Annotated[
        list[str], typer.Argument(help="Ids, as `search` and `stores` print them.", metavar="FILE_ID...")
    ],
    data_dir: DataDir = None,
) -> None:
    """Remove documents from search, at once and for good."""
    asyncio.run(_delete(settings_for(data_dir), file_ids))


def stores(
    name: Annotated[str | None, typer.Argument(help="A store, to list its documents.", metavar="STORE")] = None,
    data_dir: DataDir = None,
) -> None:
    """List the stores, or the documents of one."""
    headings, rows = asyncio.run(_listing(settings_for(data_dir), name))
    if not rows:
        print("There is no store." if name is None else f"{name} holds no documents.", file=sys.stderr)
    print_rows(headings, rows)


async def _ingest(
    settings: Settings, files: Sequence[Path], name: str, read: Sequence[str]
) -> tuple[list[Document | Exception], set[str]]:
    from server.build import open_library

    async with open_library(settings) as library:
        access = Access(read=tuple(read), write=(LOCAL.principal,)) if read else None
        store = await library.create_store(name, LOCAL_READER, access)
        listed = await library.documents(store.store_id, LOCAL_READER)
        before = {document.file_id for document in listed if document.status == "completed"}
        with FileProgress(len(files)) as progress:
            outcomes = await library.ingest_all(
                files, store=store.store_id, reader=LOCAL_READER, report=progress.report
            )
        return list(outcomes), before


async def _search(settings: Settings, query: str, store: str | None, k: int) -> tuple[Passage, ...]:
    from server.build import open_library

    async with open_library(settings) as library:
        names = [store] if store else [found.store_id for found in await library.stores(LOCAL_READER)]
        hits = await library.search(query, stores=names, k=k, reader=LOCAL_READER)
        return hits.passages


async def _delete(settings: Settings, file_ids: Sequence[str]) -> None:
    from server.build import open_library

    async with open_library(settings) as library:
        for file_id in file_ids:
            await library.delete(file_id, LOCAL_READER)
            print(f"{file_id} is deleted.")


async def _listing(settings: Settings, name: str | None) -> tuple[list[str], list[list[str]]]:
    from server.build import open_library

    async with open_library(settings) as library:
        if name is None:
            return ["store", "id", "documents", "owner", "readers", "created"], [
                [
                    store.name,
                    store.store_id,
                    str(store.documents),
                    store.owner,
                    " ".join(store.access.read),
                    moment(store.created_at),
                ]
                for store in await library.stores(LOCAL_READER)
            ]
        return ["file", "id", "status", "chunks", "bytes", "taken in"], [
            [
                document.filename,
                document.file_id,
                document.status if document.error is None else f"{document.status}: {document.error}",
                str(document.chunks),
                str(document.bytes),
                moment(document.created_at),
            ]
            for document in await library.documents(name, LOCAL_READER)
        ]


def _store_of(given: str | None, settings: Settings) -> str:
    name = given or settings.default_store
    if name is None:
        raise CommandError("Name a store, as in --store handbook; HRM_DEFAULT_STORE says the same for every command.")
    return name


def _files(paths: Sequence[Path]) -> list[Path]:
    """The files meant: each named one, and all below a named folder but what is hidden."""
    files: dict[Path, None] = {}
    for path in paths:
        if not path.exists():
            raise CommandError(f"{path} does not exist.")
        if not path.is_dir():
            files[path] = None
            continue
        found = [file for file in sorted(path.rglob("*")) if file.is_file() and not _is_hidden(file.relative_to(path))]
        files.update(dict.fromkeys(found))
    if not files:
        raise CommandError("There are no files in what was named.")
    return list(files)


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
