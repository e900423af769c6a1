"""`hrm-serve audit`: check the chain of records, hand it out, and look at what it says."""

import base64
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from server.audit.chain import Entry, Head, canonical, verify
from server.audit.log import AuditLog
from server.commands.terminal import CommandError, DataDir, TextCommand, settings_for
from server.signing import Signer, is_signed

app = typer.Typer(help="Check the audit log, hand it out, and look at its records.", no_args_is_help=True)


@app.command(name="verify", cls=TextCommand)
def verify_log(
    head: Annotated[
        list[Path] | None,
        typer.Option(help="An export made earlier: the log must still contain all of it; repeatable.", metavar="FILE"),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Check every record, its place, its hash and its signature; name the first that does not hold."""
    with _log(data_dir) as (log, signer):
        heads = [read_export(file, signer.public_pem)[0] for file in head or ()]
        end = verify(log.entries(), signer.public_pem, expected=heads)
    print(f"{end.number} records, all as they were written; the last one's hash is {end.hash.hex()}.")
    if not heads:
        print(
            "Records cut off at the end can be noticed with --head and an earlier export, kept elsewhere.",
            file=sys.stderr,
        )


@app.command(cls=TextCommand)
def export(
    file: Annotated[Path, typer.Argument(help="Where to write it; - for standard output.", metavar="FILE")],
    data_dir: DataDir = None,
) -> None:
    """Write all records as JSON lines, and at the end a signed head."""
    with _log(data_dir) as (log, signer):
        end = Head()
        lines = []
        for entry in log.entries():
            lines.append(_line(entry))
            end = Head(entry.number, entry.hash)
        lines.append(_last_line(end, signer))
    text = "".join(line + "\n" for line in lines)
    if str(file) == "-":
        sys.stdout.write(text)
    else:
        file.write_text(text, encoding="utf-8")
        print(f"{end.number} records and a signed head are in {file}.", file=sys.stderr)


@app.command(name="verify-export", cls=TextCommand)
def verify_export(
    file: Annotated[Path, typer.Argument(help="An export.", metavar="FILE")],
    public_key: Annotated[Path, typer.Option(help="The public key in PEM, from `audit public-key`.", metavar="FILE")],
) -> None:
    """Check an export without the data directory it came from."""
    end, entries = read_export(file, public_key.read_text(encoding="ascii"))
    print(f"{end.number} records, all as they were written; {len(entries)} lines of {file} were read.")


@app.command(name="public-key", cls=TextCommand)
def public_key(data_dir: DataDir = None) -> None:
    """Print the public key that checks the log's signatures."""
    with _log(data_dir) as (_, signer):
        sys.stdout.write(signer.public_pem)


@app.command(cls=TextCommand)
def show(
    request: Annotated[str, typer.Argument(help="The x-request-id of a response.", metavar="REQUEST")],
    data_dir: DataDir = None,
) -> None:
    """Print the records of one request, with its texts where they are kept."""
    with _log(data_dir) as (log, _):
        entries = log.of_request(request)
        if not entries:
            raise CommandError(f"There is no record of a request {request}.")
        for entry in entries:
            shown = {"number": entry.number, **json.loads(entry.record)}
            if log.keeps_content and (content := log.content(entry.number)) is not None:
                shown["texts"] = json.loads(content)
            print(json.dumps(shown, indent=2, ensure_ascii=False))


@app.command(name="replay", cls=TextCommand)
def replay_request(
    request: Annotated[str, typer.Argument(help="The x-request-id of the response.", metavar="REQUEST")],
    question: Annotated[
        Path | None,
        typer.Option(help="The request's body as JSON, where the log keeps no texts.", metavar="FILE"),
    ] = None,
    model: Annotated[Path | None, typer.Option(help="The checkpoint that answered; HRM_MODEL says the same.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Ask again what was asked, and say whether passages and answer are the same, differ, or are erased."""
    import asyncio

    from server.audit.replay import Replayed, replay
    from server.build import loaded

    asked = None if question is None else _json_of(question)

    async def run() -> Replayed:
        with _log(data_dir) as (log, _):
            settings = settings_for(data_dir)
            if model is not None:
                settings = settings.model_copy(update={"model": model})
            async with loaded(settings) as services:
                return await replay(log, request, services, asked)

    found = asyncio.run(run())
    print(found.verdict)
    for difference in found.differences:
        print(f"  {difference}")
    if found.verdict != "same":
        raise typer.Exit(1)


def _json_of(file: Path) -> dict[str, Any]:
    try:
        given = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CommandError(f"{file} holds no JSON: {error}.") from error
    if not isinstance(given, dict):
        raise CommandError(f"{file} holds no request: it is not an object.")
    return given


def read_export(file: Path, public_pem: str) -> tuple[Head, list[Entry]]:
    """Read an export, check it, and return its head and its records.

    Raises:
        CommandError: it is no export, or its head is not signed by this key.
        Broken: its records do not hold.
    """
    try:
        *lines, last = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        entries = [_entry(line) for line in lines]
        head = Head(last["head"]["number"], bytes.fromhex(last["head"]["hash"]))
        signature = base64.b64decode(last["signature"], validate=True)
    except (ValueError, KeyError, TypeError) as error:
        raise CommandError(f"{file} is no export of an audit log, or not a whole one.") from error
    if not is_signed(public_pem, canonical(last["head"]).encode(), signature):
        raise CommandError(f"The head of {file} is not signed by this key.")
    verify(entries, public_pem, expected=[head])
    return head, entries


def _line(entry: Entry) -> str:
    return canonical(
        {
            "number": entry.number,
            "record": entry.record,
            "hash": entry.hash.hex(),
            "signature": base64.b64encode(entry.signature).decode(),
        }
    )


def _entry(line: dict[str, Any]) -> Entry:
    signature = base64.b64decode(line["signature"], validate=True)
    return Entry(line["number"], line["record"], bytes.fromhex(line["hash"]), signature)


def _last_line(end: Head, signer: Signer) -> str:
    head = {"number": end.number, "hash": end.hash.hex()}
    signature = signer.sign(canonical(head).encode())
    return canonical({"head": head, "signature": base64.b64encode(signature).decode()})


@contextmanager
def _log(data_dir: Path | None) -> Iterator[tuple[AuditLog, Signer]]:
    from server.build import AUDIT_FILE, SIGNING_KEY_FILE, open_audit

    settings = settings_for(data_dir)
    # Looking makes neither a log nor a key.
    for name in (AUDIT_FILE, SIGNING_KEY_FILE):
        if not (settings.data_dir / name).exists():
            raise CommandError(f"There is no {name} in {settings.data_dir.resolve()}: nothing has been recorded there.")
    log = open_audit(settings)
    try:
        yield log, Signer.from_file(settings.data_dir / SIGNING_KEY_FILE)
    finally:
        log.close()
