"""`hrm-serve share`: who may use a store, from the command line."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

import typer

from retrieval.types import Access, Store
from server.auth import LOCAL
from server.commands.recording import on_record
from server.commands.terminal import CommandError, DataDir, check_there, printable, settings_for
from server.identity import is_grantee
from server.settings import Settings

NAME = "user:x, group:y or '*'"


def share(
    store: Annotated[str, typer.Argument(help="The store, by name or id.", metavar="STORE")],
    read: Annotated[
        list[str] | None, typer.Option(help=f"Who may read it: {NAME}; repeat for several.", metavar="NAME")
    ] = None,
    write: Annotated[
        list[str] | None, typer.Option(help=f"Who may read and change it: {NAME}; repeat for several.", metavar="NAME")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Say who may use a store, besides its owner; who is not named may no longer."""
    settings = settings_for(data_dir)
    access = Access(grantees("--read", read or []), grantees("--write", write or []))
    check_there(settings)
    granted = {"read": list(access.read), "write": list(access.write)}
    with on_record(settings, "share", "store", path={"store": store}, access=granted) as facts:
        shared = asyncio.run(_share(settings, store, access))
        facts.record["id"] = shared.store_id
    for mode, names in (("read", (*shared.access.read, *shared.access.write)), ("write", shared.access.write)):
        print(f"{shared.name}: {printable(' '.join(dict.fromkeys((shared.owner, *names))))} may {mode}")


def grantees(flag: str, names: Sequence[str]) -> tuple[str, ...]:
    """The names as given, if access lists can hold them.

    Raises:
        CommandError: one of them is not of that kind.
    """
    for name in names:
        if not is_grantee(name):
            raise CommandError(f"{flag} {name[:80]!r} is not {NAME}.")
    return tuple(names)


async def _share(settings: Settings, store: str, access: Access) -> Store:
    from server.building.store import open_library

    async with open_library(settings) as library:
        return await library.set_access(store, access, LOCAL.reader())
