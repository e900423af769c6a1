"""`hrm-serve keys`: make, list and revoke API keys. A running server follows from its next request on."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import time
from typing import Annotated

import typer

from server.commands.terminal import DataDir, TextCommand, duration_s, moment, print_rows, settings_for
from server.ledger import ROLES, Key, Ledger

app = typer.Typer(help="Make, list and revoke API keys.", no_args_is_help=True)


@app.command(cls=TextCommand)
def create(
    principal: Annotated[str, typer.Option(help="Whom the key is for, as user:anna.", metavar="user:NAME")],
    role: Annotated[list[str], typer.Option(help=f"What the key may do, of {', '.join(ROLES)}; repeatable.")],
    group: Annotated[
        list[str] | None, typer.Option(help="A group of the holder; repeatable.", metavar="group:NAME")
    ] = None,
    expires: Annotated[
        str | None, typer.Option(help="How long it is valid: 30d, 12h, 2w. Without it: until revoked.")
    ] = None,
    grounded_only: Annotated[bool, typer.Option("--grounded-only", help="Answers from documents only.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Make a key and print its secret, once."""
    seconds = None if expires is None else duration_s(expires)
    with _ledger(data_dir) as ledger:
        is_first = ledger.is_empty()
        key, secret = ledger.create(
            principal=principal, roles=role, groups=group or (), expires_in_s=seconds, grounded_only=grounded_only
        )
    end = "until it is revoked" if key.expires_at is None else f"until {moment(key.expires_at)}"
    print(f"{key.key_id} for {key.principal} ({', '.join(sorted(key.roles))}), valid {end}.", file=sys.stderr)
    if is_first:
        print("It is the first key: from now on every request needs one.", file=sys.stderr)
    print("The secret is shown this once:", file=sys.stderr)
    print(secret)


@app.command(name="list", cls=TextCommand)
def list_keys(data_dir: DataDir = None) -> None:
    """List every key ever made, without secrets."""
    folder = settings_for(data_dir).data_dir
    keys: list[Key] = []
    if folder.exists():  # looking makes no data directory
        with _ledger(data_dir) as ledger:
            keys = ledger.all_keys()
    if not keys:
        print(
            f"There is no key in {folder.resolve()}: a server answers everyone on this machine, and nobody else.",
            file=sys.stderr,
        )
        return
    print_rows(
        ["key", "principal", "groups", "roles", "state", "created", "expires", "last used"],
        [
            [
                key.key_id,
                key.principal,
                " ".join(sorted(key.groups)) or "–",
                " ".join(sorted(key.roles)) + (" (grounded only)" if key.grounded_only else ""),
                _state(key),
                moment(key.created_at),
                moment(key.expires_at),
                moment(key.last_used_at),
            ]
            for key in keys
        ],
    )


@app.command(cls=TextCommand)
def revoke(
    key_id: Annotated[str, typer.Argument(help="The key's id, as `keys list` shows it.", metavar="KEY")],
    data_dir: DataDir = None,
) -> None:
    """Close a key for good, at once."""
    with _ledger(data_dir) as ledger:
        key = ledger.revoke(key_id)
    print(f"{key.key_id} of {key.principal} is revoked.")


@contextmanager
def _ledger(data_dir: Path | None) -> Iterator[Ledger]:
    ledger = Ledger(settings_for(data_dir).data_dir / "ledger.db")
    try:
        yield ledger
    finally:
        ledger.close()


def _state(key: Key) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "valid" if key.is_valid(time()) else "expired"
