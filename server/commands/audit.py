"""`hrm-serve audit`: check the chain of records, hand it out, and look at what it says."""

import json
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from server.audit.chain import Entry, Head
from server.audit.export import last_line, line_of, read
from server.audit.log import AuditLog
from server.commands.recording import is_refusal
from server.commands.terminal import CommandError, DataDir, TextCommand, check_outside, settings_for
from server.commands.writing import written_whole
from server.identity import ON_THIS_MACHINE
from server.settings import Settings
from server.signing import Signer
from server.upkeep import AUDIT

if TYPE_CHECKING:
    from server.audit.facts import ActFacts

Record = Annotated[
    int | None,
    typer.Option(help="The number of the record that is meant, where several requests had one id.", metavar="NUMBER"),
]

app = typer.Typer(help="Check the audit log, hand it out, and look at its records.", no_args_is_help=True)


@app.command(name="verify", cls=TextCommand)
def verify_log(
    head: Annotated[
        list[Path] | None,
        typer.Option(help="An export made earlier: the log must still contain all of it; repeatable.", metavar="FILE"),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Check every record, its place, hash and signature, and what lies beside it; name the first that does not hold."""
    with _log(settings_for(data_dir)) as (log, _, keys):
        heads = [read(file, keys) for file in head or ()]
        end = log.verify(keys, expected=heads)
        under_way = log.under_way()
    print(f"{end.number} records, all as they were written; the last one's hash is {end.hash.hex()}.")
    if under_way:
        print(
            f"Under way, or cut off and on record when a server or a command next begins alone: {under_way}.",
            file=sys.stderr,
        )
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
    """Write all records as JSON lines, and at the end a signed head; into a file that its owner alone may read."""
    settings = settings_for(data_dir)
    if is_file := str(file) != "-":
        check_outside(settings, file)
    with _log(settings) as (log, signer, keys), _on_record(log, keys, settings, "export") as facts:
        end = Head()
        with written_whole(file) if is_file else nullcontext(sys.stdout) as sink:
            for entry in log.entries():
                sink.write(line_of(entry) + "\n")
                end = Head(entry.number, entry.hash)
            sink.write(last_line(end, signer) + "\n")
        facts.record["exported"] = {"number": end.number, "hash": end.hash.hex()}
    if is_file:
        print(f"{end.number} records and a signed head are in {file}.", file=sys.stderr)


@app.command(name="verify-export", cls=TextCommand)
def verify_export(
    file: Annotated[Path, typer.Argument(help="An export.", metavar="FILE")],
    public_key: Annotated[Path, typer.Option(help="What `audit public-key` prints.", metavar="FILE")],
) -> None:
    """Check an export without the data directory it came from."""
    end = read(file, _PEM.findall(public_key.read_text(encoding="utf-8", errors="replace")))
    print(f"{end.number} records and a signed head are in {file}, all as they were written.")


@app.command(name="public-key", cls=TextCommand)
def public_key(data_dir: DataDir = None) -> None:
    """Print what checks the log's signatures: its public key, and those it had before."""
    with _log(settings_for(data_dir)) as (_, _, keys):
        sys.stdout.write("".join(keys))


@app.command(cls=TextCommand)
def show(
    request: Annotated[str, typer.Argument(help="The x-request-id of a response.", metavar="REQUEST")],
    data_dir: DataDir = None,
) -> None:
    """Print the records of one request, with its texts where they are kept."""
    settings = settings_for(data_dir)
    with _log(settings) as (log, _, keys), _on_record(log, keys, settings, "show", request):
        shown = [_shown(log, entry) for entry in log.of_request(request)]
        if not shown:
            raise CommandError(f"There is no record of a request {request}.")
    for one in shown:
        print(_STEERING.sub(_escaped, json.dumps(one, indent=2, ensure_ascii=False)))


@app.command(cls=TextCommand)
def erase(
    request: Annotated[str, typer.Argument(help="The x-request-id of a response.", metavar="REQUEST")],
    record: Record = None,
    data_dir: DataDir = None,
) -> None:
    """Forget the salts of a request's hashes, and its texts where they are kept; the chain stays whole, and says so."""
    from server.audit.typed import operator

    with _log(settings_for(data_dir)) as (log, _, keys):
        log.settle(keys)
        of_whom = {entry.number: json.loads(entry.record).get("caller") for entry in log.of_request(request)}
        of_others = {number: caller for number, caller in of_whom.items() if caller != ON_THIS_MACHINE}
        if record is None and len(set(of_others.values())) > 1:
            named = ", ".join(f"{number} of {caller}" for number, caller in of_others.items())
            raise CommandError(f"Several people's requests have the id {request}: name one with --record ({named}).")
        by = {"kind": "admin", "caller": ON_THIS_MACHINE, **operator()}
        # Only what was looked at: somebody else's record may come meanwhile.
        erased = log.erase(request, by, numbers=of_whom.keys() if record is None else (record,))
    if erased.records:
        print(f"Salts and texts of {erased.records} records of {request} are erased; the records stay.")
    if record is None and erased.left:
        raise CommandError(
            f"{erased.left} answers or acts of {request} are under way, have just come, or were cut off and are on "
            "record when a server or a command next begins alone: they are not erased. Erase them then."
        )
    if not erased.records:
        raise CommandError(f"There is no record of a request {request}.")


@app.command(name="replay", cls=TextCommand)
def replay_request(
    request: Annotated[str, typer.Argument(help="The x-request-id of the response.", metavar="REQUEST")],
    question: Annotated[
        Path | None,
        typer.Option(help="The request's body as JSON, where the log keeps no texts.", metavar="FILE"),
    ] = None,
    record: Record = None,
    model: Annotated[Path | None, typer.Option(help="The checkpoint that answered; HRM_MODEL says the same.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Ask again what was asked, and say whether passages and answer are the same, differ, or are erased."""
    import asyncio

    from server.audit.replay import Replayed, replay
    from server.build import loaded

    asked = None if question is None else _json_of(question)

    async def run() -> Replayed:
        settings = settings_for(data_dir)
        if model is not None:
            settings = settings.model_copy(update={"model": model})
        with _log(settings) as (log, _, keys), _on_record(log, keys, settings, "replay", request) as facts:
            async with loaded(settings) as services:
                found = await replay(log, request, services, asked, number=record)
            facts.record["verdict"] = found.verdict
        return found

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


def _shown(log: AuditLog, entry: Entry) -> dict[str, Any]:
    shown = {"number": entry.number, **json.loads(entry.record)}
    if log.keeps_content and (content := log.content(entry.number)) is not None:
        shown["texts"] = json.loads(content)
    return shown


@contextmanager
def _log(settings: Settings) -> Iterator[tuple[AuditLog, Signer, list[str]]]:
    """The log, who signs it, and the public keys of all who did."""
    from server.building.records import open_audit, opened_ledger

    if not (settings.data_dir / AUDIT).exists():  # looking makes neither a log nor a key
        raise CommandError(f"There is no {AUDIT} in {settings.data_dir.resolve()}: nothing has been recorded there.")
    with opened_ledger(settings) as ledger:
        log = open_audit(settings, ledger)
        try:
            yield log, Signer.of(settings.data_dir), list(ledger.erasures.public_keys().values())
        finally:
            log.close()


@contextmanager
def _on_record(
    log: AuditLog, keys: Sequence[str], settings: Settings, command: str, request: str | None = None
) -> "Iterator[ActFacts]":
    """Have on record what a block reads out of an open log, unless recording is off."""
    from server.audit.typed import Acts

    kept = None if settings.audit == "off" else log
    acts = Acts(kept, f"cli audit {command}", "admin", is_refusal=is_refusal)
    if kept is not None:
        kept.settle(keys)
    with acts.one({} if request is None else {"request": request}) as facts:
        yield facts


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


_STEERING = re.compile(r"[\x7f-\x9f]")  # what JSON leaves as it is, and some terminals obey
_PEM = re.compile(r"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----\n?", re.DOTALL)
