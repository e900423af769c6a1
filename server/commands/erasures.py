"""`hrm-serve purge` and `erasures`: clear what is left of removed documents, and prove it."""

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from server.commands.recording import on_record
from server.commands.terminal import (
    CommandError,
    DataDir,
    TextCommand,
    check_there,
    moment,
    print_rows,
    printable,
    settings_for,
)

app = typer.Typer(help="List, show and verify certificates of erasure.", no_args_is_help=True)


def purge(data_dir: DataDir = None) -> None:
    """Clear what is left of removed documents from every file, look for it, and write the certificates.

    A running server does the same by itself, moments after each removal.
    """
    from server.building.upkeep import purge as run

    settings = settings_for(data_dir)
    check_there(settings)
    with on_record(settings, "purge", "erasure") as facts:
        done = asyncio.run(run(settings))
        facts.record |= {
            "erasures": [erasure.erasure_id for erasure in (*done.erasures, *done.waiting)],
            "is_certified": done.problem is None,
        }
    if done.problem is not None:
        raise CommandError(f"Erasures stay pending: {done.problem}. Run it again when that has changed.")
    if done.scan is None:
        print("Nothing was removed since the last purge.")
        return
    rewritten = f"; rewritten: {', '.join(done.scan.rewrites)}" if done.scan.rewrites else ""
    print(
        f"{len(done.erasures)} erasures certified: {done.scan.files} files, {done.scan.bytes} bytes, "
        f"no trace of {done.scan.runs} runs{rewritten}."
    )


@app.command(name="list", cls=TextCommand)
def list_erasures(data_dir: DataDir = None) -> None:
    """List every erasure, oldest first."""
    with _ledger(data_dir) as ledger:
        records = list(ledger.erasures.listing())
    print_rows(
        ["erasure", "file", "state", "reason", "by", "requested"],
        [
            [
                record.erasure_id,
                record.file_id,
                "pending" if record.proof is None else "certified",
                record.reason,
                record.requested_by,
                moment(record.requested_at),
            ]
            for record in records
        ],
    )


@app.command(cls=TextCommand)
def show(erasure_id: Annotated[str, typer.Argument(metavar="ERASURE")], data_dir: DataDir = None) -> None:
    """Print a certificate as a file that can be handed over and verified."""
    from server.certificates import exported

    with _ledger(data_dir) as ledger:
        record, keys = ledger.erasures.one(erasure_id), ledger.erasures.public_keys()
    if record is None:
        raise CommandError(f"There is no erasure {erasure_id}; `hrm-serve erasures list` shows those there are.")
    if record.proof is None:
        raise CommandError(f"{erasure_id} is not certified yet; `hrm-serve purge` does it, or the running server.")
    print(json.dumps(exported(record.proof, keys[record.proof.key_id]), indent=2))


@app.command(cls=TextCommand)
def key(data_dir: DataDir = None) -> None:
    """Print the public key that certificates are signed with; give it to whoever will verify them."""
    from server.signing import Signer

    settings = settings_for(data_dir)
    check_there(settings)
    print(Signer.of(settings.data_dir).public_key, end="")


@app.command(cls=TextCommand)
def verify(
    file: Annotated[Path, typer.Argument(help="A certificate, as `erasures show` prints it.", metavar="FILE")],
    trusted: Annotated[
        Path | None, typer.Option("--key", help="The public key to trust; without it, this data directory's.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Say whether a certificate was signed by a trusted key and was not changed since."""
    from server import certificates
    from server.signing import key_id_of

    try:
        document: Any = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:  # neither JSON nor UTF-8
        raise CommandError(f"{file} is not a certificate: {error}.") from error
    if trusted is None:
        with _ledger(data_dir) as ledger:
            keys = ledger.erasures.public_keys()
    else:
        pem = trusted.read_text(encoding="utf-8", errors="replace")
        keys = {key_id_of(pem): pem}
    said = certificates.verify(document, keys)
    by = printable(said["requested_by"])
    print(
        f"Valid: {said['file_id']} was erased, as {by} asked on {moment(said['requested_at'])}; "
        f"certified on {moment(said['issued_at'])} with the key {said['key_id']}."
    )


def _ledger(data_dir: Path | None) -> Any:
    from server.building.records import opened_ledger

    settings = settings_for(data_dir)
    check_there(settings)
    return opened_ledger(settings)
