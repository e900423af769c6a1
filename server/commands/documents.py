"""`hrm-serve ingest`, `search`, `delete` and `stores`: the knowledge store from the command line.

They act as the person at this machine, an admin. A running server over the same data directory sees every
change with its next search.
"""

import asyncio
import sys
from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from contextlib import nullcontext
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from retrieval.errors import DocumentNotFound
from retrieval.types import Access, Document, Hits, IndexKind, PersonalDataPolicy, Store
from server.auth import LOCAL
from server.commands.progress import FileProgress
from server.commands.recording import acting, on_record
from server.commands.sharing import grantees
from server.commands.terminal import CommandError, DataDir, check_there, moment, print_rows, printable, settings_for
from server.commands.tree import files_below
from server.settings import Settings
from server.signing import canonical

if TYPE_CHECKING:
    from server.audit.typed import Acts

LOCAL_READER = LOCAL.reader()
AT_ONCE = 256  # files of one record: a kill leaves the ids of so many unknown, and a record stays small
_STOPPED = (
    "Stopped before all of {:,} files were in. What was handed in is kept, and a running server reads it;"
    " the same command again goes on with the others."
)
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
    personal_data: Annotated[
        PersonalDataPolicy | None,
        typer.Option(help="What becomes of personal data in the store's files, if this makes the store."),
    ] = None,
    index: Annotated[
        IndexKind | None, typer.Option(help="How the store is to be searched, if this makes it; see `recall`.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Take documents into a store, and wait until searches find them."""
    settings = settings_for(data_dir)
    name = _store_of(store, settings)
    readers = grantees("--read", read or [])
    files, left_out = files_below(paths)
    began = perf_counter()
    with acting(settings, "ingest", "file") as acts:
        try:
            outcomes, found = asyncio.run(_ingest(settings, files, name, readers, personal_data, index, acts))
        except KeyboardInterrupt:
            print("\n" + _STOPPED.format(len(files)), file=sys.stderr)
            raise
    seconds = perf_counter() - began
    taken = [outcome for outcome in outcomes if isinstance(outcome, Document)]
    refused = [*left_out, *(outcome for outcome in outcomes if not isinstance(outcome, Document))]
    fresh = {document.file_id: document for document in taken if document.file_id in found}
    for error in refused:
        print(f"refused: {printable(str(error))}", file=sys.stderr)
    print(
        f"{len(fresh)} new in {name} ({sum(document.chunks for document in fresh.values())} chunks), "
        f"{len(taken) - len(fresh)} unchanged, {len(refused)} refused; {seconds:.1f} s"
    )
    if counts := sum((Counter(document.personal_data.counts) for document in fresh.values()), Counter[str]()):
        said = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
        print(f"personal data in them: {said}")
    if unseen := [document.stripped for document in fresh.values() if document.stripped]:
        print(f"left out of {len(unseen)} of them: {sum(unseen):,} characters that nobody sees who reads the file")
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
    check_there(settings)
    name = store or settings.default_store
    path = {} if name is None else {"store": name}
    with on_record(settings, "search", "search", path=path, texts={"query": canonical([query])}) as facts:
        hits, searched = asyncio.run(_search(settings, query, name, k))
        facts.searched(searched, [query], hits.passages, [hits])
    passages = hits.passages
    if not passages:
        print("Nothing was found.", file=sys.stderr)
        raise typer.Exit(1)
    for number, passage in enumerate(passages, start=1):
        title = f"  {printable(passage.title)}" if passage.title else ""
        name = printable(passage.filename)
        where = f", {printable(passage.locator)}" if passage.locator else ""
        print(f"{number}. {passage.score:.3f}  {name}:{passage.start_char}-{passage.end_char}{where}{title}")
        print(f"   {passage.file_id}")
        print("\n".join(f"   {printable(line)}" for line in passage.text.strip().splitlines()) + "\n")


def delete(
    file_ids: Annotated[
        list[str], typer.Argument(help="Ids, as `search` and `stores` print them.", metavar="FILE_ID...")
    ],
    data_dir: DataDir = None,
) -> None:
    """Remove documents from search, at once and for good."""
    settings = settings_for(data_dir)
    check_there(settings)
    with acting(settings, "delete", "file") as acts:
        refused = asyncio.run(_delete(settings, file_ids, acts))
    if refused:
        raise typer.Exit(1)


def stores(
    name: Annotated[str | None, typer.Argument(help="A store, to list its documents.", metavar="STORE")] = None,
    data_dir: DataDir = None,
) -> None:
    """List the stores, or the documents of one."""
    settings = settings_for(data_dir)
    headings, rows = asyncio.run(_listing(settings, name))
    if not rows:
        nothing = (
            f"There is no store in {settings.data_dir.resolve()}." if name is None else f"{name} holds no documents."
        )
        print(nothing, file=sys.stderr)
    print_rows(headings, rows)


async def _ingest(
    settings: Settings,
    files: Sequence[Path],
    name: str,
    read: Sequence[str],
    personal_data: PersonalDataPolicy | None,
    index: IndexKind | None,
    acts: "Acts",
) -> tuple[list[Document | Exception], set[str]]:
    from server.building.store import open_library

    outcomes, found = list[Document | Exception](), set[str]()
    access = Access(read=tuple(read), write=(LOCAL.principal,)) if read else None
    async with open_library(settings) as library:
        is_new = not any(name in (found.store_id, found.name) for found in await library.stores(LOCAL_READER))
        with acts.one({"store": name}, readers=list(read)) if is_new else nullcontext():
            store = await library.create_store(name, LOCAL_READER, access, personal_data or "off", index or "exact")
        if personal_data:
            _check_policy(store, personal_data)
        if index:
            _check_index(store, index)
        if read:
            _check_readers(store, read)
        with FileProgress(len(files)) as progress:
            for start in range(0, len(files), AT_ONCE):
                piece = files[start : start + AT_ONCE]
                with acts.one({"store": store.store_id}, offered=len(piece)) as facts:
                    taken = await library.take_in(
                        piece, store=store.store_id, reader=LOCAL_READER, report=progress.report
                    )
                    facts.record["files"] = _facts(taken.outcomes, taken.added)
                outcomes += taken.outcomes
                found |= taken.found
        if is_new and not found:
            # A misspelt name with nothing to take in should not stay behind as a store.
            with acts.one({"store": store.store_id}) as facts:
                facts.record["is_removed"] = await library.remove_if_bare(store.store_id, LOCAL_READER)
    return outcomes, found


def _facts(outcomes: Sequence[Document | Exception], added: AbstractSet[str]) -> list[dict[str, Any]]:
    """What was taken in, or was there; of what was refused there is nothing but the number offered."""
    return [
        {"id": document.file_id, "sha256": document.sha256, "is_new": document.file_id in added}
        for document in outcomes
        if isinstance(document, Document)
    ]


async def _search(settings: Settings, query: str, store: str | None, k: int) -> tuple[Hits, Sequence[str]]:
    from server.building.store import open_library

    async with open_library(settings) as library:
        names = [store] if store else [found.store_id for found in await library.stores(LOCAL_READER)]
        hits = await library.search(
            query, stores=names, k=k, reader=LOCAL_READER, score_threshold=settings.score_threshold
        )
        return hits, names


async def _delete(settings: Settings, file_ids: Sequence[str], acts: "Acts") -> int:
    """Delete what there is, and leave nothing of it behind; say how many of the ids were refused."""
    from server.building.store import open_library
    from server.building.upkeep import purge

    async with open_library(settings) as library:
        refused = 0
        for file_id in file_ids:
            try:
                with acts.one({"file_id": file_id}):
                    await library.delete(file_id, LOCAL_READER)
            except DocumentNotFound as error:
                refused += 1
                print(f"refused: {printable(str(error))}", file=sys.stderr)
            else:
                print(f"{file_id} is deleted.")
    if refused < len(file_ids):
        done = await purge(settings)
        if done.problem is not None:
            print(f"The proof waits: {done.problem}; `hrm-serve purge` tries it again.", file=sys.stderr)
    return refused


async def _listing(settings: Settings, name: str | None) -> tuple[list[str], list[list[str]]]:
    from server.building.store import open_library

    check_there(settings)

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
        return ["file", "id", "status", "chunks", "bytes", "taken in", "unseen", "flags"], [
            [
                document.filename,
                document.file_id,
                document.status if document.error is None else f"{document.status}: {document.error}",
                str(document.chunks),
                str(document.bytes),
                moment(document.created_at),
                str(document.stripped),
                " ".join(flag.kind for flag in document.flags),
            ]
            for document in await library.documents(name, LOCAL_READER)
        ]


def _store_of(given: str | None, settings: Settings) -> str:
    name = given or settings.default_store
    if name is None:
        raise CommandError("Name a store, as in --store handbook; HRM_DEFAULT_STORE says the same for every command.")
    return name


def _check_policy(store: Store, asked: PersonalDataPolicy) -> None:
    if store.description.personal_data != asked:
        raise CommandError(
            f"The store {store.name} exists, and its policy for personal data is {store.description.personal_data}, "
            f"not {asked}. Leave --personal-data out, or name another store."
        )


def _check_index(store: Store, asked: IndexKind) -> None:
    if store.description.index != asked:
        raise CommandError(
            f"The store {store.name} exists, and its index is {store.description.index}, not {asked}. "
            "Leave --index out, and change it by POST /v1/vector_stores."
        )


def _check_readers(store: Store, names: Sequence[str]) -> None:
    has, asked = set(store.access.read), set(names)
    if has != asked:
        raise CommandError(
            f"The store {store.name} exists, and `ingest` does not change who may read it: "
            f"{' '.join(sorted(has)) or 'nobody'} may, --read says {' '.join(sorted(asked))}. "
            "Leave --read out, or name another store."
        )
