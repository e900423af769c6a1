"""`hrm-serve keys`: make, list, rotate and revoke API keys. A running server follows from its next request on."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import time
from typing import Annotated

import typer

from retrieval.errors import StoreFailed
from server.api_key import ROLES, Key
from server.commands.recording import acting, on_record
from server.commands.terminal import DataDir, TextCommand, duration_s, moment, print_rows, printable, settings_for
from server.identity import Limits
from server.keyring import Keyring
from server.settings import Settings

app = typer.Typer(help="Make, list, rotate and revoke API keys.", no_args_is_help=True)

KeyId = Annotated[str, typer.Argument(help="The key's id, as `keys list` shows it.", metavar="KEY")]


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
    requests_per_minute: Annotated[int | None, typer.Option(help="Requests a minute.", metavar="N")] = None,
    tokens_per_minute: Annotated[
        int | None, typer.Option(help="Tokens a minute, of prompts and answers together.", metavar="N")
    ] = None,
    concurrent_requests: Annotated[int | None, typer.Option(help="Requests at the same time.", metavar="N")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Tokens of one answer.", metavar="N")] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="The only models it opens, by id; repeatable. Without it: all.")
    ] = None,
    store: Annotated[
        list[str] | None, typer.Option(help="The only stores it opens, by id or name; repeatable. Without it: all.")
    ] = None,
    note: Annotated[str, typer.Option(help="What the list is to say about it.", metavar="TEXT")] = "",
    data_dir: DataDir = None,
) -> None:
    """Make a key and print its secret, once."""
    from server.audit.typed import grants_of

    seconds = None if expires is None else duration_s(expires)
    settings = settings_for(data_dir)
    warnings = list(_unknown(settings, model or (), store or ()))
    with acting(settings, "keys create", "admin") as acts, _keys(settings) as keys, ExitStack() as noted:
        is_first = keys.is_empty()
        key, secret = keys.create(
            principal=principal,
            roles=role,
            groups=group or (),
            expires_in_s=seconds,
            grounded_only=grounded_only,
            note=note,
            limits=Limits(requests_per_minute, tokens_per_minute, concurrent_requests, max_tokens),
            allowed_models=model or (),
            allowed_stores=store or (),
            before=lambda key: noted.enter_context(
                acts.one(texts={"note": note}, id=key.key_id, grants=grants_of(key))
            ),
        )
    end = "until it is revoked" if key.expires_at is None else f"until {moment(key.expires_at)}"
    print(f"{key.key_id} for {key.principal} ({', '.join(sorted(key.roles))}), valid {end}.", file=sys.stderr)
    for warning in warnings:
        print(f"Warning: {warning}", file=sys.stderr)
    if is_first:
        print("It is the first key: from now on every request needs one.", file=sys.stderr)
    print("The secret is shown this once:", file=sys.stderr)
    print(secret)


@app.command(name="list", cls=TextCommand)
def list_keys(data_dir: DataDir = None) -> None:
    """List every key ever made, without secrets."""
    settings = settings_for(data_dir)
    found: list[Key] = []
    if settings.data_dir.exists():  # looking makes no data directory
        with _keys(settings) as keys:
            found = keys.all()
    if not found:
        print(
            f"There is no key in {settings.data_dir.resolve()}: "
            "a server answers everyone on this machine, and nobody else.",
            file=sys.stderr,
        )
        return
    print_rows(
        ["key", "principal", "groups", "roles", "state", "created", "expires", "last used", "limits", "note"],
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
                _bounds(key) or "–",
                key.note or "–",
            ]
            for key in found
        ],
    )


@app.command(cls=TextCommand)
def rotate(
    key_id: KeyId,
    overlap: Annotated[
        str, typer.Option(help="How long the old secret goes on: 24h, 2d; 0 ends it at once.", metavar="DURATION")
    ] = "24h",
    data_dir: DataDir = None,
) -> None:
    """Give a key a new secret and print it, once; its id, rights and expiry stay."""
    seconds = 0 if overlap == "0" else duration_s(overlap)
    with _changing("keys rotate", key_id, data_dir) as (keys, known):
        key, secret = keys.rotate(key_id, overlap_s=seconds)
        known(key)
    end = "ended at once" if key.overlap_until is None else f"opens it too until {moment(key.overlap_until)}"
    print(f"{key.key_id} of {printable(key.principal)} has a new secret; the old one {end}.", file=sys.stderr)
    print("The secret is shown this once:", file=sys.stderr)
    print(secret)


@app.command(cls=TextCommand)
def revoke(key_id: KeyId, data_dir: DataDir = None) -> None:
    """Close a key for good, at once, with all its secrets."""
    with _changing("keys revoke", key_id, data_dir) as (keys, known):
        key = keys.revoke(key_id)
        known(key)
    print(f"{key.key_id} of {printable(key.principal)} is revoked.")


def _unknown(settings: Settings, models: Sequence[str], stores: Sequence[str]) -> Iterator[str]:
    """What a key is limited to that does not exist: a slip, or something that is still to come."""
    from server.building.store import store_names
    from server.plan import NO_STORE

    served = settings.model_id
    for model in models:
        if (model.rpartition("@")[0] or model) != served:
            yield f"there is no model {model} at present; the settings name {served}."
    aliased = [store for model in models if (store := model.rpartition("@")[2]) not in (model, NO_STORE)]
    named = [*stores, *aliased]
    if not named:
        return
    try:
        known = store_names(settings)
    except StoreFailed as error:
        yield f"whether there are such stores cannot be told at present: {error}."
        return
    for store in dict.fromkeys(named):
        if store not in known:
            yield f"there is no store {store} at present; `hrm-serve stores` lists those there are."


@contextmanager
def _changing(command: str, key_id: str, data_dir: Path | None) -> Iterator[tuple[Keyring, Callable[[Key], None]]]:
    """The keys, one of which is to be changed in the block, and what is to be told of it as it is afterwards."""
    from server.audit.typed import grants_of

    settings = settings_for(data_dir)
    with on_record(settings, command, "admin", path={"key": key_id}) as facts, _keys(settings) as keys:

        def known(key: Key) -> None:
            facts.record |= {"grants": grants_of(key), "overlap_until": key.overlap_until}

        yield keys, known


@contextmanager
def _keys(settings: Settings) -> Iterator[Keyring]:
    from server.building.records import opened_ledger

    with opened_ledger(settings) as ledger:
        yield ledger.keys


def _state(key: Key) -> str:
    if key.revoked_at is not None:
        return "revoked"
    if not key.is_valid(time()):
        return "expired"
    return "valid" if key.overlap_until is None else f"valid (old secret until {moment(key.overlap_until)})"


def _bounds(key: Key) -> str:
    named = [("models", key.allowed_models), ("stores", key.allowed_stores)]
    allowed = [(name, ",".join(sorted(names))) for name, names in named if names is not None]
    return " ".join(f"{name}={value}" for name, value in [*key.limits.given(), *allowed])
