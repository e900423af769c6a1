"""`hrm-serve backup`, `restore` and `reindex`: the data directory to another place, back, and computed anew."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from server.commands.recording import is_refusal, on_record
from server.commands.terminal import DataDir, check_outside, check_there, chunk_lines, moment, settings_for


def backup(
    folder: Annotated[Path, typer.Argument(help="A new folder for the copy.", metavar="FOLDER")],
    data_dir: DataDir = None,
) -> None:
    """Copy documents, files, keys and certificates into a folder, also while a server runs."""
    from server.building.upkeep import backup as run

    settings = settings_for(data_dir)
    check_there(settings)
    check_outside(settings, folder)
    with on_record(settings, "backup", "admin", texts={"folder": str(folder)}) as facts:
        manifest = asyncio.run(run(settings, folder))
        facts.record |= {"generation": manifest.generation, "files": len(manifest.files)}
    size = sum(kept.bytes for kept in manifest.files.values())
    print(f"{len(manifest.files)} files, {size} bytes in {folder}, as of generation {manifest.generation}.")


def restore(
    folder: Annotated[Path, typer.Argument(help="A folder that `backup` made.", metavar="FOLDER")],
    replace: Annotated[bool, typer.Option("--replace", help="Let go of the documents that are there.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Put a backup in place, without what was erased since. No server may be running on the data directory.

    The keys and erasures of the data directory stay as they are; only where there are none, the backup's are taken.
    """
    from server.building.upkeep import restore as run

    settings = settings_for(data_dir)
    restored, created_at = run(settings, folder, replace=replace, is_refusal=is_refusal)
    again = f"; {restored.replayed} erased since were left out" if restored.replayed else ""
    again += f"; {restored.taken_out} taken out of stores since were taken out again" if restored.taken_out else ""
    print(f"{restored.files} documents as of {moment(created_at)} in {settings.data_dir}{again}.")
    print(
        "Stores, files and who may read them are as they were then: access withdrawn since is open again."
        " Look at the lists (hrm-serve stores) before a server starts.",
        file=sys.stderr,
    )


def reindex(data_dir: DataDir = None) -> None:
    """Embed the documents with this version's embedder if another one did, and write words and snapshots anew.

    The old index serves until it is done; interrupted, it goes on where it stopped. Restart servers afterwards.
    """
    from server.building.upkeep import reindex as run

    settings = settings_for(data_dir)
    check_there(settings)
    with on_record(settings, "reindex", "admin") as facts:
        facts.record["chunks"] = embedded = run(settings, chunk_lines())
    print(f"{embedded} chunks embedded, words and snapshots written anew." if embedded else "Words and snapshots anew.")
