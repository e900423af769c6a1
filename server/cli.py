"""The command `hrm-serve`. Imports nothing heavy, so that `--help` and mistakes answer at once."""

import errno
import sys
from collections.abc import Sequence

import typer

from hrm_model.errors import CheckpointError
from retrieval.errors import (
    DocumentNotFound,
    DocumentRefused,
    RetrievalError,
    StoreExpired,
    StoreNameRefused,
    StoreNotFound,
)
from server.api_key import LedgerError
from server.audit.chain import AuditError, AuditUnavailable, Broken, RecordOwed
from server.auth import ExposedWithoutKey
from server.certificates import CertificateRefused
from server.commands import audit, erasures, keys
from server.commands.doctor import doctor
from server.commands.documents import delete, ingest, search, stores
from server.commands.model import check_model, train
from server.commands.openapi import openapi
from server.commands.recall import recall
from server.commands.samples import samples
from server.commands.serve import serve
from server.commands.sharing import share
from server.commands.terminal import CommandError, TextCommand, printable
from server.commands.upkeep import backup, reindex, restore
from server.database import FAILED
from server.settings_reading import SettingsError
from server.signing import SigningKeyError
from server.tls import TlsError

# What a person can cause and mend. Anything else is our bug, and its traceback is what a report needs.
MISTAKES = (
    CertificateRefused,
    AuditError,
    AuditUnavailable,
    Broken,
    CheckpointError,
    CommandError,
    DocumentNotFound,
    DocumentRefused,
    ExposedWithoutKey,
    FAILED,
    LedgerError,
    OSError,
    RetrievalError,
    SettingsError,
    StoreExpired,
    SigningKeyError,
    StoreNameRefused,
    StoreNotFound,
    TlsError,
)

app = typer.Typer(
    name="hrm-serve",
    help="An OpenAI-compatible server for HRM-Text with retrieval and verified citations.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command(cls=TextCommand)(serve)
app.command(cls=TextCommand)(doctor)
for command in (ingest, search, delete, stores, share, recall):
    app.command(cls=TextCommand)(command)
app.add_typer(keys.app, name="keys")
app.command(cls=TextCommand)(backup)
app.command(cls=TextCommand)(restore)
app.command(cls=TextCommand)(reindex)
app.command(cls=TextCommand)(erasures.purge)
app.add_typer(erasures.app, name="erasures")
app.add_typer(audit.app, name="audit")
app.command(name="check-model", cls=TextCommand)(check_model)
app.command()(openapi)
app.command()(samples)
# The trainer reads its own flags, `--help` among them.
app.command(
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    cls=TextCommand,
)(train)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; return its exit status: 0 done, 1 not done, 2 not understood."""
    try:
        app(args=None if arguments is None else list(arguments), prog_name="hrm-serve")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    except KeyboardInterrupt:
        return 130
    except MISTAKES as mistake:
        for line in in_words(mistake).splitlines():
            print(f"hrm-serve: {printable(line)}", file=sys.stderr)
        return 1
    return 0


def in_words(mistake: Exception) -> str:
    """What a mistake says to the person who made it; of the system's errors, without their numbers."""
    match mistake:
        case FAILED():
            return f"The ledger or the audit log cannot be used: {mistake}."
        case RecordOwed():
            return f"{mistake}."
        case AuditUnavailable():
            return f"What cannot be recorded is not done. {mistake}."
        case OSError(filename=None) | OSError(strerror=None):
            return str(mistake)
        case FileExistsError(filename=name):  # nothing here insists on making a file, so it was a folder
            return f"{name} is not a folder."
        case NotADirectoryError(filename=name):
            return f"{name} lies below something that is not a folder."
        case OSError(errno=errno.EROFS, filename=name):
            return f"{name} cannot be written, as its file system is read-only: mount one there, or name another."
        case OSError(filename=name, strerror=reason):
            return f"{name}: {reason}."
    return str(mistake)


if __name__ == "__main__":
    sys.exit(main())
